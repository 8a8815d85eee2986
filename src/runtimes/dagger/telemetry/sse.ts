/** Reads server-sent events and resumes after every break from the last complete event, without gaps or duplicates. */
import { type IncomingMessage, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { type Address, authorization } from "../session/connection.js";

export interface SseEvent {
  name: string;
  data: string;
}

/** Far above the length of any event of an engine; bounds the memory for a longer one. */
const MOST_EVENT = 256 * 1024 * 1024;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1000;

/** Parses the lines of one connection into events; characters may be split between chunks. */
export class SseParser {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #parts: string[] = [];
  #length = 0;
  #name = "message";
  #id: string | null = null;
  #data: string[] = [];

  constructor(
    private readonly onEvent: (event: SseEvent, id: string | null) => void,
    /** Maximum characters of one line. */
    private readonly longest = MOST_EVENT,
  ) {}

  /** @throws when an event exceeds the maximum length */
  push(chunk: Uint8Array): void {
    const text = this.#decoder.decode(chunk, { stream: true });
    let from = 0;
    for (let end = text.indexOf("\n", from); end >= 0; end = text.indexOf("\n", from)) {
      this.#parts.push(text.slice(from, end));
      const line = this.#parts.join("");
      this.#parts = [];
      this.#length = 0;
      this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
      from = end + 1;
    }
    if (from < text.length) {
      this.#parts.push(text.slice(from));
      this.#length += text.length - from;
      if (this.#length > this.longest) throw new Error("an event has no end");
    }
  }

  #line(line: string): void {
    if (line === "") {
      const [event, id] = [{ name: this.#name, data: this.#data.join("\n") }, this.#id];
      this.#name = "message";
      this.#data = [];
      this.#id = null;
      if (event.data !== "" || id !== null) this.onEvent(event, id);
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#name = value;
    else if (field === "id") this.#id = value;
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
