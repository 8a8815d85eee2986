/** Starts of a stack: order, readiness, rollback, and callers that join or cancel. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import type { StackSettings } from "../../../src/stack/settings.js";
import { call, compose, Domain, eventsOf, service, until } from "../../support/domain.js";
import { FakeRuntime, type Script } from "../../support/fake-runtime.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await domain.close();
});

const THREE = compose(
  service("web", "depends_on: { api: { condition: service_healthy } }"),
  service("api", "depends_on: { db: { condition: service_healthy } }"),
  service("db"),
  service("cache"),
);

it("a start follows the dependencies, runs independent services in parallel and reports their state", async () => {
  domain.project("shop", THREE);
  domain.runtime.scripts = { db: { startMs: 100 }, cache: { startMs: 100 } };
  const manager = domain.manager();
  const told: string[] = [];
  const outcome = await manager.start(
    { project: "shop" },
    call({ progress: ({ progress, total, message }) => told.push(`${progress}/${total} ${message}`) }),
  );
  expect(domain.runtime.started().slice(0, 2).sort()).toEqual(["cache", "db"]);
  expect(domain.runtime.started().slice(2)).toEqual(["api", "web"]);
  expect(outcome).toMatchObject({ status: "healthy", verified: true, missing: [], next: null });
  expect(outcome.before.state).toBe("stopped");
  expect(outcome.after).toMatchObject({ state: "running", runtime: "local" });
  expect(Object.keys(outcome.after.services)).toEqual(["web", "api", "db", "cache"]);
  expect(outcome.after.notes).toContain("Runtime local (the first that is available).");
  expect(told.some((line) => line.startsWith("0/4"))).toBe(true);
  expect(told.at(-1)).toBe("4/4 Every service is healthy.");
  // The fake runtime reports an event and a phase with the same text.
  expect(told.filter((line) => /db: unpacking/i.test(line))).toEqual(["0/4 db: Unpacking 12 MB."]);
  const types = (await eventsOf(manager, "shop")).map(({ type }) => type);
  expect(types[0]).toBe("stack_starting");
  expect(types.at(-1)).toBe("stack_started");
  expect((await eventsOf(manager, "shop", "stack_started"))[0]?.actor).toBe("test/1");
});

it("a first start reads the definition once, and checks the runtime meanwhile", async () => {
  domain.project("shop", compose(service("web")));
  let reads = 0;
  let isChecked = (): void => undefined;
  const checked = new Promise<void>((resolve) => {
    isChecked = resolve;
  });
  const { runtime, loadStack } = domain;
  const check = runtime.check.bind(runtime);
  runtime.check = () => {
    isChecked();
    return check();
  };
  domain.loadStack = async (request) => {
    reads += 1;
    await checked;
    return loadStack(request);
  };
  const { before, after } = await domain.manager().start({ project: "shop" }, call());
  expect(reads).toBe(1);
  expect(before).toMatchObject({ state: "stopped", started_at: null, services: { web: { state: "stopped" } } });
  expect(after).toMatchObject({ state: "running", services: { web: { state: "healthy" } } });
});

it("reports of the built-in stack read no definition while it runs, wherever the server runs", async () => {
  const folder = join(domain.root, "shop");
  mkdirSync(folder);
  vi.spyOn(process, "cwd").mockReturnValue(folder);
  let reads = 0;
  const { loadStack } = domain;
  domain.loadStack = (request) => {
    reads += 1;
    return loadStack(request);
  };
  const manager = domain.manager();
  await manager.start({ project: "shop" }, call());
  expect((await manager.report("shop")).source).toBe("built-in:commandcenter");
  expect(reads).toBe(1);
});

it("a start's notes have what concerns the caller's files, and the reason for a runtime once", async () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a compose variable.
  domain.project("shop", compose(service("web", "environment: { KEY: '${ABSENT_KEY}' }")));
  const manager = domain.manager();
  const start = async () => (await manager.start({ project: "shop" }, call())).notes;
  const unset = expect.stringContaining("ABSENT_KEY");
  const reason = "Runtime local (the first that is available).";
  // A report before the start has the note on the variable too.
  expect((await manager.report("shop")).notes).toEqual([unset]);
  expect(await start()).toEqual([unset, reason]);
  expect(await start()).toEqual([]);
  await manager.stop({ project: "shop" }, call());
  expect(await start()).toEqual([unset]);
});

it("a start without a compose file says that it starts the built-in stack, and what it leaves out", async () => {
  mkdirSync(join(domain.root, "bare"));
  const manager = domain.manager();
  const { notes } = await manager.start({ project: "bare" }, call());
  expect(notes).toEqual(
    expect.arrayContaining([
      "The folder has no compose file: this is the built-in stack (postgres, redis).",
      expect.stringMatching(/^The service backend is left out/),
      expect.stringMatching(/^The service frontend is left out/),
    ]),
  );
});

it("a start waits for a dependency's completion or start, as its condition requires", async () => {
  domain.project(
    "shop",
    compose(
      service(
        "app",
        "depends_on: { migrate: { condition: service_completed_successfully }, side: { condition: service_started } }",
      ),
      `
  migrate:
    image: example/migrate
    x-local: { command: [run] }
`,
      service("side"),
    ),
  );
  domain.runtime.scripts = { side: { probe: () => (domain.runtime.services.has("app") ? true : "not yet") } };
  const manager = domain.manager();
  const starting = manager.start({ project: "shop" }, call());
  await until("migrate runs", () => domain.runtime.services.has("migrate"));
  expect(domain.runtime.started()).not.toContain("app");
  domain.runtime.service("migrate").end({ exitCode: 0 });
  expect((await starting).status).toBe("healthy");
  expect((await manager.report("shop")).services.migrate?.state).toBe("completed");
});

it("a dependent with service_started starts when its dependency runs, before the dependency is healthy", async () => {
  domain.project(
    "shop",
    compose(service("app", "depends_on: { side: { condition: service_started } }"), service("side")),
  );
  domain.runtime.scripts = {
    side: { startMs: 100, probe: () => (domain.runtime.services.has("app") ? true : "not yet") },
  };
  const { status } = await domain.manager().start({ project: "shop" }, call());
  expect(status).toBe("healthy");
});

it("a dependent with service_started does not start when the limits of its dependency are refused", async () => {
  const after = "depends_on: { first: { condition: service_started }, side: { condition: service_started } }";
  domain.project("shop", compose(service("app", after), service("first"), service("side", "mem_limit: 128m")));
  domain.runtime.level = "none";
  // The wait for `side` begins between its start and its refusal.
  domain.runtime.scripts = { first: { startMs: 150 }, side: { readLimitsMs: 500 } };
  await expect(
    domain.manager({ requireEnforcedLimits: true }).start({ project: "shop" }, call()),
  ).rejects.toMatchObject({ code: "LIMITS_NOT_ENFORCEABLE" });
  expect(domain.runtime.started().sort()).toEqual(["first", "side"]);
});

it("a failed start reports the cause and the last lines, and stops the started services", async () => {
  domain.project("shop", THREE);
  domain.runtime.scripts = { api: { prints: "password=topsecret1 boom", probe: () => new Promise(() => undefined) } };
  const manager = domain.manager();
  const starting = manager.start({ project: "shop" }, call());
  await until("api runs", () => domain.runtime.services.has("api"));
  domain.runtime.service("api").end({ exitCode: 3 });
  const error = await starting.catch((thrown: unknown) => thrown as StackwardenError);
  expect(error).toMatchObject({ code: "SERVICE_START_FAILED", details: { service: "api", exit: { exit_code: 3 } } });
  expect((error as StackwardenError).message).toContain("it exited with code 3");
  const lines = (error as StackwardenError).details?.last_lines as string[];
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/boom$/);
  expect(lines[0]).not.toContain("topsecret1");
  expect([...domain.runtime.alive]).toEqual([]);
  expect(domain.runtime.stacks[0]?.closed).toBe(true);
  expect(domain.runtime.started()).not.toContain("web");
  expect((await manager.report("shop")).state).toBe("stopped");
  expect((await eventsOf(manager, "shop", "stack_start_failed"))[0]?.message).toContain("api");
  // The project's lock was released.
  domain.runtime.scripts = {};
  expect((await domain.manager().start({ project: "shop" }, call())).status).toBe("healthy");
});

it("a failed start reports the runtime's refusal when another service waits for the refused one", async () => {
  domain.project("shop", THREE);
  const refused = new StackwardenError("DEPENDENCY_INSTALL_FAILED", "pip install ended with 1.", {
    hint: "Correct it.",
  });
  domain.runtime.scripts = { api: { startErrors: [refused] } };
  const starting = domain.manager().start({ project: "shop" }, call());
  await expect(starting).rejects.toMatchObject({ code: "DEPENDENCY_INSTALL_FAILED", message: refused.message });
});

it.each([
  [{ exitCode: null, signal: "SIGKILL", oomKilled: true }, "", /Raise its memory limit/],
  [{ exitCode: 1 }, "[emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)", /port from 1024 upwards/],
  [{ exitCode: 1 }, "Error: listen EACCES: permission denied 0.0.0.0:443", /port from 1024 upwards/],
  [{ exitCode: 1 }, "EACCES: permission denied, open '/data/x'", /^It lacks a permission/],
  [{ exitCode: 1 }, "Error: listen EACCES: permission denied /run/app.sock", /^It lacks a permission/],
])("a start that fails with %j %j has a hint that fixes it", async (exit, prints, step) => {
  domain.project("shop", compose(service("app", "mem_limit: 100m")));
  domain.runtime.scripts = { app: { prints, probe: () => "connection refused" } };
  const starting = domain.manager().start({ project: "shop" }, call());
  await until("it runs", () => domain.runtime.services.has("app"));
  domain.runtime.service("app").end(exit);
  const error = await starting.catch((thrown: unknown) => thrown);
  expect((error as StackwardenError).report().hint).toMatch(step);
});

it("a start fails when its checks fail too often", async () => {
  domain.project("shop", compose(service("app").replace("start_period: 10s", "start_period: 0s")));
  domain.runtime.scripts = { app: { probe: () => "HTTP 500" } };
  const error = await domain
    .manager()
    .start({ project: "shop" }, call())
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "SERVICE_START_FAILED" });
  expect((error as Error).message).toContain("its health check (fake) failed 2 times: HTTP 500");
  expect((error as StackwardenError).hint).toMatch(
    / To inspect it while it runs, call start_stack \{"wait": false\}: such a start keeps services running when one fails\.$/,
  );
});

describe("a first start with wait: false in which a service fails", () => {
  const failing = service("app", "depends_on: [db]").replace("start_period: 10s", "start_period: 0s");
  const dependent = service("web", "depends_on: { app: { condition: service_healthy } }");
  const begin = async (script: Script, settings: Partial<StackSettings> = {}) => {
    domain.project("shop", compose(service("db"), failing, dependent));
    domain.runtime.scripts = { app: script };
    const manager = domain.manager(settings);
    await manager.start({ project: "shop", wait: false, idleStopMs: 60_000 }, call());
    await until("the start ends", async () => (await manager.report("shop")).state !== "starting");
    return manager;
  };
  const running = () => [...domain.runtime.alive].map(({ service: name }) => name);

  it("the unhealthy service and its dependencies keep running, and a later start completes the stack", async () => {
    let answer: true | string = "HTTP 500";
    const manager = await begin({ probe: () => answer });
    expect(running()).toEqual(["db", "app"]);
    const { state, services, idle_stop } = await manager.report("shop");
    expect({ state, idle_stop }).toMatchObject({ state: "degraded", idle_stop: { seconds: 60 } });
    expect(services).toMatchObject({
      db: { state: "healthy" },
      app: { state: "unhealthy" },
      web: { state: "stopped" },
    });
    const { services: health } = await manager.health({ project: "shop" }, call());
    expect(health.web?.message).toBe(
      "Not started: The service app did not start: its health check (fake) failed 2 times: HTTP 500.",
    );
    expect(await eventsOf(manager, "shop", "stack_started", "stack_start_failed")).toMatchObject([
      { message: "The stack started, but not every service is up: app is unhealthy, web is stopped." },
    ]);
    answer = true;
    expect(await manager.start({ project: "shop" }, call())).toMatchObject({ status: "reconciled", verified: true });
    expect(domain.runtime.started()).toEqual(["db", "app", "web"]);
  });

  it("services keep running when another one ends", async () => {
    const manager = await begin({ ends: [{ afterMs: 100, exitCode: 3 }], probe: () => "not yet" });
    expect(running()).toEqual(["db"]);
    expect((await manager.health({ project: "shop" }, call())).services.app?.message).toContain("exited with code 3");
  });

  it("services keep running when the start exceeds its deadline", async () => {
    await begin({ probe: () => ({ starting: "not ready" }) }, { startTimeoutMs: 1500 });
    expect(running()).toEqual(["db", "app"]);
  });

  it("nothing keeps running when the start is stopped or a service is refused before it runs", async () => {
    const manager = await begin({ startErrors: [new StackwardenError("UNSUPPORTED", "no such image")] });
    expect(running()).toEqual([]);
    expect((await manager.report("shop")).state).toBe("stopped");
    domain.runtime.scripts = { app: { probe: () => ({ starting: "not ready" }) } };
    await manager.start({ project: "shop", wait: false }, call());
    await until("app runs", () => running().includes("app"));
    await manager.stop({ project: "shop" }, call());
    expect(running()).toEqual([]);
  });
});

it("a start that exceeds its deadline fails and names the missing services", async () => {
  domain.project("shop", THREE);
  domain.runtime.scripts = { api: { probe: () => "not ready", prints: "waiting for a licence" } };
  const error = await domain
    .manager({ startTimeoutMs: 3000 })
    .start({ project: "shop" }, call())
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: "START_TIMEOUT",
    details: { missing: ["web", "api"], last_lines: ["api | waiting for a licence"] },
    hint: expect.stringContaining('start_stack {"wait": false}'),
  });
  expect((error as Error).message).toMatch(/within 3 s: .*api is starting/);
  expect([...domain.runtime.alive]).toEqual([]);
});

it("a repeated start joins the first one, which continues when one of two callers cancels", async () => {
  domain.project("shop", THREE);
  domain.runtime.scripts = { db: { startMs: 300 } };
  const manager = domain.manager();
  const cancel = new AbortController();
  const first = manager.start({ project: "shop" }, call({ signal: cancel.signal }));
  const second = manager.start({ project: "shop" }, call());
  await until("db starts", () => domain.runtime.started().includes("db"));
  cancel.abort();
  await expect(first).rejects.toMatchObject({
    code: "OPERATION_CANCELLED",
    message: expect.stringContaining("continues"),
  });
  expect((await second).status).toBe("healthy");
  expect(domain.runtime.started().filter((name) => name === "db")).toHaveLength(1);
});

it("a start whose time ends during another one says which arguments were not applied", async () => {
  domain.project("shop", compose(service("web", "ports: ['3000']")));
  domain.runtime.scripts = { web: { startMs: 600 } };
  const manager = domain.manager();
  const start = (fields: object = {}) => manager.start({ project: "shop", ...fields }, call());
  const first = start();
  await until("it starts", async () => (await manager.report("shop")).state === "starting");
  const second = await start({ ports: { web: 9191 }, services: ["web"], timeoutMs: 50 });
  expect(second).toMatchObject({
    status: "starting",
    verified: false,
    message: expect.stringMatching(
      /of this call services, ports were not applied\. Repeat this call after that start\.$/,
    ),
    next: { operation: "health_status", input: { project: "shop", wait_for: "healthy" } },
  });
  expect((await start({ timeoutMs: 50 })).message).not.toContain("applied");
  expect((await first).status).toBe("healthy");
  const { after } = await start({ ports: { web: 9191 } });
  expect(after.services.web?.endpoints).toMatchObject([{ host_port: 9191 }]);
});

it("a call that joins a start sets when the stack stops without calls", async () => {
  domain.project("shop", compose(service("web")));
  domain.runtime.scripts = { web: { startMs: 300 } };
  const manager = domain.manager();
  const first = manager.start({ project: "shop", idleStopMs: 20_000 }, call());
  await until("it starts", async () => (await manager.report("shop")).state === "starting");
  const second = await manager.start({ project: "shop", idleStopMs: 60_000 }, call());
  for (const { after } of [await first, second]) expect(after.idle_stop).toMatchObject({ seconds: 60 });
  expect(domain.runtime.started()).toEqual(["web"]);
});

it("a start is rolled back when its only caller cancels", async () => {
  domain.project("shop", THREE);
  domain.runtime.scripts = { api: { startMs: 60_000 } };
  const manager = domain.manager();
  const cancel = new AbortController();
  const starting = manager.start({ project: "shop" }, call({ signal: cancel.signal }));
  await until("api starts", () => domain.runtime.started().includes("api"));
  cancel.abort();
  await expect(starting).rejects.toMatchObject({
    code: "OPERATION_CANCELLED",
    message: expect.stringContaining("was cancelled"),
  });
  expect([...domain.runtime.alive]).toEqual([]);
  expect(domain.runtime.stacks[0]?.closed).toBe(true);
  expect((await manager.report("shop")).state).toBe("stopped");
});

it("a start that meets a cancelled one begins after it, and is not cancelled with it", async () => {
  domain.project("shop", compose(service("db", "stop_grace_period: 300ms"), service("api", "depends_on: [db]")));
  domain.runtime.scripts = { db: { ignoresStop: true }, api: { startMs: 60_000 } };
  const manager = domain.manager();
  const cancel = new AbortController();
  const cancelled = manager.start({ project: "shop" }, call({ signal: cancel.signal }));
  await until("api starts", () => domain.runtime.started().includes("api"));
  domain.runtime.scripts.api = {};
  cancel.abort();
  await until("db is being stopped", () => domain.runtime.calls.some((one) => one.startsWith("stop db")));
  const other = manager.start({ project: "shop" }, call());
  await expect(cancelled).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
  expect(await other).toMatchObject({ status: "healthy", verified: true });
});

it("a start whose time ends returns the current state, continues, and is joined by the next call", async () => {
  domain.project("shop", THREE);
  domain.runtime.scripts = { api: { startMs: 400 } };
  const manager = domain.manager();
  const early = await manager.start({ project: "shop", timeoutMs: 100 }, call());
  expect(early).toMatchObject({ status: "starting", verified: false });
  expect(early.after.state).toBe("starting");
  expect(early.missing.map(({ service: name }) => name)).toContain("api");
  expect(early.next).toMatchObject({ operation: "health_status", input: { wait_for: "healthy" } });
  const cancel = new AbortController();
  const again = manager.start({ project: "shop" }, call({ signal: cancel.signal }));
  // A caller received "starting", so that a later cancellation does not end the start.
  cancel.abort();
  await expect(again).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
  const health = await manager.health({ project: "shop", waitFor: "healthy" }, call());
  expect(health).toMatchObject({ overall_healthy: true, wait: { met: true } });
  expect(await manager.start({ project: "shop" }, call())).toMatchObject({ status: "already_running", verified: true });
  expect(domain.runtime.started()).toHaveLength(4);
});

it("a start whose time ends before the definition is read names the missing services", async () => {
  domain.project("shop", THREE);
  const manager = domain.manager();
  const early = await manager.start({ project: "shop", timeoutMs: 0 }, call());
  expect(early.missing).toContainEqual({
    service: "api",
    state: "pending",
    reason: "The stack is starting; this service has not started yet.",
  });
  expect((await manager.health({ project: "shop", waitFor: "healthy" }, call())).wait?.met).toBe(true);
});

it("a start with wait: false returns once the definition is accepted", async () => {
  domain.project("shop", THREE);
  domain.runtime.scripts = { db: { startMs: 300 } };
  const manager = domain.manager();
  const outcome = await manager.start({ project: "shop", wait: false }, call());
  expect(outcome.status).toBe("starting");
  expect((await manager.health({ project: "shop", waitFor: "healthy" }, call())).wait?.met).toBe(true);
  domain.project("bad", "services: { app: { image: x, privileged: true, x-local: { command: [a] } } }");
  await expect(manager.start({ project: "bad", wait: false }, call())).rejects.toMatchObject({
    code: "POLICY_VIOLATION",
  });
});

it("a start retries transient failures and reports them, and does not retry permanent ones", async () => {
  domain.project("shop", compose(service("app")));
  const reset = Object.assign(new Error("reset token=abcdef123456"), { code: "ECONNRESET" });
  domain.runtime.openErrors = [reset];
  domain.runtime.scripts = { app: { startErrors: [reset] } };
  const manager = domain.manager();
  expect((await manager.start({ project: "shop" }, call())).status).toBe("healthy");
  const retries = await eventsOf(manager, "shop", "retrying");
  expect(retries.map(({ service: name }) => name)).toEqual([null, "app"]);
  expect(JSON.stringify(retries)).not.toContain("abcdef123456");
  await manager.stop({ project: "shop" }, call());
  const wrong = new StackwardenError("UNSUPPORTED", "no such image");
  domain.runtime.scripts = { app: { startErrors: [wrong] } };
  await expect(manager.start({ project: "shop" }, call())).rejects.toMatchObject({ code: "UNSUPPORTED" });
  expect(await eventsOf(manager, "shop", "retrying")).toHaveLength(2);
});

it("a start on an unavailable runtime names what is missing", async () => {
  domain.project("shop", compose(service("app")));
  domain.runtime.available = false;
  for (const runtime of ["auto", "local", "dagger"] as const) {
    const error = await domain
      .manager({ runtime })
      .start({ project: "shop" }, call())
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect((error as Error).message).toContain(runtime === "dagger" ? "no such runtime" : "install it");
  }
});

it("a start on another runtime reports where the earlier data is, and a stop deletes it on both", async () => {
  const text = `${compose(service("app", 'volumes: ["data:/d"]'))}volumes: { data: {} }\n`;
  domain.project("shop", text);
  const dagger = new FakeRuntime("dagger");
  const runtimes = [domain.runtime, dagger];
  dagger.available = false;
  const reasons: (string | undefined)[] = [];
  for (const available of [false, true, true]) {
    dagger.available = available;
    const manager = domain.manager({}, runtimes);
    reasons.push((await manager.start({ project: "shop" }, call())).after.notes.at(-1));
    await manager.stop({ project: "shop", removeVolumes: reasons.length === 3 }, call());
    await manager.shutdown("the test goes on", 3000);
  }
  const [first, switched, again] = reasons;
  expect(first).toMatch(/^Runtime local/);
  expect(switched).toMatch(/^Runtime dagger.* ran on local before, .*\(data\).*`runtime: local`/);
  expect(again).toMatch(/^Runtime dagger/);
  expect(again).not.toContain("before");
  expect([domain.runtime.removed, dagger.removed]).toEqual([[["data"]], [["data"]]]);
});

it("a start generates secrets, redacts them in logs and stores the service names", async () => {
  domain.project(
    "shop",
    compose(
      service("app", "environment: { KEY: $SECRET_KEY }"),
      "\nsecrets: { k: { environment: SECRET_KEY, x-generate: true } }",
    ).replace("services:", "services:"),
  );
  const manager = domain.manager();
  const outcome = await manager.start({ project: "shop" }, call());
  expect(outcome.status).toBe("healthy");
  const file = join(domain.state, "projects", "shop");
  const [secret] = Object.values(JSON.parse(readFileSync(join(file, "secrets.json"), "utf8"))) as string[];
  expect(secret).toHaveLength(43);
  expect(domain.runtime.service("app").request.service.environment.KEY).toBe(secret);
  domain.runtime.service("app").request.sink.write("stdout", Buffer.from(`my key is ${secret}\n`));
  const { lines } = await manager.logs({ project: "shop", query: { tail: 1 } });
  expect(lines[0]?.text).toBe("my key is [redacted]");
  expect(JSON.parse(readFileSync(join(file, "project.json"), "utf8"))).toMatchObject({ services: ["app"] });
});

it("a failed start deletes the new volume of a database that was not ready, and no other", async () => {
  const text = compose(
    `
  db:
    image: postgres:16
    volumes: [data:/var/lib/postgresql/data]
    healthcheck: { test: [CMD, x], interval: 100ms, retries: 2, start_period: 1s, start_interval: 50ms }`,
    service("app", "volumes: [files:/files]"),
  );
  domain.project("shop", `${text}\nvolumes: { data: {}, files: {} }\n`);
  const runtime = new FakeRuntime("docker");
  let ready = false;
  runtime.scripts = {
    db: { newVolumes: [["data"], ["data"]], probe: () => ready || "initialising" },
    app: { newVolumes: [["files"]], ends: [{ afterMs: 100, exitCode: 1 }] },
  };
  const manager = domain.manager({ runtime: "docker" }, [runtime]);
  await expect(manager.start({ project: "shop" }, call())).rejects.toMatchObject({ code: "SERVICE_START_FAILED" });
  expect(runtime.calls.filter((one) => /^(?:stop db|remove)/.test(one))).toEqual(["stop db SIGTERM", "remove data"]);
  expect((await eventsOf(manager, "shop", "warning")).map(({ message }) => message)).toContainEqual(
    "The new volume of db (data) was deleted: the start ended before its database was ready. The next start creates it again.",
  );
  // The volume of a database that was ready is kept when another service fails.
  ready = true;
  runtime.scripts.app = { probe: () => "never", ends: [{ afterMs: 1000, exitCode: 1 }] };
  await expect(manager.start({ project: "shop" }, call())).rejects.toMatchObject({ code: "SERVICE_START_FAILED" });
  expect((await eventsOf(manager, "shop", "service_healthy")).map((one) => one.service)).toContain("db");
  expect(runtime.calls.filter((one) => one.startsWith("remove"))).toEqual(["remove data"]);
});

it("a service that answers that it is starting fails a start only at the time limit", async () => {
  domain.project("shop", compose(service("db").replace("start_period: 10s", "start_period: 0s")));
  let answers = 0;
  domain.runtime.scripts = {
    db: {
      probe: () => {
        answers += 1;
        return answers > 5 || { starting: "the database system is starting up" };
      },
    },
  };
  const manager = domain.manager();
  expect(await manager.start({ project: "shop" }, call())).toMatchObject({ status: "healthy" });
  expect(await eventsOf(manager, "shop", "service_unhealthy")).toEqual([]);
  // A service that was healthy and recovers from a crash does not serve its clients.
  answers = 0;
  await until("db is unhealthy", async () => (await eventsOf(manager, "shop", "service_unhealthy")).length === 1);
});
