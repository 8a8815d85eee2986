/** Findings about services whose state shows no problem. Each finding has evidence. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { crashSummary, newestCrashes } from "../../../src/stack/diagnosis/crash-summary.js";
import type { StackEvent, StackManager } from "../../../src/stack/model.js";
import { call, compose, Domain, service, until } from "../../support/domain.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

const project = "shop";
const start = async (text: string, scripts: Domain["runtime"]["scripts"] = {}) => {
  domain.project(project, text);
  domain.runtime.scripts = scripts;
  const manager = domain.manager();
  await manager.start({ project }, call());
  return manager;
};
const diagnose = async (manager: StackManager) => {
  const report = await manager.diagnose({ project });
  for (const cause of [...(report.cause === null ? [] : [report.cause]), ...report.others])
    expect(cause.evidence, `${cause.kind} says how it is known`).not.toEqual([]);
  return report;
};
const prints = (text: string) => domain.runtime.service("app").request.sink.write("stdout", Buffer.from(`${text}\n`));

describe("diagnose: healthy services", () => {
  it.each([
    ["ERROR in app: division by zero", "logged_errors"],
    ["Traceback (most recent call last):", "logged_errors"],
    ['127.0.0.1 - "GET /orders HTTP/1.1" 500 Internal Server Error', "logged_errors"],
    ['psycopg2.OperationalError: FATAL: database "shopdb" does not exist', "missing_database"],
  ])("a healthy service that printed %j has a possible problem: %s", async (line, kind) => {
    const manager = await start(compose(service("app")));
    prints(line);
    await until("it is found", async () => (await diagnose(manager)).cause !== null);
    const { cause, overall_healthy, summary } = await diagnose(manager);
    expect(overall_healthy).toBe(true);
    expect(cause).toMatchObject({ kind, service: "app", confidence: "possible" });
    expect(cause?.evidence[0]).toMatchObject({ source: "log", text: line });
    expect(summary).toMatch(/^app is healthy\. Possible problem: app is healthy and logged an error recently/);
  });

  it.each([
    "0 errors found",
    "GET /errors/list 200",
    "2024-01-01 [1] LOG:  database system is ready",
    "error_log=stderr",
  ])("a healthy service that printed %j has no problem", async (line) => {
    const manager = await start(compose(service("app")));
    prints(line);
    await until("it is stored", async () => (await manager.logs({ project, query: {} })).lines.length > 0);
    expect((await diagnose(manager)).cause).toBeNull();
  });

  it("what a command printed is no error of the service, also when the service ends", async () => {
    const manager = await start(compose(service("app")), {
      app: {
        exec: async ({ onOutput }) => {
          onOutput("stderr", Buffer.from("FATAL: exec failed: Cannot find module 'pg'\n"));
          return { exitCode: 1 };
        },
      },
    });
    const ran = await manager.runCommand(
      { project, service: "app", command: ["x"], timeoutMs: 5000, maxBytes: 1000 },
      call(),
    );
    expect(ran.stderr).toContain("FATAL");
    expect((await manager.logs({ project, query: {} })).lines.some(({ text }) => text.includes("FATAL"))).toBe(true);
    expect((await diagnose(manager)).cause).toBeNull();
    const { summary } = await manager.logs({ project, query: { summary: true } });
    expect(summary?.levels).toEqual({ unknown: 3 });
    domain.runtime.service("app").end({ exitCode: 1 });
    await until("it crashed", async () => (await manager.report(project)).services.app?.state === "crashed");
    const { cause, services } = await diagnose(manager);
    expect(cause?.kind).toBe("crashed");
    expect(services.app?.lines).toEqual([]);
  });

  it.each([
    ["Restarting 'server.js'", true],
    ["WARNING:  WatchFiles detected changes in 'main.py'. Reloading...", true],
    ["GET /orders 200", false],
  ])("an error before the line %j is outdated: %s", async (line, outdated) => {
    const manager = await start(compose(service("app")));
    prints("SyntaxError: Unexpected token ';'");
    await until("it is found", async () => (await diagnose(manager)).cause !== null);
    prints(line);
    await until("it is stored", async () => (await manager.logs({ project, query: {} })).lines.length > 1);
    expect((await diagnose(manager)).cause?.kind ?? null).toBe(outdated ? null : "syntax_error");
  });

  it("the newest error in the output is the cause", async () => {
    const manager = await start(compose(service("app")));
    prints('ERROR:  database "shopdb" does not exist\nERROR:  column "price" does not exist at character 23');
    await until(
      "both are stored",
      async () => (await diagnose(manager)).cause?.explanation.includes("2 error") === true,
    );
    expect((await diagnose(manager)).cause).toMatchObject({ kind: "missing_table", service: "app" });
    prints("ERROR in app: division by zero");
    await until("the third one is stored", async () => (await diagnose(manager)).cause?.kind === "logged_errors");
  });

  const traceback = (source: string, error: string): string =>
    [
      "[ERROR] Error handling request /orders",
      "Traceback (most recent call last):",
      '  File "/app/lib/python3.11/site-packages/flask/app.py", line 880, in full_dispatch_request',
      "    rv = self.dispatch_request()",
      "         ^^^^^^^^^^^^^^^^^^^^^^^",
      '  File "/app/app.py", line 48, in create_order',
      `    ${source}`,
      "    ~~~~^^^^^^^^^",
      error,
    ].join("\n");

  it.each([
    ['total(body["items"])', "KeyError: 'items'", "logged_errors"],
    ['total(body["ITEMS"])', "KeyError: 'ITEMS'", "logged_errors"],
    ['queue = os.environ["queue"]', "KeyError: 'queue'", "missing_setting"],
    ['queue = settings["QUEUE"]', "KeyError: 'QUEUE'", "missing_setting"],
  ])(
    "a missing key of the source %j is a missing setting only where settings are read",
    async (source, error, kind) => {
      const manager = await start(compose(service("app")));
      prints(traceback(source, error));
      await until(
        "it is found",
        async () => (await diagnose(manager)).cause?.evidence.some(({ text }) => text === error) === true,
      );
      const { cause } = await diagnose(manager);
      expect(cause).toMatchObject({ kind, service: "app", next: { operation: "get_logs" } });
      expect(cause?.next.do).toMatch(/[Rr]ead the lines around the error/);
      // A log line and its traceback are one error.
      expect(cause?.explanation).toMatch(/logged an error recently/);
    },
  );

  it("errors of another kind are counted apart, and a chained traceback is one error", async () => {
    const manager = await start(compose(service("app")));
    const chained = [
      traceback("sock.connect(address)", "ConnectionRefusedError: [Errno 111] Connection refused"),
      "",
      "During handling of the above exception, another exception occurred:",
      "",
      ...traceback("cache.ping()", "redis.exceptions.ConnectionError: Connection refused.").split("\n").slice(1),
    ].join("\n");
    prints(`${chained}\nGET / 200\n${chained}\nGET / 200\n${traceback("f()", "TypeError: unsupported")}`);
    await until("it is found", async () => (await diagnose(manager)).cause?.kind === "logged_errors");
    expect((await diagnose(manager)).cause?.explanation).toBe(
      "app is healthy and logged 3 errors recently, 1 of the newest kind.",
    );
  });

  it("a kill at a memory limit ranks before an error that a log has", async () => {
    const manager = await start(compose(service("app", "mem_limit: 100m"), service("web", "depends_on: [app]")), {
      app: { stats: { memory_mb: 10, oom_kills: 1 } },
    });
    prints("[ERROR] Worker (pid:3) was sent SIGKILL! Perhaps out of memory?");
    await until("it is found", async () => (await diagnose(manager)).others.length > 0);
    const { cause, others } = await diagnose(manager);
    expect([cause, ...others].map((one) => one?.kind)).toEqual(["memory_limit", "logged_errors"]);
  });

  it("a database's error from before its client restarted is not a cause", async () => {
    const db = service("db").replace("example/db", "postgres:15");
    const manager = await start(compose(db, service("app", "depends_on: [db]")));
    domain.runtime
      .service("db")
      .request.sink.write("stderr", Buffer.from('FATAL:  database "shopdb" does not exist\n'));
    await until("it is found", async () => (await diagnose(manager)).cause?.kind === "missing_database");
    await manager.restart({ project, service: "app" }, call());
    expect((await diagnose(manager)).cause).toBeNull();
  });

  it("a refused bind to a privileged port has the advice to use another port", async () => {
    const manager = await start(compose(service("app")));
    prints("ERROR nginx: [emerg] bind() to 127.0.0.1:80 failed (13: Permission denied)");
    await until("it is found", async () => (await diagnose(manager)).cause !== null);
    const { cause } = await diagnose(manager);
    expect(cause).toMatchObject({ kind: "permission_denied", next: { do: expect.stringContaining("1024") } });
  });

  it("failed checks are the cause before the service becomes unhealthy", async () => {
    let answers = true;
    const manager = await start(compose(service("app").replace("retries: 2", "retries: 100")), {
      app: { probe: () => (answers ? true : "HTTP 500, expected 200") },
    });
    answers = false;
    await until("checks failed", async () => {
      const { services } = await manager.health({ project }, call());
      return (services.app?.consecutive_failures ?? 0) > 1;
    });
    const { cause, overall_healthy } = await diagnose(manager);
    expect(overall_healthy).toBe(true);
    expect(cause).toMatchObject({ kind: "check_failed", confidence: "likely" });
    expect(cause?.explanation).toMatch(/^app is still reported as healthy, but its last \d+ checks failed/);
    expect(cause?.evidence[0]?.text).toContain("HTTP 500, expected 200");
    const { services } = await manager.health({ project }, call());
    expect(services.app).toMatchObject({
      status: "healthy",
      message: "healthy until now; the last check failed: HTTP 500, expected 200",
    });
  });

  it("a check that does not return is reported as no_answer", async () => {
    let hang = false;
    const manager = await start(compose(service("app")), {
      app: { probe: () => (hang ? new Promise<true>(() => undefined) : true) },
    });
    hang = true;
    await until("the check hangs", async () => (await diagnose(manager)).cause !== null, 10_000);
    const { cause } = await diagnose(manager);
    expect(cause).toMatchObject({ kind: "no_answer", confidence: "likely", next: { operation: "restart_service" } });
    expect(cause?.explanation).toMatch(/^app has not answered its health check for \d+ s/);
  });

  it("a volume that had data and is empty has the cause volume_empty, unless a call deleted it", async () => {
    const volume = "volumes: [data:/data]";
    const text = `${compose(service("app", volume))}volumes: { data: {} }\n`;
    const manager = await start(text, { app: { emptyVolumes: ["data"] } });
    expect((await diagnose(manager)).cause).toBeNull();
    const restart = async (emptyVolumes: string[]) => {
      domain.runtime.scripts = { app: { emptyVolumes } };
      await manager.restart({ project, service: "app" }, call());
    };
    await restart([]);
    expect((await diagnose(manager)).cause).toBeNull();
    await manager.stop({ project }, call());
    domain.runtime.scripts = { app: { emptyVolumes: ["data"] } };
    // Another server, as after the loss of an engine.
    await manager.shutdown("test");
    const later = domain.manager();
    await later.start({ project }, call());
    const message = "The volume data of app is empty at this start, although it had data before.";
    const { cause } = await diagnose(later);
    expect(cause).toMatchObject({ kind: "volume_empty", confidence: "certain", service: "app" });
    expect(cause?.evidence).toMatchObject([{ source: "event", text: message }]);
    expect((await later.report(project)).services.app?.notes).toContain(message);
    await later.stop({ project, removeVolumes: true, snapshot: false }, call());
    await later.start({ project }, call());
    expect((await diagnose(later)).cause).toBeNull();
  });

  it("a database that initialises a volume it had used has the cause volume_empty", async () => {
    const manager = await start(compose(service("app", "restart: always")));
    domain.runtime.service("app").end({ exitCode: 0 });
    await until("it is back", async () => {
      const { services } = await manager.report(project);
      return services.app?.generation === 2 && services.app.state === "healthy";
    });
    prints("PostgreSQL init process complete; ready for start up.");
    await until("it is found", async () => {
      const { cause, others } = await diagnose(manager);
      return [cause, ...others].some((one) => one?.kind === "volume_empty");
    });
  });
});

describe("diagnose: refused restarts", () => {
  it("a refused restart is not explained by the exit of an earlier instance", async () => {
    const manager = await start(compose(service("app")));
    domain.runtime.service("app").end({ exitCode: 9 });
    await until("it crashed", async () => (await manager.report(project)).services.app?.state === "crashed");
    domain.runtime.scripts = { app: { startErrors: Array.from({ length: 9 }, () => new Error("no such image")) } };
    await expect(manager.restart({ project, service: "app" }, call())).rejects.toThrow();
    const { services } = await manager.health({ project }, call());
    expect(services.app?.message).not.toContain("code 9");
    const { cause } = await diagnose(manager);
    expect(cause?.explanation).toMatch(/^app did not start\./);
    expect(JSON.stringify(cause?.evidence)).not.toContain("exit code 9");
  });
});

describe("diagnose: failed starts", () => {
  it("a start that failed at its check has that check as the cause, not the stop that followed", async () => {
    domain.project(project, compose(service("app").replace("start_period: 10s", "start_period: 0s")));
    domain.runtime.scripts = { app: { probe: () => "connection refused: nothing listens there" } };
    const manager = domain.manager();
    await expect(manager.start({ project }, call())).rejects.toMatchObject({ code: "SERVICE_START_FAILED" });
    const { cause, others } = await diagnose(manager);
    expect(cause).toMatchObject({ kind: "not_listening", service: "app", confidence: "likely" });
    expect(cause?.evidence[0]?.text).toBe("fake: connection refused: nothing listens there");
    expect([cause, ...others].map((one) => one?.kind)).not.toContain("crashed");
    await manager.shutdown("test");
    expect((await domain.manager().diagnose({ project })).cause).toMatchObject({ kind: "not_listening" });
  });
});

describe("diagnose: stopped stacks", () => {
  it("a stopped stack has one cause and no other finding", async () => {
    const manager = await start(compose(service("app")));
    prints("ERROR: something");
    await manager.stop({ project }, call());
    const { cause, others, services } = await diagnose(manager);
    expect(cause?.kind).toBe("stopped");
    expect(others).toEqual([]);
    expect(services.app?.lines).toEqual([]);
  });
});

describe("crashSummary", () => {
  const crash = (atMs: number, data: object): StackEvent => ({
    seq: atMs,
    time: new Date(atMs).toISOString(),
    project,
    type: "service_crashed",
    service: "app",
    message: "app crashed.",
    actor: "stackwarden",
    data: { ...data },
  });

  it("a client's start and an instance that lived longer than a minute separate failures", () => {
    const begun = (atMs: number, actor: string): StackEvent => ({
      ...crash(atMs, {}),
      type: "service_starting",
      actor,
    });
    const seqs = (...events: StackEvent[]) => newestCrashes(events).map(({ seq }) => seq);
    const crashes = [crash(1, { lived_ms: 5 }), crash(2, { lived_ms: 5 })];
    expect(seqs(...crashes)).toEqual([1, 2]);
    expect(seqs(...crashes, begun(3, "claude/1"), crash(4, { lived_ms: 5 }))).toEqual([4]);
    expect(seqs(...crashes, begun(3, "stackwarden"), crash(4, { lived_ms: 5 }))).toEqual([1, 2, 4]);
    expect(seqs(...crashes, crash(4, { lived_ms: 60_001 }), crash(5, { lived_ms: 5 }))).toEqual([4, 5]);
    expect(seqs(...crashes, begun(3, "claude/1"))).toEqual([1, 2]);
    expect(seqs()).toEqual([]);
  });

  it("repeated crashes are summarised with OOM kills, period and lifetime", () => {
    const crashes = [0, 11, 22, 33, 44, 55].map((s) => crash(s * 1000, { oom_killed: true, lived_ms: 6500 }));
    expect(crashSummary(crashes)).toBe("It crashed 6 times in 55 s (6 OOM kills); an instance lived 6.5 s.");
    expect(crashSummary([crash(0, {}), crash(2500, {})])).toBe("It crashed 2 times in 2.5 s.");
    expect(crashSummary(crashes.slice(0, 1))).toBeNull();
  });
});
