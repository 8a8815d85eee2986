/** Runs a command in a running container. Nothing of it is left when the promise settles. */
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import type { ExecRequest, ExecResult } from "../../../stack/runtime.js";
import { exitOf } from "../../shared/exit-codes.js";
import { engineMessage, isNotFound, statusOf } from "../engine/errors.js";

export interface ExecTarget {
  docker: Docker;
  container: string;
  service: string;
  /** Default: the container's own. */
  user?: string;
}

/** Every process of a command inherits it: the whole tree is found by it again. */
const MARK = "STACKWARDEN_EXEC";
const HEADER = 8;
/** Exit codes of the engine's runtime for a program that does not exist, or cannot be run. */
const NOT_RUN = new Set([126, 127]);

/** Sends SIGKILL to all processes of a mark; `read` takes no external program. */
const KILL_SCRIPT = `for p in /proc/[0-9]*; do
  if tr '\\0' '\\n' < "$p/environ" 2>/dev/null | grep -qx "$1"; then kill -9 "\${p#/proc/}" 2>/dev/null; fi
done; exit 0`;

export async function demultiplex(stream: Duplex, onOutput: ExecRequest["onOutput"]): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (rest.length - at >= HEADER) {
      const size = rest.readUInt32BE(at + 4);
      if (rest.length - at - HEADER < size) break;
      await onOutput(rest[at] === 2 ? "stderr" : "stdout", rest.subarray(at + HEADER, at + HEADER + size));
      at += HEADER + size;
    }
    rest = rest.subarray(at);
  }
}

interface Running {
  exec: Docker.Exec;
  stream: Duplex;
  mark: string;
}

async function begin(target: ExecTarget, request: Omit<ExecRequest, "onOutput" | "signal">): Promise<Running> {
  const { docker, container, user } = target;
  const mark = `${MARK}=${randomBytes(12).toString("hex")}`;
  const exec = await docker.getContainer(container).exec({
    Cmd: [...request.command],
    Env: [...Object.entries(request.environment ?? {}).map(([name, value]) => `${name}=${value}`), mark],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    ...(request.workdir === undefined ? {} : { WorkingDir: request.workdir }),
    ...(user === undefined ? {} : { User: user }),
  });
  const stream = await exec.start({ hijack: true, stdin: true });
  return { exec, stream, mark };
}

/** @returns the exit code, null while the engine does not tell */
async function exitCodeOf(exec: Docker.Exec): Promise<number | null> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const found = await exec.inspect();
    if (!found.Running) return found.ExitCode;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return null;
}

/** Ends the tree of a command, from inside: an engine has no way to end one. */
async function kill(target: ExecTarget, mark: string): Promise<void> {
  try {
    const killer = await begin(target, { command: ["/bin/sh", "-c", KILL_SCRIPT, "sh", mark] });
    killer.stream.end();
    await demultiplex(killer.stream, () => undefined);
  } catch {
    // The container has ended, and everything in it.
  }
}

const notRunning = (service: string, cause: unknown): StackwardenError =>
  new StackwardenError("SERVICE_NOT_STARTED", `${service} does not run.`, {
    hint: "Start it, then call again.",
    cause,
  });

/**
 * @param kept receives the output instead of `onOutput` where a program may not exist: the engine's message is in it
 * @throws COMMAND_NOT_FOUND, SERVICE_NOT_STARTED
 */
export async function execInContainer(target: ExecTarget, request: ExecRequest): Promise<ExecResult> {
  const { signal, onOutput } = request;
  const { service } = target;
  if (signal.aborted) return { exitCode: null, signal: "SIGKILL", oomKilled: false };
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
  try {
    stream.on("error", () => undefined);
    stream.end(request.stdin ?? Buffer.alloc(0));
    await demultiplex(stream, (kind, chunk) => {
      tail = (tail + chunk.toString("latin1")).slice(-400);
      return onOutput(kind, chunk);
    }).catch((error: unknown) => {
      if (!killed) throw error;
    });
    await killing;
    const code = await exitCodeOf(exec).catch(() => null);
    if (!killed && code !== null && NOT_RUN.has(code)) {
      const fault = programFault(service, request.command, tail);
      if (fault !== null) throw fault;
    }
    const { exitCode, signal: ended } = exitOf(code, Date.now());
    return { exitCode, signal: killed ? (ended ?? "SIGKILL") : ended, oomKilled: false };
  } finally {
    signal.removeEventListener("abort", abort);
    stream.destroy();
  }
}

/** Of the engine's runtime, never of a program: those do not speak of `exec:`. */
function programFault(service: string, command: readonly string[], text: string): StackwardenError | null {
  if (!/OCI runtime exec failed|executable file not found|exec: "[^"]*":|crun: /i.test(text)) return null;
  return new StackwardenError("COMMAND_NOT_FOUND", `${service} has no program "${command[0] ?? ""}" that can be run.`, {
    hint: "Give the path of a program that the image has, or run it by a shell: sh -c.",
  });
}
