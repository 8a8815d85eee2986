/** Changes of a running stack: restart, reconciliation, stop, loss of the runtime, shutdown. */
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import type { SharedStackManager } from "../../../src/stack/model.js";
import { call, compose, Domain, eventsOf, service, until } from "../../support/domain.js";
import { FakeRuntime } from "../../support/fake-runtime.js";

let domain: Domain;
let manager: SharedStackManager;
beforeEach(() => {
  domain = new Domain();
  manager = domain.manager();
});
afterEach(() => domain.close());

const write = (text: string) => domain.project("shop", text);
const up = async (text: string) => {
  write(text);
  expect((await manager.start({ project: "shop" }, call())).verified).toBe(true);
  domain.runtime.calls.length = 0;
};
const restart = (name: string, fields: object = {}) =>
  manager.restart({ project: "shop", service: name, ...fields }, call());
const needs = (name: string, more = "") => `depends_on: { ${name}: { condition: service_healthy${more} } }`;
const CHAIN = compose(service("web", needs("api")), service("api", needs("db", ", restart: true")), service("db"));

describe("restart", () => {
  it("a restart replaces one instance and leaves the others running", async () => {
    await up(CHAIN);
    const { pid } = domain.runtime.service("db");
    const outcome = await restart("web");
    expect(outcome).toMatchObject({
      status: "healthy",
      verified: true,
      dependents_restarted: [],
      before: { generation: 1 },
      after: { generation: 2, restarts: 1, state: "healthy" },
      health: { healthy: true },
    });
    expect(domain.runtime.calls).toEqual(["stop web SIGTERM", "start web"]);
    expect(domain.runtime.service("db").pid).toBe(pid);
    expect((await eventsOf(manager, "shop", "service_restarted"))[0]).toMatchObject({
      service: "web",
      actor: "test/1",
    });
  });

  it("a restart includes dependents with restart: true, or all dependents, in order", async () => {
    await up(CHAIN);
    expect((await restart("db")).dependents_restarted).toEqual(["api"]);
    expect(domain.runtime.calls).toEqual(["stop api SIGTERM", "stop db SIGTERM", "start db", "start api"]);
    domain.runtime.calls.length = 0;
    expect((await restart("db", { dependents: true })).dependents_restarted).toEqual(["api", "web"]);
    expect(domain.runtime.started()).toEqual(["db", "api", "web"]);
  });

  it("a restart names the services that went down meanwhile", async () => {
    await up(CHAIN);
    const { end } = domain.runtime.service("web");
    domain.runtime.scripts = { db: { startMs: 200 } };
    const restarting = restart("db");
    await until("db stopped", () => domain.runtime.calls.includes("stop db SIGTERM"));
    end({ exitCode: 7 });
    expect(await restarting).toMatchObject({
      status: "healthy",
      message: expect.stringContaining("web was up before and is crashed now: Not running: it exited with code 7."),
      next: { operation: "diagnose", input: { project: "shop" } },
    });
    // Also while the restart continues.
    domain.runtime.scripts = { db: { startMs: 400 } };
    const early = await restart("db", { timeoutMs: 100 });
    expect(early).toMatchObject({ status: "starting", message: expect.stringContaining("api was up before and is") });
    expect((await restart("api")).status).toBe("healthy");
  });

  it("a repeated restart joins the first, which continues when its caller cancels or its time ends", async () => {
    await up(CHAIN);
    domain.runtime.scripts = { web: { startMs: 400 } };
    const leave = new AbortController();
    const first = manager.restart({ project: "shop", service: "web" }, call({ signal: leave.signal }));
    const early = await restart("web", { timeoutMs: 50 });
    expect(early).toMatchObject({
      status: "starting",
      verified: false,
      next: { operation: "health_status", input: { project: "shop", wait_for: "healthy" } },
    });
    leave.abort();
    await expect(first).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
    expect((await restart("web")).status).toBe("healthy");
    expect(domain.runtime.started()).toEqual(["web"]);
  });

  it("a failed restart reports its error and can be repeated", async () => {
    await up(compose(service("app")));
    domain.runtime.scripts = {
      app: { startErrors: [new StackwardenError("DEPENDENCY_INSTALL_FAILED", "pip failed")] },
    };
    await expect(restart("app")).rejects.toMatchObject({ code: "DEPENDENCY_INSTALL_FAILED" });
    expect((await manager.report("shop")).services.app?.state).toBe("crashed");
    expect((await restart("app")).verified).toBe(true);
  });

  it("a restart succeeds while another dependency has crashed", async () => {
    await up(CHAIN);
    domain.runtime.service("db").end({ exitCode: 1 });
    await until("db crashed", async () => (await manager.report("shop")).services.db?.state === "crashed");
    expect((await restart("api")).verified).toBe(true);
  });

  it("failed restarts use up a budget, and its error has the last exit", async () => {
    await up(compose(service("app")));
    domain.runtime.scripts = {
      app: { ends: [1, 2, 3].map((exitCode) => ({ afterMs: 1, exitCode })), probe: () => "no" },
    };
    for (let i = 0; i < 3; i += 1) await expect(restart("app")).rejects.toMatchObject({ code: "SERVICE_START_FAILED" });
    const error = await restart("app").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "RESTART_BUDGET_EXCEEDED",
      details: { service: "app", state: "crashed", exit: { exit_code: 3 } },
    });
    expect((error as StackwardenError).details?.retry_after_seconds).toBeGreaterThan(200);
  });

  it("successful restarts do not use up the budget", async () => {
    await up(compose(service("app")));
    for (let i = 0; i < 8; i += 1) expect((await restart("app")).verified).toBe(true);
  });

  it("a restart of an unknown service or a stopped stack is refused", async () => {
    await up(CHAIN);
    await expect(restart("nope")).rejects.toMatchObject({
      code: "UNKNOWN_SERVICE",
      details: { valid: ["web", "api", "db"] },
    });
    await manager.stop({ project: "shop" }, call());
    await expect(restart("web")).rejects.toMatchObject({ code: "STACK_NOT_RUNNING" });
    await expect(restart("nope")).rejects.toMatchObject({ code: "UNKNOWN_SERVICE" });
  });
});

describe("start of a running stack", () => {
  it("a start replaces changed services and those that use their addresses, and leaves the others", async () => {
    const ports = 'ports: ["8000:8000"]';
    await up(
      compose(
        service("same"),
        service("api", ports),
        service("web", "environment: { API: 'http://{published:api:8000}' }"),
        service("old"),
      ),
    );
    write(
      compose(
        service("same"),
        service("api", 'ports: ["8001:8000"]'),
        service("web", "environment: { API: 'http://{published:api:8000}' }"),
        service("new"),
      ),
    );
    const outcome = await manager.start({ project: "shop" }, call());
    expect(outcome).toMatchObject({ status: "reconciled", verified: true });
    expect(domain.runtime.started().sort()).toEqual(["api", "new", "web"]);
    expect(domain.runtime.calls).toContain("stop old SIGTERM");
    expect(domain.runtime.calls.join()).not.toContain("stop same");
    expect(Object.keys(outcome.after.services)).toEqual(["same", "api", "web", "new"]);
    expect((await eventsOf(manager, "shop", "service_replaced")).map(({ service: name }) => name)).toEqual([
      "api",
      "web",
    ]);
  });

  it("a start replaces dependents with restart: true, changes limits live and starts crashed services", async () => {
    await up(
      compose(service("api", needs("db", ", restart: true")), service("db"), service("lim", "cpus: 1"), service("ill")),
    );
    domain.runtime.service("ill").end({ exitCode: 1 });
    await until("crashed", async () => (await manager.report("shop")).services.ill?.state === "crashed");
    write(
      compose(
        service("api", needs("db", ", restart: true")),
        service("db", "environment: { A: b }"),
        // No runtime applies annotations.
        service("lim", "cpus: 2\nannotations: { note: changed }"),
        service("ill"),
      ),
    );
    await manager.start({ project: "shop" }, call());
    expect(domain.runtime.started().sort()).toEqual(["api", "db", "ill"]);
    expect(domain.runtime.calls).toContain('limits lim {"cpus":2}');
  });

  it("a start adds a named service of an inactive profile, and refuses an unknown name", async () => {
    domain.project("shop", compose(service("app"), service("extra", "profiles: [more]")));
    const manager = domain.manager();
    await manager.start({ project: "shop" }, call());
    await expect(manager.start({ project: "shop", services: ["nope"] }, call())).rejects.toMatchObject({
      code: "UNKNOWN_SERVICE",
      message: expect.stringContaining("nope"),
    });
    expect(Object.keys((await manager.report("shop")).services)).toEqual(["app"]);
    const { after } = await manager.start({ project: "shop", services: ["extra"] }, call());
    expect(Object.values(after.services).map(({ service: name, state }) => [name, state])).toEqual([
      ["app", "healthy"],
      ["extra", "healthy"],
    ]);
    expect(domain.runtime.services.get("app")?.generation).toBe(1);
  });

  it("a migration that a call named runs again only when a call names it", async () => {
    const files = (mode: string, ofDatabase = "") =>
      write(
        compose(service("db", ofDatabase), service("web")) +
          `
  migrate:
    image: example/migrate
    profiles: [tools]
    environment: { MODE: ${mode} }
    depends_on: { db: { condition: service_healthy, restart: true } }
    x-local: { command: [run] }
`,
      );
    const runs = () => domain.runtime.started().filter((name) => name === "migrate").length;
    const start = (services: string[]) => {
      domain.runtime.scripts = { migrate: { ends: [{ afterMs: 20, exitCode: 0 }] } };
      return manager.start({ project: "shop", services }, call());
    };
    files("one");
    await start(["web", "migrate"]);
    expect(runs()).toBe(1);
    // Its definition changes, then that of a database with which it restarts.
    files("two");
    await start(["web"]);
    files("two", "environment: { A: b }");
    expect((await start(["web"])).message).toContain("db replaced");
    expect(runs()).toBe(1);
    expect((await manager.report("shop")).services.migrate?.state).toBe("completed");
    // The changes that did not run before.
    await start(["migrate"]);
    expect(runs()).toBe(2);
    await start(["migrate"]);
    expect(runs()).toBe(2);
    files("three");
    await start(["migrate"]);
    expect(runs()).toBe(3);
  });

  it("a service that follows a migration is not replaced when the migration does not run again", async () => {
    const files = (mode: string) =>
      write(
        compose(
          service("web"),
          service("migrate", `environment: { MODE: ${mode} }`),
          service("api", "depends_on: { migrate: { condition: service_completed_successfully, restart: true } }"),
        ),
      );
    const start = (services: string[]) => {
      domain.runtime.scripts = { migrate: { ends: [{ afterMs: 20, exitCode: 0 }] } };
      return manager.start({ project: "shop", services }, call());
    };
    files("one");
    await start(["migrate", "api", "web"]);
    files("two");
    expect((await start(["api", "web"])).status).toBe("already_running");
    expect((await start(["migrate", "api"])).message).toContain("api replaced");
  });

  it("a later start keeps ports and profiles, and new ports apply after the start in progress", async () => {
    const text = compose(service("app", 'ports: ["8000"]'), service("extra", "profiles: [more]"));
    write(text);
    await manager.start({ project: "shop", ports: { app: 9001 }, profiles: ["more"] }, call());
    const again = await manager.start({ project: "shop" }, call());
    expect(again.status).toBe("already_running");
    expect(again.after.services.app?.endpoints[0]).toMatchObject({ host_port: 9001, container_port: 8000 });
    domain.runtime.scripts = { app: { startMs: 200 } };
    const [first, second] = await Promise.all([
      manager.start({ project: "shop", ports: { app: 9002 } }, call()),
      manager.start({ project: "shop", ports: { app: 9003 } }, call()),
    ]);
    expect(first.status).toBe("reconciled");
    expect(second.after.services.app?.endpoints[0]?.host_port).toBe(9003);
    await expect(manager.start({ project: "shop", ports: { nope: 1 } }, call())).rejects.toMatchObject({
      code: "UNKNOWN_SERVICE",
    });
    await expect(manager.start({ project: "shop", ports: { extra: 1 } }, call())).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
  });

  it("a start replaces an unchanged service when the runtime requires it, and its dependents", async () => {
    await up(CHAIN);
    write(`${CHAIN}${service("new")}`);
    domain.runtime.updateReplaces = { api: "a folder that it can write to became a mount" };
    const outcome = await manager.start({ project: "shop" }, call());
    expect(outcome.status).toBe("reconciled");
    expect(domain.runtime.started().sort()).toEqual(["api", "new"]);
    expect(domain.runtime.calls.join()).not.toContain("stop db");
  });

  it("a start with a refused definition changes nothing", async () => {
    await up(CHAIN);
    write("services: { app: { image: x, network_mode: host } }");
    await expect(manager.start({ project: "shop" }, call())).rejects.toMatchObject({ code: "POLICY_VIOLATION" });
    write(compose(service("other")));
    domain.runtime.updateError = new StackwardenError("PORT_IN_USE", "taken");
    await expect(manager.start({ project: "shop" }, call())).rejects.toMatchObject({ code: "PORT_IN_USE" });
    expect(domain.runtime.calls).toEqual([]);
    expect((await manager.report("shop")).state).toBe("running");
    expect(manager.services("shop")).toEqual(["web", "api", "db"]);
  });
});

describe("stop", () => {
  it("a stop runs in reverse order, can be repeated, and deletes volumes only on request", async () => {
    await up(
      `${CHAIN}  vol:\n    image: x\n    x-local: { command: [a] }\n    volumes: ["data:/d"]\nvolumes: { data: {} }\n`,
    );
    const outcome = await manager.stop({ project: "shop" }, call());
    expect(outcome).toMatchObject({ status: "stopped", verified: true, removed_volumes: [], next: null });
    const stops = domain.runtime.calls.filter((one) => /stop (web|api|db)/.test(one));
    expect(stops).toEqual(["stop web SIGTERM", "stop api SIGTERM", "stop db SIGTERM"]);
    expect(domain.runtime.stacks[0]?.closed).toBe(true);
    expect(await manager.stop({ project: "shop" }, call())).toMatchObject({ status: "already_stopped" });
    expect(await manager.stop({ project: "shop", removeVolumes: true }, call())).toMatchObject({
      removed_volumes: ["data"],
    });
    expect(domain.runtime.removed).toEqual([["data"]]);
    const fresh = domain.manager();
    expect((await fresh.stop({ project: "shop", removeVolumes: true }, call())).removed_volumes).toEqual(["data"]);
  });

  it("a stop ends a start in progress", async () => {
    write(CHAIN);
    domain.runtime.scripts = { db: { startMs: 60_000 } };
    const starting = manager.start({ project: "shop" }, call());
    await until("db starts", () => domain.runtime.started().includes("db"));
    const stopped = await manager.stop({ project: "shop" }, call());
    await expect(starting).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
    expect(stopped).toMatchObject({ status: "stopped", verified: true });
  });

  it("a stop whose time ends continues, and a start waits for its end", async () => {
    await up(compose(service("app", "stop_grace_period: 1s")));
    domain.runtime.scripts = { app: { ignoresStop: true } };
    const early = await manager.stop({ project: "shop", timeoutMs: 50 }, call());
    expect(early).toMatchObject({ status: "stopping", verified: false, next: { input: { wait_for: "stopped" } } });
    expect((await manager.start({ project: "shop", timeoutMs: 50 }, call())).status).toBe("starting");
    expect((await manager.start({ project: "shop" }, call())).status).toBe("healthy");
    expect((await eventsOf(manager, "shop", "stack_stopped")).length).toBe(1);
  });

  it("a start whose time ends during a stop says that it started nothing, and nothing starts after the stop", async () => {
    await up(compose(service("app", "stop_grace_period: 1s")));
    domain.runtime.scripts = { app: { ignoresStop: true } };
    await manager.stop({ project: "shop", timeoutMs: 50 }, call());
    const early = await manager.start({ project: "shop", timeoutMs: 50 }, call());
    expect(early).toMatchObject({
      message: "The stack is still stopping, and this call started nothing. Repeat it when the stack has stopped.",
      next: { operation: "health_status", input: { project: "shop", wait_for: "stopped" } },
    });
    const { wait } = await manager.health({ project: "shop", waitFor: "stopped" }, call());
    expect(wait?.met).toBe(true);
    expect(domain.runtime.started()).toEqual([]);
  });
});

describe("loss of the runtime", () => {
  it("a lost runtime makes every service lost, and the stack can start again", async () => {
    await up(CHAIN);
    domain.runtime.stacks[0]?.lose("engine gone");
    await until("lost", async () => (await manager.report("shop")).state === "lost");
    const health = await manager.health({ project: "shop", waitFor: "healthy" }, call());
    expect(Object.values(health.services).map(({ status }) => status)).toEqual(["lost", "lost", "lost"]);
    expect(health.wait).toMatchObject({ met: false });
    expect((await eventsOf(manager, "shop", "stack_lost"))[0]?.message).toContain("engine gone");
    await expect(restart("web")).rejects.toMatchObject({ code: "STACK_NOT_RUNNING" });
    expect((await manager.start({ project: "shop" }, call())).status).toBe("healthy");
  });

  it("a lost runtime ends a start in progress", async () => {
    write(CHAIN);
    domain.runtime.scripts = { db: { probe: () => "no" } };
    const starting = manager.start({ project: "shop" }, call());
    await until("db runs", () => domain.runtime.services.has("db"));
    domain.runtime.stacks[0]?.lose("engine gone");
    await expect(starting).rejects.toMatchObject({ code: expect.stringMatching(/RUNTIME_LOST|SERVICE_START_FAILED/) });
    await until("lost", async () => (await manager.report("shop")).state === "lost");
  });
});

describe("projects", () => {
  it("a project that another server runs is refused with that server's process id", async () => {
    await up(CHAIN);
    const other = domain.manager({}, [new FakeRuntime()]);
    await expect(other.start({ project: "shop" }, call())).rejects.toMatchObject({
      code: "PROJECT_LOCKED",
      details: { pid: process.pid },
    });
    await expect(other.stop({ project: "shop", removeVolumes: true }, call())).rejects.toMatchObject({
      code: "PROJECT_LOCKED",
    });
  });

  it("a project keeps its folder while it runs, and is listed when its folder does not exist", async () => {
    await up(CHAIN);
    domain.project("elsewhere", CHAIN);
    await expect(manager.start({ project: "shop", folder: "elsewhere" }, call())).rejects.toMatchObject({
      code: "PROJECT_CONFLICT",
    });
    await expect(manager.report("unknown")).rejects.toMatchObject({ code: "UNKNOWN_PROJECT" });
    await manager.stop({ project: "shop" }, call());
    rmSync(join(domain.root, "shop"), { recursive: true });
    const [listed] = await domain.manager().list();
    expect(listed).toMatchObject({ project: "shop", state: "stopped", services: {} });
    expect(listed?.notes[0]).toContain("shop");
    domain.project("shop", "services: [");
    expect((await domain.manager().report("shop")).notes[0]).toContain("cannot be read");
  });

  it("logs of a service remain readable after the compose file no longer has it or cannot be read", async () => {
    domain.runtime.scripts = { api: { prints: "good bye" } };
    await up(CHAIN);
    write(compose(service("db")));
    expect((await manager.start({ project: "shop" }, call())).status).toBe("reconciled");
    const logs = async (...services: string[]) =>
      (await manager.logs({ project: "shop", query: { services } })).lines.map(({ text }) => text);
    expect(await logs("api")).toEqual(["good bye"]);
    const unknown = { code: "UNKNOWN_SERVICE", details: { valid: ["db"] } };
    await expect(logs("ghost")).rejects.toMatchObject(unknown);
    await manager.stop({ project: "shop" }, call());
    write("services: [");
    expect(await logs("api")).toEqual(["good bye"]);
    await expect(logs("api", "ghost")).rejects.toMatchObject(unknown);
  });

  it("a moved folder is a conflict until the operator configures the new path", async () => {
    await up(CHAIN);
    const [folder, moved] = [join(domain.root, "shop"), join(domain.root, "moved")];
    renameSync(folder, moved);
    await expect(manager.start({ project: "shop", folder: "moved" }, call())).rejects.toMatchObject({
      code: "PROJECT_CONFLICT",
      message: expect.stringMatching(/belongs to .*\/shop \(which does not exist now\), not to .*\/moved/),
      hint: expect.stringContaining("projects.shop.folder"),
    });
    expect(manager.running()).toEqual([
      { project: "shop", state: "running", folder: expect.stringMatching(/\/shop$/) },
    ]);
    await manager.stop({ project: "shop" }, call());
    expect(manager.running()).toEqual([]);
    // No other folder inherits the project's secrets and data.
    await expect(manager.start({ project: "shop", folder: "moved" }, call())).rejects.toMatchObject({
      code: "PROJECT_CONFLICT",
    });
  });

  it("two projects run side by side", async () => {
    for (const project of ["one", "two"]) domain.project(project, CHAIN);
    await Promise.all(["one", "two"].map((project) => manager.start({ project }, call())));
    expect((await manager.list()).map(({ project, state }) => [project, state])).toEqual([
      ["one", "running"],
      ["two", "running"],
    ]);
  });
});

describe("shutdown", () => {
  it("shutdown stops every stack within its deadline, once, and refuses further calls", async () => {
    await up(compose(service("app", "stop_grace_period: 60s"), service("good")));
    domain.runtime.scripts = { app: { ignoresStop: true } };
    const begun = Date.now();
    await Promise.all([manager.shutdown("test", 2500), manager.shutdown("again")]);
    expect(Date.now() - begun).toBeLessThan(30_000);
    expect([...domain.runtime.alive]).toEqual([]);
    expect(domain.runtime.closed).toBe(1);
    await expect(manager.start({ project: "shop" }, call())).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
  });

  it("shutdown continues and logs an error when a runtime cannot close", async () => {
    domain.runtime.close = async () => {
      throw new Error("stuck");
    };
    await manager.shutdown("test", 1500);
    expect(domain.logged).toContain("error a runtime did not close");
  });

  it("shutdown ends at its deadline when a runtime hangs", async () => {
    await up(compose(service("app")));
    const [stack] = domain.runtime.stacks;
    if (stack !== undefined) stack.close = () => new Promise(() => undefined);
    await manager.shutdown("test", 1500);
    expect(domain.logged).toContain("warn stopping took too long; what is left is killed");
  });
});
