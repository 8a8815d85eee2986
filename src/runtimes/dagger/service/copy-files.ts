/** Copies files of the project into a running container, as the service's user. */
import { StackwardenError } from "../../../errors.js";
import type { ExecRequest, ExecResult, FileCopy, SkippedCopy } from "../../../stack/runtime.js";
import { failureOf } from "../../shared/brief-command.js";
import { packCopies } from "../../shared/pack-copies.js";

export interface CopyTarget {
  service: string;
  /** Files that are never copied to an engine: secrets are written in them. */
  privateFiles: readonly string[];
  exec(request: ExecRequest): Promise<ExecResult>;
}

async function run({ service, exec }: CopyTarget, command: string[], stdin?: Buffer): Promise<void> {
  const fault = await failureOf(exec, command, stdin);
  if (fault === null) return;
  throw new StackwardenError("SERVICE_START_FAILED", `Files could not be copied into ${service}: ${fault}`, {
    hint: "Restart the service.",
    details: { service },
  });
}

/**
 * @returns the files that were not copied
 * @throws SERVICE_START_FAILED, COMMAND_NOT_FOUND (the image has no tar or rm), UnsafePathError
 */
export async function copyFiles(target: CopyTarget, files: readonly FileCopy[]): Promise<SkippedCopy[]> {
  const { archive, written, removed, skipped } = packCopies(files, target);
  const parts: Buffer[] = [];
  for await (const chunk of archive) parts.push(chunk as Buffer);
  if (removed.length > 0) await run(target, ["rm", "-f", "--", ...removed]);
  if (written.length > 0) await run(target, ["tar", "-xf", "-", "-C", "/"], Buffer.concat(parts));
  return skipped;
}
