/** Runs a command to its end: initdb, pip, npm, a health check, or a caller's command. */
import type { Readable, Writable } from "node:stream";
import { drain } from "../../shared/drain.js";
import type { RunResult, RunSpec } from "../types.js";
import { killGroup, type Launched } from "./launch.js";

/** Maximum output that is kept, in bytes. */
const MOST_OUTPUT = 64 * 1024;

/** The process that waits for a command outside of its namespaces must outlive it to report its exit. */
function askToEnd({ pid, command }: Launched): boolean {
  if (command === pid) return killGroup(pid, "SIGTERM");
  try {
    return process.kill(command, "SIGTERM");
  } catch {
    return false;
  }
}

/** Passes on standard input. The command may not read it, or end before it has. */
export function feed(into: Writable | null, stdin: string | Buffer | Readable = ""): void {
  into?.on("error", () => undefined);
  if (into === null) return;
  if (typeof stdin === "string" || Buffer.isBuffer(stdin)) into.end(stdin);
  else stdin.pipe(into);
}

/** Follows a started command until no process of its group is left. */
export async function followCommand(launched: Launched, spec: RunSpec): Promise<Omit<RunResult, "oomKilled">> {
  const { child, pid, stdout, stderr } = launched;
  const { sink, signal, timeoutMs, stdin, onOutput, graceMs = 0 } = spec;
  const chunks: Buffer[] = [];
  let bytes = 0;
  const take =
    (stream: "stdout" | "stderr", from: Readable) =>
    (chunk: Buffer): void => {
      sink?.write(stream, chunk);
      const behind = onOutput?.(stream, chunk);
      if (behind !== undefined) {
        from.pause();
        void behind.catch(() => undefined).finally(() => from.resume());
      }
      if (bytes >= MOST_OUTPUT) return;
      chunks.push(chunk.subarray(0, MOST_OUTPUT - bytes));
      bytes += chunk.length;
    };
  stdout.on("data", take("stdout", stdout));
  stderr.on("data", take("stderr", stderr));
  const ended = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null)
      resolve({ exitCode: child.exitCode, signal: child.signalCode });
    else child.once("exit", (exitCode, by) => resolve({ exitCode, signal: by }));
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(pid);
  }, timeoutMs);
  let grace: NodeJS.Timeout | undefined;
  const abort = (): void => {
    if (graceMs === 0 || !askToEnd(launched)) killGroup(pid);
    else grace = setTimeout(() => killGroup(pid), graceMs);
  };
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  feed(child.stdin, stdin);
  const end = await ended;
  clearTimeout(timer);
  clearTimeout(grace);
  signal.removeEventListener("abort", abort);
  killGroup(pid);
  await drain(stdout, stderr);
  return { ...end, timedOut, output: Buffer.concat(chunks).toString("utf8") };
}
