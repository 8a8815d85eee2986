/** Runs a command in a running container. No process of the command is left when the promise settles. */

import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import { type CommandTerminal, type ExecRequest, type ExecResult, KILLED_RESULT } from "../../../stack/runtime.js";
import { isAlive } from "../../../system/process-identity.js";
import { isRootServer } from "../../../system/root-server.js";
import { withinOrNull } from "../../../system/wait.js";
import { exitOf } from "../../shared/exit-codes.js";
import { engineMessage, isNotFound, statusOf } from "../engine/errors.js";
import { framesOf } from "./frames.js";
import { belowInit, INIT_FAILED, KILL_SCRIPT, killTree } from "./process-tree.js";

export interface ExecTarget {
  docker: Docker;
  container: string;
  service: string;
  /** Default: the container's own. */
  user?: string;
  /** True when the engine's process ids are valid on this machine. */
  sameMachine: boolean;
  /** The container's main process on this machine; absent when it is unknown. */
  pid?: number;
  /** True when the container has Docker's init program. */
  init: boolean;
}

/** Marker variable that every process of a command inherits (process-tree.ts). */
const MARK = "STACKWARDEN_EXEC";
/** Exit codes of the engine's runtime for a program that does not exist or cannot be run. */
const NOT_RUN = new Set([126, 127]);

export async function demultiplex(stream: Duplex, onOutput: ExecRequest["onOutput"]): Promise<void> {
  for await (const frames of framesOf(stream)) for (const [kind, bytes] of frames) await onOutput(kind, bytes);
}

/** Rows and columns, as the engine expects them. */
const consoleSize = ({ size }: CommandTerminal): [number, number] => [size().rows, size().columns];

/** Passes on the output of a terminal, which has a single stream without headers. */
export async function passTerminal(stream: Duplex, onOutput: ExecRequest["onOutput"]): Promise<void> {
  for await (const chunk of stream as AsyncIterable<Buffer>) await onOutput("stdout", chunk);
}

/**
 * Applies the terminal's size to a command or container, now and at every change. The engine refuses a size while the
 * command has not begun or has ended.
 * @returns a function that ends it
 */
export function followSize(
  terminal: CommandTerminal,
  target: { resize(size: { h: number; w: number }): Promise<unknown> },
): () => void {
  const apply = (): void => {
    const { rows, columns } = terminal.size();
    void target.resize({ h: rows, w: columns }).catch(() => undefined);
  };
  apply();
  return terminal.onResize(apply);
}

interface Running {
  exec: Docker.Exec;
  stream: Duplex;
  mark: string;
}

async function begin(target: ExecTarget, request: Omit<ExecRequest, "onOutput" | "signal">): Promise<Running> {
  const { docker, container, user, init } = target;
  const mark = `${MARK}=${randomBytes(12).toString("hex")}`;
  const exec = await docker.getContainer(container).exec({
    Cmd: init ? belowInit(request.command) : [...request.command],
    Env: [...Object.entries(request.environment ?? {}).map(([name, value]) => `${name}=${value}`), mark],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    ...(request.terminal === undefined ? {} : { Tty: true, ConsoleSize: consoleSize(request.terminal) }),
    ...(request.workdir === undefined ? {} : { WorkingDir: request.workdir }),
    ...(user === undefined ? {} : { User: user }),
  });
  const stream = await exec.start({ hijack: true, stdin: true, Tty: request.terminal !== undefined });
  return { exec, stream, mark };
}

const INSPECT_MS = 3000;

/** @returns null when the engine does not answer in time */
const inspected = (exec: Docker.Exec): Promise<Docker.ExecInspectInfo | null> =>
  withinOrNull(exec.inspect(), INSPECT_MS);

/** @returns the exit code; null while the engine does not report it */
async function exitCodeOf(exec: Docker.Exec): Promise<number | null> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const inspection = await inspected(exec);
    if (inspection !== null && !inspection.Running) return inspection.ExitCode;
    await delay(10);
  }
  return null;
}

const LOOK_MS = 250;

/**
 * Waits for the command's main process while its output is open, since background processes can hold it open. The
 * engine does not report the state of a command that has ended while its output is open.
 */
async function mainProcessEnded(target: ExecTarget, exec: Docker.Exec, until: AbortSignal): Promise<void> {
  const pid = target.sameMachine ? ((await inspected(exec).catch(() => null))?.Pid ?? 0) : 0;
  for (let silent = 0; silent < 2 && !until.aborted; ) {
    await delay(LOOK_MS, undefined, { ref: false });
    if (pid > 0) {
      if (!isAlive(pid, null)) return;
      continue;
    }
    const inspection = await inspected(exec).catch(() => null);
    if (inspection !== null && !inspection.Running) return;
    silent = inspection === null ? silent + 1 : 0;
  }
}

/** Kills the process tree of a command from inside the container: the engine has no API for that. */
async function kill(target: ExecTarget, mark: string): Promise<void> {
  if (target.sameMachine && isRootServer()) return killTree(target.container, mark, target.pid ?? 0);
  try {
    const killer = await begin(target, { command: ["/bin/sh", "-c", KILL_SCRIPT, "sh", mark] });
    killer.stream.end();
    await demultiplex(killer.stream, () => undefined);
  } catch {
    // The container has ended, and all of its processes with it.
  }
}

const notRunning = (service: string, cause: unknown): StackwardenError =>
  new StackwardenError("SERVICE_NOT_STARTED", `${service} does not run.`, {
    hint: "Start it, then call again.",
    cause,
  });

/**
 * @param sweep false: processes that the command started are killed only when it is aborted
 * @throws COMMAND_NOT_FOUND, SERVICE_NOT_STARTED
 */
export async function execInContainer(target: ExecTarget, request: ExecRequest, sweep = false): Promise<ExecResult> {
  const { signal, onOutput } = request;
  const { service } = target;
  if (signal.aborted) return KILLED_RESULT;
  let running: Running;
  try {
    running = await begin(target, request);
  } catch (error) {
    if (isNotFound(error) || statusOf(error) === 409) throw notRunning(service, error);
    throw programFault(service, request.command, engineMessage(error)) ?? error;
  }
  const { exec, stream, mark } = running;
  let killed = false;
  let killing: Promise<void> | undefined;
  const abort = (): void => {
    killed = true;
    killing ??= kill(target, mark);
    void killing.then(() => stream.destroy());
  };
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  let tail = "";
  let left = false;
  const done = new AbortController();
  let unfollow = (): void => undefined;
  try {
    stream.on("error", () => undefined);
    const { terminal } = request;
    if (terminal === undefined) stream.end(request.stdin ?? Buffer.alloc(0));
    else {
      unfollow = followSize(terminal, exec);
      terminal.input.pipe(stream);
    }
    const read = terminal === undefined ? demultiplex : passTerminal;
    const reading = read(stream, (kind, chunk) => {
      tail = (tail + chunk.toString("latin1")).slice(-400);
      return onOutput(kind, chunk);
    }).catch((error: unknown) => {
      if (!killed && !left) throw error;
    });
    const outlived = mainProcessEnded(target, exec, done.signal).then(() => true);
    if ((await Promise.race([reading.then(() => false), outlived])) && !done.signal.aborted) {
      // Background processes of the command hold its output open.
      left = true;
      await withinOrNull(reading, LOOK_MS);
      await kill(target, mark);
      await withinOrNull(reading, LOOK_MS);
      stream.destroy();
    }
    await reading;
    await killing;
    if (sweep && !killed && !left) await kill(target, mark);
    const code = await exitCodeOf(exec).catch(() => null);
    if (!killed && code !== null && NOT_RUN.has(code)) {
      const fault = programFault(service, request.command, tail);
      if (fault !== null) throw fault;
    }
    const { exitCode, signal: endSignal } = exitOf(code, Date.now());
    return { exitCode, signal: killed ? (endSignal ?? "SIGKILL") : endSignal, oomKilled: false };
  } finally {
    done.abort();
    unfollow();
    signal.removeEventListener("abort", abort);
    stream.destroy();
  }
}

export const noProgram = (service: string, command: readonly string[]): StackwardenError =>
  new StackwardenError("COMMAND_NOT_FOUND", `${service} has no program "${command[0] ?? ""}" that can be run.`, {
    hint: "Give the path of a program that the image has, or run it by a shell: sh -c.",
  });

/** Matches messages of the engine's runtime, not of programs: those do not contain `exec:`. */
function programFault(service: string, command: readonly string[], text: string): StackwardenError | null {
  const fromEngine = /OCI runtime exec failed|executable file not found|exec: "[^"]*":|crun: /i.test(text);
  return fromEngine || INIT_FAILED.test(text) ? noProgram(service, command) : null;
}
