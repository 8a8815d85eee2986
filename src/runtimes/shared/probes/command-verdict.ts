/** Interprets the exit of a check's command. */
import { lastLine } from "../last-line.js";

/** The check is a command whose program does not exist where it runs. */
export class CheckProgramMissing extends Error {}

/** Shells exit with 127 for a missing program, and with 126 for a file that cannot be run. */
const CANNOT_RUN = /not found|no such file/i;
/** Container runtimes print this as the last line, runc with escaped quotes, and use their own exit code. */
const NO_PROGRAM =
  /exec: \\?"[^"]{1,200}": (?:executable file not found|(?:stat .{1,200}: )?(?:no such file or directory|permission denied))/i;

/** True for the output of a container runtime that could not run the program. */
export const lacksProgram = (output: string): boolean => NO_PROGRAM.test(output);

/**
 * @returns a description of a successful check
 * @throws CheckProgramMissing, or an Error with the exit code and the last line of output
 */
export function commandVerdict(exit: number | string | null, output: string): string {
  const line = lastLine(output);
  if (exit === 0) return line === "" ? "exit code 0" : line;
  const text = `exit code ${exit ?? "unknown"}${line === "" ? "" : `: ${line}`}`;
  if (exit === 127 || (exit === 126 && CANNOT_RUN.test(line)) || lacksProgram(line))
    throw new CheckProgramMissing(`the service lacks the program that its health check runs (${text})`);
  throw new Error(text);
}
