/**
 * Detects the exit of a long-running child program in time, even when its own child processes still hold its output
 * open.
 */
import type { ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { drain } from "../../shared/drain.js";

export type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export interface ChildExit {
  /** `exited with code 1`, `was ended by SIGKILL`, or the reason why it did not start. */
  how: string;
  /** True when it did not start. */
  error?: Error;
}

/**
 * Settles when the program has ended and its remaining output is read; never rejects. Must be called right after the
 * spawn, before any event.
 */
export function childExit(child: Child): Promise<ChildExit> {
  // Ignores write errors: the program may have ended, which its exit reports.
  child.stdin.on("error", () => {});
  return new Promise((resolve) => {
    child.on("error", (error) => {
      if (child.pid === undefined) resolve({ how: error.message, error });
    });
    child.once("exit", () => void drain(child.stdout, child.stderr));
    child.once("close", (code, signal) =>
      resolve({ how: signal === null ? `exited with code ${code}` : `was ended by ${signal}` }),
    );
  });
}
