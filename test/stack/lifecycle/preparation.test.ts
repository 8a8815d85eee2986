/** Preparations of services (images, dependencies), which run while the services that they depend on start. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import type { StackState } from "../../../src/stack/model.js";
import type { PrepareServiceRequest } from "../../../src/stack/runtime.js";
import { call, compose, Domain, eventsOf, service, until } from "../../support/domain.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

const CHAIN = compose(
  service("web", "depends_on: { api: { condition: service_healthy } }"),
  service("api", "depends_on: { db: { condition: service_healthy } }"),
  service("db"),
);

/** A promise and the function that fulfils it. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    if (signal.aborted) reject(signal.reason);
  });

it("services are prepared before their dependencies are healthy, and each start gets its preparation", async () => {
  domain.project("shop", CHAIN);
  const prepared: string[] = [];
  const all = gate();
  const prepare = async ({ service: { name }, generation, phase }: PrepareServiceRequest) => {
    phase("building");
    prepared.push(`${name} ${generation}`);
    if (prepared.length === 2) all.open();
    return `image of ${name}`;
  };
  // Healthy only when both of the others are prepared.
  const db = { probe: () => all.opened.then(() => true as const), prepare };
  domain.runtime.scripts = { db, api: { prepare }, web: { prepare } };
  const told: string[] = [];
  const { status } = await domain
    .manager()
    .start({ project: "shop" }, call({ progress: ({ message }) => told.push(message) }));
  expect(status).toBe("healthy");
  expect(prepared.sort()).toEqual(["api 1", "web 1"]);
  expect(told).toContain("web: building");
  const of = (name: string) => domain.runtime.services.get(name)?.request;
  expect([of("api")?.prepared, of("web")?.prepared]).toEqual(["image of api", "image of web"]);
  expect([of("api")?.generation, of("web")?.generation]).toEqual([1, 1]);
  // Its start prepares it as early.
  expect(of("db")?.prepared).toBeUndefined();
});

it("on a runtime with images, a preparation waits for those of the service's dependencies", async () => {
  domain.project("shop", CHAIN);
  domain.runtime.preparesInOrder = true;
  const order: string[] = [];
  const ready = gate();
  const prepare = async ({ service: { name } }: PrepareServiceRequest) => {
    order.push(`begin ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    order.push(`end ${name}`);
    if (name === "web") ready.open();
    return name;
  };
  domain.runtime.scripts = {
    db: { prepare, probe: () => ready.opened.then(() => true as const) },
    api: { prepare },
    web: { prepare },
  };
  expect((await domain.manager().start({ project: "shop" }, call())).status).toBe("healthy");
  expect(order).toEqual(["begin db", "end db", "begin api", "end api", "begin web", "end web"]);
  expect(domain.runtime.services.get("db")?.request.prepared).toBe("db");
});

it("a preparation that fails fails the start at once, and the services that ran are stopped", async () => {
  domain.project("shop", CHAIN);
  const failed = new StackwardenError("SERVICE_START_FAILED", "web: pip install failed.", { hint: "Look." });
  const slow = gate();
  domain.runtime.scripts = {
    db: { probe: () => slow.opened.then(() => true as const) },
    web: {
      prepare: async ({ sink }) => {
        sink.line("install", "no matching distribution");
        throw failed;
      },
    },
  };
  const manager = domain.manager();
  await expect(manager.start({ project: "shop" }, call())).rejects.toMatchObject({
    code: "SERVICE_START_FAILED",
    message: "web: pip install failed.",
  });
  slow.open();
  expect(domain.runtime.started()).not.toContain("web");
  expect(domain.runtime.alive.size).toBe(0);
  const { services, state } = await manager.report("shop");
  expect(state).toBe("stopped" satisfies StackState);
  expect(services.web).toMatchObject({ state: "stopped", generation: 1 });
  expect(services.api?.state).toBe("stopped");
  const logged = async () => (await manager.logs({ project: "shop", query: { stream: "install" } })).lines;
  await until("the output is stored", async () => (await logged()).length > 0);
  expect((await logged()).map(({ text }) => text)).toEqual(["no matching distribution"]);
  expect((await eventsOf(manager, "shop", "stack_start_failed"))[0]?.message).toBe("web: pip install failed.");
});

it("a start that fails waits until cancelled preparations have ended", async () => {
  domain.project("shop", CHAIN);
  let over = false;
  domain.runtime.scripts = {
    db: { startErrors: [new StackwardenError("SERVICE_START_FAILED", "db has no image.", { hint: "Add one." })] },
    web: {
      prepare: async ({ signal }) => {
        await aborted(signal).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 50));
        over = true;
        throw signal.reason;
      },
    },
  };
  await expect(domain.manager().start({ project: "shop" }, call())).rejects.toMatchObject({
    message: "db has no image.",
  });
  expect(over).toBe(true);
});

it("reports say what a pending and a starting service waits for", async () => {
  domain.project("shop", CHAIN);
  const all = gate();
  domain.runtime.scripts = {
    web: {
      prepare: async ({ phase }) => {
        phase("pulling example/web: 3 of 80 MB");
        await all.opened;
      },
    },
    db: { startMs: 1500 },
  };
  const manager = domain.manager();
  const starting = manager.start({ project: "shop" }, call());
  const message = async (name: string) =>
    (await manager.health({ project: "shop" }, call())).services[name]?.message ?? "";
  await until("web is pulled", async () => (await message("web")).includes("MB"));
  expect(await message("web")).toBe("Pending: pulling example/web: 3 of 80 MB; it starts after api.");
  expect(await message("db")).toBe("Starting: unpacking 12 MB.");
  all.open();
  expect((await starting).status).toBe("healthy");
  expect(await message("web")).toBe("well");
});

it("a stop ends preparations in progress", async () => {
  domain.project("shop", CHAIN);
  let begun = false;
  domain.runtime.scripts = {
    web: {
      prepare: ({ signal }) => {
        begun = true;
        return aborted(signal);
      },
    },
  };
  const manager = domain.manager();
  const starting = manager.start({ project: "shop" }, call());
  const ended = expect(starting).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
  await until("the preparation begins", () => begun);
  expect(await manager.stop({ project: "shop" }, call())).toMatchObject({ status: "stopped", verified: true });
  await ended;
  expect((await manager.report("shop")).services.web).toMatchObject({ state: "stopped", generation: 0 });
});

it("a preparation is repeated after a transient failure", async () => {
  domain.project("shop", CHAIN);
  let attempts = 0;
  domain.runtime.scripts = {
    web: {
      prepare: async () => {
        attempts += 1;
        if (attempts === 1) throw Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
      },
    },
  };
  const manager = domain.manager();
  expect((await manager.start({ project: "shop" }, call())).status).toBe("healthy");
  expect(attempts).toBe(2);
  const [retry] = await eventsOf(manager, "shop", "retrying");
  expect(retry?.message).toContain("Preparing web failed (attempt 1)");
});

it("a file that changes between the preparation and the start makes the service stale", async () => {
  const folder = domain.project("shop", CHAIN.replace("image: example/web", "build: ."));
  writeFileSync(join(folder, "main.py"), "old\n");
  const changed = gate();
  domain.runtime.scripts = {
    db: { probe: () => changed.opened.then(() => true as const) },
    web: {
      prepare: async () => {
        await new Promise((resolve) => setTimeout(resolve, 30));
        writeFileSync(join(folder, "main.py"), "new\n");
        changed.open();
      },
    },
  };
  const manager = domain.manager();
  await manager.start({ project: "shop" }, call());
  const { services } = await manager.health({ project: "shop", fresh: true }, call());
  expect(services.web?.stale).toMatchObject({ fix: "restart_service" });
});
