/** Reads server-sent events and resumes after every break from the last complete event, without gaps or duplicates. */
import { type IncomingMessage, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { createParser, type EventSourceParser } from "eventsource-parser";
import { type Address, authorization } from "../session/connection.js";

export interface SseEvent {
  name: string;
  data: string;
}

/** Far above the length of any event of an engine; bounds the memory for a longer one. */
const MOST_EVENT = 256 * 1024 * 1024;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1000;

/** Parses one connection into events; characters may be split between chunks. */
export class SseParser {
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser;

  constructor(
    onEvent: (event: SseEvent, id: string | null) => void,
    /** Maximum characters of one event. */
    longest = MOST_EVENT,
  ) {
    this.#parser = createParser({
      maxBufferSize: longest,
      onEvent: ({ event: name = "message", data, id = null }) => {
        if (data !== "" || id !== null) onEvent({ name, data }, id);
      },
      onError: ({ type }) => {
        if (type === "max-buffer-size-exceeded") throw new Error("an event has no end");
      },
    });
  }

  /** @throws when an event exceeds the maximum length */
  push(chunk: Uint8Array): void {
    this.#parser.feed(this.#decoder.decode(chunk, { stream: true }));
  }
}

export interface StreamOptions {
  address: Address;
  path: string;
  signal: AbortSignal;
  /**
   * Called for one event at a time: the next one is delivered after the promise of the previous one settles. Must not
   * reject.
   */
  onEvent(event: SseEvent): void | Promise<void>;
  /** Called when the stream broke off; `failures` counts the attempts since the last one that delivered data. */
  onBroken(failures: number): void;
}

/** Reads until the signal aborts. Never rejects. */
export async function readStream(options: StreamOptions): Promise<void> {
  const { signal } = options;
  let lastId: string | null = null;
  for (let failures = 0; !signal.aborted; ) {
    try {
      const response = await connect(options, lastId);
      const events: [SseEvent, string | null][] = [];
      const parser = new SseParser((event, id) => events.push([event, id]));
      for await (const chunk of response) {
        parser.push(chunk as Uint8Array);
        for (const [event, id] of events.splice(0)) {
          // The id is recorded after its event was handled: a resumed stream starts after it.
          await options.onEvent(event);
          if (id !== null) lastId = id;
          failures = 0;
        }
      }
    } catch {
      // An error and a regular end of the stream are handled the same way.
    }
    if (signal.aborted) return;
    failures += 1;
    options.onBroken(failures);
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1));
    await delay(wait, undefined, { signal, ref: false }).catch(() => {});
  }
}

function connect({ address, path, signal }: StreamOptions, lastId: string | null): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: "127.0.0.1",
        port: address.port,
        path,
        signal,
        agent: false,
        headers: {
          accept: "text/event-stream",
          authorization: authorization(address),
          ...(lastId === null ? {} : { "x-last-event-id": lastId }),
        },
      },
      (response) => {
        if (response.statusCode === 200) return resolve(response);
        response.resume();
        reject(new Error(`HTTP ${response.statusCode}`));
      },
    );
    call.once("error", reject);
    call.end();
  });
}
