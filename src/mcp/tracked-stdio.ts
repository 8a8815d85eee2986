/**
 * Newline-delimited JSON-RPC over a pair of streams. Unlike the SDK's transport, it counts the pending requests and
 * answers every request that has an id, including malformed ones.
 */
import type { Readable, Writable } from "node:stream";
import { serializeMessage } from "@modelcontextprotocol/sdk/shared/stdio.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  ErrorCode,
  type JSONRPCMessage,
  JSONRPCMessageSchema,
  type MessageExtraInfo,
  type RequestId,
} from "@modelcontextprotocol/sdk/types.js";

/** Longest message, in bytes; a client that sends a longer one is disconnected. */
const MAX_MESSAGE_BYTES = 10 * 1024 * 1024;
const LF = 10;

export class TrackedStdioTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: <T extends JSONRPCMessage>(message: T, extra?: MessageExtraInfo) => void;
  readonly #open = new Set<RequestId>();
  readonly #idle = new Set<() => void>();
  #unread: Buffer[] = [];
  #unreadBytes = 0;
  #started = false;

  constructor(
    private readonly input: Readable,
    private readonly output: Writable,
  ) {}

  async start(): Promise<void> {
    if (this.#started) throw new Error("The transport was started already.");
    this.#started = true;
    this.input.on("data", this.#onData);
    this.input.on("error", this.#onError);
  }

  async close(): Promise<void> {
    this.input.off("data", this.#onData);
    this.input.off("error", this.#onError);
    if (this.input.listenerCount("data") === 0) this.input.pause();
    this.#unread = [];
    this.#unreadBytes = 0;
    this.onclose?.();
  }

  /** Resolves when the output stream can accept more data. */
  async send(message: JSONRPCMessage): Promise<void> {
    const room = this.output.write(serializeMessage(message));
    if (!("method" in message) && message.id !== undefined) this.#answered(message.id);
    if (!room) await new Promise<void>((resolve) => this.output.once("drain", resolve));
  }

  /** Resolves when no request is pending, at the latest after `withinMs`. */
  async settled(withinMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#idle.add(done);
    });
  }

  readonly #onError = (error: Error): void => this.onerror?.(error);

  readonly #onData = (chunk: Buffer): void => {
    let rest = chunk;
    for (let end = rest.indexOf(LF); end >= 0; end = rest.indexOf(LF)) {
      const line = Buffer.concat([...this.#unread, rest.subarray(0, end)]).toString("utf8");
      this.#unread = [];
      this.#unreadBytes = 0;
      rest = rest.subarray(end + 1);
      this.#receive(line.replace(/\r$/, ""));
    }
    this.#unread.push(rest);
    this.#unreadBytes += rest.length;
    if (this.#unreadBytes <= MAX_MESSAGE_BYTES) return;
    this.onerror?.(new Error(`A message is longer than ${MAX_MESSAGE_BYTES} bytes; closing the connection.`));
    this.close().catch(() => undefined);
  };

  #receive(line: string): void {
    try {
      const message = this.#read(JSON.parse(line));
      if (message === null) return;
      if ("method" in message && "id" in message) this.#open.add(message.id);
      if ("method" in message && message.method === "notifications/cancelled") {
        // A cancelled request gets no answer.
        const { requestId } = (message.params ?? {}) as { requestId?: RequestId };
        if (requestId !== undefined) this.#answered(requestId);
      }
      this.onmessage?.(message);
    } catch (error) {
      this.onerror?.(error as Error);
    }
  }

  /**
   * Parses a message. Answers a malformed request and returns null.
   * @throws for any other invalid message
   */
  #read(value: unknown): JSONRPCMessage | null {
    const object = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
    // Some clients write absent parameters as null.
    if (object.params === null) delete object.params;
    const parsed = JSONRPCMessageSchema.safeParse(value);
    if (parsed.success) return parsed.data;
    const { id, method } = object;
    if (method === undefined || (typeof id !== "string" && typeof id !== "number")) throw parsed.error;
    const error = {
      code: ErrorCode.InvalidRequest,
      message: "Expected a JSON-RPC 2.0 request whose params are an object.",
    };
    this.send({ jsonrpc: "2.0", id, error }).catch(this.#onError);
    return null;
  }

  #answered(id: RequestId): void {
    this.#open.delete(id);
    if (this.#open.size > 0) return;
    for (const done of this.#idle) done();
    this.#idle.clear();
  }
}
