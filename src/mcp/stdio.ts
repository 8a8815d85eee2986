/**
 * The stdio server that runs everything in one process. Standard output carries only the protocol. The process ends
 * within a fixed time after its client, however the client ends.
 */

import { Console } from "node:console";
import type { Readable, Writable } from "node:stream";
import type { StackManager } from "../stack/model.js";
import { withinOrNull } from "../system/wait.js";
import { type ClientEndOptions, clientEnd } from "./client-end.js";
import { createMcpServer, type McpServerOptions } from "./server.js";
import { TrackedStdioTransport } from "./tracked-stdio.js";

export interface ServeStdioOptions
  extends Omit<McpServerOptions, "sessionId">,
    Omit<ClientEndOptions, "stdin" | "stdout"> {
  /** Input stream. Default: the standard input of the process. */
  stdin?: Readable;
  stdout?: Writable;
  /** Milliseconds from the end of the client to the end of the process. Default 5,000. */
  deadlineMs?: number;
  /** Runs after the stacks have stopped, before the exit. */
  onEnd?: (reason: string) => Promise<void> | void;
}

/** Time limit for answers after the input has ended: a client may send its requests and close at once. */
const ANSWER_MS = 1000;
const FLUSH_MS = 500;

/**
 * Serves one client until it disconnects, then shuts the manager down (if one was created) and ends the process.
 * @returns the exit code after the shutdown: 0, or 1 when the deadline interrupted it
 */
export async function serveStdio(options: ServeStdioOptions): Promise<number> {
  const { logger, deadlineMs = 5000, exit = (code: number) => process.exit(code) } = options;
  const stdin = options.stdin ?? process.stdin;
  const stdout = options.stdout ?? process.stdout;
  const restoreConsole = keepConsoleOff(stdout);
  const lazy = once(options.getManager);
  const server = createMcpServer({ ...options, getManager: lazy.get });
  const transport = new TrackedStdioTransport(stdin, stdout);

  const ended = clientEnd({ ...options, stdin, stdout });
  server.onclose = both(server.onclose, () => ended.now("the connection was closed"));
  await server.connect(transport);
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

async function withinDeadline(
  deadlineMs: number,
  logger: ServeStdioOptions["logger"],
  work: (remaining: () => number) => Promise<void>,
): Promise<number> {
  const latest = Date.now() + deadlineMs;
  const regular = work(() => latest - Date.now()).then(
    () => 0,
    (error: unknown) => {
      logger.error(`The shutdown failed: ${error instanceof Error ? error.message : String(error)}`);
      return 1;
    },
  );
  const exitCode = await withinOrNull(regular, deadlineMs);
  if (exitCode !== null) return exitCode;
  logger.error("The shutdown did not end in time; the watchdog ends what is left.");
  return 1;
}

/** Creates the manager at the first call and caches it. A failure is not cached, so the next call tries again. */
function once(make: () => Promise<StackManager>) {
  let manager: Promise<StackManager> | undefined;
  return {
    get: async (): Promise<StackManager> => {
      manager ??= make();
      const current = manager;
      try {
        return await current;
      } catch (error) {
        if (manager === current) manager = undefined;
        throw error;
      }
    },
    present: async (): Promise<StackManager | undefined> => manager?.catch(() => undefined),
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

/** Sends everything that a library prints to standard error, because it would break the protocol on standard output. */
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
