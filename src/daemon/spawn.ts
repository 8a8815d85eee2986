/** Starts the user's background server as a process of its own, which outlives whoever starts it. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { reviveError, StackwardenError, type TransferredError } from "../errors.js";
import type { DaemonPaths } from "./daemon-paths.js";

/** The descriptor on which the new server says once how its start went. */
export const REPORT_FD = 3;
const START_MS = 20_000;

export type StartReport = { ready: true } | { taken: number } | { error: TransferredError };

/** Those variables are the server's own; all others that begin like this are its clients' and come with each hello. */
const OWN_VARIABLES = new Set(["STACKWARDEN_LOG_LEVEL", "STACKWARDEN_SERVER_IDLE_SECONDS"]);

export interface StartOptions {
  stateDir: string;
  place: DaemonPaths;
  /** Path of the stackwarden program. */
  program: string;
  env: NodeJS.ProcessEnv;
}

/**
 * Resolves when the new server listens, or when another one was quicker.
 * @throws StackwardenError SERVER_UNAVAILABLE, or what the new server says
 */
export async function spawnDaemon({ stateDir, place, program, env }: StartOptions): Promise<void> {
  const own = Object.entries(env).filter(([name]) => !name.startsWith("STACKWARDEN_") || OWN_VARIABLES.has(name));
  const log = openSync(place.log, "a", 0o600);
  const fail = (message: string, cause?: unknown): StackwardenError =>
    new StackwardenError("SERVER_UNAVAILABLE", `The background server ${message}.`, {
      hint: `Read its log (${place.log}), or do without it: stackwarden mcp --standalone.`,
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
      const timer = setTimeout(() => settle(() => reject(fail("does not say that it is ready"))), START_MS);
      pipe.on("data", (chunk) => {
        text += chunk;
        if (text.includes("\n")) settle(() => resolve(JSON.parse(text)));
      });
      pipe.on("error", () => undefined);
      child.once("error", (error) => settle(() => reject(fail("could not be started", error))));
      // Not at its exit: what it said of its end may not have been read by then.
      child.once("close", (code, signal) =>
        settle(() => reject(fail(`ended at once (${signal ?? `exit code ${code}`})`))),
      );
    });
    if ("error" in report) throw reviveError(report.error);
  } finally {
    closeSync(log);
  }
}
