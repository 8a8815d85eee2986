/** Diagnosis after a start that failed: the services that failed in it, and what the next start has to change. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import { operationNamed } from "../../../src/operations/index.js";
import { call, compose, Domain, service, until } from "../../support/domain.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

const project = "shop";

async function failing(text: string, scripts: Domain["runtime"]["scripts"], code = "SERVICE_START_FAILED") {
  domain.project(project, text);
  domain.runtime.scripts = scripts;
  const manager = domain.manager();
  await expect(manager.start({ project }, call())).rejects.toMatchObject({ code });
  return manager;
}

describe("diagnose: a start in which several services failed", () => {
  const TEXT = compose(
    service("db"),
    service("api", "restart: always\ndepends_on: { db: { condition: service_healthy } }").replace(
      /\n +healthcheck.*/,
      "",
    ),
    service("worker", "depends_on: { db: { condition: service_healthy } }"),
    service("web", "depends_on: { worker: { condition: service_healthy } }"),
  );
  const scripts = (): Domain["runtime"]["scripts"] => ({
    api: { prints: "KeyError: 'APP_SECRET'", ends: [{ afterMs: 20, exitCode: 3 }] },
    worker: { prints: "KeyError: 'QUEUE'", probe: () => "not yet", ends: [{ afterMs: 250, exitCode: 1 }] },
  });

  it("each service that failed has its failure as a cause, with its last lines", async () => {
    const manager = await failing(TEXT, scripts());
    const report = await manager.diagnose({ project });
    expect(report.state).toBe("stopped");
    const missing = [report.cause, ...report.others].filter((one) => one?.kind === "missing_setting");
    expect(missing.map((one) => one?.service).sort()).toEqual(["api", "worker"]);
    expect(report.services.api?.lines.map(({ text }) => text)).toEqual(["KeyError: 'APP_SECRET'"]);
    expect(operationNamed("diagnose").brief?.of(report)).toMatchObject({
      lines: { api: ["KeyError: 'APP_SECRET'"], worker: ["KeyError: 'QUEUE'"] },
    });
  });

  it("for one service, its own failure is the cause, or that of the service that made the start fail", async () => {
    const manager = await failing(TEXT, scripts());
    const { cause } = await manager.diagnose({ project, service: "api" });
    expect(cause).toMatchObject({ kind: "missing_setting", service: "api", next: { operation: "start_stack" } });
    expect(cause?.evidence.map(({ text }) => text)).toEqual(["KeyError: 'APP_SECRET'", "ended with exit code 3"]);
    for (const name of ["web", "db"])
      expect((await manager.diagnose({ project, service: name })).cause).toMatchObject({
        kind: "missing_setting",
        service: "worker",
      });
  });

  it("a crash of an earlier start is not a cause of a later failed one", async () => {
    const manager = await failing(TEXT, scripts());
    domain.runtime.openErrors = [new StackwardenError("PORT_IN_USE", "Host port in use: 8000 (web).")];
    await expect(manager.start({ project }, call())).rejects.toMatchObject({ code: "PORT_IN_USE" });
    const { cause, others } = await manager.diagnose({ project });
    expect(cause).toMatchObject({
      kind: "port_taken",
      next: { operation: "start_stack", input: { project, ports: "auto" } },
    });
    expect(others).toEqual([]);
  });
});

describe("diagnose: a service that never ran", () => {
  it("a failed installation is the only cause, with the installer's errors", async () => {
    const error = new StackwardenError("DEPENDENCY_INSTALL_FAILED", 'pip install for "app" ended with 1.', {
      details: { service: "app" },
    });
    const manager = await failing(
      compose(service("db"), service("app", "depends_on: { db: { condition: service_healthy } }")),
      {
        app: {
          prepare: async ({ sink }) => {
            sink.line("install", "Looking in links: /opt/wheels");
            sink.line("install", "ERROR: No matching distribution found for flask==3.0.33");
          },
          startErrors: [error],
        },
      },
      "DEPENDENCY_INSTALL_FAILED",
    );
    const { cause, others } = await manager.diagnose({ project });
    expect(cause).toMatchObject({ kind: "install_failed", service: "app", confidence: "certain" });
    expect(cause?.explanation).toMatch(/^The last start failed while the dependencies of app were installed/);
    expect(cause?.evidence.map(({ text }) => text)).toEqual([
      'pip install for "app" ended with 1.',
      "ERROR: No matching distribution found for flask==3.0.33",
    ]);
    expect(others).toEqual([]);
  });
});

describe("diagnose: a change that was rolled back", () => {
  it("the change of a file with which the start failed is not a reason to start again", async () => {
    domain.project(project, compose(service("app", "env_file: .env"), service("web")));
    const folder = join(domain.root, project);
    writeFileSync(join(folder, ".env"), "A=1\n");
    const manager = domain.manager();
    await manager.start({ project }, call());
    writeFileSync(join(folder, ".env"), "A=2\n");
    domain.runtime.scripts = { app: { startErrors: [new StackwardenError("UNSUPPORTED", "No such option.")] } };
    await expect(manager.start({ project }, call())).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await until("app is stale", async () => (await manager.report(project)).services.app?.stale !== undefined);
    const { cause, others, summary } = await manager.diagnose({ project });
    expect(cause?.kind).toBe("start_failed");
    expect(others.map(({ kind }) => kind)).not.toContain("stale_code");
    expect(summary).not.toContain("applies the change");
    // A later edit is one that no start had.
    writeFileSync(join(folder, ".env"), "A=3\n");
    await until("it is found", async () =>
      (await manager.diagnose({ project })).others.some(({ kind }) => kind === "stale_code"),
    );
  });
});

describe("diagnose: a migration that failed", () => {
  it("a column that its own SQL misses is an error of the migration, not one that a migration fixes", async () => {
    const column = 'psycopg2.errors.UndefinedColumn: column "status" does not exist';
    const waits = "depends_on: { migrate: { condition: service_completed_successfully } }";
    const manager = await failing(compose(service("migrate").replace(/\n +healthcheck.*/, ""), service("api", waits)), {
      migrate: {
        prints: `Traceback (most recent call last):\n  File "/app/migrate.py", line 17, in <module>\n    run()\n${column}`,
        ends: [{ afterMs: 10, exitCode: 1 }],
      },
    });
    const { cause } = await manager.diagnose({ project });
    expect(cause).toMatchObject({ kind: "missing_table", service: "migrate", next: { operation: "start_stack" } });
    expect(cause?.explanation).toContain("Its SQL names a table or column that does not exist.");
    expect(cause?.next.do).toMatch(/^Correct the statement of this service/);
    expect(cause?.evidence.slice(0, 2).map(({ text }) => text)).toEqual([
      column,
      'File "/app/migrate.py", line 17, in <module>',
    ]);
  });

  it("a migration that has completed since is not a cause, and does not run again", async () => {
    const waits = "depends_on: { migrate: { condition: service_completed_successfully } }";
    const text = compose(
      service("migrate").replace(/\n +healthcheck.*/, ""),
      service("worker", `restart: on-failure\n${waits}`),
    );
    const manager = await failing(text, { migrate: { ends: [{ afterMs: 10, exitCode: 1 }] } });
    domain.runtime.scripts = { migrate: { ends: [{ afterMs: 10, exitCode: 0 }] } };
    await manager.start({ project }, call());
    expect((await manager.diagnose({ project })).cause).toBeNull();
    domain.runtime.service("worker").request.sink.write("stderr", Buffer.from("KeyError: 'at'\n"));
    domain.runtime.service("worker").end({ exitCode: 1 });
    await until("it is back", async () => {
      const { worker } = (await manager.report(project)).services;
      return worker?.generation === 2 && worker.state === "healthy";
    });
    const { cause, others } = await manager.diagnose({ project });
    expect(cause).toMatchObject({ kind: "recovered", service: "worker" });
    expect(cause?.evidence.map(({ text: one }) => one)).toContain("KeyError: 'at'");
    expect(others).toEqual([]);
  });
});

it("after a start that meets a port in use, neither health nor diagnosis quotes the failure of an earlier start", async () => {
  const text = compose(
    service("db"),
    service("app", "depends_on: [db]").replace("start_period: 10s", "start_period: 0s"),
  );
  const manager = await failing(text, { app: { probe: () => "HTTP 500" } });
  const message = "Port 8080 of app is in use.";
  domain.runtime.openErrors = [new StackwardenError("PORT_IN_USE", message, { details: { service: "app" } })];
  await expect(manager.start({ project }, call())).rejects.toMatchObject({ code: "PORT_IN_USE" });
  const { services } = await manager.health({ project }, call());
  expect(Object.values(services).map((one) => one.message)).toEqual(Array(2).fill(`Not started: ${message}`));
  const report = await manager.diagnose({ project });
  expect(report.cause).toMatchObject({ kind: "port_taken", service: "app" });
  expect(report.others).toEqual([]);
});
