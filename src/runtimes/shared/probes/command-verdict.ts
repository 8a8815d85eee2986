/** What the end of a check's command says. */
import { lastLine } from "../last-line.js";

/** The check is a command whose program does not exist where it runs. */
export class CheckProgramMissing extends Error {}

/** Shells end with 127, or 126 for a file that cannot be run, and container runtimes print one of these. */
const MISSING = /not found|no such file|executable file/i;

/**
 * @returns what the command saw
 * @throws CheckProgramMissing, or an Error with the exit code and the last line of output
 */
export function commandVerdict(exit: number | string | null, output: string): string {
  const line = lastLine(output);
  if (exit === 0) return line === "" ? "exit code 0" : line;
  const text = `exit code ${exit ?? "unknown"}${line === "" ? "" : `: ${line}`}`;
  if (exit === 127 || (exit === 126 && MISSING.test(output)))
    throw new CheckProgramMissing(`the service lacks the program that its health check runs (${text})`);
  throw new Error(text);
}
