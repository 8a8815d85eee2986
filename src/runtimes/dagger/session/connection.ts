/** GraphQL over a session's own port. No environment variable is involved: several sessions live in one process. */
import { Agent, type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { GraphQLConnection } from "./sdk.js";
import { traceparent } from "./trace.js";
import type { ClientOptions } from "./types.js";

/** So long the notice of a process's end may come after its last connection broke. */
const DEATH_MS = 500;

/** What the engine answered instead of data. */
export class EngineError extends Error {
  override readonly name = "EngineError";

  constructor(
    message: string,
    readonly extensions: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

/** The session answered, but not as an engine does: the engine behind it is gone. */
export class SessionError extends Error {
  override readonly name = "SessionError";

  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

export interface Address {
  port: number;
  token: string;
}

export const authorization = ({ token }: Address): string => `Basic ${Buffer.from(`${token}:`).toString("base64")}`;

/** The engine marks errors with the span that they come from; that is for its own interface. */
const withoutOrigin = (message: string): string => message.replace(/\s*\[traceparent:[^\]]*\]/g, "").trim();

/** Settles when the signal is aborted, or after a moment. */
const soon = async (signal: AbortSignal): Promise<void> => {
  if (!signal.aborted) await delay(DEATH_MS, undefined, { signal, ref: false }).catch(() => {});
};

interface Answer {
  data?: unknown;
  errors?: { message?: unknown; extensions?: Record<string, unknown> }[];
}

function read(body: string, status: number): unknown {
  let answer: Answer | undefined;
  try {
    answer = JSON.parse(body) as Answer;
  } catch {
    // Said below.
  }
  const [first] = answer?.errors ?? [];
  if (first !== undefined) throw new EngineError(withoutOrigin(String(first.message)), first.extensions);
  if (status !== 200 || answer?.data === undefined) {
    throw new SessionError(`the session answered HTTP ${status}: ${body.slice(0, 300)}`, status);
  }
  return answer.data;
}

export class Connections {
  // A start that has to pull an image answers after minutes: no time limit here, callers have their own.
  readonly #agent = new Agent({ keepAlive: true });

  constructor(
    private readonly address: Address,
    private readonly ended: AbortSignal,
  ) {}

  /** A connection whose requests carry these options. */
  with({ trace, signal }: ClientOptions): GraphQLConnection {
    const together = signal === undefined ? this.ended : AbortSignal.any([signal, this.ended]);
    return { request: (document) => this.#request(document, trace, together) };
  }

  async #request(document: string, trace: ClientOptions["trace"], signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    const body = JSON.stringify({ query: document });
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const call = request(
          {
            host: "127.0.0.1",
            port: this.address.port,
            path: "/query",
            method: "POST",
            agent: this.#agent,
            signal,
            headers: {
              authorization: authorization(this.address),
              "content-type": "application/json",
              "content-length": Buffer.byteLength(body),
              ...(trace === undefined ? {} : { traceparent: traceparent(trace) }),
            },
          },
          resolve,
        );
        call.once("error", reject);
        call.end(body);
      });
      return read(await text(response), response.statusCode as number);
    } catch (error) {
      // When the session's process dies, its connections break before its exit is reported.
      if ("code" in (error as Error)) await soon(signal);
      // Its own words say more than that something was aborted or broken.
      signal.throwIfAborted();
      throw error;
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}
