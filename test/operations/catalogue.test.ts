import { expect, test } from "vitest";
import type { z } from "zod";
import { toolOf } from "../../src/mcp/tool-list.js";
import { operations } from "../../src/operations/index.js";

test("names, order and classification are fixed", () => {
  const table = operations.map(({ name, annotations }) => {
    const { readOnly, destructive, idempotent, openWorld } = annotations;
    return [name, ...[readOnly, destructive, idempotent, openWorld].map((yes) => (yes ? "y" : "n"))].join(" ");
  });
  expect(table).toEqual([
    "start_stack n n y y",
    "stop_stack n y y n",
    "list_stacks y n y n",
    "health_status y n y y",
    "get_logs y n y y",
    "restart_service n n n y",
    "set_limits n n y n",
    "get_stats y n y n",
    "get_events y n y y",
    "diagnose y n y y",
  ]);
});

test.each(operations.map((operation) => [operation.name, operation] as const))(
  "%s is described for an agent",
  (_name, operation) => {
    expect(operation.name).toMatch(/^[a-z]+(_[a-z]+)?$/);
    expect(operation.name.length).toBeLessThanOrEqual(64);
    expect(operation.description.length).toBeLessThanOrEqual(1024);
    for (const word of ["When:", "Returns", "Example: {"]) expect(operation.description).toContain(word);
    const example = /^Example: (\{.*\})$/m.exec(operation.description)?.[1] ?? "";
    expect(operation.input.safeParse(JSON.parse(example)).success).toBe(true);
  },
);

test.each(operations.map((operation) => [operation.name, operation] as const))(
  "%s describes every field with its valid values",
  (_name, operation) => {
    const { inputSchema } = toolOf(operation);
    expect(inputSchema).toMatchObject({ $schema: expect.stringContaining("2020-12"), additionalProperties: false });
    for (const [field, schema] of Object.entries(inputSchema.properties ?? {})) {
      expect((schema as { description?: string }).description, field).toMatch(/ Valid: .+\.$/);
    }
  },
);

test("what changes something names its project", () => {
  for (const operation of operations) {
    if (operation.annotations.readOnly) continue;
    expect((operation.input as z.ZodObject).shape).toHaveProperty("project");
    expect(toolOf(operation).inputSchema.required).toContain("project");
  }
});

test("what can destroy has a confirmation", () => {
  for (const operation of operations) {
    expect("confirm" in operation.input.shape).toBe(operation.annotations.destructive);
  }
});

test("tools/list stays small: what a model is shown of it too", () => {
  const tools = operations.map(toolOf);
  const shown = tools.map(({ name, description, inputSchema }) => ({ name, description, inputSchema }));
  expect(JSON.stringify(shown).length).toBeLessThan(20_000);
  expect(JSON.stringify(tools).length).toBeLessThan(48_000);
});
