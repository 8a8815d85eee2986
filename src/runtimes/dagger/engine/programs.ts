/** Programs of the machine: found on PATH, asked something within a deadline. */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { lastLine } from "../../shared/last-line.js";

/** Absolute path of an executable file; null where there is none. */
export async function executable(path: string): Promise<string | null> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile() ? path : null;
  } catch {
    return null;
  }
}

/** @returns the first executable of this name on the environment's PATH */
export async function findProgram(name: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of (env.PATH ?? "").split(delimiter)) {
    // A relative entry means whatever folder one happens to be in.
    const found = isAbsolute(folder) ? await executable(join(folder, name)) : null;
    if (found !== null) return found;
  }
  return null;
}

export type Answer =
  | { kind: "answer"; text: string }
  /** `reason` is its last words, or how it ended. */
  | { kind: "refusal"; reason: string }
  | { kind: "silence" };

/** Runs a program to its end. Never throws; after the deadline (milliseconds) it is killed. */
export function ask(program: string, args: string[], env: NodeJS.ProcessEnv, deadlineMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(
      program,
      args,
      { env, timeout: deadlineMs, killSignal: "SIGKILL", maxBuffer: 1024 * 1024, encoding: "utf8" },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ kind: "answer", text: stdout.trim() });
        if (error.killed === true) return resolve({ kind: "silence" });
        const said = lastLine(stderr);
        resolve({ kind: "refusal", reason: said === "" ? `it ended with ${error.code}` : said });
      },
    );
  });
}
