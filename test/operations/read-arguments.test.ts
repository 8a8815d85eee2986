/** Arguments as real clients send them, for every operation and through the MCP interface. */
import { expect, test } from "vitest";
import type { z } from "zod";
import { operationNamed, operations, parseInput } from "../../src/operations/index.js";
import { durationMs } from "../../src/stack/text/duration.js";
import { nearest } from "../../src/system/nearest.js";
import { connect } from "../support/mcp-client.js";

const parsed = (name: string, input: object): Record<string, unknown> => parseInput(operationNamed(name), input);

test.each([
  ["get_logs", "tail", "50", 50],
  ["get_logs", "tail", " 50 ", 50],
  ["get_logs", "follow", "true", true],
  ["get_logs", "follow", "False", false],
  ["get_logs", "wait_seconds", "0.5", 0.5],
  ["get_logs", "wait_seconds", "20s", 20],
  ["get_logs", "since", "1h30m", "1h30m"],
  ["get_logs", "since", "5min", "5min"],
  ["get_logs", "services", "backend", ["backend"]],
  ["get_logs", "services", "backend, redis", ["backend", "redis"]],
  ["get_logs", "services", '["backend", "redis"]', ["backend", "redis"]],
  ["get_events", "types", "service_crashed", ["service_crashed"]],
  ["start_stack", "profiles", "dev", ["dev"]],
  ["start_stack", "ports", '{"web": 8080}', { web: 8080 }],
  ["start_stack", "ports", { web: "8080" }, { web: 8080 }],
  [
    "start_stack",
    "limits",
    '{"web": {"cpus": "0.5", "memory_mb": "1g", "pids": null}}',
    { web: { cpus: 0.5, memory_mb: 1024 } },
  ],
  ["start_stack", "timeout_seconds", "5min", 300],
  ["start_stack", "timeout_seconds", "1m30s", 90],
  ["set_limits", "memory_mb", "512MiB", 512],
  ["set_limits", "cpus", "1.5", 1.5],
])("%s reads %s: %j as %j", (name, field, value, expected) => {
  const service = name === "set_limits" ? { service: "backend" } : {};
  expect(parsed(name, { project: "shop", ...service, [field]: value })[field]).toEqual(expected);
});

test.each(operations.map((operation) => [operation.name, operation] as const))(
  "%s reads null for an optional field as its absence",
  (_name, operation) => {
    const shape = operation.input.shape as Record<string, z.ZodType>;
    const required = { project: "shop", service: "backend", command: ["true"], snapshot: "one", name: "one" };
    const least = Object.fromEntries(
      Object.entries(required).filter(([field]) => shape[field]?.safeParse(undefined).success === false),
    );
    const nulls = Object.fromEntries(Object.keys(shape).map((field) => [field, null]));
    expect(parseInput(operation, { ...nulls, ...least })).toEqual(parseInput(operation, least));
  },
);

test.each(operations.map((operation) => [operation.name] as const))(
  "%s ignores fields that clients add, and suggests a name for a misspelt one",
  async (name) => {
    const connected = await connect();
    const input = { project: "shop", service: "backend", cpus: 1 };
    const fields = operationNamed(name).input.shape;
    const good = Object.fromEntries(Object.entries(input).filter(([field]) => field in fields));
    const clientFields = { task_progress: "- [x] start", random_string: "x" };
    const probe = { ...good, ...clientFields, projekt: "shop" };
    const { error } = await connected.call(name, probe);
    expect(error.code).toBe("INVALID_INPUT");
    expect(error.message).not.toMatch(/task_progress|random_string/);
    expect(error.message).toContain("projekt is unknown");
    if ("project" in fields) expect(error.message).toContain("did you mean project?");
    await connected.close();
  },
);

test("list_stacks accepts null, no arguments, and fields that clients add", async () => {
  const connected = await connect();
  for (const input of [null, {}, { random_string: "" }]) {
    expect((await connected.call("list_stacks", input)).isError).toBe(false);
  }
  await connected.close();
});

test.each([
  ["90s", 90_000],
  ["5min", 300_000],
  ["1h30m", 5_400_000],
  ["1h 30 minutes", 5_400_000],
  ["2 hours", 7_200_000],
  ["0.5h", 1_800_000],
  ["250ms", 250],
  ["1d", 86_400_000],
  ["10", null],
  ["10y", null],
  ["m", null],
  ["", null],
  ["-5m", null],
  ["5m ago", null],
])("durationMs(%j) is %j", (text, ms) => {
  expect(durationMs(text)).toBe(ms);
});

test.each([
  ["timeoutSeconds", ["project", "timeout_seconds"], "timeout_seconds"],
  ["servce", ["project", "service", "services"], "service"],
  ["xyz", ["project", "service"], undefined],
  ["", ["a"], undefined],
  ["p".repeat(1000), ["project"], undefined],
])("the misspelt name %j among %j has the suggestion %j", (name, candidates, expected) => {
  expect(nearest(name, candidates)).toBe(expected);
});
