/** A real MCP client connected to the server in this process. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import type { ErrorReport } from "../../src/errors.js";
import type { McpLogger, McpServerOptions } from "../../src/mcp/context.js";
import { createMcpServer } from "../../src/mcp/server.js";
import { COMPILE_ONCE } from "./output-schemas.js";
import { type ScriptedManager, scriptedManager } from "./scripted-manager.js";

export interface LoggedLine {
  level: keyof McpLogger;
  message: string;
  fields?: Record<string, unknown>;
}

export function recordingLogger(): McpLogger & { lines: LoggedLine[] } {
  const lines: LoggedLine[] = [];
  const at = (level: keyof McpLogger) => (message: string, fields?: Record<string, unknown>) => {
    lines.push({ level, message, ...(fields === undefined ? {} : { fields }) });
  };
  return { lines, error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
}

export interface Connected {
  client: Client;
  manager: ScriptedManager;
  logger: ReturnType<typeof recordingLogger>;
  /** Number of managers that the server requested. */
  readonly managersMade: number;
  call(name: string, input?: unknown): Promise<ToolAnswer>;
  close(): Promise<void>;
}

export interface ToolAnswer {
  isError: boolean;
  structured: Record<string, unknown>;
  error: ErrorReport;
  text: string;
  meta: Record<string, unknown> | undefined;
}

export async function connect(
  options: Partial<McpServerOptions> & { manager?: ScriptedManager } = {},
): Promise<Connected> {
  const { manager = scriptedManager(), ...rest } = options;
  const logger = recordingLogger();
  let managersMade = 0;
  const server = createMcpServer({
    getManager: async () => {
      managersMade += 1;
      return manager;
    },
    version: "1.2.3",
    sessionId: "s1",
    logger,
    ...rest,
  });
  const client = new Client({ name: "tester", version: "9" }, COMPILE_ONCE);
  const [near, far] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(far), client.connect(near)]);
  return {
    client,
    manager,
    logger,
    get managersMade() {
      return managersMade;
    },
    call: async (name, input) => {
      const params = { name, ...(input === undefined ? {} : { arguments: input as Record<string, unknown> }) };
      const result = await client.callTool(params);
      const content = result.content as { text: string }[];
      return {
        isError: result.isError === true,
        structured: result.structuredContent as Record<string, unknown>,
        error: result.structuredContent as unknown as ErrorReport,
        text: content[0]?.text ?? "",
        meta: result._meta,
      };
    },
    close: () => client.close(),
  };
}
