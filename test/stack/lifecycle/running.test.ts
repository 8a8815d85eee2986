/** A running stack: crashes, restart policies, health, limits, and reports. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StackChange, StackManager } from "../../../src/stack/model.js";
import { ProjectStore } from "../../../src/stack/storage/project-store.js";
import { call, compose, Domain, eventsOf, service, until } from "../../support/domain.js";
import { FakeRuntime } from "../../support/fake-runtime.js";

let domain: Domain;
let manager: StackManager;
beforeEach(() => {
  domain = new Domain();
  manager = domain.manager();
});
afterEach(() => domain.close());

const up = async (text: string, project = "shop") => {
  domain.project(project, text);
  expect((await manager.start({ project }, call())).status).toBe("healthy");
};
const state = async (name: string) => (await manager.report("shop")).services[name]?.state;
const health = async (name: string) => (await manager.health({ project: "shop" }, call())).services[name];

describe("crashes and restart policies", () => {
  it("a crash is an event with exit code and last lines, and the restart policy applies", async () => {
    domain.runtime.scripts = { app: { prints: "last words" } };
    await up(compose(service("app", "restart: on-failure")));
    domain.runtime.service("app").end({ exitCode: 9 });
    await until(
      "it runs again",
      async () => domain.runtime.started().length === 2 && (await state("app")) === "healthy",
    );
    const [crash] = await eventsOf(manager, "shop", "service_crashed");
    expect(crash).toMatchObject({
      service: "app",
      actor: "stackwarden",
      data: { exit_code: 9, last_lines: ["last words"] },
    });
    expect((await eventsOf(manager, "shop", "restart_scheduled"))[0]?.data).toEqual({ delay_ms: 500 });
    expect((await manager.report("shop")).services.app).toMatchObject({
      restarts: 1,
      generation: 2,
      last_exit: { exit_code: 9 },
    });
  });

  it("a crash by a signal reports the signal and an OOM kill", async () => {
    await up(compose(service("a"), service("b")));
    domain.runtime.service("a").end({ exitCode: null, signal: "SIGSEGV" });
    domain.runtime.service("b").end({ exitCode: null, signal: "SIGKILL", oomKilled: true });
    await until("both crashed", async () => (await eventsOf(manager, "shop", "service_crashed")).length === 2);
    expect((await health("a"))?.message).toBe("Not running: it was ended by SIGSEGV.");
    expect((await health("b"))?.error).toContain("OOM kill");
    expect((await manager.report("shop")).state).toBe("degraded");
    // Nothing restarts the services, so that the wait ends at once.
    const { wait } = await manager.health({ project: "shop", waitFor: "healthy", timeoutMs: 20_000 }, call());
    expect(wait).toMatchObject({ met: false });
    expect(wait?.reason).toContain("a is crashed");
  });

  it("a service stays crashed when its policy's restarts are used up", async () => {
    await up(compose(service("app", "restart: on-failure:1")));
    domain.runtime.service("app").end({ exitCode: 1 });
    await until("it runs again", () => domain.runtime.started().length === 2 && !domain.runtime.service("app").ended);
    domain.runtime.service("app").end({ exitCode: 1 });
    await until("given up", async () => (await eventsOf(manager, "shop", "restart_given_up")).length === 1);
    expect(await state("app")).toBe("crashed");
  });

  it("an instance that ends while it starts is not reported as started again after the last restart", async () => {
    await up(compose(service("app", "restart: on-failure:1")));
    domain.runtime.scripts = { app: { readLimitsMs: 200, ends: [{ afterMs: 50, exitCode: 1 }] } };
    domain.runtime.service("app").end({ exitCode: 1 });
    await until("given up", async () => (await eventsOf(manager, "shop", "restart_given_up")).length === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const types = (await eventsOf(manager, "shop")).map(({ type }) => type);
    expect(types.slice(-5)).toEqual([
      "restart_scheduled",
      "service_starting",
      "pulling",
      "service_crashed",
      "restart_given_up",
    ]);
  });

  it("exit code 0 completes a service unless its policy is always", async () => {
    await up(compose(service("job", "restart: on-failure"), service("server", "restart: always")));
    domain.runtime.service("job").end({ exitCode: 0 });
    domain.runtime.service("server").end({ exitCode: 0 });
    await until("the server runs again", () => domain.runtime.started().length === 3);
    expect(await state("job")).toBe("completed");
    expect(await eventsOf(manager, "shop", "service_completed")).toHaveLength(1);
  });

  it("a restart by policy is retried when the start fails", async () => {
    await up(compose(service("app", "restart: always")));
    domain.runtime.scripts = { app: { startErrors: [new Error("no process")] } };
    domain.runtime.service("app").end({ exitCode: 1 });
    await until(
      "it runs again",
      async () => (await state("app")) === "healthy" && domain.runtime.started().length === 3,
    );
    expect((await eventsOf(manager, "shop", "warning"))[0]?.message).toContain("no process");
  });

  it("a stop cancels a scheduled restart", async () => {
    await up(compose(service("app", "restart: always")));
    domain.runtime.service("app").end({ exitCode: 1 });
    await until("scheduled", async () => (await eventsOf(manager, "shop", "restart_scheduled")).length === 1);
    await manager.stop({ project: "shop" }, call());
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(domain.runtime.started()).toHaveLength(1);
  });
});

describe("health_status", () => {
  it("a service turns unhealthy after retries failures, and healthy again, without overlapping checks", async () => {
    let well = true;
    domain.runtime.scripts = { app: { probe: () => (well ? true : "HTTP 503 token=abcdef987654") } };
    await up(compose(service("app")));
    const waiting = manager.health({ project: "shop", waitFor: "stopped", timeoutMs: 300 }, call());
    expect((await waiting).wait).toMatchObject({
      met: false,
      reason: "The condition was not met within 0.3 s: the stack is running.",
    });
    well = false;
    await until("unhealthy", async () => (await state("app")) === "unhealthy");
    const sick = await health("app");
    expect(sick).toMatchObject({ healthy: false, check: "fake", latency_ms: 1 });
    expect(sick?.consecutive_failures).toBeGreaterThanOrEqual(2);
    expect(sick?.message).toContain("HTTP 503");
    expect(sick?.message).not.toContain("abcdef987654");
    well = true;
    await until("healthy", async () => (await state("app")) === "healthy");
    expect((await eventsOf(manager, "shop", "service_unhealthy", "service_healthy")).map(({ type }) => type)).toEqual([
      "service_healthy",
      "service_unhealthy",
      "service_healthy",
    ]);
    expect(domain.runtime.calls.filter((one) => one.startsWith("overlap"))).toEqual([]);
  });

  it("concurrent calls with fresh: true share one check", async () => {
    let probes = 0;
    domain.runtime.scripts = {
      app: {
        probe: async (): Promise<true> => {
          probes += 1;
          await new Promise((resolve) => setTimeout(resolve, 30));
          return true;
        },
      },
    };
    await up(compose(service("app").replace("interval: 100ms", "interval: 60s")));
    const before = probes;
    await Promise.all([1, 2, 3].map(() => manager.health({ project: "shop", fresh: true }, call())));
    expect(probes).toBe(before + 1);
    expect(domain.runtime.calls.filter((one) => one.startsWith("overlap"))).toEqual([]);
  });

  it("a check that throws makes the service unhealthy", async () => {
    let broken = false;
    domain.runtime.scripts = {
      app: {
        probe: () => {
          if (broken) throw new Error("probe broke");
          return true;
        },
      },
    };
    await up(compose(service("app")));
    broken = true;
    await until("unhealthy", async () => (await health("app"))?.message === "the check itself failed: probe broke");
  });

  it("a wait ends when its caller cancels", async () => {
    await up(compose(service("app")));
    const leave = new AbortController();
    const waiting = manager.health({ project: "shop", waitFor: "stopped" }, call({ signal: leave.signal }));
    leave.abort();
    expect((await waiting).wait).toEqual({ condition: "stopped", met: false, reason: "The call was cancelled." });
    const gone = call({ signal: AbortSignal.abort() });
    expect((await manager.health({ project: "shop", waitFor: "stopped" }, gone)).wait?.met).toBe(false);
  });
});

describe("set_limits", () => {
  it("limits change live, are read back and apply to the next start", async () => {
    await up(compose(service("app", "cpus: 1\nmem_limit: 128m")));
    const changed = await manager.setLimits({ project: "shop", service: "app", limits: { cpus: 2 } }, call());
    expect(changed).toMatchObject({
      live: true,
      verified: true,
      before: { cpus: { value: 1 } },
      after: { cpus: { value: 2 } },
    });
    expect(changed.after?.memory_mb.value).toBe(128);
    const [event] = await eventsOf(manager, "shop", "limits_changed");
    expect(event).toMatchObject({ actor: "test/1", data: { cpus: 2 } });
    await manager.stop({ project: "shop" }, call());
    const kept = await manager.setLimits({ project: "shop", service: "app", limits: { pids: 50 } }, call());
    expect(kept).toMatchObject({ live: false, verified: false, before: null, after: null });
    await manager.start({ project: "shop", limits: { app: { memory_mb: 256 } } }, call());
    expect(domain.runtime.service("app").limits).toEqual({ cpus: 2, pids: 50, memory_mb: 256 });
  });

  it("an impossible limit is refused and changes nothing", async () => {
    await up(compose(service("app", "mem_limit: 128m")));
    domain.runtime.scripts = { app: { stats: { memory_mb: 100 } } };
    const set = (limits: object, force = false) =>
      manager.setLimits({ project: "shop", service: "app", limits, force }, call());
    await expect(set({ memory_mb: 90 })).rejects.toMatchObject({ code: "LIMIT_REFUSED" });
    await expect(set({ cpus: 99 })).rejects.toMatchObject({ code: "LIMIT_REFUSED" });
    expect(domain.runtime.service("app").limits).toEqual({ memory_mb: 128 });
    expect((await set({ memory_mb: 90 }, true)).after?.memory_mb.value).toBe(90);
    await expect(manager.start({ project: "shop", limits: { nope: { cpus: 1 } } }, call())).rejects.toMatchObject({
      code: "UNKNOWN_SERVICE",
    });
    await expect(manager.start({ project: "shop", limits: { app: { cpus: 99 } } }, call())).rejects.toMatchObject({
      code: "LIMIT_REFUSED",
    });
  });

  it.each([false, true])("limits that the kernel refuses are not kept (force: %s)", async (force) => {
    const small = ({ memory_mb }: { memory_mb?: number }): boolean => (memory_mb ?? 128) < 100;
    domain.runtime.scripts = { app: { refusesLimits: small } };
    await up(compose(service("app", "cpus: 1\nmem_limit: 128m")));
    const set = (limits: object) => manager.setLimits({ project: "shop", service: "app", limits, force }, call());
    await set({ pids: 40 });
    const before = { cpus: 1, memory_mb: 128, pids: 40 };
    await expect(set({ cpus: 2, memory_mb: 60 })).rejects.toMatchObject({ code: "LIMIT_REFUSED" });
    expect(domain.runtime.service("app").limits).toEqual(before);
    const { services, notes } = await manager.report("shop");
    expect(services.app?.limits).toMatchObject({ cpus: { value: 1 }, memory_mb: { value: 128 } });
    expect(notes.join()).not.toContain("memory_mb");
    expect(await eventsOf(manager, "shop", "limits_changed")).toHaveLength(1);
    await manager.restart({ project: "shop", service: "app" }, call());
    expect(domain.runtime.service("app").limits).toEqual(before);
  });

  it("limits that one of several instances refuses are kept by none", async () => {
    // Only the docker runtime runs several instances.
    const runtime = new FakeRuntime("docker");
    runtime.scripts = { "app-2": { refusesLimits: ({ pids }) => pids === 7 } };
    manager = domain.manager({ runtime: "docker" }, [runtime]);
    await up(compose(service("app", "mem_limit: 128m\nscale: 2")));
    await expect(
      manager.setLimits({ project: "shop", service: "app", limits: { pids: 7 } }, call()),
    ).rejects.toMatchObject({ code: "LIMIT_REFUSED" });
    for (const name of ["app", "app-2"]) expect(runtime.service(name).limits).toEqual({ memory_mb: 128 });
    await manager.restart({ project: "shop", service: "app" }, call());
    expect(runtime.service("app").limits).toEqual({ memory_mb: 128 });
  });

  it("limits that cannot be stored do not stay in force", async () => {
    await up(compose(service("app", "mem_limit: 128m")));
    mkdirSync(join(domain.state, "projects", "shop", "limits.json"));
    await expect(
      manager.setLimits({ project: "shop", service: "app", limits: { pids: 7 } }, call()),
    ).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(domain.runtime.service("app").limits).toEqual({ memory_mb: 128 });
  });

  it("limits of a start that the kernel refuses are not kept, and its other changes are", async () => {
    domain.runtime.scripts = { b: { refusesLimits: ({ pids }) => pids === 7 } };
    await up(compose(service("a"), service("b"), service("c")));
    await expect(
      manager.start({ project: "shop", without: ["c"], limits: { a: { pids: 8 }, b: { pids: 7 } } }, call()),
    ).rejects.toMatchObject({ code: "LIMIT_REFUSED" });
    for (const name of ["a", "b"]) expect(domain.runtime.service(name).limits).toEqual({});
    const again = await manager.start({ project: "shop" }, call());
    expect(again).toMatchObject({ status: "already_running", message: expect.stringContaining("Left out: c") });
    for (const name of ["a", "b"]) expect(domain.runtime.service(name).limits).toEqual({});
  });

  it("limits that are not enforced are reported as such, or refused when the operator requires it", async () => {
    domain.runtime.level = "none";
    await up(compose(service("app", "mem_limit: 128m")));
    const changed = await manager.setLimits({ project: "shop", service: "app", limits: { cpus: 1 } }, call());
    expect(changed).toMatchObject({ live: true, verified: false });
    expect(changed.message).toContain("Nothing enforces these limits (cpus: fake kernel)");
    await manager.stop({ project: "shop" }, call());
    const strict = domain.manager({ requireEnforcedLimits: true });
    await expect(strict.start({ project: "shop" }, call())).rejects.toMatchObject({
      code: "LIMITS_NOT_ENFORCEABLE",
      details: { service: "app" },
    });
    expect([...domain.runtime.alive]).toEqual([]);
  });
});

describe("stats, logs, events and lists", () => {
  it("stats have the pressure on each limit, and none for services that do not run", async () => {
    domain.runtime.scripts = {
      app: { stats: { memory_mb: 125, cpu_cores: 1, throttled_seconds: 4, oom_kills: 1, pids: 3 } },
    };
    await up(compose(service("app", "cpus: 1\nmem_limit: 128m\npids_limit: 3"), service("other")));
    const { services } = await manager.stats({ project: "shop", services: ["app"] });
    expect(Object.keys(services)).toEqual(["app"]);
    expect(services.app?.pressure).toHaveLength(5);
    domain.runtime.service("other").end({ exitCode: 1 });
    await until("crashed", async () => (await state("other")) === "crashed");
    expect((await manager.stats({ project: "shop" })).services.other).toMatchObject({ state: "crashed", stats: null });
    await expect(manager.stats({ project: "shop", services: ["nope"] })).rejects.toMatchObject({
      code: "UNKNOWN_SERVICE",
    });
    await manager.stop({ project: "shop" }, call());
    await expect(manager.stats({ project: "shop" })).rejects.toMatchObject({ code: "STACK_NOT_RUNNING" });
  });

  it("logs distinguish three errors, and remain readable after the stack stopped", async () => {
    domain.project(
      "shop",
      compose(service("app", "depends_on: { db: { condition: service_healthy } }"), service("db")),
    );
    await expect(manager.logs({ project: "nope", query: {} })).rejects.toMatchObject({ code: "UNKNOWN_PROJECT" });
    await expect(manager.logs({ project: "shop", query: {} })).rejects.toMatchObject({ code: "STACK_NOT_RUNNING" });
    await expect(manager.logs({ project: "shop", query: { services: ["nope"] } })).rejects.toMatchObject({
      code: "UNKNOWN_SERVICE",
      details: { valid: ["app", "db"] },
    });
    let ready = false;
    domain.runtime.scripts = {
      db: { prints: "db says", probe: () => (ready ? true : "no") },
      app: { prints: "app says" },
    };
    await manager.start({ project: "shop", wait: false }, call());
    await until("db prints", () => domain.runtime.services.has("db"));
    await expect(manager.logs({ project: "shop", query: { services: ["app"] } })).rejects.toMatchObject({
      code: "SERVICE_NOT_STARTED",
    });
    await expect(manager.restart({ project: "shop", service: "app" }, call())).rejects.toMatchObject({
      code: "SERVICE_NOT_STARTED",
    });
    ready = true;
    await manager.health({ project: "shop", waitFor: "healthy" }, call());
    const { lines, services } = await manager.logs({ project: "shop", query: {} });
    expect(lines.map(({ service: name, text }) => [name, text])).toEqual([
      ["db", "db says"],
      ["app", "app says"],
    ]);
    expect(services).toEqual(["app", "db"]);
    expect(await manager.logTotals()).toEqual([
      { project: "shop", service: "db", lines: 1, bytes: "db says".length, dropped: 0 },
      { project: "shop", service: "app", lines: 1, bytes: "app says".length, dropped: 0 },
    ]);
    await manager.stop({ project: "shop" }, call());
    // Logs remain readable when the definition cannot be read, also for another server.
    domain.project("shop", "services: [");
    const other = domain.manager();
    expect(await other.logTotals()).toEqual([]);
    expect((await other.logs({ project: "shop", query: { services: ["db"] } })).lines).toHaveLength(1);
    // Also where no start stored the names of the services.
    vi.spyOn(ProjectStore.prototype, "services").mockReturnValue([]);
    const kept = other.logs({ project: "shop", query: { services: ["db"] } }).finally(() => vi.restoreAllMocks());
    expect((await kept).lines).toHaveLength(1);
  });

  it("events are filtered by service and can be waited for", async () => {
    await up(compose(service("app")));
    const { next_cursor: after } = await manager.events({ project: "shop" });
    const waiting = manager.events({ project: "shop", after, service: "app", waitMs: 10_000 });
    domain.runtime.service("app").end({ exitCode: 1 });
    expect((await waiting).events[0]).toMatchObject({ type: "service_crashed", service: "app" });
    await expect(manager.events({ project: "shop", service: "nope" })).rejects.toMatchObject({
      code: "UNKNOWN_SERVICE",
    });
    domain.project("fresh", compose(service("app")));
    expect((await manager.events({ project: "fresh" })).events).toEqual([]);
  });

  it("projects and services are listed, and subscribers receive each kind of change", async () => {
    const changes: StackChange[] = [];
    const unsubscribe = manager.subscribe((change) => changes.push(change));
    expect(manager.projects()).toEqual([]);
    expect(manager.services("shop")).toEqual([]);
    domain.runtime.scripts = { app: { prints: "hello" } };
    await up(compose(service("app")));
    expect(manager.projects()).toEqual(["shop"]);
    expect(manager.services("shop")).toEqual(["app"]);
    const kinds = new Set<string>();
    await until("news of the log", () => {
      for (const { kind } of changes) kinds.add(kind);
      return kinds.has("logs");
    });
    expect([...kinds].sort()).toEqual(["events", "health", "logs", "projects", "stack"]);
    unsubscribe();
    const count = changes.length;
    await manager.stop({ project: "shop" }, call());
    expect(changes).toHaveLength(count);
    const other = domain.manager();
    expect(other.projects()).toEqual(["shop"]);
    expect(other.services("shop")).toEqual(["app"]);
    expect((await manager.runtimes()).map(({ runtime }) => runtime)).toEqual(["local"]);
  });
});
