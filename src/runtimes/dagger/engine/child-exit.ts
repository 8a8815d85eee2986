/** The end of a program that we keep: told in time, also where something that it started still holds its output. */
import type { ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { drain } from "../../shared/drain.js";

export type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export interface ChildExit {
  /** `exited with code 1`, `was ended by SIGKILL`, or why it never ran. */
  how: string;
  /** It never ran. */
  error?: Error;
}

/** Settles when it is gone and its last output was read; never rejects. Call it before anything can have happened. */
export function childExit(child: Child): Promise<ChildExit> {
  // What it was told may come too late: that shows at its end.
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
