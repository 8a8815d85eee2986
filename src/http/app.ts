/** The HTTP door: `/mcp`, `/api/v1`, `/healthz`, `/metrics`, behind the same guards. */
import type { IncomingMessage, ServerResponse } from "node:http";
import express, { type Express } from "express";
import { type AnyOperation, operations } from "../operations/index.js";
import { StackwardenError } from "../stack/errors.js";
import type { Logger } from "../stack/logger.js";
import type { StackManager } from "../stack/model.js";
import { checkHostAndOrigin, limitRate, requireToken, tokenOf } from "./guards.js";
import { createMetrics } from "./metrics.js";
import { problems } from "./problem.js";
import { restRouter } from "./rest.js";
import type { TokenStore } from "./tokens.js";

/** What src/mcp/http.ts gives; handed in, since only that folder knows the SDK. */
export interface McpDoor {
  handle(request: IncomingMessage, response: ServerResponse, owner: { name: string; readOnly: boolean }): Promise<void>;
  close(): Promise<void>;
}

export interface HttpAppOptions {
  getManager(): Promise<StackManager>;
  openMcpDoor(options: { getManager(): Promise<StackManager>; operations: readonly AnyOperation[] }): McpDoor;
  tokens: TokenStore;
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
  /** Ends MCP sessions; REST calls under way go on. */
  close(): Promise<void>;
}

export function createHttpApp(options: HttpAppOptions): HttpApp {
  const { tokens, version, logger, readOnly = false, requestsPerMinute = 1200 } = options;
  const metrics = createMetrics();
  const getManager = async (): Promise<StackManager> => {
    const manager = await options.getManager();
    metrics.follow(manager);
    return manager;
  };
  const mcp = options.openMcpDoor({ getManager, operations: operations.map(metrics.measured) });
  const app = express();
  app.disable("x-powered-by");
  app.enable("strict routing");
  app.enable("case sensitive routing");
  app.use((_request, response, next) => {
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Cache-Control", "no-store");
    next();
  });
  app.use(checkHostAndOrigin(options.allowedHosts ?? [], options.allowedOrigins ?? []));
  // Says nothing but that the server lives.
  app.get("/healthz", (_request, response) => {
    response.json({ status: "ok", version });
  });
  app.use(requireToken(tokens), limitRate(requestsPerMinute));
  app.get("/metrics", async (_request, response) => {
    response.type(metrics.contentType).send(await metrics.text());
  });
  app.all("/mcp", async (request, response) => {
    const token = tokenOf(request);
    await mcp.handle(request, response, { name: token.name, readOnly: readOnly || token.scope === "read" });
  });
  app.use("/api/v1", restRouter({ getManager, readOnly, version, measured: metrics.measured }));
  app.use(() => {
    throw new StackwardenError("NOT_FOUND", "There is nothing at this path.", {
      hint: "See /api/v1/openapi.json for what there is.",
    });
  });
  app.use(problems(logger));
  return { app, close: () => mcp.close() };
}
