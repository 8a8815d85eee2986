/** Runs one command of a caller in a service, with its target, time-out and answer. */

import { randomBytes } from "node:crypto";
import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import { quoteWord } from "../../system/quote-word.js";
import type { ServiceDefinition } from "../definition/types.js";
import { commandMark } from "../logs/command-lines.js";
import type { CallContext, CommandRequest } from "../model.js";
import type { ExecRequest, ExecResult } from "../runtime.js";
import type { CommandOutcome } from "../schemas/commands.js";
import type { ProjectRecords } from "../storage/project-records.js";
import { CommandOutput } from "./command-output.js";

/** Milliseconds between two progress reports. */
const PROGRESS_MS = 2000;
/** Maximum characters of a command in messages and events. */
const SHOWN_CHARACTERS = 200;
/** Maximum characters of a progress message, which clients show on one line. */
const PROGRESS_CHARACTERS = 200;

/** Where the command runs. */
export interface CommandTarget {
  oneOff: boolean;
  /** What does not run, when the command runs in a fresh instance because of that. Explains a failure. */
  absent?: string;
  run(request: ExecRequest): Promise<ExecResult>;
}

export interface CommandRun {
  project: string;
  service: ServiceDefinition;
  argv: readonly string[];
  request: CommandRequest;
  records: ProjectRecords;
  target: CommandTarget;
  call: CallContext;
  /** Aborts when the stack stops. */
  ended?: AbortSignal;
}

/** Formats a command as typed in a shell. The text is untrusted. */
export const commandText = (argv: readonly string[]): string => {
  const text = argv.map(quoteWord).join(" ");
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
};

const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;

function message(result: ExecResult, timedOutMs: number | null, tookMs: number): string {
  if (timedOutMs !== null)
    return `Ended after timeout_seconds (${timedOutMs / 1000} s); everything it had started was ended.`;
  if (result.oomKilled) return `Killed by the kernel after ${seconds(tookMs)}: the service's memory limit was reached.`;
  if (result.signal !== null) return `Ended by ${result.signal} after ${seconds(tookMs)}.`;
  return `Exit code ${result.exitCode} after ${seconds(tookMs)}.`;
}

/** @throws OPERATION_CANCELLED when the caller cancels; all processes of the command have ended by then */
export async function runCommand(run: CommandRun): Promise<CommandOutcome> {
  const { project, service, argv, request, records, target, call } = run;
  const { name } = service;
  const begun = Date.now();
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), request.timeoutMs);
  const signal = AbortSignal.any([call.signal, late.signal, ...(run.ended === undefined ? [] : [run.ended])]);
  const mark = commandMark(randomBytes(2).toString("hex"));
  const { logs, events, redactor } = records;
  // The answer omits the middle of long output; the log has all of it after this position.
  const { next_cursor: cursor } = await logs.query({ services: [name], tail: 1 });
  const log = logs.sink(name, Math.max(1, logs.lastGeneration(name)));
  const output = new CommandOutput({
    maxBytes: request.maxBytes,
    redact: (text) => redactor.redact(text),
    log,
    mark,
    onLine: (stream, line) => call.output?.(stream, line),
  });
  const commandLine = records.clean(commandText(argv));
  const { terminal } = call;
  output.note(`$ ${commandLine}${terminal === undefined ? "" : " (in a terminal; its output is not stored)"}`);
  events.add({ type: "command_started", service: name, message: `${name}: ${commandLine}`, actor: call.actor });
  const total = request.timeoutMs / 1000;
  const environment = {
    ...(terminal === undefined ? {} : { TERM: terminal.type }),
    ...request.environment,
  };
  const report = (): void => {
    const progress = Math.min(total, (Date.now() - begun) / 1000);
    const line = output.last.slice(0, PROGRESS_CHARACTERS);
    call.progress({ progress, total, message: `${seconds(progress * 1000)}${line === "" ? "" : `: ${line}`}` });
  };
  const ticker = terminal === undefined ? setInterval(report, PROGRESS_MS) : undefined;
  let result: ExecResult;
  try {
    result = await target.run({
      command: argv,
      ...(Object.keys(environment).length === 0 ? {} : { environment }),
      ...(request.workdir === undefined ? {} : { workdir: request.workdir }),
      ...(request.stdin === undefined ? {} : { stdin: Buffer.from(request.stdin) }),
      ...(terminal === undefined ? {} : { terminal }),
      onOutput: (stream, chunk) => (terminal === undefined ? output.write(stream, chunk) : terminal.write(chunk)),
      signal,
    });
  } catch (error) {
    output.end(`not run: ${(error as Error).message}`);
    events.add({
      type: "command_ended",
      service: name,
      message: `${name}: ${commandLine} was not run: ${records.clean((error as Error).message)}`,
      actor: call.actor,
    });
    throw error;
  } finally {
    clearTimeout(timer);
    clearInterval(ticker);
  }
  const took = Date.now() - begun;
  const timedOut = late.signal.aborted && !call.signal.aborted && result.exitCode !== 0;
  const failed = timedOut || result.exitCode !== 0;
  const text = [
    message(result, timedOut ? request.timeoutMs : null, took),
    ...(failed && target.absent !== undefined ? [target.absent] : []),
  ].join(" ");
  const { stdout, stderr } = output.end(text);
  events.add({
    type: "command_ended",
    service: name,
    message: `${name}: ${commandLine}: ${text}`,
    actor: call.actor,
    data: { exit_code: result.exitCode, signal: result.signal, timed_out: timedOut, took_ms: took },
  });
  if (call.signal.aborted)
    throw new StackwardenError(
      "OPERATION_CANCELLED",
      "The command was cancelled; everything it had started was ended.",
      {
        hint: hint`Its output until then: ${callTo("get_logs", { project, service: name, grep: mark })}.`,
      },
    );
  const omitted = stdout.omitted + stderr.omitted > 0;
  return {
    project,
    service: name,
    message: text,
    exit_code: timedOut ? null : result.exitCode,
    signal: result.signal,
    timed_out: timedOut,
    oom_killed: result.oomKilled,
    one_off: target.oneOff,
    stdout: stdout.text,
    stderr: stderr.text,
    omitted: omitted
      ? {
          stdout_bytes: stdout.omitted,
          stderr_bytes: stderr.omitted,
          how_to_get: `get_logs {"project": "${project}", "service": "${name}", "grep": "${mark}", "cursor": "${cursor}", "tail": 10000, "max_bytes": 200000}, then again with its next_cursor`,
        }
      : null,
    took_ms: took,
  };
}
