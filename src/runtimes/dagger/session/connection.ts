/**
 * GraphQL over a session's own port. It uses no environment variables, so that several sessions can share one process.
 */
import { Agent, type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { GraphQLConnection } from "./sdk.js";
import { traceparent } from "./trace.js";
import type { ClientOptions } from "./types.js";

/** Maximum delay between a broken connection and the notice that the process has ended, in milliseconds. */
const DEATH_MS = 500;

/** An error response of the engine. */
export class EngineError extends Error {
  override readonly name = "EngineError";

  constructor(
    message: string,
    readonly extensions: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

/** The session sent an invalid response: the engine behind it is gone. */
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

/** Removes the reference to a span that the engine appends to errors for its own user interface. */
const withoutOrigin = (message: string): string => message.replace(/\s*\[traceparent:[^\]]*\]/g, "").trim();

/** Settles when the signal is aborted, or after a short delay. */
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
    // Handled below.
  }
  const [first] = answer?.errors ?? [];
  if (first !== undefined) throw new EngineError(withoutOrigin(String(first.message)), first.extensions);
  if (status !== 200 || answer?.data === undefined) {
    throw new SessionError(`the session answered HTTP ${status}: ${body.slice(0, 300)}`, status);
  }
  return answer.data;
}

export class Connections {
  // No time limit: a start that pulls an image can take minutes, and callers have their own limits.
  readonly #agent = new Agent({ keepAlive: true });

  constructor(
    private readonly address: Address,
    private readonly ended: AbortSignal,
  ) {}

  /** Creates a connection whose requests use these options. */
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
      // The process's own error message is more specific than a broken or aborted connection.
      signal.throwIfAborted();
      throw error;
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}
