/** What the bridge reads of the messages that it forwards. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { answeredId, Conversation } from "../../src/daemon/bridge/messages.js";
import { StackwardenError } from "../../src/errors.js";
import { LineSplitter } from "../../src/system/line-splitter.js";

const id = fc.oneof(fc.nat(), fc.string());
const line = (message: object) => JSON.stringify({ jsonrpc: "2.0", ...message });

it("answeredId finds the id of an answer in any member order, and none in another message", () => {
  fc.assert(
    fc.property(id, fc.jsonValue(), fc.boolean(), (value, content, last) => {
      const answer = { result: content, jsonrpc: "2.0", id: value };
      const other = { id: value, jsonrpc: "2.0", result: content };
      expect(answeredId(JSON.stringify(last ? answer : other))).toEqual(value);
      // A request of the server has the server's ids and is not an answer, even with a result in it.
      expect(
        answeredId(JSON.stringify({ method: "ping", result: content, jsonrpc: "2.0", id: value })),
      ).toBeUndefined();
      expect(answeredId(JSON.stringify({ method: "notifications/x", params: answer }))).toBeUndefined();
    }),
  );
  for (const text of ["", "{", "[]", "null", "7", '{"result":', '{"result":1}', '"jsonrpc":"2.0","id":1}'])
    expect(answeredId(text)).toBeUndefined();
});

it("lines are the same wherever chunks are cut, and a line without an end is reported", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: "grapheme" }).map((text) => text.replaceAll(/[\r\n]/g, "_"))),
      fc.integer({ min: 1, max: 9 }),
      (texts, size) => {
        const seen: string[] = [];
        const lines = new LineSplitter((text) => seen.push(text), 1_048_576);
        const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(""));
        for (let at = 0; at < bytes.length; at += size) expect(lines.push(bytes.subarray(at, at + size))).toBe(true);
        expect(seen).toEqual(texts.filter((text) => text.trim() !== ""));
      },
    ),
  );
  const lines = new LineSplitter(() => undefined, 10);
  expect(lines.push(Buffer.from("0123456789"))).toBe(true);
  expect(lines.push(Buffer.from("x"))).toBe(false);
});

it("each pending request is answered once, with the error of its kind", () => {
  const conversation = new Conversation();
  for (const message of [
    { id: 1, method: "tools/call", params: { name: "list_stacks" } },
    { id: "two", method: "resources/read" },
    { id: 3, method: "tools/list" },
    { id: 4, method: "ping" },
    { method: "notifications/cancelled", params: { requestId: 4 } },
  ])
    conversation.fromClient(line(message));
  conversation.fromServer(line({ id: 3, result: {} }));
  expect(conversation.waiting).toBe(2);
  const lost = new StackwardenError("SERVER_LOST", "It ended.", { hint: "Call again." });
  const answers = conversation.abandon(lost.report()).map((text) => JSON.parse(text));
  expect(answers).toMatchObject([
    { id: 1, result: { isError: true, structuredContent: { code: "SERVER_LOST", hint: "Call again." } } },
    { id: "two", error: { code: -32_000, message: "It ended. Call again.", data: { code: "SERVER_LOST" } } },
  ]);
  expect(conversation.abandon(lost.report())).toEqual([]);
});

it("a new server receives the session of the old one, and its answers do not reach the client", () => {
  const conversation = new Conversation();
  const from = (message: object) => conversation.fromClient(line(message));
  from({ id: 0, method: "initialize", params: { clientInfo: { name: "t", version: "1" } } });
  // The client has no answer yet and initializes the new server itself.
  expect(conversation.replay()).toEqual([]);
  conversation.fromServer(line({ id: 0, result: {} }));
  from({ method: "notifications/initialized" });
  from({ id: 1, method: "logging/setLevel", params: { level: "warning" } });
  for (const uri of ["stack://a", "stack://b"]) from({ id: uri, method: "resources/subscribe", params: { uri } });
  from({ id: 2, method: "resources/unsubscribe", params: { uri: "stack://a" } });
  const replayed = conversation.replay().map((text) => JSON.parse(text));
  expect(replayed).toMatchObject([
    { method: "initialize", params: { clientInfo: { name: "t" } } },
    { method: "notifications/initialized" },
    { method: "logging/setLevel", params: { level: "warning" } },
    { method: "resources/subscribe", params: { uri: "stack://b" } },
  ]);
  const ids = replayed.map((message) => message.id).filter((one) => one !== undefined);
  expect(new Set(ids).size).toBe(3);
  for (const one of ids) expect(conversation.fromServer(line({ id: one, result: {} }))).toBe(false);
  expect(conversation.fromServer(line({ id: 2, result: {} }))).toBe(true);
});
