/** Recent messages of a session's streams, for clients that reconnect with `Last-Event-ID`. */
import type { EventStore } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";

export interface InMemoryEventStoreOptions {
  /** Maximum number of messages. Default 1,000. */
  maxEvents?: number;
  /** Maximum total size of the messages as JSON, in bytes. Default 4 MiB. */
  maxBytes?: number;
}

interface StoredEvent {
  id: string;
  stream: string;
  message: JSONRPCMessage;
  bytes: number;
}

/**
 * Bounded event store. A stream cannot be resumed after an evicted message; the id of that message is rejected as
 * unknown.
 */
export class InMemoryEventStore implements EventStore {
  readonly #maxEvents: number;
  readonly #maxBytes: number;
  #events: StoredEvent[] = [];
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
    // The newest message stays whatever its size, because the client may be about to fetch it.
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
    // The event that opens a stream has no message.
    for (const { id, stream: of, message } of this.#events.slice(from + 1))
      if (of === stream && "jsonrpc" in message) await send(id, message);
    return stream;
  }
}
