/**
 * `stackwarden mcp` beside the background server: passes messages between its client and the server as they are, and
 * keeps the client's session when the server is replaced by another one.
 */
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { StackwardenError, toStackwardenError } from "../../errors.js";
import type { Logger } from "../../logger.js";
import { clientEnd, type End } from "../../mcp/client-end.js";
import type { Connected } from "../connect.js";
import { lines } from "./lines.js";
import { Conversation, notice, refusal, resourceListChanged, resourceUpdated } from "./messages.js";

export interface BridgeOptions {
  /** Joins the server. @returns null when none runs and none is to be started */
  join(how: { start: boolean; first: boolean }): Promise<Connected | null>;
  /** Whether it is worth looking for a server that somebody else started. */
  present(): boolean;
  logger: Logger;
  stdin?: Readable;
  stdout?: Writable;
  parentPollMs?: number;
  parentId?: () => number;
  exit?: (code: number) => void;
  /** Milliseconds between two looks for a new server after the old one ended. Default 1,000. */
  lookMs?: number;
}

/** How long the end of the client waits for a server that is just being joined, and then for short answers. */
const JOIN_MS = 3000;
const ANSWER_MS = 1000;
const FLUSH_MS = 500;
/** Beyond it the client is not read until the server took some. */
const MOST_UNSENT = 4 * 1_048_576;
/** Characters of one message: the server ends a session whose message has 10 MiB. No operation needs a thousandth. */
const MOST_OF_A_MESSAGE = 2 * 1_048_576;

/** Serves one client until it is gone, then ends the process. @returns the exit code */
export async function runBridge(options: BridgeOptions): Promise<number> {
  const { logger, exit = (code: number) => process.exit(code) } = options;
  const stdin = options.stdin ?? process.stdin;
  const stdout = options.stdout ?? process.stdout;
  const bridge = new Bridge(options, stdin, stdout);
  const ended = clientEnd({ ...options, exit, stdin, stdout });
  const take = lines((line) => bridge.fromClient(line));
  stdin.on("data", (chunk: Buffer) => {
    if (!take(chunk)) ended.now("the client sent a message without end");
  });
  void bridge.connect(true);
  const end = await ended.reason;
  logger.debug(`the bridge ends, because ${end.reason}`);
  await bridge.close(end);
  ended.release();
  exit(0);
  return 0;
}

class Bridge {
  readonly #conversation = new Conversation();
  #link: Socket | null = null;
  #connecting: Promise<void> | null = null;
  /** What the client sent while no server was there. */
  #queue: string[] = [];
  #servers = 0;
  /** Process of the server that was joined last. */
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
      const error = new StackwardenError("PAYLOAD_TOO_LARGE", `The message has ${line.length} characters.`, {
        hint: `Send at most ${MOST_OF_A_MESSAGE}.`,
      });
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
    // Only a request needs a server: a notification about the old one's work does not start a new one.
    if (request) void this.connect(true);
  }

  /** Never throws: what goes wrong is the answer to whatever waits. */
  connect(start: boolean): Promise<void> {
    this.#connecting ??= this.#connect(start)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#connecting = null;
        // Asked for while somebody only looked for a server.
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
    const take = lines((line) => {
      if (this.#conversation.fromServer(line)) this.#tell(line);
      if (this.#conversation.waiting === 0) this.#settled();
    });
    socket.on("data", (chunk: Buffer) => {
      if (!take(chunk)) socket.destroy();
      if (!this.stdout.writableNeedDrain || socket.isPaused()) return;
      socket.pause();
      this.stdout.once("drain", () => socket.resume());
    });
    // At once: what it would still send, the server reads no more.
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
    logger.warn(`joined ${same ? "the same" : "a new"} background server (process ${pid}, version ${version})`);
    if (!this.#conversation.initialized) return;
    this.#tell(
      notice(
        "warning",
        same
          ? `Connected again to the background server (process ${pid}): its stacks run on.`
          : `Connected to a new background server (process ${pid}). Stacks that the old one ran have ended, their data is there: start_stack starts them again.`,
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
    const message = `The connection to the background server (process ${pid}) is lost. If the server has ended, so have the stacks that it ran; their data is there.`;
    logger.warn(message);
    const error = new StackwardenError("SERVER_LOST", message, {
      hint: "The next call connects again, to a new server where none runs. Call health_status to see what became of this call, then start_stack if the stack is needed.",
      details: { pid },
    });
    for (const line of this.#conversation.abandon(error.report())) this.#tell(line);
    if (this.#conversation.initialized) this.#tell(notice("warning", `${message} The next call connects again.`));
    this.#settled();
    // Somebody else may start one: subscriptions go on there.
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

  /** Waits for what is worth waiting for. */
  async close({ polite }: End): Promise<void> {
    if (polite && this.#conversation.waiting > 0) {
      if (this.#connecting !== null) await within(JOIN_MS, this.#connecting);
      if (this.#conversation.waiting > 0)
        await within(
          ANSWER_MS,
          new Promise<void>((resolve) => {
            this.#settled = resolve;
          }),
        );
    }
    this.#closed = true;
    clearInterval(this.#looking);
    this.#link?.destroySoon();
    if (this.stdout.writableLength > 0 && !this.stdout.destroyed)
      await within(FLUSH_MS, new Promise<void>((resolve) => this.stdout.once("drain", resolve)));
  }
}

async function within(ms: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([
    promise,
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    }),
  ]);
  clearTimeout(timer);
}
