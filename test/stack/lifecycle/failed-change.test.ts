/** A failed start of a running stack: its services run as before, and reports name those that do not. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import type { SharedStackManager } from "../../../src/stack/model.js";
import { call, compose, Domain, eventsOf, service, until } from "../../support/domain.js";

let domain: Domain;
let manager: SharedStackManager;
beforeEach(() => {
  domain = new Domain();
  manager = domain.manager();
});
afterEach(() => domain.close());

/** The same service with a health check that fails. */
const failing = (text: string): string =>
  text.replace("[CMD, x]", "[CMD, bad]").replace("start_period: 10s", "start_period: 0s");
const probe = ({ test }: { test: unknown }) => (JSON.stringify(test).includes("bad") ? "HTTP 404" : (true as const));
const needs = (name: string) => `depends_on: { ${name}: { condition: service_healthy, restart: true } }`;
const api = service("api", "ports: ['3000:3000']");
const worker = service("worker", needs("api"));
const SHOP = [service("db"), api, worker];

const start = (fields: object = {}) => manager.start({ project: "shop", ...fields }, call());
const failed = (fields: object = {}) =>
  start(fields).then(
    () => expect.unreachable(),
    (error: StackwardenError) => error,
  );
const states = async () =>
  Object.fromEntries(Object.entries((await manager.report("shop")).services).map(([name, { state }]) => [name, state]));
const alive = () => [...domain.runtime.alive].map((one) => one.service).sort();

async function up(...services: string[]): Promise<void> {
  domain.runtime.scripts = Object.fromEntries(
    ["db", "api", "worker", "web", "migrate"].map((name) => [name, { probe }]),
  );
  domain.project("shop", compose(...services));
  expect((await start()).verified).toBe(true);
  domain.runtime.calls.length = 0;
}

describe("start_stack on a running stack that fails", () => {
  it("a failed start runs the former instances again and names them", async () => {
    await up(...SHOP);
    const db = domain.runtime.service("db").pid;
    domain.project("shop", compose(service("db"), failing(api), worker, service("extra")));
    const error = await failed();
    expect(error).toMatchObject({
      code: "SERVICE_START_FAILED",
      details: { service: "api", exit: null, rolled_back: ["api", "worker"], down: [] },
    });
    expect(error.message).toBe(
      "The service api did not start: its health check (fake) failed 2 times: HTTP 404. The former definition is in effect again; api, worker were restarted with it.",
    );
    expect(await states()).toEqual({ db: "healthy", api: "healthy", worker: "healthy" });
    expect(domain.runtime.service("db").pid).toBe(db);
    expect(alive()).toEqual(["api", "db", "worker"]);
    const health = await manager.health({ project: "shop", waitFor: "healthy" }, call());
    expect(health).toMatchObject({ state: "running", overall_healthy: true, wait: { met: true } });
    expect((await eventsOf(manager, "shop", "stack_start_failed"))[0]).toMatchObject({
      message: error.message,
      data: { rolled_back: ["api", "worker"], down: [] },
    });
    expect((await manager.diagnose({ project: "shop" })).cause).toMatchObject({
      kind: "start_failed",
      service: "api",
      explanation: "The last start failed; the services that it had replaced (api, worker) run as before.",
    });
    // The file still differs from the running definition.
    await until("api is stale", async () => (await manager.report("shop")).services.api?.stale?.fix === "start_stack");
    domain.project("shop", compose(...SHOP));
    expect((await start()).status).toBe("already_running");
  });

  it("a stack whose former instance does not come up is degraded, and the error names it", async () => {
    await up(...SHOP);
    let broken = false;
    domain.runtime.scripts.api = { probe: (check) => (broken ? "HTTP 500" : probe(check)) };
    domain.project("shop", compose(service("db"), failing(api), worker));
    broken = true;
    domain.runtime.scripts.worker = { probe };
    domain.runtime.scripts.api = {
      probe: () => "HTTP 500",
      ends: [{ afterMs: 5000 }, { afterMs: 20, exitCode: 7 }],
    };
    const error = await failed();
    expect(error).toMatchObject({ details: { service: "api", rolled_back: [], down: ["api", "worker"] } });
    expect(error.message).toMatch(/HTTP 500\. These services are down: api \(.*code 7.*\), worker \(/);
    const health = await manager.health({ project: "shop", waitFor: "healthy", timeoutMs: 5000 }, call());
    expect(health).toMatchObject({ state: "degraded", overall_healthy: false, wait: { met: false } });
    expect(health.wait?.reason).toMatch(/nothing restarts it/);
    const { cause, others } = await manager.diagnose({ project: "shop" });
    expect([cause, ...others].find((one) => one?.kind === "start_failed")?.explanation).toBe(
      "The last start failed; api, worker ran before it and did not come up again.",
    );
    expect(health.services.worker).toMatchObject({
      status: "stopped",
      message: expect.stringMatching(/^Not started: The service api did not start/),
    });
    domain.runtime.scripts.api = { probe };
    domain.project("shop", compose(...SHOP));
    expect(await start()).toMatchObject({ status: "reconciled", verified: true });
  });

  it("a service that crashed during the change is down, also when the change did not concern it", async () => {
    await up(service("cache"), api, service("db"));
    const { end } = domain.runtime.service("api");
    domain.runtime.scripts.cache = {
      startMs: 200,
      startErrors: [new StackwardenError("UNSUPPORTED", "No such option.", { retryable: true })],
      probe,
    };
    domain.project("shop", compose(service("cache", "command: [other]"), api, service("db")));
    const failing = failed();
    await until("cache stopped", () => domain.runtime.calls.includes("stop cache SIGTERM"));
    end({ exitCode: 1 });
    const error = await failing;
    expect(error).toMatchObject({
      code: "UNSUPPORTED",
      retryable: true,
      details: { rolled_back: ["cache"], down: ["api"] },
    });
    expect(error.message).toMatch(
      /cache was restarted with the former definition\. This service is down: api \(.*code 1/,
    );
    expect(await states()).toEqual({ cache: "healthy", api: "crashed", db: "healthy" });
  });

  it("a rollback does not run a completed service again", async () => {
    const migrate = service("migrate").replace(/\n {4}healthcheck:.*/, "");
    const app = service("api", "depends_on: { migrate: { condition: service_completed_successfully } }");
    domain.runtime.scripts = { migrate: { ends: [{ afterMs: 1 }, { afterMs: 1 }] }, api: { probe } };
    domain.project("shop", compose(migrate, app));
    await start();
    domain.runtime.calls.length = 0;
    domain.project("shop", compose(migrate.replace("[run]", "[run, all]"), failing(app)));
    const error = await failed();
    expect(error.details).toMatchObject({ rolled_back: ["api"], down: [] });
    expect(domain.runtime.started()).toEqual(["migrate", "api", "api"]);
    expect(await states()).toEqual({ migrate: "completed", api: "healthy" });
  });

  it("a failed start does not keep its ports, limits and selection", async () => {
    await up(...SHOP);
    domain.runtime.scripts.api = {
      startErrors: [new StackwardenError("UNSUPPORTED", "Port 80 cannot be used.")],
      probe,
    };
    const error = await failed({ ports: { api: 80 }, limits: { db: { pids: 77 } }, without: ["worker"] });
    expect(error).toMatchObject({ code: "UNSUPPORTED", details: { rolled_back: ["api", "worker"] } });
    expect(alive()).toEqual(["api", "db", "worker"]);
    const again = await start();
    expect(again.status).toBe("already_running");
    expect(again.after.services.api?.endpoints[0]?.host_port).toBe(3000);
    expect(domain.runtime.service("db").limits.pids).toBeUndefined();
    await manager.stop({ project: "shop" }, call());
    domain.runtime.scripts.api = { startErrors: [new StackwardenError("UNSUPPORTED", "no")], probe };
    await expect(start({ ports: { api: 81 }, limits: { db: { pids: 78 } } })).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
    expect((await start()).after.services.api?.endpoints[0]?.host_port).toBe(3000);
    expect(domain.runtime.service("db").limits.pids).toBeUndefined();
  });

  it("a cancelled start is rolled back, and a stop ends a start without a rollback", async () => {
    await up(...SHOP);
    domain.project("shop", compose(service("db"), service("api", "environment: { A: b }"), worker));
    domain.runtime.scripts.api = { startMs: 60_000, probe };
    const cancel = new AbortController();
    const first = manager.start({ project: "shop" }, call({ signal: cancel.signal }));
    await until("api starts", () => domain.runtime.started().includes("api"));
    domain.runtime.scripts.api = { probe };
    cancel.abort();
    await expect(first).rejects.toMatchObject({
      code: "OPERATION_CANCELLED",
      details: { rolled_back: ["api", "worker"] },
    });
    expect(await states()).toEqual({ db: "healthy", api: "healthy", worker: "healthy" });
    domain.runtime.calls.length = 0;
    domain.runtime.scripts.api = { startMs: 60_000, probe };
    const second = start();
    await until("api starts", () => domain.runtime.started().includes("api"));
    const [stopped] = await Promise.all([
      manager.stop({ project: "shop" }, call()),
      expect(second).rejects.toMatchObject({ code: "OPERATION_CANCELLED" }),
    ]);
    expect(stopped.status).toBe("stopped");
    expect(domain.runtime.started()).toEqual(["api"]);
  });

  it("a rollback ends the pending restart of a service that the start added", async () => {
    await up(service("db"));
    const plain = (text: string): string => text.replace(/\n {4}healthcheck:.*/, "");
    domain.runtime.scripts.web = { ends: [{ afterMs: 20, exitCode: 1 }] };
    domain.runtime.scripts.api = { startMs: 60_000 };
    domain.project("shop", compose(service("db"), service("api"), plain(service("web", "restart: always"))));
    const cancel = new AbortController();
    const change = manager.start({ project: "shop" }, call({ signal: cancel.signal }));
    await until("web runs", () => domain.runtime.services.has("web"));
    domain.runtime.scripts.web = { startMs: 400 };
    await until("web restarts", () => domain.runtime.started().filter((name) => name === "web").length === 2);
    cancel.abort();
    await expect(change).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(alive()).toEqual(["db"]);
  });

  describe("services with a pending restart", () => {
    const crashing = service("web", "restart: on-failure:9");
    const later = async () => (await eventsOf(manager, "shop", "restart_scheduled")).length;

    /** Crashes `web` until its restart waits for a second. */
    async function crashOften(): Promise<void> {
      domain.runtime.scripts.web = { ends: [{ afterMs: 1, exitCode: 5 }], probe };
      domain.runtime.service("web").end({ exitCode: 5 });
      await until("it waits for its restart", async () => (await later()) === 2 && (await states()).web === "crashed");
      domain.runtime.calls.length = 0;
    }

    it("a pending restart of a service that the failed start did not change takes place after the rollback", async () => {
      await up(crashing, api);
      await crashOften();
      // The start begins with both; web waits for nothing, and fails at once.
      domain.runtime.scripts.web = { startErrors: [new StackwardenError("UNSUPPORTED", "no such program")], probe };
      domain.project("shop", compose(crashing, api, service("extra")));
      expect((await failed()).details).toMatchObject({ rolled_back: [], down: [] });
      expect((await manager.report("shop")).services.web).toMatchObject({ state: "crashed" });
      expect(await later()).toBe(3);
      const health = await manager.health({ project: "shop", waitFor: "healthy", timeoutMs: 20_000 }, call());
      expect(health).toMatchObject({ overall_healthy: true, wait: { met: true } });
      expect(alive()).toEqual(["api", "web"]);
    });

    it("a pending restart of a service that the failed start replaced or removed uses the former definition", async () => {
      for (const next of [[failing(api), service("web", "restart: always")], [failing(api)]]) {
        await up(crashing, api);
        await crashOften();
        domain.project("shop", compose(...next));
        expect((await failed()).details).toMatchObject({ rolled_back: ["api"], down: [] });
        const { message } = (await eventsOf(manager, "shop", "restart_scheduled")).at(-1) ?? {};
        expect(message).toMatch(/^web starts again in \d+ ms\.$/);
        await until("web runs", async () => (await states()).web === "healthy");
        expect(alive()).toEqual(["api", "web"]);
        await manager.stop({ project: "shop", forget: true }, call());
      }
    });
  });

  it("a start that is refused before a change is recorded as start_refused", async () => {
    await up(...SHOP);
    await expect(start({ limits: { db: { memory_mb: 6 } } })).rejects.toMatchObject({ code: "LIMIT_REFUSED" });
    domain.runtime.updateError = new StackwardenError("PORT_IN_USE", "Host port in use: 3000 (api).");
    await expect(start()).rejects.toMatchObject({ code: "PORT_IN_USE" });
    expect(await eventsOf(manager, "shop", "stack_start_failed")).toEqual([]);
    expect(await eventsOf(manager, "shop", "start_refused")).toMatchObject([
      {
        message: expect.stringMatching(/^The start was refused; nothing changed: The limits of db/),
        data: { code: "LIMIT_REFUSED" },
      },
      { message: expect.stringContaining("3000"), data: { code: "PORT_IN_USE" } },
    ]);
    expect((await manager.diagnose({ project: "shop" })).cause).toBeNull();
  });
});

describe("stop_stack with services", () => {
  it("a stop of some services does not start others that crashed", async () => {
    await up(service("web"), service("api"));
    domain.runtime.scripts.api = { startErrors: [new StackwardenError("UNSUPPORTED", "no such program")] };
    domain.runtime.service("api").end({ exitCode: 1 });
    await until("crashed", async () => (await states()).api === "crashed");
    const outcome = await manager.stop({ project: "shop", services: ["web"] }, call());
    expect(outcome).toMatchObject({ status: "stopped", verified: true });
    expect(alive()).toEqual([]);
    expect(await states()).toEqual({ api: "crashed" });
    expect(domain.runtime.started()).toEqual([]);
  });
});

describe("reports after a failed start", () => {
  it("a failed start reports the exit of the instance that it started, not of an earlier one", async () => {
    await up(service("api"));
    domain.runtime.scripts.api = { probe: () => "HTTP 404" };
    domain.project("shop", compose(failing(service("api"))));
    domain.runtime.service("api").end({ exitCode: 9 });
    await until("crashed", async () => (await states()).api === "crashed");
    const error = await failed();
    expect(error.message).toContain("its health check (fake) failed 2 times: HTTP 404");
    expect(error.details?.exit).toBeNull();
  });

  it("services whose start ended because another failed are stopped, not crashed", async () => {
    domain.project(
      "shop",
      compose(failing(service("api")), service("worker", "depends_on: [api]"), service("web", needs("api"))),
    );
    domain.runtime.scripts = { api: { probe }, worker: { startMs: 60_000 } };
    const error = await failed();
    expect(error.details).toMatchObject({ service: "api", exit: null });
    const { services } = await manager.report("shop");
    expect(Object.values(services).map(({ state }) => state)).toEqual(["stopped", "stopped", "stopped"]);
    const health = await manager.health({ project: "shop" }, call());
    expect(health.services.api?.message).toBe(
      "The last start failed: its health check (fake) failed 2 times: HTTP 404.",
    );
    for (const name of ["worker", "web"])
      expect(health.services[name]?.message).toMatch(/^Not started: The service api did not start: its health check/);
  });

  it("a failed restart leaves the stack degraded with the reason, and a successful one never does", async () => {
    await up(service("db"), service("api").replace("start_period: 10s", "start_period: 0s"));
    domain.runtime.scripts.api = { probe: () => "HTTP 500" };
    const seen = new Set<string>();
    const unsubscribe = manager.subscribe((change) => {
      if (change.kind === "stack") seen.add(manager.running()[0]?.state ?? "");
    });
    await expect(manager.restart({ project: "shop", service: "api" }, call())).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
    });
    unsubscribe();
    const health = await manager.health({ project: "shop", waitFor: "healthy", timeoutMs: 5000 }, call());
    expect(health).toMatchObject({
      state: "degraded",
      wait: { met: false, reason: expect.stringMatching(/^api is stopped/) },
    });
    expect(health.services.api?.message).toBe(
      "The last start failed: its health check (fake) failed 2 times: HTTP 500.",
    );
    expect([...seen].sort()).toEqual(["degraded", "starting"]);
    // A successful restart is never reported as degraded.
    domain.runtime.scripts.api = { probe };
    seen.clear();
    const follow = manager.subscribe((change) => {
      if (change.kind === "stack") seen.add(manager.running()[0]?.state ?? "");
    });
    expect((await manager.restart({ project: "shop", service: "db" }, call())).verified).toBe(true);
    await manager.restart({ project: "shop", service: "api" }, call());
    seen.clear();
    await manager.restart({ project: "shop", service: "db" }, call());
    follow();
    expect([...seen].sort()).toEqual(["running", "starting"]);
  });
});

describe("result of start_stack on a running stack", () => {
  it("the message names what was replaced, started, stopped and changed, with the reasons", async () => {
    await up(...SHOP, service("web"), service("old"));
    domain.runtime.service("web").end({ exitCode: 1 });
    await until("crashed", async () => (await states()).web === "crashed");
    domain.project(
      "shop",
      compose(
        service("db", "cpus: 2"),
        service("api", "environment: { A: b }"),
        worker,
        service("web"),
        service("new"),
      ),
    );
    const outcome = await start();
    expect(outcome.message).toBe(
      "The running stack was brought in line with its definition: api replaced (its definition changed), worker replaced (it follows api), web started (it was crashed), new started, old stopped (the definition no longer has it), limits of db changed; every service is healthy.",
    );
    expect((await eventsOf(manager, "shop", "service_replaced")).map(({ message }) => message)).toEqual([
      "api was replaced: its definition changed.",
      "worker was replaced: it follows api.",
    ]);
  });
});
