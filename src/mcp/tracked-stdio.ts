/** The SDK's stdio transport, which also knows how many requests wait for their answer. */
import type { Readable, Writable } from "node:stream";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import type { JSONRPCMessage, MessageExtraInfo, RequestId } from "@modelcontextprotocol/sdk/types.js";

export class TrackedStdioTransport extends StdioServerTransport {
  readonly #open = new Set<RequestId>();
  readonly #idle = new Set<() => void>();

  constructor(stdin: Readable, stdout: Writable) {
    super(stdin, stdout);
  }

  /** Puts itself before the handler that a server's connect() has set. */
  track(): void {
    const next = this.onmessage as ((message: JSONRPCMessage, extra?: MessageExtraInfo) => void) | undefined;
    this.onmessage = (message: JSONRPCMessage) => {
      if ("method" in message && "id" in message) this.#open.add(message.id);
      if ("method" in message && message.method === "notifications/cancelled") {
        // A cancelled request gets no answer.
        const { requestId } = (message.params ?? {}) as { requestId?: RequestId };
        if (requestId !== undefined) this.#answered(requestId);
      }
      next?.(message);
    };
  }

  override async send(message: JSONRPCMessage): Promise<void> {
    const sent = super.send(message);
    if (!("method" in message) && message.id !== undefined) this.#answered(message.id);
    await sent;
  }

  /** Resolves when no request waits for an answer, at the latest after `withinMs`. */
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

  #answered(id: RequestId): void {
    this.#open.delete(id);
    if (this.#open.size > 0) return;
    for (const done of this.#idle) done();
    this.#idle.clear();
  }
}
