/**
 * Tools, resources and prompts with the names that the official conformance suite uses, on the production HTTP and MCP
 * servers. Only for tests.
 */
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  CallToolRequestSchema,
  type CallToolResult,
  CompleteRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  ReadResourceRequestSchema,
  type ServerNotification,
  type ServerRequest,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { McpServerOptions } from "../../src/mcp/context.js";
import { createMcpServer } from "../../src/mcp/server.js";
import { FIXTURE_PROMPTS, getFixturePrompt } from "./fixture-prompts.js";
import { FIXTURE_RESOURCES, FIXTURE_TEMPLATES, readFixtureResource } from "./fixture-resources.js";
import { FIXTURE_TOOLS } from "./fixture-tools.js";

export type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;
// biome-ignore lint/suspicious/noExplicitAny: requests and answers of every method pass through.
type Any = any;

/** The production server with the fixtures beside its own tools, resources and prompts. */
export function conformanceServer(options: McpServerOptions): Server {
  const server = createMcpServer(options);
  const handlers = (server as unknown as { _requestHandlers: Map<string, (request: Any, extra: Extra) => Any> })
    ._requestHandlers;
  /** Passes every name that is not a fixture to the server's own handler. */
  const beside = (schema: Any, fixture: (params: Any, extra: Extra, own: () => Promise<Any>) => Any): void => {
    const own = handlers.get(schema.shape.method.value);
    if (own === undefined) throw new Error("The server does not know this method.");
    server.setRequestHandler(schema, (request: Any, extra: Extra) =>
      fixture(request.params, extra, async () => own(request, extra)),
    );
  };
  const also = (schema: Any, key: string, more: readonly object[]): void =>
    beside(schema, async (_params, _extra, own) => {
      const result = await own();
      return { ...result, [key]: [...result[key], ...more] };
    });

  also(
    ListToolsRequestSchema,
    "tools",
    FIXTURE_TOOLS.map(({ name, description, inputSchema }) => ({ name, description, inputSchema })),
  );
  also(ListResourcesRequestSchema, "resources", FIXTURE_RESOURCES);
  also(ListResourceTemplatesRequestSchema, "resourceTemplates", FIXTURE_TEMPLATES);
  also(ListPromptsRequestSchema, "prompts", FIXTURE_PROMPTS);
  beside(CallToolRequestSchema, async (params, extra, own): Promise<CallToolResult> => {
    const tool = FIXTURE_TOOLS.find(({ name }) => name === params.name);
    return tool === undefined ? own() : tool.run(params.arguments ?? {}, extra, server);
  });
  beside(ReadResourceRequestSchema, ({ uri }, _extra, own) => readFixtureResource(uri) ?? own());
  beside(
    GetPromptRequestSchema,
    (params, _extra, own) => getFixturePrompt(params.name, params.arguments ?? {}) ?? own(),
  );
  for (const schema of [SubscribeRequestSchema, UnsubscribeRequestSchema])
    beside(schema, ({ uri }, _extra, own) => (uri === "test://watched-resource" ? {} : own()));
  beside(CompleteRequestSchema, ({ ref }, _extra, own) =>
    ref.name === "test_prompt_with_arguments" ? { completion: { values: ["paris", "park"], hasMore: false } } : own(),
  );
  return server;
}
