/** `exec` and `run`: a command in a service, with this process's standard input, output and exit code. */
import { constants } from "node:os";
import { StackwardenError } from "../../errors.js";
import type { CommandOutcome } from "../../stack/model.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { hasTerminal, type LocalTerminal, takeTerminal } from "../local-terminal.js";
import { type CliHost, type CommonOptions, given, openSession } from "../session.js";

export interface ExecOptions extends CommonOptions {
  env?: string[];
  workdir?: string;
  shell?: boolean;
  /** Hand standard input on, to its end. */
  interactive?: boolean;
  /** A terminal for the command. Default: when standard input and output are terminals. */
  tty?: boolean;
  /** Seconds. */
  timeout?: number;
  /** `run` only; false: do not start the dependencies. */
  deps?: boolean;
}

const DAY_SECONDS = 86_400;
const MOST_INPUT_BYTES = 262_144;
/** The lines are shown as they come: the answer repeats no more of them than it must. */
const LEAST_ANSWER_BYTES = 1000;
/** As `timeout(1)` ends. */
const TIMED_OUT = 124;

/** @throws INVALID_INPUT */
function environment(pairs: readonly string[] | undefined): Record<string, string> | undefined {
  if (pairs === undefined) return undefined;
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
      throw new StackwardenError("INVALID_INPUT", `--env ${pair} has no value.`, { hint: "Write --env NAME=value." });
    }),
  );
}

/** Standard input to its end. @throws INVALID_INPUT */
async function input(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > MOST_INPUT_BYTES)
      throw new StackwardenError("INVALID_INPUT", `Standard input is longer than ${MOST_INPUT_BYTES} bytes.`, {
        hint: "Put the data into a file that the service can read.",
      });
  }
  return Buffer.concat(chunks).toString();
}

function exitCode({ exit_code: code, signal, timed_out: timedOut }: CommandOutcome): ExitCode {
  if (timedOut) return TIMED_OUT as ExitCode;
  if (code !== null) return code as ExitCode;
  const number = signal === null ? undefined : constants.signals[signal as NodeJS.Signals];
  return number === undefined ? EXIT.failure : ((128 + number) as ExitCode);
}

const printLine = (stream: "stdout" | "stderr", line: string): void =>
  void (stream === "stdout" ? process.stdout : process.stderr).write(`${line}\n`);

/** Calls with this process's terminal; without one where none is asked for and the runtime has none. */
async function inTerminal(
  { tty, interactive }: ExecOptions,
  json: boolean,
  call: (own: LocalTerminal | null) => Promise<CommandOutcome>,
): Promise<CommandOutcome> {
  if (json && tty === true)
    throw new StackwardenError("INVALID_INPUT", "--tty and --json exclude each other.", { hint: "Leave one out." });
  const usesTerminal = tty ?? (hasTerminal() && !json);
  if (!usesTerminal) return call(null);
  const own = takeTerminal();
  try {
    return await call(own);
  } catch (error) {
    own.restore();
    const without = error instanceof StackwardenError && error.details?.terminal === false;
    // Standard input of a terminal would have to be read to its end.
    if (!without || tty === true || interactive === true) throw error;
    return await call(null);
  } finally {
    own.restore();
  }
}

export async function exec(
  kind: "exec" | "run",
  service: string,
  operands: string[],
  options: ExecOptions,
  host: CliHost,
): Promise<ExitCode> {
  // `exec web -- tool`: the separator is not part of the command.
  const argv = operands[0] === "--" ? operands.slice(1) : operands;
  const session = await openSession(options, host, { start: kind === "run" });
  const { terminal } = session;
  const call = async (own: LocalTerminal | null): Promise<CommandOutcome> =>
    session.call<CommandOutcome>(
      "run_command",
      given({
        project: session.project,
        service,
        command: options.shell === true ? argv.join(" ") : argv,
        shell: options.shell,
        one_off: kind === "run" ? true : undefined,
        dependencies: kind === "run" ? options.deps !== false : undefined,
        env: environment(options.env),
        workdir: options.workdir,
        stdin: own === null && options.interactive === true ? await input() : undefined,
        timeout_seconds: options.timeout ?? DAY_SECONDS,
        max_bytes: terminal.json ? undefined : LEAST_ANSWER_BYTES,
      }),
      undefined,
      undefined,
      terminal.json ? {} : own === null ? { output: printLine } : { terminal: own },
    );
  try {
    const outcome = await inTerminal(options, terminal.json, call);
    if (terminal.json) terminal.print(JSON.stringify(outcome));
    else if (outcome.exit_code === null) terminal.note(outcome.message);
    return exitCode(outcome);
  } finally {
    await session.close();
  }
}
