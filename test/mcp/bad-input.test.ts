/** Every operation with every kind of bad value, through the MCP interface. No bad value reaches the manager. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import { operations } from "../../src/operations/index.js";
import { detailed } from "../support/detailed.js";
import { type Connected, connect } from "../support/mcp-client.js";

type Json = Record<string, unknown>;

/** The minimal input of each operation, so that the bad field is the only error. */
const GOOD: Record<string, Json> = {
  start_stack: { project: "shop" },
  stop_stack: { project: "shop" },
  list_stacks: {},
  health_status: { project: "shop" },
  get_logs: { project: "shop" },
  restart_service: { project: "shop", service: "backend" },
  set_limits: { project: "shop", service: "backend", cpus: 1 },
  get_stats: { project: "shop" },
  get_events: { project: "shop" },
  check_stack: { project: "shop" },
  diagnose: { project: "shop" },
  run_command: { project: "shop", service: "backend", command: ["true"] },
  save_snapshot: { project: "shop" },
  restore_snapshot: { project: "shop", snapshot: "one" },
  list_snapshots: { project: "shop" },
  delete_snapshot: { project: "shop", snapshot: "one" },
};

const HUGE = "x".repeat(200_000);
const WRONG_TYPES: [string, unknown][] = [
  ["an object", { a: 1 }],
  ["a nested list", [["a"]]],
];
const NOT_A_STRING: [string, unknown][] = [...WRONG_TYPES, ["a number", 7], ["true", true], ["a list", ["shop", 1]]];
const BAD_NAMES: [string, unknown][] = [
  ["empty", ""],
  ["blank", "   "],
  ["too long", "a".repeat(64)],
  ["huge", HUGE],
  ["NUL", "shop\u0000"],
  ["newline", "shop\nrm"],
  ["escape sequence", "\u001b[31mshop"],
  ["right-to-left override", "sh\u202eop"],
  ["parent folder", "../shop"],
  ["encoded parent folder", "..%2fshop"],
  ["dots", ".."],
  ["absolute path", "/etc/passwd"],
  ["backslashes", "..\\shop"],
  ["option", "--rm"],
  ["short option", "-v"],
  ["prototype", "__proto__"],
  ["shell", "shop; rm -rf /"],
  ["substitution", "$(id)"],
  ["glob", "*"],
  ["leading underscore", "_shop"],
  ["other letters", "ѕhop"],
];
const BAD_FLAGS: [string, unknown][] = [...WRONG_TYPES, ["text", "yes"], ["a number", 1], ["a list", [true]]];
const badNumbers = (...outside: unknown[]): [string, unknown][] => [
  ...WRONG_TYPES,
  ["text", "five"],
  ["text with a rest", "5x"],
  ["empty text", ""],
  ["hexadecimal", "0x10"],
  ["exponent", "1e3"],
  ["an option", "--rm"],
  ["true", true],
  ["a list", [5]],
  ["not a number", Number.NaN],
  ["infinite", Number.POSITIVE_INFINITY],
  ...outside.map((value): [string, unknown] => [String(value), value]),
];
const badLists = (...entries: unknown[]): [string, unknown][] => [
  ["a number", 7],
  ["an object", { 0: "backend" }],
  ["too many", Array.from({ length: 51 }, () => "backend")],
  ...entries.map((entry): [string, unknown] => [`a list with ${JSON.stringify(String(entry).slice(0, 20))}`, [entry]]),
];
const hostile = (key: string, value: unknown): unknown =>
  JSON.parse(`{${JSON.stringify(key)}:${JSON.stringify(value)}}`);
const BAD_KEYS = ["__proto__", "constructor", "prototype", "toString", "--rm", "../x", "a\u0000b", "", "a".repeat(64)];
const badRecords = (good: unknown, ...bad: unknown[]): [string, unknown][] => [
  ["a list", [good]],
  ["text", "backend=1"],
  ["a list as text", "[8000]"],
  ["a hostile key in text", '{"__proto__": 1}'],
  ["broken JSON", '{"backend": '],
  ["a number", 8000],
  ...BAD_KEYS.map((key): [string, unknown] => [`key ${JSON.stringify(key).slice(0, 20)}`, hostile(key, good)]),
  ["too many", Object.fromEntries(Array.from({ length: 51 }, (_, at) => [`s${at}`, good]))],
  ...bad.map((value): [string, unknown] => [
    `value ${Number.isNaN(value) ? "NaN" : JSON.stringify(value)}`,
    { backend: value },
  ]),
];

const BAD: Record<string, [string, unknown][]> = {
  project: [...NOT_A_STRING, ...BAD_NAMES, ["upper case", "Shop"], ["constructor", "constructor"]],
  service: [...NOT_A_STRING, ...BAD_NAMES],
  services: badLists(7, null, ["a"], ...BAD_NAMES.map(([, value]) => value)),
  profiles: [
    ["a bad name as text", "--rm"],
    ["a bad name in JSON text", '["--rm"]'],
    ...badLists(7, null, "--rm", "../x", "__proto__", "a\u0000"),
  ],
  files: [
    ["an option as text", "--rm"],
    ["a path out of the project", '["../compose.yaml"]'],
    ...badLists(7, null, "--rm", "../x", "a\u0000"),
  ],
  without: [
    ["a bad name as text", "--rm"],
    ["a bad name in JSON text", '["--rm"]'],
    ...badLists(7, null, "--rm", "../x", "__proto__", "a\u0000"),
  ],
  folder: [
    ...NOT_A_STRING,
    ["empty", ""],
    ["too long", "a".repeat(4097)],
    ["huge", HUGE],
    ["NUL", "shop\u0000.txt"],
    ["newline", "shop\n"],
    ["escape", "\u001b]0;x\u0007"],
    ["parent", "../../etc"],
    ["parent inside", "shop/../../etc"],
    ["parent at the end", "shop/.."],
    ["backslash parent", "shop\\..\\.."],
    ["option", "--rm"],
    ["lone surrogate", "shop\ud800"],
  ],
  ports: badRecords(8000, 0, -1, 65_536, 1.5, "8000x", null, [8000], Number.NaN, { port: 1 }),
  limits: badRecords(
    { cpus: 1 },
    7,
    null,
    "1",
    [],
    { cpus: 0.001 },
    { cpus: "one" },
    { memory_mb: 5 },
    { memory_mb: 1.5 },
    { pids: -1 },
    { cpu: 1 },
    { cpus: Number.NaN },
  ),
  cpus: badNumbers(-1, 0.001, 1025),
  memory_mb: badNumbers(-1, 5, 6.5, 1e12),
  pids: badNumbers(-1, 1.5, 1e9),
  timeout_seconds: badNumbers(0, -1, 601),
  wait_seconds: badNumbers(-1, 51),
  tail: badNumbers(0, -1, 10_001, 1.5),
  max_bytes: badNumbers(0, 999, 200_001, 1000.5),
  limit: badNumbers(0, -1, 1001, 1.5),
  after: badNumbers(-1, 1.5, 2 ** 53),
  since: [
    ...NOT_A_STRING,
    ["empty", ""],
    ["words", "yesterday"],
    ["no unit", "10"],
    ["unknown unit", "10y"],
    ["impossible", "2026-13-45T00:00:00Z"],
    ["no zone", "2026-01-31T12:00:00"],
    ["option", "--rm"],
    ["NUL", "10m\u0000"],
    ["huge", HUGE],
  ],
  grep: [...NOT_A_STRING, ["empty", ""], ["NUL", "a\u0000"], ["newline", "a\nb"], ["too long", "a".repeat(1001)]],
  cursor: [...NOT_A_STRING, ["empty", ""], ["option", "--rm"], ["path", "../x"], ["NUL", "a\u0000"], ["huge", HUGE]],
  only: [...NOT_A_STRING, ["unknown", "warnings"], ["upper case", "ERRORS"], ["prototype", "__proto__"]],
  min_level: [...NOT_A_STRING, ["unknown", "loud"], ["empty", ""], ["prototype", "constructor"]],
  context: badNumbers(-1, 21, 1.5),
  summary: BAD_FLAGS,
  history: BAD_FLAGS,
  stream: [...NOT_A_STRING, ["unknown", "stdin"], ["upper case", "STDOUT"], ["prototype", "__proto__"]],
  wait_for: [...NOT_A_STRING, ["unknown", "happy"], ["prototype", "constructor"]],
  types: badLists("exploded", 7, null, "__proto__"),
  wait: BAD_FLAGS,
  shell: BAD_FLAGS,
  name: [...NOT_A_STRING, ...BAD_NAMES],
  snapshot: [...NOT_A_STRING, ...BAD_NAMES],
  "stop_stack.snapshot": BAD_FLAGS,
  data_from: [
    ["text", "shop"],
    ["a number", 7],
    ["a list", ["shop"]],
    ["no project", {}],
    ["a bad project", { project: "../x" }],
    ["a bad snapshot", { project: "shop", snapshot: "../x" }],
    ["another field", { project: "shop", other: 1 }],
  ],
  one_off: BAD_FLAGS,
  dependencies: BAD_FLAGS,
  command: [
    ["a number", 7],
    ["true", true],
    ["an object", { 0: "npm" }],
    ["empty", ""],
    ["an empty list", []],
    ["an empty program", ["", "test"]],
    ["a nested list", [["npm"]]],
    ["a number in a list", ["npm", 7]],
    ["NUL", "npm\u0000test"],
    ["NUL in a list", ["npm", "te\u0000st"]],
    ["huge", HUGE],
    ["too many words", Array.from({ length: 1001 }, () => "a")],
  ],
  workdir: [
    ...NOT_A_STRING,
    ["empty", ""],
    ["relative", "app"],
    ["parent", "../app"],
    ["option", "--rm"],
    ["NUL", "/app\u0000"],
    ["newline", "/app\n"],
    ["too long", `/${"a".repeat(4096)}`],
  ],
  env: [
    ["a list", ["A=1"]],
    ["text", "A=1"],
    ["a number", 7],
    ["an empty name", { "": "1" }],
    ["a name with an equals sign", { "A=B": "1" }],
    ["a name with NUL", { "A\u0000": "1" }],
    ["a number as value", { A: 1 }],
    ["NUL in a value", { A: "a\u0000b" }],
    ["a huge value", { A: HUGE }],
    ["too many", Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`A${at}`, "1"]))],
    ["prototype", hostile("__proto__", "1")],
  ],
  stdin: [...WRONG_TYPES, ["a number", 7], ["true", true], ["too long", "x".repeat(262_145)]],
  fresh: BAD_FLAGS,
  running: BAD_FLAGS,
  force: BAD_FLAGS,
  confirm: BAD_FLAGS,
  remove_volumes: BAD_FLAGS,
  forget: BAD_FLAGS,
  watch: BAD_FLAGS,
  idle_stop: badNumbers(-1, 0.5, 31_536_001, "500ms", "400d", "-1", "2x"),
  dependents: BAD_FLAGS,
  regex: BAD_FLAGS,
  previous: BAD_FLAGS,
  follow: BAD_FLAGS,
};
BAD["run_command.timeout_seconds"] = badNumbers(0, -1, 86_401);
BAD.until = BAD.since ?? [];
// wait_for is a condition in health_status and a text in get_logs.
BAD["get_logs.wait_for"] = BAD.grep ?? [];

const BAD_ARGUMENT_NAMES = ["__proto__", "constructor", "prototype", "--rm", "Project", "project ", "command", "env"];

interface Detail {
  issues: { field: string; problem: string; valid: string }[];
}

let connected: Connected;
beforeAll(async () => {
  connected = await connect();
});
afterAll(() => connected.close());

async function refused(operation: string, input: unknown, field: string): Promise<void> {
  const { isError, error, text } = await connected.call(operation, detailed(operation, input as object));
  expect(isError).toBe(true);
  expect(error.code).toBe("INVALID_INPUT");
  const { issues } = error.details as unknown as Detail;
  const found = issues.find((issue) => issue.field === field || issue.field.startsWith(`${field}.`));
  expect(found, `${error.message} names ${field}`).toBeDefined();
  expect(found?.valid.length).toBeGreaterThan(3);
  expect(error.message).toContain(found?.valid);
  expect(error.hint).not.toBe("");
  expect(text.length).toBeLessThan(12_000);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this matches.
  expect(error.message).not.toMatch(/[\u0000-\u001f\u202e]/);
  expect(connected.manager.calls).toEqual([]);
  expect(connected.managersMade).toBe(0);
}

describe.each(operations.map((operation) => [operation.name, operation] as const))("%s", (name, operation) => {
  const shape = (operation.input as z.ZodObject).shape;
  const good = GOOD[name] ?? {};

  for (const field of Object.keys(shape)) {
    const bad = BAD[`${name}.${field}`] ?? BAD[field];
    test(`this test has bad values of ${field} for ${name}`, () => expect(bad?.length).toBeGreaterThan(3));
    test.each(bad ?? [])(`${name} refuses a bad value of ${field}: %s`, (_kind, value) =>
      refused(name, { ...good, [field]: value }, field),
    );
  }

  test.each(Object.keys(good).filter((field) => field === "project" || field === "service"))(
    `${name} requires %s`,
    async (field) => {
      const { [field]: _left, ...rest } = good;
      await refused(name, rest, field);
      await refused(name, { ...rest, [field]: null }, field);
    },
  );

  test.each(BAD_ARGUMENT_NAMES.filter((key) => !Object.hasOwn(shape, key)))(
    `${name} refuses an argument named %s`,
    async (key) => {
      const input = JSON.parse(
        `${JSON.stringify(good).slice(0, -1)}${Object.keys(good).length > 0 ? "," : ""}${JSON.stringify(key)}:1}`,
      );
      await refused(name, input, key);
    },
  );

  test(`${name} refuses deep nesting and many members`, async () => {
    let deep: unknown = 1;
    for (let level = 0; level < 50; level += 1) deep = { deep };
    await refused(name, { ...good, deep }, "deep");
    const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`k${at}`, at]));
    await refused(name, { ...good, wide }, "wide");
  });

  test(`${name} refuses arguments that are not an object as a malformed request`, async () => {
    for (const input of [[], "project", 7]) {
      await expect(connected.call(name, input)).rejects.toMatchObject({ code: -32602 });
    }
    expect(connected.managersMade).toBe(0);
  });
});

test("an agent gets the valid values of an argument once, unless it asks for the full report", async () => {
  const input = { project: "shop", tail: 0 };
  const { error, text } = await connected.call("get_logs", input);
  expect(error.details).toEqual({ operation: "get_logs", issues: [{ field: "tail", problem: "got 0" }] });
  expect(text.split("an integer from 1 to 10,000")).toHaveLength(2);
  const full = await connected.call("get_logs", { ...input, detail: true });
  expect(full.error.details).toHaveProperty("issues.0.valid", "an integer from 1 to 10,000");
});

test("fields that contradict each other are refused before a call of the manager", async () => {
  // The operation finds these after it has created its manager and before it calls it.
  const own = await connect();
  const cases: [string, Json, string][] = [
    ["get_logs", { project: "shop", service: "backend", services: ["backend"] }, "services"],
    ["get_logs", { project: "shop", regex: true }, "regex"],
    ["get_logs", { project: "shop", only: "errors", min_level: "info" }, "min_level"],
    ["get_logs", { project: "shop", wait_for: "x", summary: true }, "summary"],
    ["get_logs", { project: "shop", wait_for: "x", only: "errors" }, "wait_for"],
    ["get_logs", { project: "shop", since: "1m", until: "1h" }, "since"],
    ["set_limits", { project: "shop", service: "backend" }, "cpus"],
  ];
  for (const [name, input, field] of cases) {
    const { error } = await own.call(name, input);
    expect(error.code).toBe("INVALID_INPUT");
    expect((error.details as unknown as Detail).issues[0]?.field).toBe(field);
  }
  expect(own.manager.calls).toEqual([]);
  await own.close();
});
