/** The dashboard of the background server: a loopback listener with REST and without MCP, opened by its first user. */
import { toStackwardenError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { StackManager } from "../stack/model.js";
import type { StackSettings } from "../stack/settings.js";
import { MemoryTokens } from "./memory-tokens.js";
import { openHttpServer } from "./server.js";

export interface DashboardServerOptions {
  getManager(): Promise<StackManager>;
  /** Preferred port on 127.0.0.1. A free one is used when another process listens there. */
  port: number;
  readOnly: boolean;
  commands: StackSettings["commands"];
  version: string;
  logger: Logger;
}

export interface DashboardServer {
  /** As `http://127.0.0.1:7717`. */
  readonly url: string;
  /** Requests in progress, with the event streams of open pages. */
  readonly openRequests: number;
  /** @returns a new token, valid until the server closes */
  issueToken(scope: "read" | "operate"): string;
  close(): Promise<void>;
}

/** @throws PORT_IN_USE, INVALID_INPUT when no address can be listened on */
export async function openDashboardServer(options: DashboardServerOptions): Promise<DashboardServer> {
  const tokens = new MemoryTokens();
  const { port, ...rest } = options;
  const listen = (on: number) => openHttpServer({ ...rest, tokens, address: { port: on }, socket: null });
  const http = await listen(port).catch((error: unknown) => {
    if (toStackwardenError(error).code !== "PORT_IN_USE") throw error;
    return listen(0);
  });
  return {
    url: http.url ?? "",
    get openRequests() {
      return http.openRequests;
    },
    issueToken: (scope) => tokens.issue("dashboard", scope),
    close: () => http.close(),
  };
}
