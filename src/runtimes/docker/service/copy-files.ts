/** Copies files of the project into a running container, as Docker Compose's `sync` does. */
import { dirname } from "node:path/posix";
import { pack } from "tar-stream";
import { StackwardenError } from "../../../errors.js";
import type { FileCopy } from "../../../stack/runtime.js";
import { copiedFile } from "../../shared/copied-file.js";
import type { UserIds } from "../container/user-ids.js";
import { type ExecTarget, execInContainer } from "./exec.js";

const COMMAND_MS = 20_000;
const SHOWN = 200;

/** @returns why the command failed; null when it succeeded */
async function run(target: ExecTarget, command: string[]): Promise<string | null> {
  let output = "";
  const { exitCode } = await execInContainer(target, {
    command,
    signal: AbortSignal.timeout(COMMAND_MS),
    onOutput: (_stream, chunk) => {
      output = (output + chunk.toString()).slice(-SHOWN);
    },
  });
  return exitCode === 0 ? null : output.trim() || `exit code ${exitCode}`;
}

/**
 * @param user owner of the files; null: root, as for the files of the image
 * @throws SERVICE_START_FAILED for a file that cannot be removed, UnsafePathError, the engine's error
 */
export async function copyFiles(target: ExecTarget, files: readonly FileCopy[], user: UserIds | null): Promise<void> {
  const removed = files.flatMap((file) => (file.source === null ? [file.target] : []));
  const archive = pack();
  const written: string[] = [];
  for (const { target: path, source } of files) {
    const file = source === null ? undefined : copiedFile(source);
    if (file === undefined) continue;
    archive.entry({ name: path.replace(/^\/+/, ""), mode: file.mode, mtime: new Date(), ...user }, file.bytes);
    written.push(path);
  }
  archive.finalize();
  if (removed.length > 0) {
    const fault = await run(target, ["rm", "-f", "--", ...removed]);
    if (fault !== null)
      throw new StackwardenError("SERVICE_START_FAILED", `Files of ${target.service} could not be removed: ${fault}`, {
        hint: "Restart the service.",
        details: { service: target.service },
      });
  }
  if (written.length === 0) return;
  // Folders that the service's user cannot create are made by the engine, as root's.
  await run(target, ["mkdir", "-p", "--", ...new Set(written.map(dirname))]).catch(() => undefined);
  await target.docker.getContainer(target.container).putArchive(archive, { path: "/" });
}
