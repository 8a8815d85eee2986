/** Size and content of the tool list, which stays in a model's context for the whole session. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { toolOf } from "../../src/mcp/tool-list.js";
import { operations } from "../../src/operations/index.js";

/** Common estimate of characters per token. */
const CHARACTERS_PER_TOKEN = 4;
const GOLDEN = fileURLToPath(new URL("tool-list.golden.json", import.meta.url));

const tools = operations.map(toolOf);
const tokens = (value: unknown): number => JSON.stringify(value).length / CHARACTERS_PER_TOKEN;
const shownToModel = tools.map(({ name, description, inputSchema }) => ({ name, description, inputSchema }));

test("the part of the list that a model sees costs at most 3,500 tokens", () => {
  expect(tokens(shownToModel)).toBeLessThanOrEqual(3500);
});

test("the whole list costs at most 8,000 tokens", () => {
  expect(tokens({ tools })).toBeLessThanOrEqual(8000);
});

test.each(shownToModel.map((tool) => [tool.name, tool] as const))("%s costs at most 600 tokens", (_name, tool) => {
  expect(tokens(tool)).toBeLessThanOrEqual(600);
});

/** Keywords of JSON Schema that every model provider accepts in a tool. */
const ACCEPTED = new Set(
  "type properties required items description enum default anyOf additionalProperties maximum".split(" "),
);

function keywordsOf(schema: Record<string, unknown>): string[] {
  return Object.entries(schema).flatMap(([key, value]) => {
    const members: unknown[] =
      key === "properties"
        ? Object.values(value as object)
        : key === "items" || key === "additionalProperties"
          ? [value]
          : key === "anyOf"
            ? (value as unknown[])
            : [];
    const inner = members.filter((one): one is Record<string, unknown> => typeof one === "object" && one !== null);
    return [key, ...inner.flatMap(keywordsOf)];
  });
}

test.each(shownToModel.map(({ name, inputSchema }) => [name, inputSchema] as const))(
  "the input schema of %s uses only keywords that every model provider accepts",
  (_name, schema) => {
    expect(keywordsOf(schema).filter((keyword) => !ACCEPTED.has(keyword))).toEqual([]);
    for (const key of ["anyOf", "oneOf", "allOf"]) expect(schema).not.toHaveProperty(key);
    expect(schema).toMatchObject({ type: "object", additionalProperties: false });
  },
);

test("the list is the one of the golden file (UPDATE_GOLDEN=1 writes it)", () => {
  if (process.env.UPDATE_GOLDEN === "1") writeFileSync(GOLDEN, `${JSON.stringify(shownToModel, null, 2)}\n`);
  // Compared as text, because clients cache the order of fields as well.
  expect(JSON.stringify(shownToModel)).toBe(JSON.stringify(JSON.parse(readFileSync(GOLDEN, "utf8"))));
});
