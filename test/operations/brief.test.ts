/** Brief results: their size relative to the text that they carry, and that they omit nothing that matters. */
import { describe, expect, test } from "vitest";
import { briefStart, briefStop } from "../../src/operations/brief/changes.js";
import { briefCheck } from "../../src/operations/brief/check.js";
import { briefLogs } from "../../src/operations/brief/logs.js";
import { briefEvents, briefStacks } from "../../src/operations/brief/reports.js";
import type { EventPage, LogReport, StackReport } from "../../src/stack/model.js";
import type { StackCheck } from "../../src/stack/schemas/check.js";
import { connect } from "../support/mcp-client.js";
import { LIMITS, serviceReport } from "../support/scripted-manager.js";

const at = (second: number): string => new Date(Date.parse("2026-01-31T12:00:00Z") + second * 1000).toISOString();

function report(texts: [service: string, text: string, second?: number][]): LogReport {
  return {
    project: "shop",
    services: [...new Set(texts.map(([service]) => service))],
    lines: texts.map(([service, text, second = 0], index) => ({
      seq: index + 1,
      time: at(second),
      service,
      stream: "stdout",
      generation: 1,
      text,
    })),
    next_cursor: "0badcafe:100",
    line_count: texts.length,
    omitted: null,
    dropped: {},
  };
}
const lines = (...texts: [service: string, text: string, second?: number][]): string[] =>
  (briefLogs.of(report(texts)) as { lines: string[] }).lines;
const size = (value: unknown): number => JSON.stringify(value).length;

const WORDS = "user opened the basket and changed an address before the payment was confirmed by the bank".split(" ");
const sentence = (n: number): string =>
  `${["INFO", "DEBUG", "WARN"][n % 3]} shop.orders ${WORDS.slice(n % 7, (n % 7) + 6 + (n % 4)).join(" ")} ${WORDS[(n * 5) % 16]} ${WORDS[(n * 11) % 16]}`;

test("the problem of a check ends with a full stop before its hint", () => {
  const problem = {
    kind: "invalid",
    service: "web",
    file: "compose.yaml",
    line: 3,
    path: "services.web.ports",
  } as const;
  const check = {
    project: "shop",
    folder: "/shop",
    startable: false,
    runtime: "local",
    files: [],
    services: [],
    without: [],
    left_out: [],
    volumes: [],
    notes: [],
    problems: [
      { ...problem, message: "must be a list", hint: "Write it as a list." },
      { ...problem, message: "Ports are missing.", hint: "" },
    ],
  } satisfies StackCheck;
  expect(briefCheck.of(check)).toMatchObject({
    problems: [
      "invalid: compose.yaml:3: services.web.ports: must be a list. Write it as a list.",
      "invalid: compose.yaml:3: services.web.ports: Ports are missing.",
    ],
  });
});

describe("briefLogs", () => {
  test("lines of one service and of three cost at most 1.3 times their text", () => {
    for (const services of [1, 3]) {
      const many = Array.from({ length: 100 }, (_, n): [string, string, number] => [
        ["backend", "web", "worker"][Math.floor(n / 4) % services] as string,
        sentence(n),
        Math.floor(n / 4),
      ]);
      const text = many.reduce((sum, [, line]) => sum + line.length, 0);
      expect(size(briefLogs.of(report(many)))).toBeLessThanOrEqual(text * 1.3);
    }
  });

  test("time and service are shown where they change", () => {
    expect(lines(["web", "one", 1], ["web", "two", 1], ["db", "three", 1], ["db", "four", 2])).toEqual([
      "12:00:01 web| one",
      "two",
      "db| three",
      "12:00:02 four",
    ]);
    expect(lines(["web", "one", 1], ["web", "two", 2])).toEqual(["12:00:01 one", "12:00:02 two"]);
  });

  test("lines that differ only in numbers and ids become one, with count, first and last", () => {
    const many = Array.from({ length: 40 }, (_, n): [string, string, number] => [
      "web",
      `job ${n} done in ${n}.5ms`,
      n,
    ]);
    expect(lines(...many)).toEqual([
      "12:00:00 job 0 done in 0.5ms [40 similar, until 12:00:39: job 39 done in 39.5ms]",
    ]);
  });

  test("lines with different HTTP status codes are not combined", () => {
    const requests = Array.from({ length: 9 }, (_, n): [string, string] => [
      "web",
      `GET /orders/${n} ${n % 3 === 0 ? 500 : 200} ${n}ms`,
    ]);
    const shown = lines(...requests);
    expect(shown).toHaveLength(2);
    expect(shown.join("\n")).toMatch(/ 500 .*\[3 similar/);
  });

  test("lines of a stack trace are not combined", () => {
    const frames = Array.from({ length: 6 }, (_, n): [string, string] => [
      "web",
      `    at Module._load (loader:${n}:1)`,
    ]);
    expect(lines(["web", "Error: no"], ...frames)).toHaveLength(7);
  });

  test("a long line among many keeps its first and last characters", () => {
    const long = `begin ${"x".repeat(3000)} end`;
    expect(lines(["web", long])).toEqual([`12:00:00 ${long}`]);
    const [first = ""] = lines(
      ["web", long],
      ...["a", "b", "c", "d", "e"].map((text): [string, string] => ["web", text]),
    );
    expect(first).toMatch(/^12:00:00 begin x+ …\(\d+ characters\)… x+ end$/);
    expect(first.length).toBeLessThan(520);
  });

  test("lines of two instances have the instance's number", () => {
    const two = report([
      ["web", "old"],
      ["web", "new"],
    ]);
    (two.lines[1] as { generation: number }).generation = 2;
    expect(briefLogs.of(two)).toHaveProperty("lines", ["12:00:00 web#1| old", "web#2| new"]);
  });
});

test("events cost at most 1.3 times their text", () => {
  const types = ["service_crashed", "service_unhealthy", "restart_scheduled", "warning"] as const;
  const page: EventPage = {
    project: "shop",
    events: Array.from({ length: 50 }, (_, n) => ({
      seq: n,
      time: at(n * 3),
      project: "shop",
      type: types[n % 4] as (typeof types)[number],
      service: "backend",
      message: `backend crashed: ${sentence(n)}.`,
      actor: n % 10 === 0 ? "claude/1.0#abcd" : "stackwarden",
      data: { exit_code: 1, generation: n },
    })),
    next_cursor: 50,
    omitted: 0,
  };
  const text = page.events.reduce((sum, { type, message }) => sum + type.length + message.length, 0);
  expect(size(briefEvents.of(page))).toBeLessThanOrEqual(text * 1.3);
});

const stack = (state: "healthy" | "stopped", change: Partial<StackReport> = {}): StackReport => ({
  project: "shop",
  folder: "/srv/shop",
  state: state === "healthy" ? "running" : "stopped",
  runtime: "local",
  source: "/srv/shop/compose.yaml",
  started_at: null,
  services: {
    web: { ...serviceReport("web"), state, endpoints: state === "healthy" ? serviceReport("web").endpoints : [] },
    migrate: { ...serviceReport("migrate"), state: state === "healthy" ? "completed" : "stopped", endpoints: [] },
  },
  notes: [],
  ...change,
});

test("the brief results of start and stop have one line for each service", () => {
  const outcome = {
    status: "healthy" as const,
    message: "The stack is running; every service is healthy.",
    missing: [],
    next: null,
    notes: ["web: node:22 runs Node 20."],
    before: stack("stopped"),
    after: stack("healthy"),
    verified: true,
    took_ms: 12,
  };
  expect(briefStart.of(outcome)).toEqual({
    status: "healthy",
    message: "The stack is running; every service is healthy.",
    services: { web: "stopped → healthy, http://127.0.0.1:8000", migrate: "stopped → completed" },
    notes: ["web: node:22 runs Node 20."],
    verified: true,
    took_ms: 12,
  });
  const { before, after } = outcome;
  const leased = { ...after, idle_stop: { seconds: 7200, stops_at: null } };
  expect(briefStart.of({ ...outcome, after: leased })).toHaveProperty("idle_stop", "after 7200 s without a call");
  expect(briefStart.of({ ...outcome, before: leased })).toHaveProperty("idle_stop", "off");
  const stopped = {
    status: "stopped" as const,
    message: "m",
    removed_volumes: [],
    next: null,
    verified: true,
    took_ms: 1,
  };
  expect(briefStop.of({ ...stopped, before: after, after: before })).toHaveProperty("services", {
    web: "healthy → stopped",
    migrate: "completed → stopped",
  });
});

test("the brief list omits limits without a value and says which are not enforced", () => {
  const running = stack("healthy");
  const web = running.services.web as (typeof running.services)[string];
  const memory_mb = { value: 512, enforcement: { level: "advisory" as const, reason: "no cgroup" } };
  web.limits = { ...LIMITS, memory_mb };
  const [shown] = briefStacks.of({ stacks: [running] }).stacks;
  expect(shown?.services).toMatchObject({
    web: "healthy, http://127.0.0.1:8000; limits: cpus 0.5, memory_mb 512 (advisory: no cgroup)",
  });
});

test("the brief list has declared commands, stale code and a missing folder", () => {
  const running = stack("healthy");
  const web = running.services.web as (typeof running.services)[string];
  web.commands = ["migrate", "test"];
  web.stale = {
    reason: "app.py changed after the instance started.",
    fix: "restart_service",
    files: ["app.py"],
    changed_at: at(0),
  };
  const stopped: StackReport = { ...running, state: "stopped", folder_missing: true };
  const [shown, other] = briefStacks.of({ stacks: [running, stopped] }).stacks;
  expect(shown).toMatchObject({
    services: { web: expect.stringContaining("stale: app.py changed after the instance started (restart_service)") },
    commands: { web: "migrate, test" },
  });
  expect(shown).not.toHaveProperty("folder_missing");
  expect(other).toMatchObject({ folder_missing: true, commands: { web: "migrate, test" } });
});

test("detail: true returns the whole report, and a value that is not a boolean is refused", async () => {
  const connected = await connect();
  expect((await connected.call("start_stack", { project: "shop" })).structured).not.toHaveProperty("before");
  for (const detail of [true, "true"])
    expect((await connected.call("start_stack", { project: "shop", detail })).structured).toHaveProperty("before");
  for (const detail of [null, false])
    expect((await connected.call("start_stack", { project: "shop", detail })).structured).not.toHaveProperty("before");
  for (const detail of [1, "yes", [], {}]) {
    const { error } = await connected.call("start_stack", { project: "shop", detail });
    expect(error).toMatchObject({
      code: "INVALID_INPUT",
      message: expect.stringContaining("detail: expected true or false"),
    });
  }
  const { error } = await connected.call("start_stack", { project: "shop", detial: true });
  expect(error.message).toMatch(/detial is unknown \(did you mean detail\?\); expected only project, .*, detail\./);
  await connected.close();
});

test("list_stacks returns one named project, or the running ones", async () => {
  const connected = await connect();
  expect((await connected.call("list_stacks", { project: "shop" })).structured.stacks).toHaveLength(1);
  expect((await connected.call("list_stacks", { project: "nope" })).error.code).toBe("UNKNOWN_PROJECT");
  expect((await connected.call("list_stacks", { running: true })).structured.stacks).toHaveLength(1);
  await connected.close();
});

test("the event of a stop that no client requested has its cause", () => {
  const page = (cause?: string): EventPage => ({
    project: "shop",
    events: [
      {
        seq: 1,
        time: at(0),
        project: "shop",
        type: "stack_stopping",
        service: null,
        message: `The stack is stopping${cause === undefined ? "" : `: ${cause}`}.`,
        actor: "stackwarden",
        ...(cause === undefined ? {} : { data: { cause } }),
      },
    ],
    next_cursor: 1,
    omitted: 0,
  });
  expect(briefEvents.of(page()).events).toEqual(["12:00:00 stack_stopping"]);
  expect(briefEvents.of(page("no call used it for 3 s (idle_stop)")).events).toEqual([
    "12:00:00 stack_stopping: The stack is stopping: no call used it for 3 s (idle_stop).",
  ]);
});
