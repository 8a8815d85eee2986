/**
 * State that the bridge derives from the messages it forwards: pending requests, and the messages that restore the
 * session on a new server.
 */
import type { ErrorReport } from "../../errors.js";

export type RequestId = string | number;

interface Message {
  id?: RequestId;
  method?: string;
  params?: Record<string, unknown>;
  result?: unknown;
  error?: unknown;
}

/** Prefix of the ids of the bridge's own requests. */
const OWN = "stackwarden-bridge:";

/** A response as the SDK serialises it: the id comes last, so that a long response need not be parsed. */
const ANSWER = /"jsonrpc":"2\.0","id":(\d{1,15}|"[^"\\]{0,200}")\}$/;
const ANSWER_TAIL = 300;

/** The id of a response; undefined for other messages. */
export function answeredId(line: string): RequestId | undefined {
  if (line.startsWith('{"result":') || line.startsWith('{"error":')) {
    const match = ANSWER.exec(line.slice(-ANSWER_TAIL));
    if (match?.[1] !== undefined) return JSON.parse(match[1]) as RequestId;
  }
  const message = parse(line);
  return message !== null && message.method === undefined ? message.id : undefined;
}

function parse(line: string): Message | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Message) : null;
  } catch {
    return null;
  }
}

const write = (message: object): string => JSON.stringify({ jsonrpc: "2.0", ...message });

export class Conversation {
  /** Pending requests of the client, with their methods. */
  readonly #waiting = new Map<RequestId, string>();
  #initialize: Message | null = null;
  /** A server answered `initialize`; a new server needs it again. */
  #greeted = false;
  #initialized = false;
  #level: Message | null = null;
  readonly #subscriptions = new Set<string>();
  #own = 0;

  get waiting(): number {
    return this.#waiting.size;
  }

  get subscriptions(): readonly string[] {
    return [...this.#subscriptions];
  }

  /** The client accepts notifications. */
  get initialized(): boolean {
    return this.#initialized;
  }

  /** Records a message of the client. @returns whether it is a request, which needs a server */
  fromClient(line: string): boolean {
    const message = parse(line);
    if (message?.method === undefined) return false;
    const { method, params, id } = message;
    if (method === "initialize") this.#initialize = message;
    if (method === "notifications/initialized") this.#initialized = true;
    if (method === "logging/setLevel") this.#level = message;
    const uri = params?.uri;
    if (typeof uri === "string" && method === "resources/subscribe") this.#subscriptions.add(uri);
    if (typeof uri === "string" && method === "resources/unsubscribe") this.#subscriptions.delete(uri);
    // A cancelled request gets no response.
    if (method === "notifications/cancelled") this.#waiting.delete(params?.requestId as RequestId);
    if (id === undefined || id === null) return false;
    this.#waiting.set(id, method);
    return true;
  }

  /** Records a message of the server. @returns false for responses to the bridge's own requests */
  fromServer(line: string): boolean {
    const id = answeredId(line);
    if (id === undefined) return true;
    if (typeof id === "string" && id.startsWith(OWN)) return false;
    if (this.#waiting.get(id) === "initialize") this.#greeted = true;
    this.#waiting.delete(id);
    return true;
  }

  /** Creates an error response for every pending request. */
  abandon(report: ErrorReport): string[] {
    const lines = [...this.#waiting].map(([id, method]) => failure(id, method, report));
    this.#waiting.clear();
    return lines;
  }

  /** Messages that restore the session on a new server; empty before the first server. */
  replay(): string[] {
    if (this.#initialize === null || !this.#greeted) return [];
    const request = (method: string, params: unknown): string => {
      this.#own += 1;
      return write({ id: `${OWN}${this.#own}`, method, params });
    };
    return [
      request("initialize", this.#initialize.params),
      ...(this.#initialized ? [write({ method: "notifications/initialized" })] : []),
      ...(this.#level === null ? [] : [request("logging/setLevel", this.#level.params)]),
      ...[...this.#subscriptions].map((uri) => request("resources/subscribe", { uri })),
    ];
  }
}

/** The response to a request that is not forwarded; null for notifications and responses. */
export function refusal(line: string, report: ErrorReport): string | null {
  const { id, method } = parse(line) ?? {};
  return id === undefined || id === null || method === undefined ? null : failure(id, method, report);
}

/** A failed tool call is a result that the model reads; other requests get a JSON-RPC error. */
export function failure(id: RequestId, method: string, report: ErrorReport): string {
  if (method === "tools/call") {
    const content = [{ type: "text", text: JSON.stringify(report) }];
    return write({ id, result: { content, structuredContent: report, isError: true } });
  }
  return write({ id, error: { code: -32_000, message: `${report.message} ${report.hint}`, data: report } });
}

/** A log message notification. */
export const notice = (level: "warning" | "info", text: string): string =>
  write({ method: "notifications/message", params: { level, logger: "stackwarden", data: { message: text } } });

export const resourceUpdated = (uri: string): string =>
  write({ method: "notifications/resources/updated", params: { uri } });

export const resourceListChanged = (): string => write({ method: "notifications/resources/list_changed" });
