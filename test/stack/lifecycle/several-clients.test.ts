/** Several clients change one stack at the same time: conflicting changes run one after the other. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import type { StackEvent, StackManager } from "../../../src/stack/model.js";
import { call, compose, Domain, eventsOf, service, until } from "../../support/domain.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

const SHOP = compose(
  service("db", "volumes: ['data:/data']"),
  service("cache"),
  service(
    "web",
    "depends_on: { db: { condition: service_healthy, restart: true }, cache: { condition: service_started } }",
  ),
);
const VOLUMES = "\nvolumes: { data: {} }\n";

/** Services with more than one running instance. */
const doubled = (): string[] => {
  const names = [...domain.runtime.alive].map((one) => one.service);
  return names.filter((name, index) => names.indexOf(name) !== index);
};

it("concurrent restarts of a service and its dependency leave one instance of each", async () => {
  domain.project("shop", SHOP + VOLUMES);
  const manager = domain.manager({ restartBudget: 100 });
  await manager.start({ project: "shop" }, call());
  domain.runtime.scripts = { web: { startMs: 30 }, db: { startMs: 30 } };
  for (let round = 0; round < 3; round += 1) {
    const outcomes = await Promise.all([
      manager.restart({ project: "shop", service: "db", dependents: true }, call()),
      manager.restart({ project: "shop", service: "web" }, call()),
      manager.restart({ project: "shop", service: "db" }, call()),
    ]);
    expect(outcomes.every(({ verified }) => verified)).toBe(true);
    expect(doubled()).toEqual([]);
    expect([...domain.runtime.alive].map((one) => one.service).sort()).toEqual(["cache", "db", "web"]);
  }
});

it("a restart during a start waits for the start's end", async () => {
  domain.project("shop", SHOP + VOLUMES);
  let ready = false;
  domain.runtime.scripts = { web: { probe: () => (ready ? true : "not yet") } };
  const manager = domain.manager();
  const starting = manager.start({ project: "shop" }, call());
  await until("db is up", async () => (await manager.report("shop")).services.db?.state === "healthy");
  const restarting = manager.restart({ project: "shop", service: "db" }, call());
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(domain.runtime.calls.filter((one) => one === "start db")).toHaveLength(1);
  ready = true;
  // The restart may stop the service before the start's result is observed.
  expect((await starting).status).toMatch(/^(healthy|starting)$/);
  expect((await restarting).verified).toBe(true);
  expect(domain.runtime.calls.filter((one) => one === "start db")).toHaveLength(2);
});

it("the definitions of listed projects are read at the same time, and the list keeps its order", async () => {
  const ids = ["d", "a", "c", "b", "e"];
  const first = domain.manager();
  for (const project of ids) {
    domain.project(project, compose(service("web")));
    await first.start({ project }, call());
  }
  await first.shutdown("a server ends", 3000);
  const { loadStack } = domain;
  const waiting: (() => void)[] = [];
  let reads = 0;
  domain.loadStack = async (request) => {
    reads += 1;
    // The first four reads end together.
    if (reads <= 4) await new Promise<void>((resolve) => waiting.push(resolve) === 4 && waiting.map((go) => go()));
    return loadStack(request);
  };
  const listed = await domain.manager().list();
  expect(listed.map(({ project }) => project)).toEqual([...ids].sort());
  expect(reads).toBe(5);
});

it("a start during a stop with deletion waits for both and has no data", async () => {
  domain.project("shop", SHOP + VOLUMES);
  const manager = domain.manager();
  await manager.start({ project: "shop" }, call());
  const stopping = manager.stop({ project: "shop", removeVolumes: true }, call({ actor: "one" }));
  const [stopped, started, again] = await Promise.all([
    stopping,
    manager.start({ project: "shop" }, call({ actor: "two" })),
    manager.stop({ project: "shop" }, call({ actor: "three" })),
  ]);
  expect(stopped).toMatchObject({ status: "stopped", removed_volumes: ["data"] });
  expect(again).toMatchObject({ status: "stopped", removed_volumes: [] });
  expect(started.status).toBe("healthy");
  const types = (await eventsOf(manager, "shop", "stack_started", "stack_stopped", "warning")).map(({ type }) => type);
  // The warning says what was deleted.
  expect(types).toEqual(["stack_started", "stack_stopped", "warning", "stack_started"]);
});

it("a start after a stop of a stack that has never run is not ended by that stop", async () => {
  domain.project("shop", SHOP + VOLUMES);
  const manager = domain.manager();
  const [stopped, started] = await Promise.all([
    manager.stop({ project: "shop" }, call({ actor: "one" })),
    manager.start({ project: "shop" }, call({ actor: "two" })),
  ]);
  expect(stopped).toMatchObject({ status: "already_stopped", verified: true, before: { state: "stopped" } });
  expect(started.status).toBe("healthy");
});

/** Pseudo-random numbers, the same in every run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

it.each([1, 2, 3, 4])(
  "concurrent operations of four clients leave one instance of each service (seed %i)",
  async (seed) => {
    domain.project("shop", SHOP + VOLUMES);
    const manager = domain.manager({ restartBudget: 1000 });
    domain.runtime.scripts = { db: { startMs: 5 }, cache: { startMs: 5 }, web: { startMs: 5 } };
    const heard: StackEvent[] = [];
    manager.subscribe((change) => {
      if (change.kind === "events" && change.event !== undefined) heard.push(change.event);
    });
    const pick = random(seed);
    const unexpected: unknown[] = [];
    const client = async (name: string, view: StackManager): Promise<void> => {
      for (let step = 0; step < 25; step += 1) {
        const cancel = new AbortController();
        const request = call({ actor: name, signal: cancel.signal });
        const target = ["db", "cache", "web"][pick(3)] as string;
        const operations = [
          () => view.start({ project: "shop", wait: pick(2) === 0 }, request),
          () => view.start({ project: "shop", timeoutMs: pick(30) }, request),
          () => view.stop({ project: "shop", removeVolumes: pick(3) === 0, timeoutMs: 20 + pick(2000) }, request),
          () => view.restart({ project: "shop", service: target, dependents: pick(2) === 0 }, request),
          () => view.restart({ project: "shop", service: target, timeoutMs: pick(20) }, request),
          () => view.setLimits({ project: "shop", service: target, limits: { memory_mb: 64 + pick(64) } }, request),
          () => view.health({ project: "shop", fresh: true }, request),
          async () => {
            for (const one of domain.runtime.alive) if (one.service === target) one.end({ exitCode: 1 });
          },
        ];
        if (pick(5) === 0) setTimeout(() => cancel.abort(), pick(20));
        try {
          await operations[pick(operations.length)]?.();
        } catch (error) {
          const known = ["STACK_NOT_RUNNING", "SERVICE_NOT_STARTED", "OPERATION_CANCELLED", "SERVICE_START_FAILED"];
          if (!(error instanceof StackwardenError) || !known.includes(error.code)) unexpected.push(error);
        }
        expect(doubled()).toEqual([]);
      }
    };
    const view = () => manager.within({ settings: { ...domain.settings, restartBudget: 1000 }, everyProject: false });
    await Promise.all(["one", "two", "three", "four"].map((name) => client(name, view())));
    expect(unexpected).toEqual([]);
    expect((await manager.start({ project: "shop" }, call())).after.state).toBe("running");
    expect([...domain.runtime.alive].map((one) => one.service).sort()).toEqual(["cache", "db", "web"]);
    expect((await manager.stop({ project: "shop" }, call())).verified).toBe(true);
    expect(domain.runtime.alive.size).toBe(0);
    // Every subscriber received every event once and in order.
    expect(heard.map(({ seq }) => seq)).toEqual(heard.map((_, index) => index + 1));
    expect(await eventsOf(manager, "shop")).toEqual(heard.slice(-1000));
  },
);
