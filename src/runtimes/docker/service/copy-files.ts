/** Copies files of the project into a running container, as Docker Compose's `sync` does. */
import { dirname } from "node:path/posix";
import { StackwardenError } from "../../../errors.js";
import type { FileCopy, SkippedCopy } from "../../../stack/runtime.js";
import { failureOf } from "../../shared/brief-command.js";
import { packCopies } from "../../shared/pack-copies.js";
import type { UserIds } from "../container/user-ids.js";
import { type ExecTarget, execInContainer } from "./exec.js";

/**
 * @param user owner of the files; null: root, as for the files of the image
 * @returns the files that were not copied
 * @throws SERVICE_START_FAILED for a file that cannot be removed or too many bytes, UnsafePathError, the engine's error
 */
export async function copyFiles(
  target: ExecTarget,
  files: readonly FileCopy[],
  user: UserIds | null,
): Promise<SkippedCopy[]> {
  const run = (command: string[]) => failureOf((request) => execInContainer(target, request), command);
  const { archive, written, removed, skipped } = packCopies(files, { service: target.service, user });
  if (removed.length > 0) {
    const fault = await run(["rm", "-f", "--", ...removed]);
    if (fault !== null)
      throw new StackwardenError("SERVICE_START_FAILED", `Files of ${target.service} could not be removed: ${fault}`, {
        hint: "Restart the service.",
        details: { service: target.service },
      });
  }
  if (written.length === 0) return skipped;
  // Folders that the service's user cannot create are made by the engine, as root's.
  await run(["mkdir", "-p", "--", ...new Set(written.map(dirname))]).catch(() => undefined);
  await target.docker.getContainer(target.container).putArchive(archive, { path: "/" });
  return skipped;
}
