/**
 * The bridge of `stackwarden mcp`: forwards messages between an MCP client and the background server unchanged, and keeps
 * the client's session when the server is replaced.
 */

import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { StackwardenError, toStackwardenError } from "../../errors.js";
import type { Logger } from "../../logger.js";
import { clientEnd, type End } from "../../mcp/client-end.js";
import { LineSplitter } from "../../system/line-splitter.js";
import { withinOrNull } from "../../system/wait.js";
import type { Connected } from "../connect.js";
import { Conversation, notice, refusal, resourceListChanged, resourceUpdated } from "./messages.js";

/** Longest message in bytes; a longer one ends the connection. */
const MAX_LINE = 64 * 1_048_576;

export interface BridgeOptions {
  /** Connects to the server. @returns null when none is running and `start` is false */
  join(how: { start: boolean; first: boolean }): Promise<Connected | null>;
  /** Whether a server that another process started can exist. */
  present(): boolean;
  logger: Logger;
  stdin?: Readable;
  stdout?: Writable;
  parentPollMs?: number;
  parentId?: () => number;
  exit?: (code: number) => void;
  /** Interval in milliseconds of the search for a new server after the old one ended. Default 1,000. */
  lookMs?: number;
}

/** Milliseconds that the exit of the client waits for a connection in progress, then for results. */
const JOIN_MS = 3000;
const ANSWER_MS = 1000;
const FLUSH_MS = 500;
/** Unsent bytes at which reading from the client pauses. */
const MOST_UNSENT = 4 * 1_048_576;
/** Characters of one message. The server ends a session at 10 MiB; the largest valid call is far smaller. */
const MOST_OF_A_MESSAGE = 2 * 1_048_576;

/** Serves one client until it exits. @returns the exit code */
export async function runBridge(options: BridgeOptions): Promise<number> {
  const { logger, exit = (code: number) => process.exit(code) } = options;
  const stdin = options.stdin ?? process.stdin;
  const stdout = options.stdout ?? process.stdout;
  const bridge = new Bridge(options, stdin, stdout);
  const ended = clientEnd({ ...options, exit, stdin, stdout });
  const lines = new LineSplitter((line) => bridge.fromClient(line), MAX_LINE);
  stdin.on("data", (chunk: Buffer) => {
    if (!lines.push(chunk)) ended.now("the client sent a message that exceeds 64 MiB");
  });
  void bridge.connect(true);
  const end = await ended.reason;
  logger.debug(`bridge exiting: ${end.reason}`);
  await bridge.close(end);
  ended.release();
  exit(0);
  return 0;
}

class Bridge {
  readonly #conversation = new Conversation();
  #link: Socket | null = null;
  #connecting: Promise<void> | null = null;
  /** Messages of the client that wait for a server. */
  #queue: string[] = [];
  #servers = 0;
  /** Process id of the last connected server. */
  #pid = 0;
  #looking: NodeJS.Timeout | undefined;
  #closed = false;
  #settled: () => void = () => undefined;

  constructor(
    private readonly options: BridgeOptions,
    private readonly stdin: Readable,
    private readonly stdout: Writable,
  ) {}

  fromClient(line: string): void {
    if (line.length > MOST_OF_A_MESSAGE) {
      const error = new StackwardenError(
        "PAYLOAD_TOO_LARGE",
        `Expected a message of at most ${MOST_OF_A_MESSAGE} characters, got ${line.length}.`,
        {
          hint: "Split the input or send less.",
        },
      );
      this.options.logger.warn(error.message);
      const answer = refusal(line, error.report());
      if (answer !== null) this.#tell(answer);
      return;
    }
    const request = this.#conversation.fromClient(line);
    if (this.#link !== null) {
      this.#send(this.#link, line);
      return;
    }
    this.#queue.push(line);
    // Only a request starts a server; a notification about the old server's work does not.
    if (request) void this.connect(true);
  }

  /** Never throws: a failure becomes the response to the waiting requests. */
  connect(start: boolean): Promise<void> {
    this.#connecting ??= this.#connect(start)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#connecting = null;
        // A request arrived during a search that does not start a server.
        if (!start && this.#link === null && this.#conversation.waiting > 0) void this.connect(true);
      });
    return this.#connecting;
  }

  async #connect(start: boolean): Promise<void> {
    if (this.#link !== null || this.#closed) return;
    const joined = await this.options.join({ start, first: this.#servers === 0 });
    if (joined === null) return;
    if (this.#closed) {
      joined.socket.destroy();
      return;
    }
    clearInterval(this.#looking);
    this.#servers += 1;
    this.#attach(joined);
  }

  #attach({ socket, welcome }: Connected): void {
    const { logger } = this.options;
    this.#link = socket;
    const lines = new LineSplitter((line) => {
      if (this.#conversation.fromServer(line)) this.#tell(line);
      if (this.#conversation.waiting === 0) this.#settled();
    }, MAX_LINE);
    socket.on("data", (chunk: Buffer) => {
      if (!lines.push(chunk)) socket.destroy();
      if (!this.stdout.writableNeedDrain || socket.isPaused()) return;
      socket.pause();
      this.stdout.once("drain", () => socket.resume());
    });
    // Destroy immediately: the server no longer reads.
    socket.once("end", () => socket.destroy());
    socket.once("close", () => this.#lost(socket, welcome.server.pid));
    for (const line of this.#conversation.replay()) this.#send(socket, line);
    const queue = this.#queue;
    this.#queue = [];
    for (const line of queue) this.#send(socket, line);
    socket.resume();
    const { pid, version } = welcome.server;
    const same = pid === this.#pid;
    this.#pid = pid;
    if (this.#servers === 1) return;
    logger.warn(`connected to ${same ? "the same" : "a new"} background server (process ${pid}, version ${version})`);
    if (!this.#conversation.initialized) return;
    this.#tell(
      notice(
        "warning",
        same
          ? `Reconnected to the background server (process ${pid}). Its stacks are still running.`
          : `Connected to a new background server (process ${pid}). Stacks of the old server have ended; their data is kept. start_stack starts them again.`,
      ),
    );
    this.#tell(resourceListChanged());
    for (const uri of this.#conversation.subscriptions) this.#tell(resourceUpdated(uri));
  }

  #lost(socket: Socket, pid: number): void {
    if (this.#link !== socket) return;
    this.#link = null;
    if (this.#closed) return;
    const { logger, present, lookMs = 1000 } = this.options;
    const message = `Lost the connection to the background server (process ${pid}). If the server has ended, its stacks have ended too; their data is kept.`;
    logger.warn(message);
    const error = new StackwardenError("SERVER_LOST", message, {
      hint: "The next call connects again and starts a server when none is running. Call health_status to see the result of this call, then start_stack if you need the stack.",
      details: { pid },
    });
    for (const line of this.#conversation.abandon(error.report())) this.#tell(line);
    if (this.#conversation.initialized) this.#tell(notice("warning", `${message} The next call connects again.`));
    this.#settled();
    // Another process can start a server; subscriptions continue there.
    clearInterval(this.#looking);
    this.#looking = setInterval(() => {
      if (this.#connecting === null && present()) void this.connect(false);
    }, lookMs);
  }

  #fail(thrown: unknown): void {
    const error = toStackwardenError(thrown);
    this.options.logger.error(`no background server: ${error.message} ${error.hint}`, { code: error.code });
    this.#queue = [];
    for (const line of this.#conversation.abandon(error.report())) this.#tell(line);
    this.#settled();
  }

  #send(socket: Socket, line: string): void {
    socket.write(`${line}\n`);
    if (socket.writableLength < MOST_UNSENT || this.stdin.isPaused()) return;
    this.stdin.pause();
    const go = (): void => {
      socket.off("drain", go);
      socket.off("close", go);
      this.stdin.resume();
    };
    socket.once("drain", go);
    socket.once("close", go);
  }

  #tell(line: string): void {
    if (this.stdout.writable) this.stdout.write(`${line}\n`);
  }

  /** Waits for outstanding results when the client ended gracefully. */
  async close({ polite }: End): Promise<void> {
    if (polite && this.#conversation.waiting > 0) {
      if (this.#connecting !== null) await withinOrNull(this.#connecting, JOIN_MS);
      if (this.#conversation.waiting > 0)
        await withinOrNull(
          new Promise<void>((resolve) => {
            this.#settled = resolve;
          }),
          ANSWER_MS,
        );
    }
    this.#closed = true;
    clearInterval(this.#looking);
    this.#link?.destroySoon();
    if (this.stdout.writableLength > 0 && !this.stdout.destroyed)
      await withinOrNull(new Promise((resolve) => this.stdout.once("drain", resolve)), FLUSH_MS);
  }
}
