/**
 * The MCP server of one connection. It holds no domain state: stacks live in the manager, which is requested only when
 * a call needs it. The SDK's low-level server with custom handlers gives JSON Schema 2020-12, a fixed order of tools, a
 * protocol error for an unknown tool, and this project's error texts.
 */
import { randomBytes } from "node:crypto";
import { Server, type ServerOptions } from "@modelcontextprotocol/sdk/server/index.js";
import { Protocol, type RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  CompleteRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  ReadResourceRequestSchema,
  type ServerNotification,
  type ServerRequest,
  type ServerResult,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import * as z from "zod";
import { operations as allOperations } from "../operations/index.js";
import type { CallContext, StackManager } from "../stack/model.js";
import { followChanges } from "./changes.js";
import { clientRoots } from "./client-roots.js";
import { complete } from "./completions.js";
import type { McpServerOptions } from "./context.js";
import { DASHBOARD, DASHBOARD_URI, readDashboard, showsApps, withDashboard } from "./dashboard.js";
import { isDocument, listDocuments, readDocument } from "./documents.js";
import { invalidParams, readFailure } from "./errors.js";
import { INSTRUCTIONS } from "./instructions.js";
import { page } from "./pagination.js";
import { reportProgress } from "./progress.js";
import { getPrompt, PROMPTS } from "./prompts.js";
import { existing, listResources, RESOURCE_TEMPLATES, readResource } from "./resources.js";
import { callTool } from "./tool-call.js";
import { toolOf } from "./tool-list.js";
import { UNTRUSTED } from "./untrusted.js";

export type { McpLogger, McpServerOptions } from "./context.js";

/**
 * Placeholder for the SDK's JSON Schema validator. Only elicitation needs one, which this server does not use, and the
 * SDK's default slows every start.
 */
const NO_VALIDATOR: NonNullable<ServerOptions["jsonSchemaValidator"]> = {
  getValidator: () => () => ({
    valid: false,
    data: undefined,
    errorMessage: "This server does not support elicitation.",
  }),
};

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** The SDK answers a malformed request with "internal error"; this function answers "invalid params". */
type RequestSchema = z.ZodType<{ method: string }> & { shape: { method: z.ZodLiteral<string> } };

/**
 * Passes arguments through unchanged: a schema that copies them would drop a `__proto__` key instead of rejecting it.
 */
const CallToolSchema = z.object({
  method: z.literal("tools/call"),
  params: z.looseObject({
    name: z.string(),
    arguments: z
      .unknown()
      .refine((value) => value === undefined || typeof value === "object", "expected an object")
      .refine((value) => !Array.isArray(value), "expected an object")
      .optional(),
  }),
});

const PRINTABLE = /[^\x20-\x7e]/g;

export function createMcpServer(options: McpServerOptions): Server {
  const { logger, readOnly = false, commands = "any", coalesceMs = 250, heartbeatMs = 4000 } = options;
  // Operations that the operator disabled are not listed.
  const operations = (options.operations ?? allOperations).filter(
    ({ name }) => name !== "run_command" || (!readOnly && commands !== "off"),
  );
  const session = options.sessionId ?? randomBytes(4).toString("hex");
  const server = new Server(
    { name: "stackwarden", title: "stackwarden", version: options.version },
    {
      instructions: INSTRUCTIONS,
      jsonSchemaValidator: NO_VALIDATOR,
      capabilities: {
        tools: {},
        resources: { subscribe: true, listChanged: true },
        prompts: {},
        completions: {},
        logging: {},
      },
    },
  );
  const changes = followChanges(
    {
      resourceUpdated: (uri) => server.sendResourceUpdated({ uri }),
      resourceListChanged: () => server.sendResourceListChanged(),
      message: (params) => server.notification({ method: "notifications/message", params }),
    },
    coalesceMs,
  );
  server.onclose = () => changes.close();
  server.onerror = (error) => logger.warn(`MCP connection: ${error.message}`);

  const roots = clientRoots(server, options);
  const manager = async (): Promise<StackManager> => {
    await roots.read();
    const ready = await options.getManager();
    changes.follow(ready);
    return ready;
  };
  const actor = (): string => {
    const client = server.getClientVersion();
    const name = client === undefined ? "mcp" : `${client.name}/${client.version}`;
    return `${name.replace(PRINTABLE, "?").slice(0, 80)}#${session}`;
  };
  const apps = (): boolean => showsApps(server.getClientCapabilities());
  const quietCall = (extra: Extra): CallContext => ({
    signal: extra.signal,
    actor: actor(),
    progress: () => undefined,
  });

  const on = <S extends RequestSchema, R extends ServerResult>(
    schema: S,
    handler: (request: z.output<S>, extra: Extra) => R | Promise<R>,
  ): void => {
    // Server's own method checks tools/call against a schema that refuses `arguments: null`.
    Protocol.prototype.setRequestHandler.call(server, z.looseObject({ method: schema.shape.method }), (raw, extra) => {
      const request = schema.safeParse(raw);
      if (request.success) return handler(request.data, extra);
      const issue = request.error.issues[0];
      throw invalidParams(`${issue?.path.join(".") ?? "params"}: ${issue?.message ?? "invalid"}`);
    });
  };

  on(ListToolsRequestSchema, ({ params }) => {
    const { items, nextCursor } = page(operations, (operation) => operation.name, params?.cursor);
    const tools = items.map(toolOf);
    return { tools: apps() ? tools.map(withDashboard) : tools, ...(nextCursor === undefined ? {} : { nextCursor }) };
  });
  on(CallToolSchema, async ({ params }, extra) => {
    const operation = operations.find((candidate) => candidate.name === params.name);
    if (operation === undefined) {
      throw invalidParams(`Unknown tool. Valid: ${operations.map(({ name }) => name).join(", ")}.`);
    }
    const progress = reportProgress(
      extra._meta?.progressToken,
      (progressParams) =>
        extra.sendNotification({ method: "notifications/progress", params: { ...progressParams, _meta: UNTRUSTED } }),
      heartbeatMs,
      operation.name,
    );
    const context = async () => ({
      manager: await manager(),
      signal: extra.signal,
      actor: actor(),
      progress: progress.report,
    });
    try {
      return await callTool(operation, params.arguments, context, { readOnly, logger, onCall: options.onCall });
    } finally {
      progress.stop();
    }
  });

  on(ListResourcesRequestSchema, async ({ params }) => {
    const stacks = listResources(await managerFor("resources/list", manager));
    const resources = [...(apps() ? [DASHBOARD] : []), ...stacks, ...listDocuments()];
    const { items, nextCursor } = page(resources, (resource) => resource.uri, params?.cursor);
    return { resources: items, ...(nextCursor === undefined ? {} : { nextCursor }) };
  });
  on(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: RESOURCE_TEMPLATES }));
  on(ReadResourceRequestSchema, async ({ params: { uri } }, extra) => {
    if (isDocument(uri)) return readDocument(uri);
    return uri === DASHBOARD_URI
      ? readDashboard(readOnly, commands).catch((error: unknown) => Promise.reject(readFailure(uri, error)))
      : readResource(uri, await managerFor(uri, manager), quietCall(extra));
  });
  on(SubscribeRequestSchema, async ({ params: { uri } }) => {
    existing(uri, await managerFor(uri, manager));
    changes.subscribe(uri);
    return {};
  });
  on(UnsubscribeRequestSchema, ({ params: { uri } }) => {
    changes.unsubscribe(uri);
    return {};
  });

  on(ListPromptsRequestSchema, () => ({ prompts: PROMPTS }));
  on(GetPromptRequestSchema, ({ params }) => getPrompt(params.name, params.arguments));
  on(CompleteRequestSchema, async ({ params }) => complete(params, await managerFor("completion/complete", manager)));
  on(SetLevelRequestSchema, ({ params: { level } }) => {
    changes.setLevel(level);
    return {};
  });
  return server;
}

async function managerFor(uri: string, manager: () => Promise<StackManager>): Promise<StackManager> {
  try {
    return await manager();
  } catch (error) {
    throw readFailure(uri, error);
  }
}
