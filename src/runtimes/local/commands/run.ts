/** A caller's command in a running instance, or in a fresh one. */
import { StackwardenError } from "../../../errors.js";
import type { Limits } from "../../../stack/definition/types.js";
import type { LogSink } from "../../../stack/logs/types.js";
import type { ExecRequest, ExecResult } from "../../../stack/runtime.js";
import type { ManagedProcess, ProcessHost } from "../types.js";
import { type CommandPlace, commandSpec } from "./place.js";

/** Between SIGTERM and SIGKILL when a command is cancelled, in milliseconds. */
const GRACE_MS = 2000;
/** The longest time that a timer can have; the caller's signal ends a command before it. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

/** A folder that is missing ends a start like a program that is missing. */
function startFailure(error: unknown, cwd: string): unknown {
  const code = error instanceof StackwardenError && (error.cause as NodeJS.ErrnoException | undefined)?.code;
  if (code !== "ENOENT" && code !== "EACCES" && code !== "ENOTDIR") return error;
  return new StackwardenError("INVALID_INPUT", `workdir: ${cwd} cannot be entered (${code}).`, {
    hint: "Give the absolute path of a folder that the service's user may enter, or leave workdir out.",
    cause: error,
  });
}

export async function execInside(
  place: CommandPlace,
  host: ProcessHost,
  instance: ManagedProcess,
  request: ExecRequest,
): Promise<ExecResult> {
  const spec = await commandSpec(place, request);
  const { signal, stdin, onOutput } = request;
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
    return { exitCode, signal: by, oomKilled };
  } catch (error) {
    throw startFailure(error, spec.cwd);
  }
}

/** What a process prints goes to the caller, who may hold it back. */
function outputSink(request: Pick<ExecRequest, "onOutput">): LogSink {
  let behind: Promise<void> | null = null;
  return {
    write: (stream, chunk) => {
      const waiting = request.onOutput(stream, Buffer.from(chunk));
      if (waiting === undefined) return;
      const mine: Promise<void> = waiting
        .catch(() => undefined)
        .finally(() => {
          if (behind === mine) behind = null;
        });
      behind = mine;
    },
    line: (stream, text) => void request.onOutput(stream, Buffer.from(`${text}\n`)),
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
  exec: Omit<ExecRequest, "signal">;
  signal: AbortSignal;
  /** Receives the process while it runs, so that the stack's end is its end too. */
  running(process: ManagedProcess): void;
}

/** In a cgroup of its own, which is emptied and removed afterwards. */
export async function runFresh(place: CommandPlace, host: ProcessHost, run: OneOffRun): Promise<ExecResult> {
  const { exec, signal, projectId, generation, limits, visible } = run;
  const spec = await commandSpec(place, exec);
  signal.throwIfAborted();
  const process = await host
    .spawn({
      ...spec,
      projectId,
      service: `${place.service.name}-command`,
      generation,
      limits,
      visible,
      sink: outputSink(exec),
      stdin: exec.stdin ?? Buffer.alloc(0),
    })
    .catch((error: unknown) => {
      throw startFailure(error, spec.cwd);
    });
  run.running(process);
  const abort = (): void => void process.stop({ graceMs: GRACE_MS });
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    const { exitCode, signal: by, oomKilled } = await process.exited;
    return { exitCode, signal: by, oomKilled };
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
