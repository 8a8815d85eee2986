/** A command inside a running service whose input and output are streams, through runc on the engine's host. */
import { randomBytes } from "node:crypto";
import type { Readable } from "node:stream";
import { StackwardenError } from "../../../errors.js";
import { type ExecRequest, type ExecResult, KILLED_RESULT } from "../../../stack/runtime.js";
import { exitOf } from "../../shared/exit-codes.js";
import { lacksProgram } from "../../shared/probes/command-verdict.js";
import type { Child } from "../engine/child-exit.js";

/** Every process of a command inherits it, so that all of them can be found on the engine's host. */
const MARK = "STACKWARDEN_EXEC";

/** Kills all processes with a mark (argument). One that forks meanwhile is found by the next round. */
export const KILL_MARKED = `
rounds=0
while [ "$rounds" -lt 50 ]; do
  environs=$(grep -lsF -- "$1" /proc/[0-9]*/environ)
  [ -n "$environs" ] || exit 0
  for one in $environs; do
    one=\${one#/proc/}
    kill -s KILL "\${one%/environ}" 2>/dev/null
  done
  rounds=$((rounds + 1))
done
exit 1`;

/**
 * Runs `runc exec …` (arguments after the mark). runc exits only when the output is closed, which processes that the
 * command left behind can keep open. Therefore they are killed when runc has no child any more: the command has ended.
 */
const WATCHED = `
children() {
  for thread in "/proc/$$/task"/*/children; do
    some=
    { read -r some < "$thread"; } 2>/dev/null
    printf %s "$some"
  done
}
watch() {
  began=
  while [ -d "/proc/$$" ]; do
    # A short command can begin and end between two looks: what it left behind shows that it began.
    [ -n "$began" ] || began=$(grep -lsF -- "$1" /proc/[0-9]*/environ)
    if [ -n "$(children)" ]; then began=1
    elif [ -n "$began" ]; then ( ${KILL_MARKED}
      ); return
    fi
    sleep 0.2 || sleep 1
  done
}
# Not a child of runc, which takes the place of this shell.
( watch "$1" < /dev/null > /dev/null 2>&1 & )
shift
exec "$@"`;

/** Exit codes of runc for a program that cannot be run. */
const NOT_RUN = new Set([1, 126, 127, 255]);
const NOT_RUNNING = /cannot exec in a stopped|container .*(?:is not running|does not exist)|no such container/i;
/** After the command has ended, what still holds its output open is killed after this time, in milliseconds. */
const DRAIN_MS = 250;

export interface StreamedExec {
  service: string;
  /** runc's id of the container. */
  id: string;
  request: ExecRequest;
  /** Starts a script with arguments on the engine's host. */
  spawn(script: string, args: readonly string[]): Child;
  /** Runs KILL_MARKED there. */
  kill(mark: string): Promise<void>;
}

async function copy(stream: Readable, of: "stdout" | "stderr", onOutput: ExecRequest["onOutput"]): Promise<void> {
  for await (const chunk of stream) await onOutput(of, chunk as Buffer);
}

/** @throws COMMAND_NOT_FOUND, SERVICE_NOT_STARTED, RUNTIME_UNAVAILABLE */
export async function streamedExec({ service, id, request, spawn, kill }: StreamedExec): Promise<ExecResult> {
  const { command, environment = {}, workdir, stdin, onOutput, signal } = request;
  if (signal.aborted) return KILLED_RESULT;
  const mark = `${MARK}=${randomBytes(12).toString("hex")}`;
  const variables = [...Object.entries(environment).map(([name, value]) => `${name}=${value}`), mark];
  const child = spawn(WATCHED, [
    mark,
    ...["runc", "exec", "--no-new-privs"],
    ...(workdir === undefined ? [] : ["--cwd", workdir]),
    ...variables.flatMap((variable) => ["--env", variable]),
    ...[id, ...command],
  ]);
  let killed = false;
  let killing: Promise<unknown> | undefined;
  const abort = (): void => {
    killed = true;
    killing ??= kill(mark).finally(() => child.kill("SIGKILL"));
    killing.catch(() => undefined);
  };
  let tail = "";
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  exited.catch(() => undefined);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin ?? Buffer.alloc(0));
    const reading = Promise.all([
      copy(child.stdout, "stdout", onOutput),
      copy(child.stderr, "stderr", (stream, chunk) => {
        tail = (tail + chunk.toString("latin1")).slice(-800);
        return onOutput(stream, chunk);
      }),
    ]);
    reading.catch(() => undefined);
    const code = await exited;
    // Background processes of the command can hold its output open.
    const drained = await Promise.race([
      reading.then(() => true),
      new Promise<false>((resolve) => setTimeout(resolve, DRAIN_MS, false).unref()),
    ]);
    await (killing ?? kill(mark));
    if (!drained) for (const stream of [child.stdout, child.stderr]) stream.destroy();
    else await reading;
    if (!killed && code !== null && NOT_RUN.has(code)) {
      if (lacksProgram(tail))
        throw new StackwardenError(
          "COMMAND_NOT_FOUND",
          `${service} has no program "${command[0] ?? ""}" that can be run.`,
          { hint: "Give the path of a program that the image has, or run it by a shell: sh -c." },
        );
      if (NOT_RUNNING.test(tail))
        throw new StackwardenError("SERVICE_NOT_STARTED", `${service} does not run.`, {
          hint: "Start it, then call again.",
        });
    }
    const { exitCode, signal: by } = exitOf(code, Date.now());
    return { exitCode: killed ? null : exitCode, signal: killed ? "SIGKILL" : by, oomKilled: false };
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
