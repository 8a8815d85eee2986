/** A small stack with one real process: start, reports, crashes, limits, restarts and stop. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answer, APP, appCompose, MODES, type Server, TestBench, until } from "./support/bench.js";

const isRoot = process.getuid?.() === 0;

describe.each(MODES)("stack over MCP, %s", (mode) => {
  const bench = new TestBench(mode);
  let server: Server;
  let url = "";
  const get = (path: string) => fetch(`${url}${path}`).then((response) => response.text());
  const project = "shop";
  const crashes = async () =>
    (await server.call("get_events", { project, types: ["service_crashed"], limit: 50 })).events.length;
  const healthy = () => server.call("health_status", { project, wait_for: "healthy", timeout_seconds: 30 });

  beforeAll(async () => {
    bench.project(project, { "compose.yaml": appCompose("    mem_limit: 256m\n    cpus: 1.0\n"), "app.js": APP });
    server = await bench.server();
    const started = await server.call("start_stack", { project, folder: project });
    expect(started).toMatchObject({ status: "healthy", verified: true, missing: [], next: null });
    const { app } = started.after.services;
    url = app.endpoints[0].url;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });
  afterAll(() => bench.close());

  it("a service has its own user, no new privileges and only the configured environment", async () => {
    const { stacks } = await server.call("list_stacks");
    const { pid, user } = stacks[0].services.app;
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    if (isRoot) {
      expect(user.uid).toBeGreaterThanOrEqual(70_000);
      expect(status).toMatch(new RegExp(`^Uid:\\s+${user.uid}\\s+${user.uid}\\s+${user.uid}\\s`, "m"));
      expect(status).toMatch(/^Groups:\s*\d*\s*$/m);
      expect(status).toMatch(/^CapEff:\s+0+$/m);
    }
    const env = JSON.parse(await get("/env"));
    expect(Object.keys(env)).not.toContain("STACKWARDEN_STATE_DIR");
    expect(env.HOST).toBe("127.0.0.1");
  });

  it("a repeated start reports already_running and changes nothing", async () => {
    const again = await server.call("start_stack", { project });
    expect(again).toMatchObject({ status: "already_running", verified: true });
    expect(again.after.services.app.pid).toBe(again.before.services.app.pid);
  });

  it("get_logs with wait_seconds returns when a new line is written", async () => {
    const { next_cursor: cursor } = await server.call("get_logs", { project, tail: 1 });
    const begun = Date.now();
    const reading = server.call("get_logs", { project, cursor, wait_seconds: 50 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await get("/say?text=hello%20reader");
    const page = await reading;
    expect(page.lines.map((line: { text: string }) => line.text)).toEqual(["hello reader"]);
    // The line ends the wait, not its time; docs/BENCHMARKS.md has the latency.
    expect(Date.now() - begun).toBeLessThan(45_000);
  });

  it("a restart uses the edited source and writes nothing into the project's folder", async () => {
    const file = join(bench.projects, project, "app.js");
    const before = readdirSync(dirname(file));
    writeFileSync(file, APP.replace('console.log("app up"', 'console.log("edited app up"'));
    const restarted = await server.call("restart_service", { project, service: "app" });
    expect(restarted).toMatchObject({ verified: true, status: "healthy", health: { healthy: true } });
    const { lines } = await server.call("get_logs", { project, grep: "edited app up", tail: 1 });
    expect(lines[0].generation).toBe(restarted.after.generation);
    const previous = await server.call("get_logs", { project, service: "app", previous: true, tail: 500 });
    expect(previous.lines.every((line: Answer) => line.generation === restarted.before.generation)).toBe(true);
    expect(readdirSync(dirname(file))).toEqual(before);
  });

  it("an unknown service is refused with the valid names", async () => {
    for (const name of ["get_logs", "restart_service"]) {
      const error = await server.refused(name, { project, service: "nope" });
      expect(error).toMatchObject({ code: "UNKNOWN_SERVICE", hint: "Valid names: app." });
    }
  });

  it("a flood of lines is stored, and the search returns the last of them", async () => {
    // test/stack/logs/flood.test.ts measures the memory that many more lines need.
    const count = 200_000;
    await get(`/flood?lines=${count}`);
    // A search for its end at every look would read the whole log.
    await until(
      "the end of the flood",
      async () => (await server.call("get_logs", { project, tail: 1 })).lines[0]?.text === "flood done",
      120_000,
    );
    expect((await server.call("get_logs", { project, grep: "flood done", tail: 1 })).lines).toHaveLength(1);
    const page = await server.call("get_logs", {
      project,
      grep: `line ${String(count - 1).slice(0, -1)}`,
      tail: 10,
      max_bytes: 200_000,
    });
    expect(page.lines.at(-1).text).toBe(`line ${count - 1}`);
    expect(await get("/health")).toBe("h");
    const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
    const rssMb = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
    expect(rssMb).toBeLessThan(250);
  });

  // A stack runs in the same way on either kind of server.
  if (mode === "shared") {
    it("log lines have no control characters or secrets", async () => {
      await get(`/say?text=${encodeURIComponent("\u001b[31mred\u0007 password=hunter2hunter2 \u202eflip")}`);
      const { lines } = await server.call("get_logs", { project, grep: "red", tail: 1 });
      expect(lines[0].text).not.toContain("hunter2");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
      expect(lines[0].text).not.toMatch(/[\u0000-\u0008\u001b\u202e]/);
    });

    it("a failing check makes the service unhealthy with its reason, and a recovery healthy", async () => {
      await get("/sick");
      const sick = await until("unhealthy", async () => {
        const { services } = await server.call("health_status", { project });
        return services.app.status === "unhealthy" && services.app;
      });
      expect(sick).toMatchObject({ healthy: false, message: "HTTP 500, expected 200" });
      const { cause, services } = await server.call("diagnose", { project, since: "1m" });
      expect(cause).toMatchObject({ kind: "check_failed", service: "app", next: { operation: "get_logs" } });
      expect(cause.evidence[0].text).toMatch(/^http GET .*: HTTP 500, expected 200$/);
      expect(services.app.state).toBe("unhealthy");
      await get("/well");
      expect((await healthy()).overall_healthy).toBe(true);
    });

    it("a hanging service becomes unhealthy, and diagnose reports no_answer", async () => {
      await get("/hang");
      const state = async () => (await server.call("health_status", { project })).services.app;
      const hangs = await until("unhealthy", async () => (await state()).status === "unhealthy" && state());
      expect(hangs).toMatchObject({ healthy: false, message: "no answer within 2000 ms" });
      const { cause } = await server.call("diagnose", { project, since: "1m" });
      expect(cause).toMatchObject({ kind: "no_answer", service: "app", next: { operation: "restart_service" } });
      await get("/resume");
      expect((await healthy()).overall_healthy).toBe(true);
    });

    it("a crash is reported with exit code and last lines, and the restart policy applies", async () => {
      const before = await crashes();
      await get("/exit?code=7").catch(() => undefined);
      await until("the crash", async () => (await crashes()) > before);
      const { events } = await server.call("get_events", { project, types: ["service_crashed"], limit: 50 });
      const crash = events.at(-1);
      expect(crash.data).toMatchObject({ exit_code: 7, signal: null, oom_killed: false });
      expect(crash.data.last_lines).toContain("fatal: told to exit");
      expect((await healthy()).overall_healthy).toBe(true);
      const { stacks } = await server.call("list_stacks");
      expect(stacks[0].services.app.restarts).toBeGreaterThanOrEqual(1);
    });

    it("a service that was killed from outside is reported as crashed and restarted", async () => {
      const before = await crashes();
      const { stacks } = await server.call("list_stacks");
      process.kill(stacks[0].services.app.pid, "SIGKILL");
      await until("the crash", async () => (await crashes()) > before);
      expect((await healthy()).overall_healthy).toBe(true);
    });

    it("limits change on the running service and apply to its next instance", async () => {
      const changed = await server.call("set_limits", { project, service: "app", cpus: 0.2, memory_mb: 200 });
      const { before, after } = changed;
      expect(changed.live).toBe(true);
      if (after.cpus.enforcement.level !== "enforced") {
        expect(after.cpus.enforcement.reason).not.toBe("");
        return;
      }
      expect(changed.verified).toBe(true);
      expect([before.cpus.value, after.cpus.value, after.memory_mb.value]).toEqual([1, 0.2, 200]);
      await until("it is throttled", async () => {
        await get("/cpu?ms=150");
        return (await server.call("get_stats", { project })).services.app.stats.throttled_periods > 0;
      });
      const { after: restarted } = await server.call("restart_service", { project, service: "app" });
      expect(restarted.limits.memory_mb.value).toBe(200);
    });

    it("impossible limits are refused with the valid range", async () => {
      const error = await server.refused("set_limits", { project, service: "app", cpus: 1000 });
      expect(error.code).toBe("LIMIT_REFUSED");
      expect(error.message).toMatch(/cpus must be a number from 0\.01 to \d+/);
      const { services } = await server.call("get_stats", { project });
      expect(services.app.limits.cpus.value).not.toBe(1000);
      if (services.app.limits.memory_mb.enforcement.level !== "enforced") return;
      const below = await server.refused("set_limits", { project, service: "app", memory_mb: 6 });
      expect(below).toMatchObject({ code: "LIMIT_REFUSED", hint: expect.stringContaining('"force": true') });
      expect(below.message).toMatch(/memory_mb 6 is below the [\d.]+ MB in use now/);
      const { services: after } = await server.call("get_stats", { project });
      expect(after.app.limits).toEqual(services.app.limits);
    });

    it("restarts that fail use up the budget, and the errors have exit code and last lines", async () => {
      const restart = () => server.refused("restart_service", { project, service: "app" });
      const file = join(bench.projects, project, "app.js");
      const code = readFileSync(file, "utf8");
      // Without a restart policy, the service fails at once.
      const compose = join(bench.projects, project, "compose.yaml");
      const definition = readFileSync(compose, "utf8");
      writeFileSync(compose, definition.replace("restart: on-failure", 'restart: "no"'));
      await server.call("start_stack", { project });
      // A restart that succeeds does not use up the budget, nor does the first one after a change.
      writeFileSync(file, "console.log('about to fail'); process.exit(7)");
      for (let i = 0; i < 4; i += 1) {
        const failed = await restart();
        expect(failed.code).toBe("SERVICE_START_FAILED");
        expect(failed.details).toMatchObject({ exit: { exit_code: 7 }, last_lines: ["about to fail"] });
      }
      const error = await restart();
      expect(error).toMatchObject({ code: "RESTART_BUDGET_EXCEEDED", retryable: true });
      expect(error.details).toMatchObject({ service: "app", retry_after_seconds: expect.any(Number) });
      writeFileSync(file, code);
      writeFileSync(compose, definition);
      expect(await server.call("start_stack", { project })).toMatchObject({ verified: true });
      expect(await healthy()).toMatchObject({ overall_healthy: true });
    });

    it("a process that exceeds its memory limit is reported as an OOM kill", async () => {
      const { services } = await server.call("get_stats", { project });
      if (services.app.limits.memory_mb.enforcement.level !== "enforced") return;
      const before = await crashes();
      await get("/memory?mb=400").catch(() => undefined);
      await until("the crash", async () => (await crashes()) > before);
      const { events } = await server.call("get_events", { project, types: ["service_crashed"], limit: 50 });
      expect(events.at(-1)).toMatchObject({ data: { oom_killed: true, signal: "SIGKILL" } });
      expect(events.at(-1).message).toContain("OOM");
      expect((await healthy()).overall_healthy).toBe(true);
      const { cause } = await server.call("diagnose", { project });
      expect(cause).toMatchObject({ kind: "memory_limit", service: "app", confidence: "certain", because_of: null });
      expect(cause.next).toMatchObject({ operation: "set_limits", input: { memory_mb: 448 } });
      expect(await server.call(cause.next.operation, cause.next.input)).toMatchObject({ verified: true });
    });
  }

  it("stop_stack stops everything, can be repeated, and keeps the logs", async () => {
    expect(await server.call("stop_stack", { project })).toMatchObject({ status: "stopped", verified: true });
    expect(await server.call("stop_stack", { project })).toMatchObject({ status: "already_stopped" });
    await expect(fetch(url)).rejects.toThrow();
    expect((await server.call("get_logs", { project, service: "app", tail: 1 })).lines).toHaveLength(1);
    expect(await server.refused("get_stats", { project })).toMatchObject({ code: "STACK_NOT_RUNNING" });
    expect(await server.refused("restart_service", { project, service: "app" })).toMatchObject({
      code: "STACK_NOT_RUNNING",
    });
  });
});
