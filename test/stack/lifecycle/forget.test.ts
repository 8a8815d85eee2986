/** Projects without their folder, deleted projects, and idle stacks. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import type { SharedStackManager } from "../../../src/stack/model.js";
import { call, compose, Domain, eventsOf, service, until } from "../../support/domain.js";

let domain: Domain;
let manager: SharedStackManager;
let folder: string;
beforeEach(async () => {
  domain = new Domain();
  folder = domain.project("shop", compose(service("app", "volumes: [data:/data]")).concat("volumes: { data: {} }\n"));
  manager = domain.manager();
});
afterEach(() => domain.close());

const start = (more: { idleStopMs?: number } = {}) => manager.start({ project: "shop", ...more }, call());
const forget = (project = "shop") => manager.stop({ project, forget: true }, call());
const directory = () => join(domain.state, "projects", "shop");
const listed = async () => (await manager.list()).find(({ project }) => project === "shop");

it("a folder without a project is reported as never started, with nothing stored", async () => {
  const note = "The stack has never been started; no data is stored for it.";
  const reports = async () => ({
    app: (await manager.health({ project: "shop" }, call())).services.app?.message,
    note: (await manager.snapshots("shop")).note,
  });
  expect(await reports()).toEqual({ app: note, note });
  await start();
  await manager.stop({ project: "shop" }, call());
  manager = domain.manager();
  expect(await reports()).toEqual({ app: "The stack is not running.", note: undefined });
  await forget();
  expect(await reports()).toEqual({ app: note, note });
});

describe("projects whose folder does not exist", () => {
  it("a project without its folder is listed as such, refuses a start, and is deleted by forget", async () => {
    await start();
    domain.runtime.volumes.set("shop/data", 7);
    await manager.stop({ project: "shop" }, call());
    rmSync(folder, { recursive: true });
    expect(await listed()).toMatchObject({ project: "shop", folder, folder_missing: true, state: "stopped" });
    await expect(start()).rejects.toMatchObject({
      code: "UNKNOWN_PROJECT",
      message: `The folder of shop, ${folder}, does not exist.`,
      hint: expect.stringContaining('"forget": true'),
    });
    const outcome = await forget();
    expect(outcome).toMatchObject({ status: "already_stopped", forgotten: true, verified: true });
    expect(outcome.message).toContain("Its data, snapshots, dependencies, logs and records are deleted.");
    expect(domain.runtime.volumes.size).toBe(0);
    expect(existsSync(directory())).toBe(false);
    expect(await listed()).toBeUndefined();
    await expect(forget()).rejects.toMatchObject({ code: "UNKNOWN_PROJECT" });
  });

  it("a running stack without its folder is stopped and deleted by forget", async () => {
    await start();
    rmSync(folder, { recursive: true });
    expect(await listed()).toMatchObject({ state: "running", folder_missing: true });
    expect((await manager.health({ project: "shop" }, call())).overall_healthy).toBe(true);
    expect(await forget()).toMatchObject({ status: "stopped", forgotten: true });
    expect(domain.runtime.alive.size).toBe(0);
    expect(existsSync(directory())).toBe(false);
  });

  it("a project outside a client's roots is neither named nor deleted", async () => {
    await start();
    await manager.stop({ project: "shop" }, call());
    rmSync(folder, { recursive: true });
    const elsewhere = join(domain.folder, "elsewhere");
    mkdirSync(elsewhere);
    const view = manager.within({ settings: { ...domain.settings, roots: [elsewhere] }, everyProject: false });
    expect(await view.list()).toEqual([]);
    const error = await view.stop({ project: "shop", forget: true }, call()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "UNKNOWN_PROJECT" });
    expect(JSON.stringify((error as StackwardenError).report())).not.toContain(folder);
    expect(existsSync(directory())).toBe(true);
  });
});

describe("stop_stack with forget", () => {
  it("a deleted project starts anew without its earlier events", async () => {
    await start();
    await forget();
    expect(existsSync(directory())).toBe(false);
    await start();
    expect((await eventsOf(manager, "shop", "stack_started")).length).toBe(1);
  });

  it("forget keeps everything stored when a runtime cannot delete its data, and can be repeated", async () => {
    await start();
    domain.runtime.removeErrors = [new StackwardenError("RUNTIME_UNAVAILABLE", "The engine does not respond.")];
    await expect(forget()).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect(existsSync(join(directory(), "project.json"))).toBe(true);
    expect((await eventsOf(manager, "shop")).length).toBeGreaterThan(0);
    // The result names what an engine cannot delete.
    domain.runtime.keptData = ["Volumes were not deleted: the engine x still holds their content."];
    const outcome = await forget();
    expect(outcome).toMatchObject({ forgotten: true, not_deleted: domain.runtime.keptData });
    expect(outcome.message).toMatch(
      /^The stack .* Its snapshots, dependencies, logs and records are deleted\. Volumes /,
    );
    expect(existsSync(directory())).toBe(false);
  });

  it("forget is refused while another server runs the stack", async () => {
    await start();
    const other = domain.manager();
    await expect(other.stop({ project: "shop", forget: true }, call())).rejects.toMatchObject({
      code: "PROJECT_LOCKED",
    });
    expect(await listed()).toMatchObject({ state: "running" });
  });
});

describe("idle_stop", () => {
  it("a stack that no call uses is stopped, and an event gives the reason", async () => {
    await start({ idleStopMs: 200 });
    expect(await listed()).toMatchObject({ state: "running", idle_stop: { seconds: 0.2 } });
    await until("the stack stopped", async () => (await listed())?.state === "stopped");
    const [event] = (await eventsOf(manager, "shop", "warning")).slice(-1);
    expect(event).toMatchObject({ actor: "stackwarden", message: expect.stringContaining("no call used it for") });
    const [stopping] = await eventsOf(manager, "shop", "stack_stopping");
    expect(stopping?.message).toMatch(/^The stack is stopping: no call used it for .* \(idle_stop\)\.$/);
    expect(await listed()).not.toHaveProperty("idle_stop");
  });

  it("0 switches it off", async () => {
    await start({ idleStopMs: 60_000 });
    expect(await listed()).toMatchObject({ idle_stop: { seconds: 60 } });
    await start({ idleStopMs: 0 });
    expect(await listed()).not.toHaveProperty("idle_stop");
  });

  it("the idle time begins with the end of the last call on the stack", async () => {
    await start({ idleStopMs: 300 });
    const waiting = manager.events({ project: "shop", after: 1_000_000, waitMs: 900 });
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await listed()).toMatchObject({ state: "running", idle_stop: { stops_at: null } });
    await waiting;
    await until("the stack stopped", async () => (await listed())?.state === "stopped");
  });

  it("a start overrides the configured idle time and keeps it for later starts", async () => {
    const own = domain.manager({ idleStopMs: 60_000 });
    await own.start({ project: "shop" }, call());
    const report = async () => (await own.list())[0]?.idle_stop?.seconds;
    expect(await report()).toBe(60);
    await own.start({ project: "shop", idleStopMs: 7_200_000 }, call());
    expect(await report()).toBe(7200);
    await own.start({ project: "shop" }, call());
    expect(await report()).toBe(7200);
  });
});

it("a folder that exists again is used again", async () => {
  await start();
  await manager.stop({ project: "shop" }, call());
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
  writeFileSync(join(folder, "compose.yaml"), compose(service("app")));
  expect((await start()).status).toBe("healthy");
  expect(await listed()).not.toHaveProperty("folder_missing");
});
