/** Runs programs of this machine with a deadline, for queries. */
import { execFile } from "node:child_process";
import { withTrustedPath } from "../../../system/find-program.js";
import { lastLine } from "../../shared/last-line.js";

export type Answer =
  | { kind: "answer"; text: string }
  /** `reason` is its last output, or how it ended. */
  | { kind: "refusal"; reason: string }
  | { kind: "silence" };

/** Runs a program to its end, and kills it at the deadline (milliseconds). Never throws. */
export async function ask(
  program: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  deadlineMs: number,
): Promise<Answer> {
  // Docker and kubectl look up their own helper programs.
  const trusted = await withTrustedPath(env);
  return new Promise((resolve) => {
    execFile(
      program,
      args,
      { env: trusted, timeout: deadlineMs, killSignal: "SIGKILL", maxBuffer: 1024 * 1024, encoding: "utf8" },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ kind: "answer", text: stdout.trim() });
        if (error.killed === true) return resolve({ kind: "silence" });
        const lastError = lastLine(stderr);
        resolve({ kind: "refusal", reason: lastError === "" ? `it ended with ${error.code}` : lastError });
      },
    );
  });
}
