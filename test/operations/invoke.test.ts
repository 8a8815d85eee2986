import { afterEach, expect, test, vi } from "vitest";
import { StackwardenError } from "../../src/errors.js";
import { getEvents } from "../../src/operations/get-events.js";
import { getLogs } from "../../src/operations/get-logs.js";
import { invoke, operationNamed, operations, parseInput } from "../../src/operations/index.js";
import type { OperationContext } from "../../src/operations/operation.js";
import { setLimits } from "../../src/operations/set-limits.js";
import { startStack } from "../../src/operations/start-stack.js";
import { stopStack } from "../../src/operations/stop-stack.js";
import { exampleInput, type Script, type ScriptedManager, scriptedManager } from "../support/scripted-manager.js";

const contextOf = (manager: ScriptedManager, signal = new AbortController().signal): OperationContext => ({
  manager,
  signal,
  actor: "tester#1",
  progress: () => undefined,
});

const run = async (name: string, input: unknown, script: Script = {}, readOnly = false) => {
  const manager = scriptedManager(script);
  const output = await invoke(operationNamed(name), input, contextOf(manager), { readOnly });
  return { output, calls: manager.calls };
};

afterEach(() => vi.useRealTimers());

test("each operation passes its input to the manager in the manager's units with the defaults", async () => {
  const seen = async (name: string, input: unknown) => (await run(name, input)).calls;
  expect(await seen("start_stack", { project: "shop" })).toEqual([
    { method: "start", request: { project: "shop", wait: true, timeoutMs: 50_000 }, actor: "tester#1" },
  ]);
  expect(
    await seen("start_stack", {
      project: "shop",
      folder: "shop",
      profiles: ["debug"],
      ports: { backend: 8001 },
      limits: { backend: { cpus: 0.5, memory_mb: 256 } },
      wait: false,
      timeout_seconds: 600,
    }),
  ).toEqual([
    {
      method: "start",
      request: {
        project: "shop",
        folder: "shop",
        profiles: ["debug"],
        ports: { backend: 8001 },
        limits: { backend: { cpus: 0.5, memory_mb: 256 } },
        wait: false,
        timeoutMs: 600_000,
      },
      actor: "tester#1",
    },
  ]);
  expect(await seen("restart_service", { project: "shop", service: "backend", dependents: true })).toEqual([
    {
      method: "restart",
      request: { project: "shop", service: "backend", dependents: true, timeoutMs: 50_000 },
      actor: "tester#1",
    },
  ]);
  expect(await seen("set_limits", { project: "shop", service: "backend", pids: 64 })).toEqual([
    {
      method: "setLimits",
      request: { project: "shop", service: "backend", limits: { pids: 64 }, force: false },
      actor: "tester#1",
    },
  ]);
  expect(await seen("health_status", { project: "shop", wait_for: "healthy", timeout_seconds: 2 })).toEqual([
    {
      method: "health",
      request: { project: "shop", fresh: false, waitFor: "healthy", timeoutMs: 2000 },
      actor: "tester#1",
    },
  ]);
  expect(await seen("get_stats", { project: "shop", services: "backend" })).toEqual([
    { method: "stats", request: { project: "shop", services: ["backend"] } },
  ]);
  expect(await seen("get_events", { project: "shop", after: 3, types: ["service_crashed"], wait_seconds: 5 })).toEqual([
    { method: "events", request: { project: "shop", after: 3, limit: 100, types: ["service_crashed"], waitMs: 5000 } },
  ]);
  expect(await seen("diagnose", { project: "shop", service: "backend", since: "2026-01-31T12:00:00Z" })).toEqual([
    {
      method: "diagnose",
      request: { project: "shop", service: "backend", sinceMs: Date.parse("2026-01-31T12:00:00Z") },
    },
  ]);
  expect(await seen("list_stacks", undefined)).toEqual([{ method: "list", request: {} }]);
});

const logQuery = async (input: object): Promise<Record<string, unknown>> => {
  const { calls } = await run("get_logs", { project: "shop", ...input });
  const request = calls[0]?.request as { query: Record<string, unknown> } | undefined;
  const { signal: _signal, ...query } = request?.query ?? {};
  return query;
};

test.each([
  [7200, 7_200_000],
  ["7200", 7_200_000],
  ["2h", 7_200_000],
  ["1h 30m", 5_400_000],
  [0, 0],
  ["0", 0],
])("start_stack reads idle_stop %j as a number of seconds or a duration", async (idle, idleStopMs) => {
  const { calls } = await run("start_stack", { project: "shop", idle_stop: idle });
  expect(calls[0]?.request).toMatchObject({ idleStopMs });
});

test("the error for an invalid idle_stop names both forms and how to switch it off", async () => {
  await expect(run("start_stack", { project: "shop", idle_stop: "soon" })).rejects.toMatchObject({
    code: "INVALID_INPUT",
    message: expect.stringMatching(/idle_stop .*a number of seconds from 1 to .*"2h"; 0 switches it off/),
  });
});

test("get_logs accepts one or several services, both forms of times, and a bounded wait", async () => {
  vi.useFakeTimers({ now: Date.parse("2026-01-31T12:00:00Z"), toFake: ["Date"] });
  expect(await logQuery({})).toEqual({ tail: 100, maxBytes: 40_000 });
  expect(await logQuery({ service: "backend" })).toMatchObject({ services: ["backend"] });
  expect(await logQuery({ services: "backend" })).toMatchObject({ services: ["backend"] });
  expect(await logQuery({ services: ["backend", "redis"] })).toMatchObject({ services: ["backend", "redis"] });
  expect(await logQuery({ since: "10m", until: "30s" })).toMatchObject({
    sinceMs: Date.parse("2026-01-31T11:50:00Z"),
    untilMs: Date.parse("2026-01-31T11:59:30Z"),
  });
  expect(await logQuery({ since: "2026-01-31T13:00:00+02:00" })).toMatchObject({
    sinceMs: Date.parse("2026-01-31T11:00:00Z"),
  });
  expect(await logQuery({ grep: "a.c", regex: true, stream: "stderr", previous: true, cursor: "0badcafe:4" })).toEqual({
    tail: 100,
    maxBytes: 40_000,
    grep: "a.c",
    regex: true,
    stream: "stderr",
    previous: true,
    cursor: "0badcafe:4",
  });
  expect(await logQuery({ follow: true })).toMatchObject({ waitMs: 20_000 });
  expect(await logQuery({ follow: true, wait_seconds: 0.5 })).toMatchObject({ waitMs: 500 });
  expect(await logQuery({ wait_seconds: 3 })).toMatchObject({ waitMs: 3000 });
  expect(await logQuery({ follow: true, wait_for: "tick" })).toMatchObject({ waitFor: "tick", newLines: true });
  expect(await logQuery({ wait_for: "tick" })).not.toHaveProperty("newLines");
  expect(await logQuery({ follow: true, wait_seconds: 0 })).not.toHaveProperty("waitMs");
});

test("the output of every operation fits its schema, and the schema names every field", async () => {
  for (const operation of operations) {
    const { output } = await run(operation.name, exampleInput(operation.name));
    // zod drops fields that a schema does not name, so that equality shows that it names all of them.
    expect(operation.output.parse(output)).toEqual(output);
  }
});

test("read-only mode refuses exactly the operations that change something", async () => {
  const refused: string[] = [];
  for (const operation of operations) {
    const input = { project: "shop", service: "backend", cpus: 1 };
    const known = Object.fromEntries(Object.entries(input).filter(([key]) => key in operation.input.shape));
    await run(operation.name, known, {}, true).catch((error: StackwardenError) => {
      expect(error.code).toBe("READ_ONLY_MODE");
      refused.push(operation.name);
    });
  }
  expect(refused).toEqual([
    "start_stack",
    "stop_stack",
    "restart_service",
    "set_limits",
    "run_command",
    "save_snapshot",
    "restore_snapshot",
    "delete_snapshot",
  ]);
});

test("stop_stack requires confirm: true only when it deletes volumes", async () => {
  const manager = scriptedManager();
  const context = contextOf(manager);
  await expect(invoke(stopStack, { project: "shop", remove_volumes: true }, context)).rejects.toMatchObject({
    code: "CONFIRMATION_REQUIRED",
    message: expect.stringContaining("would permanently delete the data in every volume of shop"),
    hint: expect.stringContaining('"confirm": true'),
  });
  expect(manager.calls).toEqual([]);
  await invoke(stopStack, { project: "shop" }, context);
  await invoke(stopStack, { project: "shop", remove_volumes: true, confirm: true }, context);
  expect(manager.calls.map(({ request }) => (request as { removeVolumes: boolean }).removeVolumes)).toEqual([
    false,
    true,
  ]);
});

test("restore_snapshot without confirm says that data is replaced, which is not a permanent deletion", async () => {
  const input = { project: "shop", snapshot: "one" };
  await expect(run("restore_snapshot", input)).rejects.toMatchObject({
    code: "CONFIRMATION_REQUIRED",
    message: "restore_snapshot would replace the current data in the snapshot's volumes of shop.",
  });
});

test("a destructive operation without a description of what it deletes always requires confirmation", async () => {
  const { destroys: _destroys, ...careless } = stopStack;
  await expect(invoke(careless, { project: "shop" }, contextOf(scriptedManager()))).rejects.toMatchObject({
    code: "CONFIRMATION_REQUIRED",
  });
});

test("the context is created only for a call that passed every check", async () => {
  const make = vi.fn(async () => contextOf(scriptedManager()));
  await expect(invoke(startStack, { project: "../x" }, make)).rejects.toMatchObject({ code: "INVALID_INPUT" });
  await expect(invoke(startStack, { project: "x" }, make, { readOnly: true })).rejects.toMatchObject({
    code: "READ_ONLY_MODE",
  });
  await expect(invoke(stopStack, { project: "x", remove_volumes: true }, make)).rejects.toThrow();
  expect(make).not.toHaveBeenCalled();
  await invoke(startStack, { project: "shop" }, make);
  expect(make).toHaveBeenCalledOnce();
});

test("a context that cannot be created fails with its own error, or INTERNAL without details", async () => {
  const unavailable = new StackwardenError("RUNTIME_UNAVAILABLE", "no engine", { hint: "start it" });
  await expect(invoke(getEvents, { project: "shop" }, () => Promise.reject(unavailable))).rejects.toBe(unavailable);
  const defect = invoke(getEvents, { project: "shop" }, () => Promise.reject(new TypeError("secret path /root/x")));
  await expect(defect).rejects.toMatchObject({ code: "INTERNAL", message: expect.not.stringContaining("/root") });
});

test("a StackwardenError of the manager is returned unchanged, and another error as INTERNAL", async () => {
  const busy = new StackwardenError("PORT_IN_USE", "8000 is taken", { details: { ports: [8000] } });
  await expect(run("start_stack", { project: "shop" }, { start: () => Promise.reject(busy) })).rejects.toBe(busy);
  await expect(
    run("start_stack", { project: "shop" }, { start: () => Promise.reject(new Error("password=hunter2")) }),
  ).rejects.toMatchObject({ code: "INTERNAL", message: expect.not.stringContaining("hunter2") });
});

test("a call that was cancelled before it began does not reach the manager", async () => {
  const manager = scriptedManager();
  await expect(invoke(startStack, { project: "shop" }, contextOf(manager, AbortSignal.abort()))).rejects.toMatchObject({
    code: "OPERATION_CANCELLED",
  });
  expect(manager.calls).toEqual([]);
});

test("a cancelled call aborts the manager's signal and waits for the rollback", async () => {
  const cancel = new AbortController();
  let rolledBack = false;
  const manager = scriptedManager({
    start: (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          setTimeout(() => {
            rolledBack = true;
            reject(new StackwardenError("OPERATION_CANCELLED", "rolled back"));
          }, 20);
        });
      }),
  });
  const call = invoke(startStack, { project: "shop" }, contextOf(manager, cancel.signal));
  setTimeout(() => cancel.abort(), 5);
  await expect(call).rejects.toMatchObject({ code: "OPERATION_CANCELLED", message: "rolled back" });
  expect(rolledBack).toBe(true);
});

test("a call without an answer fails 60 s after its timeout, and only a reading call is aborted", async () => {
  vi.useFakeTimers();
  const aborted: string[] = [];
  const never =
    (name: string) =>
    (...args: unknown[]) => {
      const signal = args.map((arg) => (arg as { signal?: AbortSignal } | undefined)?.signal).find(Boolean);
      signal?.addEventListener("abort", () => aborted.push(name));
      return new Promise<never>(() => undefined);
    };
  const manager = scriptedManager({ start: never("start"), events: never("events") });
  const start = invoke(startStack, { project: "shop", timeout_seconds: 2 }, contextOf(manager));
  const events = invoke(getEvents, { project: "shop", wait_seconds: 1 }, contextOf(manager));
  const both = Promise.allSettled([start, events]);
  await vi.advanceTimersByTimeAsync(60_900);
  expect(aborted).toEqual([]);
  await vi.advanceTimersByTimeAsync(1200);
  const [started, read] = await both;
  expect(started).toMatchObject({ reason: { code: "RUNTIME_UNAVAILABLE", message: expect.stringContaining("62 s") } });
  expect(read).toMatchObject({ reason: { code: "RUNTIME_UNAVAILABLE" } });
  expect(aborted).toEqual(["events"]);
});

test("a snapshot that has reported progress may take longer than 60 s, and a silent one fails", async () => {
  vi.useFakeTimers();
  let silent = false;
  const manager = scriptedManager({
    saveSnapshot: async (request, call) => {
      if (!silent) call.progress({ progress: 0, total: 0, message: "copying data" });
      await new Promise((resolve) => setTimeout(resolve, 300_000));
      return scriptedManager().saveSnapshot(request, call);
    },
  });
  const save = async () => {
    const saving = invoke(operationNamed("save_snapshot"), { project: "shop" }, contextOf(manager));
    const settled = Promise.allSettled([saving]);
    await vi.advanceTimersByTimeAsync(300_000);
    return (await settled)[0];
  };
  expect(await save()).toMatchObject({ status: "fulfilled", value: { project: "shop" } });
  silent = true;
  expect(await save()).toMatchObject({ status: "rejected", reason: { code: "RUNTIME_UNAVAILABLE" } });
});

test("parseInput adds defaults, and a missing input is an empty one", () => {
  expect(parseInput(getLogs, { project: "shop" })).toMatchObject({ tail: 100, max_bytes: 40_000, regex: false });
  expect(parseInput(operationNamed("list_stacks"), undefined)).toEqual({ running: false });
  expect(parseInput(operationNamed("list_stacks"), null)).toEqual({ running: false });
});

test("the ends of every range are accepted", () => {
  for (const [field, values] of Object.entries({ cpus: [0.01, 1024], memory_mb: [6], pids: [1] })) {
    for (const value of values) {
      expect(parseInput(setLimits, { project: "a", service: "b", [field]: value })).toHaveProperty(field, value);
    }
  }
  for (const tail of [1, 10_000]) expect(parseInput(getLogs, { project: "a", tail })).toHaveProperty("tail", tail);
  expect(parseInput(startStack, { project: "a".repeat(63), ports: { b: 65_535, c: 1 } })).toHaveProperty(
    "ports.b",
    65_535,
  );
});

test("the error for an unknown operation lists the known ones", () => {
  expect(() => operationNamed("rm")).toThrow(/start_stack, stop_stack, list_stacks/);
});

test("an error lists five faults and counts the others", () => {
  const bad = { project: 1, tail: 0, since: 1, until: 1, grep: 1, stream: 1, cursor: 1 };
  expect(() => parseInput(getLogs, bad)).toThrow(/2 more/);
});

test.each([
  ["/srv/My App/", 'start_stack {"project": "myapp", "folder": "/srv/My App/"}'],
  ["./shop", 'start_stack {"project": "shop", "folder": "./shop"}'],
  [".", 'start_stack {"project": "shop", "folder": "."}'],
  ["C:\\work\\shop", 'start_stack {"project": "shop", "folder": "C:\\\\work\\\\shop"}'],
  ["../shop", 'start_stack {"project": "shop", "folder": "<path>"}'],
])("a path as the project is refused with the call that has it as the folder: %s", (project, call) => {
  expect(() => parseInput(startStack, { project })).toThrow(
    expect.objectContaining({
      code: "INVALID_INPUT",
      hint: `project is an id, and folder is the path: ${call}. Nothing was changed.`,
    }),
  );
});

test("a path as the project is refused with the operation that lists the ids, where a folder is no argument", () => {
  const hint = "project is the id of a project, not a path; list_stacks returns the ids. Nothing was changed.";
  expect(() => parseInput(getLogs, { project: "/srv/shop" })).toThrow(expect.objectContaining({ hint }));
  const usual = "Correct the arguments named and call again; nothing was changed.";
  expect(() => parseInput(getLogs, { project: "Shop" })).toThrow(expect.objectContaining({ hint: usual }));
});

test("a value that breaks several rules of its field is one issue", () => {
  expect(() => parseInput(setLimits, { project: "shop", service: "backend", cpus: -1 })).toThrow(
    expect.objectContaining({
      details: { operation: "set_limits", issues: [expect.objectContaining({ field: "cpus", problem: "got -1" })] },
    }),
  );
});
