import { expect, test } from "vitest";
import type { z } from "zod";
import { toolOf } from "../../src/mcp/tool-list.js";
import { validOf } from "../../src/operations/fields.js";
import { operations } from "../../src/operations/index.js";

test("the names, order and annotations of operations are fixed", () => {
  const table = operations.map(({ name, annotations }) => {
    const { readOnly, destructive, idempotent, openWorld } = annotations;
    return [name, ...[readOnly, destructive, idempotent, openWorld].map((yes) => (yes ? "y" : "n"))].join(" ");
  });
  expect(table).toEqual([
    "start_stack n n y y",
    "stop_stack n y y n",
    "list_stacks y n y n",
    "check_stack y n y n",
    "health_status y n y y",
    "get_logs y n y y",
    "restart_service n n n y",
    "set_limits n n y n",
    "get_stats y n y n",
    "get_events y n y y",
    "diagnose y n y y",
    "run_command n y n y",
    "save_snapshot n n n n",
    "restore_snapshot n y n n",
    "list_snapshots y n y n",
    "delete_snapshot n y n n",
  ]);
});

test.each(operations.map((operation) => [operation.name, operation] as const))(
  "the description of %s has an example that its schema accepts",
  (_name, operation) => {
    expect(operation.name).toMatch(/^[a-z]+(_[a-z]+)?$/);
    expect(operation.name.length).toBeLessThanOrEqual(64);
    const example = /^Example: (\{.*\})$/m.exec(operation.description)?.[1] ?? "";
    expect(operation.input.safeParse(JSON.parse(example)).success).toBe(true);
  },
);

test.each(operations.map((operation) => [operation.name, operation] as const))(
  "every field of %s has a phrase for its valid values",
  (_name, operation) => {
    for (const [field, schema] of Object.entries(operation.input.shape)) {
      let inner = schema as z.ZodType;
      while (validOf(inner) === undefined && "innerType" in inner.def) inner = inner.def.innerType as z.ZodType;
      expect(validOf(inner)?.length, field).toBeGreaterThan(3);
    }
  },
);

test("every operation that changes something requires a project", () => {
  for (const operation of operations) {
    if (operation.annotations.readOnly) continue;
    expect((operation.input as z.ZodObject).shape).toHaveProperty("project");
    expect(toolOf(operation).inputSchema.required).toContain("project");
  }
});

test("every destructive operation except run_command has confirm", () => {
  for (const operation of operations) {
    if (operation.name === "run_command") continue;
    expect("confirm" in operation.input.shape).toBe(operation.annotations.destructive);
  }
});
