/** Runs scripts/demo.mjs with a temporary folder. Its Python packages come from wheels instead of a registry. */
import { execFile } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { registryEnvironment } from "../../support/per-run.mjs";
import { ROOT } from "./bench.js";
import { wheelsOf } from "./wheels.js";

/** All packages of the demo, also those of its work trees. */
const REQUIREMENTS = join(ROOT, "examples/commandcenter/backend/requirements.txt");

/** Services see no other folder of the state directory. @returns pip's settings */
async function withWheels(state: string): Promise<Record<string, string>> {
  const wheels = join(state, "cache", "wheels");
  mkdirSync(join(state, "cache"), { recursive: true, mode: 0o755 });
  cpSync(await wheelsOf(REQUIREMENTS), wheels, { recursive: true });
  chmodSync(wheels, 0o755);
  return { PIP_FIND_LINKS: wheels, PIP_NO_INDEX: "1" };
}

export async function runDemo(
  node: string,
  state: string,
  args: readonly string[],
  look: (stdout: string, temporary: string) => void,
): Promise<void> {
  const temporary = mkdtempSync(join(tmpdir(), "stackwarden-rundemo-"));
  // Services run as other users and must be able to enter.
  chmodSync(temporary, 0o755);
  try {
    const pip = await withWheels(state);
    const { stdout } = await promisify(execFile)(node, [join(ROOT, "scripts", "demo.mjs"), "--state", state, ...args], {
      env: { ...process.env, ...registryEnvironment(), ...pip, NO_COLOR: "1", TMPDIR: temporary },
      maxBuffer: 10_000_000,
    }).catch((error: Error & { stdout?: string }) => {
      throw new Error(`${error.message}\n${error.stdout ?? ""}`, { cause: error });
    });
    look(stdout, temporary);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
