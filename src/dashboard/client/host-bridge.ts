/** The view's side of MCP Apps (SEP-1865, 2026-01-26): JSON-RPC with the host through postMessage. */
import { Failure } from "./source.js";

interface Message {
  jsonrpc?: unknown;
  id?: string | number;
  method?: string;
  params?: Record<string, unknown>;
  result?: unknown;
  error?: { message?: string };
}

export interface HostContext {
  theme?: "light" | "dark";
  styles?: { variables?: Record<string, string | undefined> };
}

export interface HostHandlers {
  onContext(context: HostContext): void;
  /** The arguments or the result of the tool that the page was opened for. */
  onTool(fields: Record<string, unknown>): void;
  onTeardown(): void;
}

const PROTOCOL_VERSION = "2026-01-26";

export class HostBridge {
  readonly #host = window.parent;
  readonly #waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  #next = 1;
  capabilities: Record<string, unknown> = {};

  constructor(private readonly handlers: HostHandlers) {
    window.addEventListener("message", ({ source, data }: MessageEvent<Message | null>) => {
      // Accept messages of the host only.
      if (source === this.#host && typeof data === "object" && data !== null && data.jsonrpc === "2.0")
        this.#receive(data);
    });
  }

  async open(version: string): Promise<void> {
    const { hostCapabilities = {}, hostContext = {} } = (await this.request("ui/initialize", {
      protocolVersion: PROTOCOL_VERSION,
      appInfo: { name: "stackwarden dashboard", version },
      appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
    })) as { hostCapabilities?: Record<string, unknown>; hostContext?: HostContext };
    this.capabilities = hostCapabilities;
    this.handlers.onContext(hostContext);
    this.notify("ui/notifications/initialized", {});
    new ResizeObserver(() => this.#tellSize()).observe(document.documentElement);
  }

  request(method: string, params: Record<string, unknown>): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send({ jsonrpc: "2.0", id, method, params });
    });
  }

  notify(method: string, params: Record<string, unknown>): void {
    this.#send({ jsonrpc: "2.0", method, params });
  }

  #send(message: Message): void {
    // The host's origin is not known to a sandboxed view; nothing secret is sent.
    this.#host.postMessage(message, "*");
  }

  #tellSize(): void {
    const { width, height } = document.documentElement.getBoundingClientRect();
    this.notify("ui/notifications/size-changed", { width: Math.ceil(width), height: Math.ceil(height) });
  }

  #receive({ id, method, params = {}, result, error }: Message): void {
    if (method === undefined) {
      const waiting = this.#waiting.get(Number(id));
      this.#waiting.delete(Number(id));
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Failure("UNREACHABLE", error.message ?? "The host refused."));
      return;
    }
    if (method === "ui/notifications/host-context-changed") this.handlers.onContext(params as HostContext);
    else if (method === "ui/notifications/tool-input")
      this.handlers.onTool((params.arguments ?? {}) as Record<string, unknown>);
    else if (method === "ui/notifications/tool-result")
      this.handlers.onTool((params.structuredContent ?? {}) as Record<string, unknown>);
    else if (method === "ui/resource-teardown") this.handlers.onTeardown();
    if (id === undefined) return;
    if (method === "ping" || method === "ui/resource-teardown") this.#send({ jsonrpc: "2.0", id, result: {} });
    else
      this.#host.postMessage(
        { jsonrpc: "2.0", id, error: { code: -32601, message: "This view does not support the method." } },
        "*",
      );
  }
}
