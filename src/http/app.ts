/** The HTTP application: `/mcp`, `/api/v1`, the dashboard at `/`, `/healthz` and `/metrics`, behind the same guards. */
import type { IncomingMessage, ServerResponse } from "node:http";
import express, { type Express } from "express";
import { StackwardenError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { StackManager } from "../stack/model.js";
import type { StackSettings } from "../stack/settings.js";
import { sendDashboard } from "./dashboard.js";
import { checkHostAndOrigin, limitRate, requireToken } from "./guards.js";
import { createMetrics, type Metrics } from "./metrics.js";
import type { OAuth } from "./oauth.js";
import { createOpenRequests } from "./open-requests.js";
import { principalOf } from "./principal.js";
import { problems } from "./problem.js";
import { restRouter } from "./rest.js";
import type { TokenVerifier } from "./tokens.js";

/** The principal that an MCP session belongs to. */
export interface McpOwner {
  id: string;
  name: string;
  readOnly: boolean;
}

/** Implemented by src/mcp/http.ts and passed in, because only that folder imports the SDK. */
export interface McpHandler {
  readonly sessions: number;
  handle(request: IncomingMessage, response: ServerResponse, owner: McpOwner): Promise<void>;
  /** Ends the sessions of owners that no longer exist. */
  endSessions(isRevoked: (ownerId: string) => boolean): Promise<void>;
  /** Ends every stream that only waits for notifications. Calls in progress get their results. */
  endStreams(): void;
  close(): Promise<void>;
}

export interface HttpAppOptions {
  getManager(): Promise<StackManager>;
  /** Absent: the server has no `/mcp`. */
  createMcpHandler?(options: { getManager(): Promise<StackManager>; onCall: Metrics["call"] }): McpHandler;
  tokens: TokenVerifier;
  /** Accepts access tokens of an issuer in addition to the tokens of this server. */
  oauth?: OAuth;
  version: string;
  logger: Logger;
  readOnly?: boolean;
  /** The commands that the operator permits; the dashboard offers only those. Default `any`. */
  commands?: StackSettings["commands"];
  /** Host names that are accepted in addition to the loopback names. */
  allowedHosts?: readonly string[];
  /** Origins of pages that may send requests, for example `https://example.test`. */
  allowedOrigins?: readonly string[];
  /** Requests per minute and token. Default 1,200. */
  requestsPerMinute?: number;
}

export interface HttpApp {
  readonly app: Express;
  /** Requests in progress. */
  readonly openRequests: number;
  /** Counts the events of a manager that is in use before the first request. */
  follow(manager: StackManager): void;
  /**
   * Refuses new requests, ends streams, waits for calls in progress, then ends MCP sessions.
   * @param deadlineMs longest wait for calls in progress; default 5,000
   */
  close(deadlineMs?: number): Promise<void>;
}

/** Interval in milliseconds of the check for token changes by another process while the server is idle. */
const TOKENS_MS = 1000;

/** The route label of a metric: few fixed values, whichever path a client requests. */
function partOf(path: string): string {
  if (path.startsWith("/api/v1/")) return "rest";
  return { "/mcp": "mcp", "/healthz": "healthz", "/metrics": "metrics" }[path] ?? "other";
}

export function createHttpApp(options: HttpAppOptions): HttpApp {
  const { tokens, oauth, version, logger, readOnly = false, commands = "any", requestsPerMinute = 1200 } = options;
  const metrics = createMetrics(() => mcp?.sessions ?? 0);
  const getManager = async (): Promise<StackManager> => {
    const manager = await options.getManager();
    metrics.follow(manager);
    return manager;
  };
  const mcp = options.createMcpHandler?.({ getManager, onCall: metrics.call });
  const requests = createOpenRequests();

  /** Ends the requests and sessions of a token that was rotated or removed. */
  let revision = tokens.revision;
  const refreshTokens = async (): Promise<void> => {
    await tokens.refresh().catch((error: Error) => {
      logger.error(`Cannot reload the tokens file; the previous tokens stay valid: ${error.message}`);
    });
    if (tokens.revision === revision) return;
    revision = tokens.revision;
    logger.info("The tokens file changed; its tokens are valid from now on.");
    requests.sweep();
    await mcp?.endSessions((id) => id.startsWith("token:") && !tokens.has(id));
  };
  const timer = setInterval(() => void refreshTokens(), TOKENS_MS);
  timer.unref();

  const app = express();
  app.disable("x-powered-by");
  app.enable("strict routing");
  app.enable("case sensitive routing");
  app.use((_request, response, next) => {
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Cache-Control", "no-store");
    next();
  });
  app.use((request, response, next) => {
    // Read the path now: a router shortens it.
    const part = partOf(request.path);
    response.once("finish", () => metrics.request(part, response.statusCode));
    next();
  });
  app.use(
    checkHostAndOrigin(
      [...(options.allowedHosts ?? []), ...(oauth === undefined ? [] : [oauth.host])],
      options.allowedOrigins ?? [],
    ),
  );
  app.use(requests.track);
  // Reveals only that the server runs.
  app.get("/healthz", (_request, response) => {
    response.json({ status: "ok", version });
  });
  app.get("/", sendDashboard);
  // Names the authorization server for clients (RFC 9728).
  if (oauth !== undefined)
    app.get(["/.well-known/oauth-protected-resource", oauth.metadataPath], (_request, response) => {
      response.json(oauth.metadata);
    });
  // Without an issuer there is nothing to discover. Clients then report a wrong token instead of a missing one.
  app.use("/.well-known", () => {
    throw new StackwardenError("NOT_FOUND", "This server has no authorization server to discover.", {
      hint: "Send a token of this server: `Authorization: Bearer <token>`; `stackwarden token add` creates one.",
    });
  });
  app.use(
    requireToken(async (presented) => {
      await refreshTokens();
      return tokens.verify(presented) ?? (await oauth?.verify(presented)) ?? null;
    }),
    limitRate(requestsPerMinute),
    requests.limit,
  );
  app.get("/metrics", async (_request, response) => {
    response.type(metrics.contentType).send(await metrics.text());
  });
  if (mcp !== undefined)
    app.all("/mcp", async (request, response) => {
      const { id, name, scope } = principalOf(request);
      await mcp.handle(request, response, { id, name, readOnly: readOnly || scope === "read" });
    });
  app.use(
    "/api/v1",
    restRouter({ getManager, readOnly, commands, version, onCall: metrics.call, ending: requests.ending }),
  );
  app.use(() => {
    throw new StackwardenError("NOT_FOUND", "There is nothing at this path.", {
      hint: "See /api/v1/openapi.json for the available paths.",
    });
  });
  app.use(problems(logger, oauth));
  return {
    app,
    get openRequests() {
      return requests.count;
    },
    follow: metrics.follow,
    close: async (deadlineMs = 5000) => {
      clearInterval(timer);
      mcp?.endStreams();
      await requests.drain(deadlineMs);
      await mcp?.close();
    },
  };
}
