/** Services that a call stopped or left out of the running stack: reports name them, and operations accept them. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { operationNamed } from "../../../src/operations/index.js";
import type { SharedStackManager } from "../../../src/stack/model.js";
import { call, compose, Domain, service } from "../../support/domain.js";

let domain: Domain;
let manager: SharedStackManager;
const project = "shop";
const SERVICES = compose(
  service("db", "volumes: ['data:/data']"),
  service("cache", "mem_limit: 100m\nvolumes: ['cache:/data']"),
  service("tool", "profiles: [tools]"),
);

beforeEach(async () => {
  domain = new Domain();
  manager = domain.manager();
  domain.project(project, `${SERVICES}\nvolumes: { data: {}, cache: {} }\n`);
});
afterEach(() => domain.close());

/** How `cache` comes to be outside of the running stack. */
const WAYS: [string, () => Promise<unknown>][] = [
  [
    "stopped",
    async () => {
      await manager.start({ project }, call());
      await manager.stop({ project, services: ["cache"] }, call());
    },
  ],
  ["left out", () => manager.start({ project, without: ["cache"] }, call())],
  ["not named", () => manager.start({ project, services: ["db"] }, call())],
];

describe.each(WAYS)("a service that a call has %s", (_way, prepare) => {
  beforeEach(prepare);

  it("a restart is refused with the call that starts it", async () => {
    await expect(manager.restart({ project, service: "cache" }, call())).rejects.toMatchObject({
      code: "SERVICE_NOT_STARTED",
      retryable: false,
      hint: 'Start it with start_stack {"project": "shop", "services": ["cache"]}.',
    });
    const started = await manager.start({ project, services: ["cache"] }, call());
    expect(started.after.services.cache?.state).toBe("healthy");
  });

  it("its limits are kept for its next start", async () => {
    const limited = await manager.setLimits({ project, service: "cache", limits: { memory_mb: 300 } }, call());
    expect(limited).toMatchObject({
      live: false,
      message: "cache does not run; the limits are kept for the next start.",
    });
    await manager.start({ project, services: ["cache"] }, call());
    expect(domain.runtime.service("cache").limits.memory_mb).toBe(300);
  });

  it("a stop says that it does not run, and stops the others that the call names", async () => {
    const starts = domain.runtime.started().length;
    const stopped = await manager.stop({ project, services: ["cache"] }, call());
    expect(stopped).toMatchObject({
      status: "already_stopped",
      verified: true,
      message: "Not running before: cache. Nothing was stopped. The other services keep running.",
    });
    expect(stopped.after.state).toBe("running");
    await manager.start({ project, services: ["tool"] }, call());
    expect(await manager.stop({ project, services: ["cache", "tool"] }, call())).toMatchObject({
      status: "stopped",
      message: "Not running before: cache. Stopped: tool. The other services keep running.",
    });
    expect(domain.runtime.started().slice(starts)).toEqual(["tool"]);
  });

  it("health, stats, diagnosis, events and snapshots accept its name", async () => {
    domain.runtime.volumes.set("shop/cache", 40);
    const health = await manager.health({ project, services: ["cache"], waitFor: "healthy" }, call());
    expect(health.services.cache).toMatchObject({ healthy: false, status: "stopped" });
    expect(health.services.cache?.message).toContain('start_stack with services ["cache"] starts it');
    expect(health).toMatchObject({ overall_healthy: true, wait: { met: false } });
    expect((await manager.stats({ project, services: ["cache"] })).services).toEqual({
      cache: { state: "stopped", stats: null, limits: null, pressure: [] },
    });
    const diagnosis = await manager.diagnose({ project, service: "cache" });
    expect(diagnosis).toMatchObject({ cause: null, services: { cache: { state: "stopped" } } });
    expect(diagnosis.summary).toBe("No fault is visible. Not part of the running stack: cache.");
    await expect(manager.events({ project, service: "cache" })).resolves.toMatchObject({ project });
    const { snapshot } = await manager.saveSnapshot({ project, service: "cache" }, call());
    expect(snapshot.volumes).toEqual({ cache: 40 });
  });

  it("a name that the files do not have is unknown, with the names that they have", async () => {
    const unknown = { code: "UNKNOWN_SERVICE", details: { valid: expect.arrayContaining(["db", "cache", "tool"]) } };
    for (const act of [
      () => manager.restart({ project, service: "cahce" }, call()),
      () => manager.setLimits({ project, service: "cahce", limits: { pids: 90 } }, call()),
      () => manager.stop({ project, services: ["cahce"] }, call()),
      () => manager.health({ project, services: ["cahce"] }, call()),
      () => manager.stats({ project, services: ["cahce"] }),
      () => manager.diagnose({ project, service: "cahce" }),
      () => manager.events({ project, service: "cahce" }),
      () => manager.saveSnapshot({ project, service: "cahce" }, call()),
    ])
      await expect(act()).rejects.toMatchObject(unknown);
  });
});

describe.each(WAYS.slice(0, 2))("the reports of a stack from which a call has %s a service", (_way, prepare) => {
  beforeEach(prepare);

  it("reports name the service beside the running ones, and the stack is healthy", async () => {
    const health = await manager.health({ project }, call());
    expect(health).toMatchObject({ overall_healthy: true, state: "running", left_out: ["cache"] });
    expect(await manager.report(project)).toMatchObject({ left_out: ["cache"] });
    const diagnosis = await manager.diagnose({ project });
    expect(diagnosis.summary).toBe("No fault is visible. db is healthy. Not part of the running stack: cache.");
    expect(diagnosis.services.cache?.state).toBe("stopped");
    // The brief answers for agents have it among the services.
    const left = "not part of the running stack";
    expect(operationNamed("health_status").brief?.of(health)).toMatchObject({
      services: { db: { healthy: true }, cache: { status: "stopped", message: left } },
    });
    const stacks = await manager.list();
    expect(operationNamed("list_stacks").brief?.of({ stacks })).toMatchObject({
      stacks: [{ services: { cache: left } }],
    });
    await manager.start({ project, services: ["cache"] }, call());
    expect(await manager.report(project)).not.toHaveProperty("left_out");
    expect(await manager.health({ project }, call())).not.toHaveProperty("left_out");
  });
});

it("a report of a stopped stack leaves no service out, and a service that it excluded is known", async () => {
  await manager.start({ project, without: ["cache"] }, call());
  await manager.stop({ project }, call());
  expect(await manager.report(project)).not.toHaveProperty("left_out");
  await expect(manager.restart({ project, service: "cache" }, call())).rejects.toMatchObject({
    code: "STACK_NOT_RUNNING",
  });
});

it("a failed start names the services that an earlier call left out", async () => {
  await manager.start({ project }, call());
  await manager.stop({ project, services: ["cache"] }, call());
  domain.runtime.scripts = { extra: { probe: () => "not yet", ends: [{ afterMs: 100, exitCode: 1 }] } };
  domain.project(project, `${SERVICES}${service("extra")}\nvolumes: { data: {}, cache: {} }\n`);
  await expect(manager.start({ project }, call())).rejects.toMatchObject({
    code: "SERVICE_START_FAILED",
    hint: expect.stringMatching(/ Left out by a call: cache; start_stack \{"services": \["cache"\]\} includes it\.$/),
    details: { service: "extra", left_out: ["cache"] },
  });
});

it("a failed restart names the services that an earlier call left out", async () => {
  await manager.start({ project, without: ["cache"] }, call());
  domain.runtime.scripts = { db: { probe: () => "not yet", ends: [{ afterMs: 100, exitCode: 1 }] } };
  await expect(manager.restart({ project, service: "db" }, call())).rejects.toMatchObject({
    code: "SERVICE_START_FAILED",
    hint: expect.stringMatching(/ Left out by a call: cache; start_stack \{"services": \["cache"\]\} includes it\.$/),
    details: { service: "db", left_out: ["cache"] },
  });
});

it("a start says that it stops a service because the call excludes it", async () => {
  await manager.start({ project }, call());
  const { message } = await manager.start({ project, without: ["cache"] }, call());
  expect(message).toContain("cache stopped (this call excludes it)");
});

it.each([
  ["a profile", { profiles: ["tools"] }],
  ["an excluded service", { without: ["tool"] }],
])("a syntax error is reported instead of %s of an earlier call", async (_what, options) => {
  await manager.start({ project, ...options }, call());
  const [lines] = SERVICES.split("\n  tool:");
  domain.project(project, `${lines}\n  no colon\n`);
  const syntax = { code: "INVALID_STACK", message: expect.stringContaining("neither `key: value` nor a list item") };
  await expect(manager.start({ project }, call())).rejects.toMatchObject(syntax);
  const { problems } = await manager.check({ project });
  expect(problems).toMatchObject([{ kind: "invalid", line: 15, message: syntax.message }]);
});

it("a start names the services that depend on one that is left out", async () => {
  const api = service("api", "depends_on: [cache]");
  domain.project(project, `${SERVICES}${api}\nvolumes: { data: {}, cache: {} }\n`);
  const sentence = 'Left out: cache; start_stack with services ["cache"] includes it. api depends on it.';
  expect((await manager.start({ project, without: ["cache"] }, call())).message).toContain(sentence);
  expect((await manager.start({ project }, call())).message).toContain(sentence);
  const included = await manager.start({ project, services: ["cache"] }, call());
  expect(included.message).not.toContain("depends on");
  await manager.stop({ project, services: ["cache"] }, call());
  expect((await manager.start({ project }, call())).message).toContain(sentence);
});

describe("names and files of earlier calls that the project no longer has", () => {
  const SOME = compose(service("db"), service("cache"));
  const start = (more: object = {}) => manager.start({ project, ...more }, call());

  it("profiles and excluded services that the files no longer have are dropped, by a check and by a start", async () => {
    await start({ profiles: ["tools"], without: ["tool"] });
    domain.project(project, SOME);
    expect(await manager.check({ project })).toMatchObject({ startable: true, problems: [], left_out: [] });
    expect((await start()).after.state).toBe("running");
    expect(Object.keys((await manager.report(project)).services)).toEqual(["db", "cache"]);
    for (const names of [{ profiles: ["tools"] }, { without: ["tool"] }]) {
      await expect(start(names)).rejects.toMatchObject({
        code: expect.stringMatching(/^(INVALID_INPUT|UNKNOWN_SERVICE)$/),
      });
      await expect(manager.check({ project, ...names })).rejects.toMatchObject({
        code: expect.stringMatching(/^(INVALID_INPUT|UNKNOWN_SERVICE)$/),
      });
    }
  });

  it("one of several profiles is kept", async () => {
    domain.project(
      project,
      compose(service("db"), service("one", "profiles: [one]"), service("two", "profiles: [two]")),
    );
    await start({ profiles: ["one", "two"] });
    domain.project(project, compose(service("db"), service("two", "profiles: [two]")));
    expect(Object.keys((await start()).after.services)).toEqual(["db", "two"]);
  });

  it.each([
    ["lost", (path: string) => rmSync(path)],
    ["damaged", (path: string) => writeFileSync(path, "services: [")],
  ])("a start with a compose file of an earlier call that is %s says which files these are", async (_how, change) => {
    const path = join(domain.project(project, SOME), "more.yaml");
    writeFileSync(path, compose(service("extra")));
    await start({ files: ["compose.yaml", "more.yaml"] });
    change(path);
    const note = "The files are those of an earlier call (compose.yaml, more.yaml); files of this call replace them.";
    await expect(start()).rejects.toMatchObject({ code: "INVALID_STACK", hint: expect.stringContaining(note) });
    const named = await start({ files: ["compose.yaml", "more.yaml"] }).catch((error: unknown) => error);
    expect((named as Error & { hint: string }).hint).not.toContain(note);
    expect((await start({ files: ["compose.yaml"] })).message).toContain("extra stopped");
  });
});
