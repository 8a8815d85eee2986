/** Interprets the exit of a check's command. */
import { lastLine } from "../last-line.js";

/** The check is a command whose program does not exist where it runs. */
export class CheckProgramMissing extends Error {}

/** The service answered that it is starting and accepts no connections yet. */
export class ServiceStarting extends Error {}

/** How PostgreSQL, psql and pg_isready say that the server starts or recovers from a crash. */
const STARTING =
  / - rejecting connections|\bthe database system is (?:starting up|not yet accepting connections|in recovery mode)/;
/**
 * pg_isready alone; its exit code 1 means that the server rejects connections while it starts, with `-q` without
 * output.
 */
const PG_ISREADY = /^(?:\S*\/)?pg_isready(?:\s[^|&;<>()`]*)?$/;

/** The clients of Redis exit with 0 when the server answers with an error, as it does while it loads its data. */
const REDIS_CLIENT = /\b(?:redis|valkey|keydb)-cli\b/;
const REDIS_LOADING = /^(?:\(error\) )?LOADING /m;

function saysStarting(exit: number | string | null, output: string, command: readonly string[]): boolean {
  const [program = "", flag, script] = command;
  const text = /(?:^|\/)(?:ba|da|a)?sh$/.test(program) && flag === "-c" ? (script ?? "").trim() : command.join(" ");
  if (REDIS_CLIENT.test(text) && REDIS_LOADING.test(output)) return true;
  return exit !== 0 && (STARTING.test(output) || (exit === 1 && PG_ISREADY.test(text)));
}

/** Shells exit with 127 for a missing program, and with 126 for a file that cannot be run. */
const CANNOT_RUN = /not found|no such file/i;
/** Container runtimes print this as the last line, runc with escaped quotes, and use their own exit code. */
const NO_PROGRAM =
  /exec: \\?"[^"]{1,200}": (?:executable file not found|(?:stat .{1,200}: )?(?:no such file or directory|permission denied))/i;

/** True for the output of a container runtime that could not run the program. */
export const lacksProgram = (output: string): boolean => NO_PROGRAM.test(output);

/**
 * @returns a description of a successful check
 * @param command the check's argument vector
 * @throws CheckProgramMissing, ServiceStarting, or an Error with the exit code and the last line of output
 */
export function commandVerdict(exit: number | string | null, output: string, command: readonly string[]): string {
  const line = lastLine(output);
  const starting = saysStarting(exit, output, command);
  if (exit === 0 && !starting) return line === "" ? "exit code 0" : line;
  const text = `exit code ${exit ?? "unknown"}${line === "" ? "" : `: ${line}`}`;
  if (exit === 127 || (exit === 126 && CANNOT_RUN.test(line)) || lacksProgram(line))
    throw new CheckProgramMissing(`the service lacks the program that its health check runs (${text})`);
  if (starting) throw new ServiceStarting(text);
  throw new Error(text);
}
