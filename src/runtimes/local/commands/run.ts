/** Runs a caller's command in a running instance, or in a fresh one. */
import type { Readable } from "node:stream";
import { StackwardenError } from "../../../errors.js";
import type { Limits } from "../../../stack/definition/types.js";
import type { LineStream, LogSink, LogStream } from "../../../stack/logs/types.js";
import type { ExecRequest, ExecResult } from "../../../stack/runtime.js";
import type { NetworkNamespace } from "../network/namespace.js";
import type { ManagedProcess, ProcessHost } from "../types.js";
import { type CommandPlace, type CommandSpec, commandSpec } from "./place.js";
import { followSize, inTerminal, terminalOutput, terminalPrograms } from "./terminal.js";

/** Longest change of a terminal's size. */
const STTY_MS = 5000;
/** Milliseconds between SIGTERM and SIGKILL when a command is cancelled. */
const GRACE_MS = 2000;
/** The longest delay of a Node.js timer; the caller's signal ends a command earlier. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

/** Maps a working directory that cannot be entered to INVALID_INPUT; returns every other error unchanged. */
function startFailure(error: unknown, cwd: string, place: CommandPlace): unknown {
  const code = error instanceof StackwardenError && (error.cause as NodeJS.ErrnoException | undefined)?.code;
  if (code !== "ENOENT" && code !== "EACCES" && code !== "ENOTDIR") return error;
  return new StackwardenError("INVALID_INPUT", `workdir: ${cwd} cannot be entered (${code}).`, {
    hint: `Give the absolute path of a folder that the service's user may enter, or leave workdir out: the service runs in ${place.plan.cwd}.`,
    cause: error,
  });
}

export async function execInside(
  place: CommandPlace,
  host: ProcessHost,
  instance: ManagedProcess,
  request: ExecRequest,
): Promise<ExecResult> {
  const { signal } = request;
  const { spec, stdin, onOutput, end, follow } = await attach(place, host, request);
  const unfollow = follow(instance, signal);
  try {
    const {
      exitCode,
      signal: by,
      oomKilled = false,
    } = await host.run({
      ...spec,
      inside: instance,
      signal,
      timeoutMs: NO_TIMEOUT_MS,
      graceMs: GRACE_MS,
      onOutput,
      ...(stdin === undefined ? {} : { stdin }),
    });
    await end();
    return { exitCode, signal: by, oomKilled };
  } catch (error) {
    throw startFailure(error, spec.cwd, place);
  } finally {
    unfollow();
  }
}

interface Attached {
  spec: CommandSpec;
  stdin: Buffer | Readable | undefined;
  onOutput: ExecRequest["onOutput"];
  /** Passes on the output that was held back. */
  end(): Promise<void>;
  /** Passes changes of the terminal's size on. @returns a function that ends it */
  follow(inside: ManagedProcess, signal: AbortSignal): () => void;
}

/**
 * The command with its input and output, in a terminal where the caller has one.
 * @throws COMMAND_NOT_FOUND, UNSUPPORTED
 */
async function attach(place: CommandPlace, host: ProcessHost, request: Omit<ExecRequest, "signal">): Promise<Attached> {
  const { terminal, stdin, onOutput } = request;
  const spec = await commandSpec(place, request);
  if (terminal === undefined)
    return { spec, stdin, onOutput, end: async () => undefined, follow: () => () => undefined };
  const stty = await terminalPrograms();
  const output = terminalOutput(onOutput);
  const { user } = spec;
  return {
    spec: inTerminal(spec, terminal),
    stdin: terminal.input,
    onOutput: output.onOutput,
    end: output.end,
    follow: (inside, signal) =>
      followSize(
        terminal,
        () => output.device,
        (args) => host.run({ argv: [stty, ...args], env: {}, cwd: "/", user, inside, signal, timeoutMs: STTY_MS }),
      ),
  };
}

/** Passes output of the process to the caller, who can apply backpressure. */
function outputSink(request: Pick<ExecRequest, "onOutput">): LogSink {
  let behind: Promise<void> | null = null;
  const own = (stream: LineStream): LogStream => (stream === "stderr" ? "stderr" : "stdout");
  return {
    write: (stream, chunk) => {
      const waiting = request.onOutput(own(stream), Buffer.from(chunk));
      if (waiting === undefined) return;
      const mine: Promise<void> = waiting
        .catch(() => undefined)
        .finally(() => {
          if (behind === mine) behind = null;
        });
      behind = mine;
    },
    line: (stream, text) => void request.onOutput(own(stream), Buffer.from(`${text}\n`)),
    behind: () => behind,
    end: () => undefined,
  };
}

export interface OneOffRun {
  projectId: string;
  generation: number;
  limits: Limits;
  /** The project's folder and its part of the state directory. */
  visible: readonly string[];
  network?: NetworkNamespace;
  exec: Omit<ExecRequest, "signal">;
  signal: AbortSignal;
  /** Called with the process while it runs, so that closing the stack also ends the command. */
  running(process: ManagedProcess): void;
}

/** Runs the command in its own cgroup, which is emptied and removed afterwards. */
export async function runFresh(place: CommandPlace, host: ProcessHost, run: OneOffRun): Promise<ExecResult> {
  const { exec, signal, projectId, generation, limits, visible, network } = run;
  const { spec, stdin, onOutput, end, follow } = await attach(place, host, exec);
  signal.throwIfAborted();
  const process = await host
    .spawn({
      ...spec,
      projectId,
      service: `${place.service.name}-command`,
      generation,
      limits,
      visible,
      ...(network === undefined ? {} : { network }),
      sink: outputSink({ onOutput }),
      stdin: stdin ?? Buffer.alloc(0),
    })
    .catch((error: unknown) => {
      throw startFailure(error, spec.cwd, place);
    });
  run.running(process);
  const unfollow = follow(process, signal);
  const abort = (): void => void process.stop({ graceMs: GRACE_MS });
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    const { exitCode, signal: by, oomKilled } = await process.exited;
    await end();
    return { exitCode, signal: by, oomKilled };
  } finally {
    signal.removeEventListener("abort", abort);
    unfollow();
  }
}
