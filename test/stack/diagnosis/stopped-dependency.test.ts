/** Diagnosis of services that use one which a call stopped or left out. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StackManager } from "../../../src/stack/model.js";
import { call, compose, Domain, service, until } from "../../support/domain.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

const project = "shop";
const TEXT = compose(
  service("redis"),
  service("db"),
  service("api", "depends_on: [redis, db]\nenvironment: { REDIS_URL: redis://redis:6379/0 }"),
  service("worker", "environment: { REDIS_URL: redis://redis:6379/0, DB_HOST: postgress }"),
);

async function withoutRedis(scripts: Domain["runtime"]["scripts"] = {}): Promise<StackManager> {
  domain.project(project, TEXT);
  domain.runtime.scripts = scripts;
  const manager = domain.manager();
  await manager.start({ project }, call());
  await manager.stop({ project, services: ["redis"] }, call());
  return manager;
}

const print = (name: string, text: string) =>
  domain.runtime.service(name).request.sink.write("stderr", Buffer.from(`${text}\n`));
const crash = async (manager: StackManager, name: string, text: string) => {
  print(name, text);
  domain.runtime.service(name).end({ exitCode: 1 });
  await until("crashed", async () => (await manager.report(project)).services[name]?.state === "crashed");
};

describe("diagnose: a stopped dependency", () => {
  it("is the cause of services that cannot connect to it, and the next step starts it", async () => {
    let well = true;
    const manager = await withoutRedis({ api: { probe: () => well || "exit code 1: HTTP Error 500" } });
    expect((await manager.diagnose({ project })).cause).toBeNull();
    print("api", "redis.exceptions.ConnectionError: Error 111 connecting to 127.0.0.1:6379. Connection refused.");
    well = false;
    await until("unhealthy", async () => (await manager.report(project)).services.api?.state === "unhealthy");
    await crash(manager, "worker", "ConnectionError: Error -2 connecting to redis:6379. Name or service not known.");
    const { cause, others } = await manager.diagnose({ project });
    expect(cause).toMatchObject({
      kind: "dependency_down",
      service: "redis",
      confidence: "certain",
      explanation: "redis, on which api and worker depend, is stopped (left out by a call).",
      next: { operation: "start_stack", input: { project, services: ["redis"] } },
    });
    expect(cause?.evidence.length).toBe(3);
    expect(others.map(({ because_of }) => because_of)).toEqual(others.map(() => "redis"));
    for (const name of ["api", "worker"]) {
      const one = await manager.diagnose({ project, service: name });
      expect(one.cause).toMatchObject({ kind: "dependency_down", service: "redis" });
      expect(Object.keys(one.services)).toEqual([name, "redis"]);
    }
  });

  it("is a probable cause of a check that fails without another reason", async () => {
    let well = true;
    const manager = await withoutRedis({ api: { probe: () => well || "HTTP 503, expected 200" } });
    well = false;
    await until("unhealthy", async () => (await manager.report(project)).services.api?.state === "unhealthy");
    const { cause } = await manager.diagnose({ project });
    expect(cause).toMatchObject({ kind: "dependency_down", service: "redis", confidence: "likely" });
  });

  it("that a failed start left out is its cause, and the next start has it", async () => {
    domain.project(project, TEXT);
    const line = "ConnectionError: Error -2 connecting to redis:6379. Name or service not known.";
    domain.runtime.scripts = { api: { prints: line, probe: () => "no", ends: [{ afterMs: 20, exitCode: 1 }] } };
    const manager = domain.manager();
    const starting = manager.start({ project, without: ["redis"] }, call());
    await expect(starting).rejects.toMatchObject({ code: "SERVICE_START_FAILED" });
    const { cause, others, state } = await manager.diagnose({ project });
    expect(state).toBe("stopped");
    expect(cause).toMatchObject({
      kind: "dependency_down",
      service: "redis",
      explanation: "redis, on which api depends, is stopped (left out by a call).",
      next: { operation: "start_stack", input: { project } },
    });
    expect(others[0]).toMatchObject({ kind: "name_not_found", service: "api", because_of: "redis" });
    domain.runtime.scripts = {};
    await manager.start(cause?.next.input as { project: string }, call());
    expect((await manager.report(project)).services.redis?.state).toBe("healthy");
  });

  it("that waits for the failing service is not its cause", async () => {
    domain.project(
      project,
      compose(
        service("api", "environment: { WEB: http://web:3000 }"),
        service("web", "depends_on: { api: { condition: service_healthy } }"),
      ),
    );
    let well = true;
    domain.runtime.scripts = { api: { probe: () => well || "HTTP 500, expected 200" } };
    const manager = domain.manager();
    await manager.start({ project }, call());
    domain.runtime.scripts.web = { startErrors: [new Error("no")] };
    well = false;
    await until("unhealthy", async () => (await manager.report(project)).services.api?.state === "unhealthy");
    print("api", "ConnectionRefusedError: [Errno 111] Connection refused");
    await until("it is found", async () => (await manager.diagnose({ project })).cause?.kind === "connection_refused");
    await manager.restart({ project, service: "web" }, call()).catch(() => undefined);
    const { cause } = await manager.diagnose({ project });
    expect(cause).toMatchObject({ kind: "connection_refused", service: "api", because_of: null });
  });

  it.each([
    ["an error of the code", "api", "KeyError: 'APP_SECRET'", "missing_setting"],
    ["another host name", "worker", "getaddrinfo ENOTFOUND postgress", "name_not_found"],
  ])("is not the cause of %s", async (_what, name, line, kind) => {
    const manager = await withoutRedis();
    await crash(manager, name, line);
    const { cause, others } = await manager.diagnose({ project });
    expect(cause).toMatchObject({ kind, service: name, because_of: null });
    expect(others.map((one) => one.kind)).not.toContain("dependency_down");
  });
});

describe("diagnose: an unknown host name", () => {
  it.each([
    ["postgress", "DB_HOST of its environment", "Correct postgress in DB_HOST"],
    ["elsewhere.invalid", "Services of this stack: redis, db, api, worker.", "Use the name of a service"],
  ])("%s is named with its variable when the compose file has it", async (host, explanation, step) => {
    domain.project(project, TEXT);
    const manager = domain.manager();
    await manager.start({ project }, call());
    await crash(manager, "worker", `could not translate host name "${host}" to address: Name or service not known`);
    const { cause } = await manager.diagnose({ project });
    expect(cause).toMatchObject({ kind: "name_not_found", next: { operation: "start_stack" } });
    expect(cause?.explanation).toContain(explanation);
    expect(cause?.explanation).toContain("Services of this stack: redis, db, api, worker.");
    expect(cause?.explanation).not.toContain("elsewhere");
    expect(cause?.next.do).toContain(step);
  });
});
