/** Runs scripts/demo.mjs with a temporary folder. */
import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { registryEnvironment } from "../../support/per-run.mjs";
import { ROOT } from "./bench.js";

export async function runDemo(
  node: string,
  args: readonly string[],
  look: (stdout: string, temporary: string) => void,
): Promise<void> {
  const temporary = mkdtempSync(join(tmpdir(), "stackwarden-rundemo-"));
  // Services run as other users and must be able to enter.
  chmodSync(temporary, 0o755);
  try {
    const { stdout } = await promisify(execFile)(node, [join(ROOT, "scripts", "demo.mjs"), ...args], {
      env: { ...process.env, ...registryEnvironment(), NO_COLOR: "1", TMPDIR: temporary },
      maxBuffer: 10_000_000,
    }).catch((error: Error & { stdout?: string }) => {
      throw new Error(`${error.message}\n${error.stdout ?? ""}`, { cause: error });
    });
    look(stdout, temporary);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
