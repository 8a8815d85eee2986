/** Starts the background server as a detached process. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { reviveError, StackwardenError, type TransferredError } from "../errors.js";
import type { DaemonPaths } from "./daemon-paths.js";

/** Descriptor on which the new server reports once whether its start succeeded. */
export const REPORT_FD = 3;
const START_MS = 20_000;

export type StartReport = { ready: true } | { taken: number } | { error: TransferredError };

/** The server keeps these variables; other STACKWARDEN_* variables come from each client in the handshake. */
const OWN_VARIABLES = new Set([
  "STACKWARDEN_LOG_LEVEL",
  "STACKWARDEN_NAMESPACES",
  "STACKWARDEN_PROGRAM_DIRS",
  "STACKWARDEN_SERVER_IDLE_SECONDS",
]);

export interface StartOptions {
  stateDir: string;
  place: DaemonPaths;
  /** Path of the stackwarden program. */
  program: string;
  env: NodeJS.ProcessEnv;
}

/**
 * Resolves when the new server listens, or when another server started first.
 * @throws StackwardenError SERVER_UNAVAILABLE, or the error that the new server reports
 */
export async function spawnDaemon({ stateDir, place, program, env }: StartOptions): Promise<void> {
  const own = Object.entries(env).filter(([name]) => !name.startsWith("STACKWARDEN_") || OWN_VARIABLES.has(name));
  const log = openSync(place.log, "a", 0o600);
  const fail = (message: string, cause?: unknown): StackwardenError =>
    new StackwardenError("SERVER_UNAVAILABLE", `The background server ${message}.`, {
      hint: `Read its log (${place.log}), or run without it: stackwarden mcp --standalone.`,
      cause,
    });
  try {
    const child = spawn(process.execPath, [program, "server", "run", "--state-dir", stateDir], {
      cwd: place.folder,
      env: Object.fromEntries(own),
      detached: true,
      stdio: ["ignore", log, log, "pipe"],
      windowsHide: true,
    });
    const report = await new Promise<StartReport>((resolve, reject) => {
      let text = "";
      const pipe = child.stdio[REPORT_FD] as NodeJS.ReadableStream & { destroy(): void };
      const settle = (finish: () => void): void => {
        clearTimeout(timer);
        pipe.destroy();
        child.unref();
        finish();
      };
      const timer = setTimeout(() => settle(() => reject(fail("did not report that it is ready"))), START_MS);
      pipe.on("data", (chunk) => {
        text += chunk;
        if (text.includes("\n")) settle(() => resolve(JSON.parse(text)));
      });
      pipe.on("error", () => undefined);
      child.once("error", (error) => settle(() => reject(fail("could not be started", error))));
      // `close`, not `exit`: the report can still be unread at `exit`.
      child.once("close", (code, signal) =>
        settle(() => reject(fail(`exited during its start (${signal ?? `exit code ${code}`})`))),
      );
    });
    if ("error" in report) throw reviveError(report.error);
  } finally {
    closeSync(log);
  }
}
