/** The HTTP door: `/mcp`, `/api/v1`, the dashboard at `/`, `/healthz`, `/metrics`, behind the same guards. */
import type { IncomingMessage, ServerResponse } from "node:http";
import express, { type Express } from "express";
import { StackwardenError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { StackManager } from "../stack/model.js";
import { sendDashboard } from "./dashboard.js";
import { checkHostAndOrigin, limitRate, requireToken } from "./guards.js";
import { createMetrics, type Metrics } from "./metrics.js";
import type { OAuth } from "./oauth.js";
import { createOpenRequests } from "./open-requests.js";
import { principalOf } from "./principal.js";
import { problems } from "./problem.js";
import { restRouter } from "./rest.js";
import type { TokenVerifier } from "./tokens.js";

/** Who an MCP session belongs to. */
export interface McpOwner {
  id: string;
  name: string;
  readOnly: boolean;
}

/** What src/mcp/http.ts gives; handed in, since only that folder knows the SDK. */
export interface McpHandler {
  readonly sessions: number;
  handle(request: IncomingMessage, response: ServerResponse, owner: McpOwner): Promise<void>;
  /** Ends the sessions of owners that no longer exist. */
  endSessions(isRevoked: (ownerId: string) => boolean): Promise<void>;
  /** Ends every stream that only waits for news; calls under way are answered. */
  endStreams(): void;
  close(): Promise<void>;
}

export interface HttpAppOptions {
  getManager(): Promise<StackManager>;
  /** Absent: the server has no `/mcp`. */
  openMcpDoor?(options: { getManager(): Promise<StackManager>; onCall: Metrics["call"] }): McpHandler;
  tokens: TokenVerifier;
  /** Access tokens of an issuer, beside our own tokens. */
  oauth?: OAuth;
  version: string;
  logger: Logger;
  readOnly?: boolean;
  /** Host names beside the loopback ones. */
  allowedHosts?: readonly string[];
  /** Origins of pages that may call, as `https://example.test`. */
  allowedOrigins?: readonly string[];
  /** For each token. Default 1,200. */
  requestsPerMinute?: number;
}

export interface HttpApp {
  readonly app: Express;
  /** Requests in progress. */
  readonly openRequests: number;
  /** Counts the events of a manager that others use before the first request does. */
  follow(manager: StackManager): void;
  /**
   * Refuses new requests, ends streams, waits for calls under way (at most so long), then ends MCP sessions.
   * @param deadlineMs default 5,000
   */
  close(deadlineMs?: number): Promise<void>;
}

/** Interval in milliseconds of the check for token changes by another process while the server is idle. */
const TOKENS_MS = 1000;

/** Few and fixed, whatever a client asks for. */
function partOf(path: string): string {
  if (path.startsWith("/api/v1/")) return "rest";
  return { "/mcp": "mcp", "/healthz": "healthz", "/metrics": "metrics" }[path] ?? "other";
}

export function createHttpApp(options: HttpAppOptions): HttpApp {
  const { tokens, oauth, version, logger, readOnly = false, requestsPerMinute = 1200 } = options;
  const metrics = createMetrics(() => mcp?.sessions ?? 0);
  const getManager = async (): Promise<StackManager> => {
    const manager = await options.getManager();
    metrics.follow(manager);
    return manager;
  };
  const mcp = options.openMcpDoor?.({ getManager, onCall: metrics.call });
  const requests = createOpenRequests();

  /** A token that was rotated or removed ends what was opened with it. */
  let revision = tokens.revision;
  const refreshTokens = async (): Promise<void> => {
    await tokens.refresh().catch((error: Error) => {
      logger.error(`The tokens stay as they were: ${error.message}`);
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
    // Now: a router that takes the request shortens its path.
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
  // Says nothing but that the server lives.
  app.get("/healthz", (_request, response) => {
    response.json({ status: "ok", version });
  });
  app.get("/", sendDashboard);
  // Where a client learns which issuer to ask (RFC 9728).
  if (oauth !== undefined)
    app.get(["/.well-known/oauth-protected-resource", oauth.metadataPath], (_request, response) => {
      response.json(oauth.metadata);
    });
  // Without an issuer there is nothing to discover: clients then report that the token is wrong, not that it is missing.
  app.use("/.well-known", () => {
    throw new StackwardenError("NOT_FOUND", "This server has no authorization server to discover.", {
      hint: "Send a token of this server: `Authorization: Bearer <token>`; `stackwarden token add` makes one.",
    });
  });
  app.use(
    requireToken(async (presented) => {
      await refreshTokens();
      return tokens.verify(presented) ?? (await oauth?.verify(presented)) ?? null;
    }),
    limitRate(requestsPerMinute),
  );
  app.get("/metrics", async (_request, response) => {
    response.type(metrics.contentType).send(await metrics.text());
  });
  if (mcp !== undefined)
    app.all("/mcp", async (request, response) => {
      const { id, name, scope } = principalOf(request);
      await mcp.handle(request, response, { id, name, readOnly: readOnly || scope === "read" });
    });
  app.use("/api/v1", restRouter({ getManager, readOnly, version, onCall: metrics.call, ending: requests.ending }));
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
