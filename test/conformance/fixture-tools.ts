import { setTimeout as sleep } from "node:timers/promises";
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import {
  type CallToolResult,
  CreateMessageResultSchema,
  ElicitResultSchema,
  type TextContent,
} from "@modelcontextprotocol/sdk/types.js";
import type { Extra } from "./fixtures.js";

/** One red pixel. */
export const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/** Silence. */
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";
const PAUSE_MS = 50;

interface FixtureTool {
  name: string;
  description: string;
  inputSchema: object;
  run(input: Record<string, string>, extra: Extra, server: Server): CallToolResult | Promise<CallToolResult>;
}

const text = (of: string): TextContent => ({ type: "text", text: of });
const NOTHING = { type: "object", properties: {}, additionalProperties: false };
const takes = (name: string) => ({
  type: "object",
  properties: { [name]: { type: "string" } },
  required: [name],
  additionalProperties: false,
});

const tool = (name: string, run: FixtureTool["run"], inputSchema: object = NOTHING): FixtureTool => ({
  name,
  description: `Fixture of the conformance suite: ${name}.`,
  inputSchema,
  run,
});

/** The conformance suite expects notifications on the stream of the call. */
async function elicit(extra: Extra, message: string, properties: object, required: string[] = []): Promise<string> {
  const params = { message, requestedSchema: { type: "object", properties, required } };
  const { action, content } = await extra.sendRequest(
    { method: "elicitation/create", params } as Parameters<Extra["sendRequest"]>[0],
    ElicitResultSchema,
  );
  return `action=${action}, content=${JSON.stringify(content ?? {})}`;
}

const titled = (prefix: string, names: string[]) =>
  names.map((name, i) => ({ const: `value${i + 1}`, title: `${name} ${prefix}` }));
const OPTIONS = ["option1", "option2", "option3"];

export const FIXTURE_TOOLS: readonly FixtureTool[] = [
  tool("test_simple_text", () => ({ content: [text("This is a simple text response for testing.")] })),
  tool("test_image_content", () => ({ content: [{ type: "image", data: PNG, mimeType: "image/png" }] })),
  tool("test_audio_content", () => ({ content: [{ type: "audio", data: WAV, mimeType: "audio/wav" }] })),
  tool("test_embedded_resource", () => ({
    content: [
      {
        type: "resource",
        resource: {
          uri: "test://embedded-resource",
          mimeType: "text/plain",
          text: "This is an embedded resource content.",
        },
      },
    ],
  })),
  tool("test_multiple_content_types", () => ({
    content: [
      text("Multiple content types test:"),
      { type: "image", data: PNG, mimeType: "image/png" },
      {
        type: "resource",
        resource: {
          uri: "test://mixed-content-resource",
          mimeType: "application/json",
          text: JSON.stringify({ test: "data", value: 123 }),
        },
      },
    ],
  })),
  tool("test_error_handling", () => ({
    isError: true,
    content: [text("This tool intentionally returns an error for testing")],
  })),
  tool("test_tool_with_logging", async (_input, extra) => {
    for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await extra.sendNotification({ method: "notifications/message", params: { level: "info", data } });
      await sleep(PAUSE_MS);
    }
    return { content: [text("Three messages were logged.")] };
  }),
  tool("test_tool_with_progress", async (_input, extra) => {
    const progressToken = extra._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progressToken !== undefined)
        await extra.sendNotification({
          method: "notifications/progress",
          params: { progressToken, progress, total: 100, message: `${progress} of 100` },
        });
      await sleep(PAUSE_MS);
    }
    return { content: [text("Progress was reported.")] };
  }),
  tool(
    "test_sampling",
    async ({ prompt = "" }, extra) => {
      const messages = [{ role: "user" as const, content: text(prompt) }];
      const { content } = await extra.sendRequest(
        { method: "sampling/createMessage", params: { messages, maxTokens: 100 } },
        CreateMessageResultSchema,
      );
      return { content: [text(`LLM response: ${content.type === "text" ? content.text : content.type}`)] };
    },
    takes("prompt"),
  ),
  tool(
    "test_elicitation",
    async ({ message = "" }, extra) => {
      const answer = await elicit(
        extra,
        message,
        {
          username: { type: "string", description: "User's response" },
          email: { type: "string", description: "User's email address" },
        },
        ["username", "email"],
      );
      return { content: [text(`User response: ${answer}`)] };
    },
    takes("message"),
  ),
  tool("test_elicitation_sep1034_defaults", async (_input, extra) => {
    const answer = await elicit(extra, "Are these right?", {
      name: { type: "string", description: "Name", default: "John Doe" },
      age: { type: "integer", description: "Age", default: 30 },
      score: { type: "number", description: "Score", default: 95.5 },
      status: { type: "string", description: "Status", enum: ["active", "inactive", "pending"], default: "active" },
      verified: { type: "boolean", description: "Verified", default: true },
    });
    return { content: [text(`Elicitation completed: ${answer}`)] };
  }),
  tool("test_elicitation_sep1330_enums", async (_input, extra) => {
    const answer = await elicit(extra, "Choose.", {
      untitledSingle: { type: "string", enum: OPTIONS },
      titledSingle: { type: "string", oneOf: titled("Option", ["First", "Second", "Third"]) },
      legacyEnum: {
        type: "string",
        enum: ["opt1", "opt2", "opt3"],
        enumNames: ["Option One", "Option Two", "Option Three"],
      },
      untitledMulti: { type: "array", items: { type: "string", enum: OPTIONS } },
      titledMulti: { type: "array", items: { anyOf: titled("Choice", ["First", "Second", "Third"]) } },
    });
    return { content: [text(`Elicitation completed: ${answer}`)] };
  }),
];
