/** Service names that are members of Object.prototype, and names of instances. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { invoke, operationNamed } from "../../../src/operations/index.js";
import { call, compose, Domain, eventsOf, service } from "../../support/domain.js";
import { FakeRuntime } from "../../support/fake-runtime.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

it.each(["constructor", "toString", "hasOwnProperty", "valueOf"])(
  "a service with the name %s can be started, read, limited, restarted and stopped",
  async (name) => {
    domain.project("shop", compose(service(name, "ports: [8080]"), service("web", `depends_on: [${name}]`)));
    domain.runtime.scripts = { [name]: { prints: "a line" } };
    const manager = domain.manager();
    const run = async (operation: string, input: object): Promise<Record<string, unknown>> =>
      (await invoke(operationNamed(operation), { project: "shop", ...input }, async () => ({ manager, ...call() }), {
        readOnly: false,
      })) as Record<string, unknown>;
    const started = (await run("start_stack", {})) as { after: { services: Record<string, { state: string }> } };
    expect(Object.keys(started.after.services)).toEqual([name, "web"]);
    expect(started.after.services[name]?.state).toBe("healthy");
    expect((await run("get_logs", { service: name })).lines).toMatchObject([{ text: "a line" }]);
    expect(await run("health_status", {})).toMatchObject({ overall_healthy: true });
    await run("set_limits", { service: name, memory_mb: 256 });
    expect(Object.keys((await run("get_stats", { services: [name] })).services as object)).toEqual([name]);
    expect(await run("restart_service", { service: name })).toMatchObject({ service: name });
    expect((await run("diagnose", { service: name })).project).toBe("shop");
    await run("stop_stack", {});
  },
);

it("the name of a scaled service applies to all of its instances", async () => {
  const text = (scale: number): string =>
    compose(service("web", `scale: ${scale}\nports: [80]`), service("proxy", "depends_on: [web]"));
  domain.project("shop", text(3));
  const runtime = new FakeRuntime("docker");
  runtime.scripts = { web: { prints: "first" }, "web-2": { prints: "second" }, "web-3": { prints: "third" } };
  const manager = domain.manager({ runtime: "docker" }, [runtime]);
  const project = "shop";
  const states = async () =>
    Object.fromEntries(
      Object.entries((await manager.report(project)).services).map(([name, one]) => [name, one.generation]),
    );
  expect((await manager.check({ project })).services.map((one) => one.service)).toEqual([
    "web",
    "web-2",
    "web-3",
    "proxy",
  ]);
  expect((await manager.resolve({ project })).model).toMatchObject({ services: { web: { scale: 3 } } });
  await manager.start({ project }, call());
  expect(await states()).toEqual({ web: 1, "web-2": 1, "web-3": 1, proxy: 1 });

  const { lines } = await manager.logs({ project, query: { services: ["web"] } });
  expect(lines.map((line) => [line.service, line.text]).sort()).toEqual([
    ["web", "first"],
    ["web-2", "second"],
    ["web-3", "third"],
  ]);
  const health = await manager.health({ project, services: ["web"], waitFor: "healthy" }, call());
  expect([Object.keys(health.services), health.wait?.met]).toEqual([["web", "web-2", "web-3"], true]);
  expect(Object.keys((await manager.stats({ project, services: ["web"] })).services)).toEqual([
    "web",
    "web-2",
    "web-3",
  ]);
  const limited = await manager.setLimits({ project, service: "web", limits: { memory_mb: 300 } }, call());
  expect(limited).toMatchObject({ live: true, verified: true });
  expect(runtime.service("web-3").limits.memory_mb).toBe(300);

  // A restart of one instance leaves the others.
  runtime.service("web-2").end({ exitCode: 1 });
  const restarted = await manager.restart({ project, service: "web-2" }, call());
  expect(restarted).toMatchObject({ service: "web-2", verified: true, dependents_restarted: [] });
  expect(await states()).toEqual({ web: 1, "web-2": 2, "web-3": 1, proxy: 1 });
  expect((await eventsOf(manager, project, "service_crashed")).map((one) => one.service)).toEqual(["web-2"]);
  // The result names the instances that do not run, even the first one.
  runtime.service("web").end();
  const lowered = await manager.setLimits({ project, service: "web", limits: { pids: 90 } }, call());
  expect(lowered).toMatchObject({
    live: true,
    message: "The limits are in force, except for web, which does not run, and kept for the next start.",
  });
  expect(runtime.service("web-3").limits.pids).toBe(90);
  expect(await manager.restart({ project, service: "web" }, call())).toMatchObject({
    dependents_restarted: ["web-2", "web-3"],
  });
  expect(runtime.service("web-2").limits.memory_mb).toBe(300);

  // A smaller scale keeps the first instances.
  domain.project("shop", text(2));
  await manager.start({ project }, call());
  expect(await states()).toEqual({ web: 2, "web-2": 3, proxy: 1 });
  await expect(manager.stop({ project, services: ["web-2"] }, call())).rejects.toMatchObject({
    code: "INVALID_INPUT",
    message: "web-2 is one instance of web and cannot stop alone.",
  });
  const stopped = await manager.stop({ project, services: ["web"] }, call());
  expect(stopped).toMatchObject({ status: "stopped", verified: true });
  expect(stopped.message).toContain("web, web-2");
  expect(Object.keys(await states())).toEqual(["proxy"]);
});
