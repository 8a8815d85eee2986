/** What a session's streams sent lately, for a client that lost its connection and comes back (`Last-Event-ID`). */
import type { EventStore } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";

export interface InMemoryEventStoreOptions {
  /** Default 1,000. */
  maxEvents?: number;
  /** Of the messages as JSON. Default 4 MiB. */
  maxBytes?: number;
}

interface Kept {
  id: string;
  stream: string;
  message: JSONRPCMessage;
  bytes: number;
}

/** Bounded: what was pushed out cannot be resumed, and its id is refused as unknown. */
export class InMemoryEventStore implements EventStore {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  #events: Kept[] = [];
  #bytes = 0;
  #next = 0;

  constructor({ maxEvents = 1000, maxBytes = 4 * 1024 * 1024 }: InMemoryEventStoreOptions = {}) {
    this.#maxEvents = maxEvents;
    this.#maxBytes = maxBytes;
  }

  async storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    this.#next += 1;
    const id = `${stream}.${this.#next}`;
    const bytes = JSON.stringify(message).length;
    this.#events.push({ id, stream, message, bytes });
    this.#bytes += bytes;
    // The newest stays whatever its size: the answer that a client is about to fetch.
    while (this.#events.length > 1 && (this.#events.length > this.#maxEvents || this.#bytes > this.#maxBytes))
      this.#bytes -= this.#events.shift()?.bytes ?? 0;
    return id;
  }

  async getStreamIdForEventId(id: string): Promise<string | undefined> {
    return this.#events.find((event) => event.id === id)?.stream;
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const from = this.#events.findIndex((event) => event.id === lastEventId);
    const stream = this.#events[from]?.stream;
    if (stream === undefined) return "";
    // What only opened a stream has no message.
    for (const { id, stream: of, message } of this.#events.slice(from + 1))
      if (of === stream && "jsonrpc" in message) await send(id, message);
    return stream;
  }
}
