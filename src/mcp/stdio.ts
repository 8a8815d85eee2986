/**
 * The stdio door. Standard output carries the protocol and nothing else. The SDK's transport notices none of the ways
 * in which a client ends, so all of them are watched for here, and each ends the process within a fixed time.
 */
import { Console } from "node:console";
import type { Readable, Writable } from "node:stream";
import type { StackManager } from "../stack/model.js";
import { watchParent } from "./parent.js";
import { createMcpServer, type McpServerOptions } from "./server.js";
import { TrackedStdioTransport } from "./tracked-stdio.js";

export interface ServeStdioOptions extends Omit<McpServerOptions, "sessionId"> {
  /** Default: the process's own. */
  stdin?: Readable;
  stdout?: Writable;
  /** Milliseconds from the end of the client to the end of the process. Default 5,000. */
  deadlineMs?: number;
  /** Milliseconds between two looks at the parent process. Default 1,000. */
  parentPollMs?: number;
  parentId?: () => number;
  /** Ends the process. Default: process.exit. */
  exit?: (code: number) => void;
  /** Runs after the stacks were stopped, before the exit. */
  onEnd?: (reason: string) => Promise<void> | void;
}

/** A client may send its requests and close at once; short ones are still answered. */
const ANSWER_MS = 1000;
const FLUSH_MS = 500;
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/**
 * Serves one client until it is gone, then shuts the manager down (if there ever was one) and ends the process.
 * @returns the exit code, after everything was ended: 0, or 1 when the deadline cut the shutdown short
 */
export async function serveStdio(options: ServeStdioOptions): Promise<number> {
  const { logger, deadlineMs = 5000, exit = (code: number) => process.exit(code) } = options;
  const stdin = options.stdin ?? process.stdin;
  const stdout = options.stdout ?? process.stdout;
  const restoreConsole = keepConsoleOff(stdout);
  const lazy = once(options.getManager);
  const server = createMcpServer({ ...options, getManager: lazy.get });
  const transport = new TrackedStdioTransport(stdin, stdout);

  const ended = clientEnd({ stdin, stdout, options });
  server.onclose = both(server.onclose, () => ended.now("the connection was closed"));
  await server.connect(transport);
  transport.track();
  logger.debug("MCP over stdio: ready");

  const { reason, polite } = await ended.reason;
  logger.info(`MCP over stdio: ending, because ${reason}`);
  const code = await withinDeadline(deadlineMs, logger, async (remaining) => {
    if (polite) await transport.settled(ANSWER_MS);
    await server.close();
    const manager = await lazy.present();
    await manager?.shutdown(reason, Math.max(remaining() - FLUSH_MS, 100));
    await options.onEnd?.(reason);
    await flush(stdout);
  });
  ended.release();
  restoreConsole();
  exit(code);
  return code;
}

interface End {
  reason: string;
  /** False where nobody can read an answer any more, or somebody wants it quick. */
  polite: boolean;
}

function clientEnd({ stdin, stdout, options }: { stdin: Readable; stdout: Writable; options: ServeStdioOptions }) {
  let settle: (end: End) => void = () => undefined;
  const reason = new Promise<End>((resolve) => {
    settle = resolve;
  });
  const end = (why: string, polite = false) => settle({ reason: why, polite });
  const onEnd = (): void => end("standard input ended", true);
  const onClose = (): void => end("standard input was closed", true);
  const onError = (error: Error): void =>
    end(`standard output failed (${(error as NodeJS.ErrnoException).code ?? error.name})`);
  stdin.once("end", onEnd);
  stdin.once("close", onClose);
  stdout.on("error", onError);
  let signals = 0;
  const onSignal = (signal: string): void => {
    signals += 1;
    // Whoever asks twice does not want to wait; the watchdog ends what is left.
    if (signals > 1) (options.exit ?? process.exit)(1);
    end(`signal ${signal}`);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  const stopWatch = watchParent(
    () => end("the parent process is gone"),
    options.parentPollMs ?? 1000,
    options.parentId,
  );
  return {
    reason,
    now: (why: string) => end(why),
    release: (): void => {
      stopWatch();
      stdin.off("end", onEnd);
      stdin.off("close", onClose);
      for (const signal of SIGNALS) process.off(signal, onSignal);
      // The listener for errors of standard output stays: a late EPIPE must not become an uncaught exception.
    },
  };
}

async function withinDeadline(
  deadlineMs: number,
  logger: ServeStdioOptions["logger"],
  work: (remaining: () => number) => Promise<void>,
): Promise<number> {
  const latest = Date.now() + deadlineMs;
  let timer: NodeJS.Timeout | undefined;
  const hard = new Promise<number>((resolve) => {
    timer = setTimeout(() => {
      logger.error("The shutdown did not end in time; the watchdog ends what is left.");
      resolve(1);
    }, deadlineMs);
  });
  const regular = work(() => latest - Date.now()).then(
    () => 0,
    (error: unknown) => {
      logger.error(`The shutdown failed: ${error instanceof Error ? error.message : String(error)}`);
      return 1;
    },
  );
  try {
    return await Promise.race([regular, hard]);
  } finally {
    clearTimeout(timer);
  }
}

/** Makes the manager at the first call and keeps it; a failure is not kept, so that the next call tries again. */
function once(make: () => Promise<StackManager>) {
  let made: Promise<StackManager> | undefined;
  return {
    get: async (): Promise<StackManager> => {
      made ??= make();
      const current = made;
      try {
        return await current;
      } catch (error) {
        if (made === current) made = undefined;
        throw error;
      }
    },
    present: async (): Promise<StackManager | undefined> => made?.catch(() => undefined),
  };
}

async function flush(stdout: Writable): Promise<void> {
  if (stdout.writableLength === 0 || stdout.destroyed) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, FLUSH_MS);
    stdout.once("drain", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** A library that prints would break the protocol: what it prints goes to standard error. */
function keepConsoleOff(stdout: Writable): () => void {
  if (stdout !== process.stdout) return () => undefined;
  const { log, info, debug } = console;
  const error = new Console(process.stderr, process.stderr);
  Object.assign(console, { log: error.log, info: error.info, debug: error.debug });
  return () => Object.assign(console, { log, info, debug });
}

const both =
  (first: (() => void) | undefined, second: () => void): (() => void) =>
  () => {
    first?.();
    second();
  };
