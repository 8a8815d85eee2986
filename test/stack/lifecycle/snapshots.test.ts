/** Snapshots of a project's data, on a runtime whose volumes are numbers. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import type { ExecRequest } from "../../../src/stack/runtime.js";
import { SnapshotStore } from "../../../src/stack/storage/snapshot-store.js";
import { call, Domain, eventsOf, until } from "../../support/domain.js";
import { FakeRuntime } from "../../support/fake-runtime.js";

const SHOP = `
services:
  db:
    image: shop-db
    volumes: ["data:/data"]
    healthcheck: { test: ["CMD", "true"], interval: 1s }
  files:
    image: shop-files
    volumes: ["uploads:/uploads"]
  web: { image: shop-web }
volumes: { data: {}, uploads: {} }
secrets:
  password: { environment: DB_PASSWORD, x-generate: true }
`;

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
  domain.project("shop", SHOP);
});
afterEach(() => domain.close());

const started = async (settings = {}) => {
  const manager = domain.manager(settings);
  await manager.start({ project: "shop" }, call());
  domain.runtime.volumes.set("shop/data", 100);
  return manager;
};
const volume = (name: string): number | undefined => domain.runtime.volumes.get(name);
/** Copies wait from now on. @returns a function that lets them go on */
function holdCopies(): () => void {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const copy = domain.runtime.copyVolumes.bind(domain.runtime);
  domain.runtime.copyVolumes = async (request, archive) => {
    await held;
    return copy(request, archive);
  };
  return release;
}
const folder = (): string => join(domain.state, "projects", "shop", "snapshots");

describe("snapshots", () => {
  it("a save pauses only the services that write the data, and a restore requires a stopped stack", async () => {
    const manager = await started();
    const { snapshot } = await manager.saveSnapshot({ project: "shop", name: "one" }, call());
    expect(snapshot).toMatchObject({ name: "one", bytes: 100, volumes: { data: 100, uploads: 0 }, runtime: "local" });
    const { calls } = domain.runtime;
    const copying = calls.indexOf("copy data,uploads");
    expect(calls.slice(copying - 2, copying)).toEqual(["pause db", "pause files"]);
    expect(calls.slice(copying + 1, copying + 3).sort()).toEqual(["resume db", "resume files"]);
    expect(calls).not.toContain("pause web");
    domain.runtime.volumes.set("shop/data", 7);
    domain.runtime.volumes.set("shop/uploads", 3);
    await expect(manager.restoreSnapshot({ project: "shop", snapshot: "one" }, call())).rejects.toMatchObject({
      code: "STACK_RUNNING",
      hint: expect.stringContaining("stop_stack"),
    });
    await manager.stop({ project: "shop" }, call());
    await manager.restoreSnapshot({ project: "shop", snapshot: "one" }, call({ actor: "agent/1" }));
    expect(volume("shop/data")).toBe(100);
    expect(volume("shop/uploads")).toBeUndefined();
    const events = await eventsOf(manager, "shop", "snapshot_saved", "snapshot_restored");
    expect(events.map(({ type, actor }) => [type, actor])).toEqual([
      ["snapshot_saved", "test/1"],
      ["snapshot_restored", "agent/1"],
    ]);
    expect((await manager.start({ project: "shop" }, call())).verified).toBe(true);
  });

  it("a failed save resumes the services and leaves no files", async () => {
    const manager = await started();
    domain.runtime.copyErrors.push(new StackwardenError("STORAGE_FAILED", "The disk is full."));
    await expect(manager.saveSnapshot({ project: "shop" }, call())).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(domain.runtime.calls.slice(-2).sort()).toEqual(["resume db", "resume files"]);
    expect(readdirSync(folder())).toEqual([]);
    domain.runtime.scripts.db = { pauseErrors: [new StackwardenError("UNSUPPORTED", "It cannot be paused.")] };
    await expect(manager.saveSnapshot({ project: "shop" }, call())).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect((await manager.snapshots("shop")).snapshots).toEqual([]);
  });

  it("a command in a paused service begins after the pause, and never when it was cancelled or timed out", async () => {
    const manager = await started();
    const release = holdCopies();
    const saving = manager.saveSnapshot({ project: "shop", service: "db" }, call());
    await until("it is paused", () => domain.runtime.calls.includes("pause db"));
    const run = (word: string, timeoutMs: number, signal = new AbortController().signal) =>
      manager.runCommand(
        { project: "shop", service: "db", command: [word], timeoutMs, maxBytes: 1000 },
        call({ signal }),
      );
    const waiting = run("waits", 60_000);
    expect(await run("late", 20)).toMatchObject({ timed_out: true, exit_code: null });
    const cancelling = AbortSignal.timeout(20);
    await expect(run("cancelled", 60_000, cancelling)).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
    const commands = () => domain.runtime.calls.filter((one) => one.startsWith("exec"));
    expect(commands()).toEqual([]);
    release();
    await saving;
    expect(await waiting).toMatchObject({ timed_out: false, exit_code: 0 });
    expect(commands()).toEqual(["exec db waits"]);
  });

  it("a paused service is not checked and does not become unhealthy", async () => {
    const manager = await started();
    let probed = 0;
    domain.runtime.scripts.db = {
      probe: () => {
        probed += 1;
        return "it is paused";
      },
    };
    const release = holdCopies();
    const saving = manager.saveSnapshot({ project: "shop", service: "db" }, call());
    await until("it is paused", () => domain.runtime.calls.includes("pause db"));
    await manager.health({ project: "shop", fresh: true }, call());
    expect(probed).toBe(0);
    expect((await manager.report("shop")).services.db?.state).toBe("healthy");
    release();
    expect((await saving).snapshot.volumes).toEqual({ data: 100 });
    await until("it is checked again", () => probed > 0);
  });

  it("snapshots have unique names, are listed by time, and unknown names are refused", async () => {
    const manager = await started();
    await manager.saveSnapshot({ project: "shop", name: "b" }, call());
    await manager.saveSnapshot({ project: "shop", name: "a" }, call());
    await expect(manager.saveSnapshot({ project: "shop", name: "a" }, call())).rejects.toMatchObject({
      code: "SNAPSHOT_EXISTS",
    });
    expect((await manager.snapshots("shop")).snapshots.map(({ name }) => name)).toEqual(["b", "a"]);
    await manager.deleteSnapshot({ project: "shop", snapshot: "b" }, call());
    for (const act of [manager.deleteSnapshot, manager.restoreSnapshot])
      await expect(act({ project: "shop", snapshot: "b" }, call())).rejects.toMatchObject({
        code: "UNKNOWN_SNAPSHOT",
        details: { valid: ["a"] },
      });
    expect(existsSync(join(folder(), "b"))).toBe(false);
    expect(statSync(folder()).mode & 0o777).toBe(0o700);
  });

  it("a save without a named volume, service or data is refused", async () => {
    const manager = await started();
    await expect(manager.saveSnapshot({ project: "shop", service: "web" }, call())).rejects.toMatchObject({
      code: "INVALID_INPUT",
    });
    await expect(manager.saveSnapshot({ project: "shop", service: "nope" }, call())).rejects.toMatchObject({
      code: "UNKNOWN_SERVICE",
    });
    domain.project("other", SHOP);
    await expect(manager.saveSnapshot({ project: "other" }, call())).rejects.toMatchObject({
      code: "INVALID_INPUT",
      hint: expect.stringContaining("start_stack"),
    });
  });

  it("number and bytes of snapshots are limited, and automatic ones are deleted first", async () => {
    const manager = await started({ snapshots: { maxCount: 2, maxBytes: 1000 } });
    await manager.stop({ project: "shop", removeVolumes: true }, call());
    await manager.start({ project: "shop" }, call());
    domain.runtime.volumes.set("shop/data", 100);
    await manager.saveSnapshot({ project: "shop", name: "one" }, call());
    await manager.saveSnapshot({ project: "shop", name: "two" }, call());
    expect((await manager.snapshots("shop")).snapshots.map(({ name }) => name)).toEqual(["one", "two"]);
    await expect(manager.saveSnapshot({ project: "shop", name: "three" }, call())).rejects.toMatchObject({
      code: "SNAPSHOT_TOO_LARGE",
      hint: expect.stringContaining("one, two"),
    });
    await manager.stop({ project: "shop" }, call());
    await expect(manager.stop({ project: "shop", removeVolumes: true }, call())).rejects.toMatchObject({
      code: "SNAPSHOT_TOO_LARGE",
      hint: expect.stringContaining("snapshot: false"),
    });
    expect(volume("shop/data")).toBe(100);
    const outcome = await manager.stop({ project: "shop", removeVolumes: true, snapshot: false }, call());
    expect(outcome).not.toHaveProperty("snapshot");
    expect(volume("shop/data")).toBeUndefined();
  });

  it("a stop that deletes volumes saves their data first and names the snapshot", async () => {
    const manager = await started();
    const outcome = await manager.stop({ project: "shop", removeVolumes: true }, call());
    expect(outcome.message).toContain(`snapshot ${outcome.snapshot}`);
    expect(volume("shop/data")).toBeUndefined();
    await manager.restoreSnapshot({ project: "shop", snapshot: outcome.snapshot ?? "" }, call());
    expect(volume("shop/data")).toBe(100);
    // No data remains to save.
    domain.runtime.volumes.clear();
    expect(await manager.stop({ project: "shop", removeVolumes: true }, call())).not.toHaveProperty("snapshot");
  });

  it.each([
    ["a failed file operation", Object.assign(new Error("EIO: i/o error"), { code: "EIO" })],
    ["a fault of the program", new TypeError("undefined is not a function")],
  ])("data that cannot be saved because of %s is neither deleted nor replaced", async (_what, error) => {
    const manager = await started();
    await manager.saveSnapshot({ project: "shop", name: "one" }, call());
    await manager.stop({ project: "shop" }, call());
    domain.runtime.volumes.set("shop/data", 70);
    const refused = (what: string) => ({
      code: "INTERNAL",
      message: expect.stringContaining(`The data was not ${what}`),
    });
    domain.runtime.copyErrors.push(error);
    await expect(manager.restoreSnapshot({ project: "shop", snapshot: "one" }, call())).rejects.toMatchObject(
      refused("replaced"),
    );
    domain.runtime.copyErrors.push(error);
    await expect(manager.stop({ project: "shop", removeVolumes: true }, call())).rejects.toMatchObject(
      refused("deleted"),
    );
    expect(volume("shop/data")).toBe(70);
  });

  it("a restore saves the data that it replaces first and names the snapshot", async () => {
    const manager = await started();
    await manager.saveSnapshot({ project: "shop", name: "one" }, call());
    await manager.stop({ project: "shop" }, call());
    domain.runtime.volumes.set("shop/data", 70);
    const { message, replaced = "" } = await manager.restoreSnapshot({ project: "shop", snapshot: "one" }, call());
    expect(volume("shop/data")).toBe(100);
    expect(message).toContain(`The data before is in the snapshot ${replaced}.`);
    expect((await manager.snapshots("shop")).snapshots.at(-1)).toMatchObject({ name: replaced, automatic: true });
    await manager.restoreSnapshot({ project: "shop", snapshot: replaced }, call());
    expect(volume("shop/data")).toBe(70);
    // No data remains to save.
    domain.runtime.volumes.clear();
    expect(await manager.restoreSnapshot({ project: "shop", snapshot: "one" }, call())).not.toHaveProperty("replaced");
  });

  it("a restore that fails names the snapshot with the data before, and makes none where the disk has no room", async () => {
    const manager = await started();
    await manager.saveSnapshot({ project: "shop", name: "one" }, call());
    await manager.stop({ project: "shop" }, call());
    const restore = () => manager.restoreSnapshot({ project: "shop", snapshot: "one" }, call());
    const names = async () => (await manager.snapshots("shop")).snapshots.map(({ name }) => name);
    const roomless = { code: "SNAPSHOT_TOO_LARGE", message: expect.stringContaining("The disk has room for 0.0 MB") };
    const free = vi.spyOn(SnapshotStore.prototype, "free").mockResolvedValue(0);
    await expect(restore()).rejects.toMatchObject(roomless);
    expect(domain.runtime.calls.at(-1)).not.toBe("copy data,uploads");
    // The save takes the room.
    free.mockResolvedValueOnce(1e9).mockResolvedValueOnce(1e9);
    await expect(restore()).rejects.toMatchObject(roomless);
    free.mockRestore();
    expect(await names()).toEqual(["one"]);
    const failing = vi.spyOn(domain.runtime, "restoreVolumes");
    failing.mockRejectedValueOnce(new StackwardenError("STORAGE_FAILED", "No.", { hint: "Try again." }));
    const error = await restore().catch((thrown: unknown) => thrown as StackwardenError);
    expect(error).toMatchObject({
      code: "STORAGE_FAILED",
      hint: `Try again. The data before this call is in the snapshot ${(await names())[1]}.`,
    });
  });

  it("a restore that cannot save the present data changes nothing, and needs no room where there is none", async () => {
    const manager = await started({ snapshots: { maxCount: 1, maxBytes: 1000 } });
    await manager.saveSnapshot({ project: "shop", name: "one" }, call());
    await manager.stop({ project: "shop" }, call());
    domain.runtime.volumes.set("shop/data", 70);
    await expect(manager.restoreSnapshot({ project: "shop", snapshot: "one" }, call())).rejects.toMatchObject({
      code: "SNAPSHOT_TOO_LARGE",
      message: expect.stringContaining("The data was not replaced"),
      hint: expect.stringContaining("snapshot: false"),
    });
    expect(volume("shop/data")).toBe(70);
    await manager.stop({ project: "shop", removeVolumes: true, snapshot: false }, call());
    await manager.restoreSnapshot({ project: "shop", snapshot: "one" }, call());
    expect(volume("shop/data")).toBe(100);
  });

  it.each<[string, (manager: ReturnType<Domain["manager"]>) => Promise<unknown>]>([
    ["was stopped before", (manager) => manager.stop({ project: "shop", services: ["files"] }, call())],
    ["was left out before", (manager) => manager.stop({ project: "shop" }, call())],
    [
      "has an inactive profile",
      async () => domain.project("shop", SHOP.replace("shop-files", "shop-files\n    profiles: [tools]")),
    ],
  ])("volumes of a service that %s are deleted too, saved and named", async (_what, prepare) => {
    const manager = await started();
    domain.runtime.volumes.set("shop/uploads", 30);
    await prepare(manager);
    if (manager.running().length === 0) await manager.start({ project: "shop", without: ["files"] }, call());
    const { message, snapshot, removed_volumes } = await manager.stop({ project: "shop", removeVolumes: true }, call());
    expect([...removed_volumes].sort()).toEqual(["data", "uploads"]);
    expect(message).toBe(
      `The stack is stopped. Deleted volumes: data, uploads. The data of these volumes is in the snapshot ${snapshot}.`,
    );
    expect([...domain.runtime.volumes]).toEqual([]);
    expect((await manager.snapshots("shop")).snapshots).toMatchObject([{ volumes: { data: 100, uploads: 30 } }]);
  });

  it("volumes are deleted only without services, because each deletion is of every volume", async () => {
    const manager = await started();
    for (const removal of [{ removeVolumes: true }, { forget: true }])
      for (const services of [["db"], ["db", "files", "web"]])
        await expect(manager.stop({ project: "shop", services, ...removal }, call())).rejects.toMatchObject({
          code: "INVALID_INPUT",
          message: expect.stringContaining("not of some services"),
        });
    expect((await manager.health({ project: "shop" }, call())).state).toBe("running");
    expect(volume("shop/data")).toBe(100);
  });

  it("a deletion in a project without volumes says so", async () => {
    domain.project("bare", "services: { web: { image: shop-web } }");
    const manager = domain.manager();
    await manager.start({ project: "bare" }, call());
    const outcome = await manager.stop({ project: "bare", removeVolumes: true }, call());
    expect(outcome).toMatchObject({
      message: "The stack is stopped. The project has no volume, so none was deleted.",
      removed_volumes: [],
    });
  });

  it("a snapshot has the volumes of services that are left out", async () => {
    const manager = await started();
    domain.runtime.volumes.set("shop/uploads", 30);
    await manager.stop({ project: "shop", services: ["db", "files"] }, call());
    const { snapshot } = await manager.saveSnapshot({ project: "shop" }, call());
    expect(snapshot.volumes).toEqual({ data: 100, uploads: 30 });
  });

  it("a snapshot cannot be deleted while it is restored, and a start waits for the restore", async () => {
    const manager = await started();
    await manager.saveSnapshot({ project: "shop", name: "one" }, call());
    await manager.stop({ project: "shop" }, call());
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const restore = domain.runtime.restoreVolumes.bind(domain.runtime);
    domain.runtime.restoreVolumes = async (request, archive) => {
      domain.runtime.calls.push("restoring");
      await held;
      return restore(request, archive);
    };
    const restoring = manager.restoreSnapshot({ project: "shop", snapshot: "one" }, call());
    await until("it restores", () => domain.runtime.calls.includes("restoring"));
    await expect(manager.deleteSnapshot({ project: "shop", snapshot: "one" }, call())).rejects.toMatchObject({
      code: "SNAPSHOT_BUSY",
    });
    // A start waits until the data is there.
    const start = manager.start({ project: "shop" }, call());
    release();
    await restoring;
    expect((await start).verified).toBe(true);
    expect(domain.runtime.calls.indexOf("restore data,uploads")).toBeLessThan(domain.runtime.calls.lastIndexOf("open"));
    await manager.deleteSnapshot({ project: "shop", snapshot: "one" }, call());
  });
});

describe("snapshots of Redis", () => {
  const STORE = `
services:
  cache:
    image: valkey/valkey:8
    command: ["valkey-server", "--requirepass", "$$WORD"]
    environment: { WORD: a-password }
    volumes: ["data:/data"]
volumes: { data: {} }
`;
  /** @param answers of the client, by its arguments; none for its settings */
  const save = async (answers: Record<string, string | string[]>) => {
    domain.project("store", STORE);
    const runtime = new FakeRuntime("docker");
    const environments: unknown[] = [];
    runtime.scripts.cache = {
      exec: async ({ command, environment, onOutput }: ExecRequest) => {
        environments.push(environment);
        const answer = answers[command.slice(1).join(" ")] ?? "";
        await onOutput("stdout", Buffer.from(Array.isArray(answer) ? (answer.shift() ?? "") : answer));
        return {};
      },
    };
    const manager = domain.manager({ runtime: "docker" }, [runtime]);
    await manager.start({ project: "store" }, call());
    runtime.volumes.set("store/data", 100);
    const { message } = await manager.saveSnapshot({ project: "store", name: "one" }, call());
    const calls = runtime.calls.slice(runtime.calls.indexOf("start cache") + 1);
    return { message, calls: calls.filter((one) => /^(?:exec|pause|copy)/.test(one)), environments };
  };
  const settings = (appendOnly: string, points: string) => `appendonly\n${appendOnly}\nsave\n${points}\n`;

  it("a server that saves now and then saves before it is paused, with its password", async () => {
    const { message, calls, environments } = await save({
      "": settings("no", "900 1"),
      SAVE: ["ERR Background save already in progress\n", "OK\n"],
    });
    expect(message).toBe("Snapshot one: 0.0 MB of data.");
    expect(calls).toEqual([
      "exec cache valkey-cli",
      "exec cache valkey-cli SAVE",
      "exec cache valkey-cli SAVE",
      "pause cache",
      "copy data",
    ]);
    expect(environments).toContainEqual({ REDISCLI_AUTH: "a-password", VALKEYCLI_AUTH: "a-password" });
  });

  it("a server with an append-only file is not asked to save", async () => {
    const { message, calls } = await save({ "": settings("yes", "900 1") });
    expect(message).toBe("Snapshot one: 0.0 MB of data.");
    expect(calls).toEqual(["exec cache valkey-cli", "pause cache", "copy data"]);
  });

  it.each([
    [
      { "": "NOAUTH Authentication required.\n", SAVE: "NOAUTH Authentication required.\n" },
      "NOAUTH Authentication required",
    ],
    [{ "": settings("no", "") }, "it keeps its data in memory only (no save points, no append-only file)"],
  ])("the answer names data that the snapshot may lack: %j", async (answers, reason) => {
    const { message, calls } = await save(answers);
    expect(message).toBe(`Snapshot one: 0.0 MB of data. It may lack recent data of cache: ${reason}.`);
    expect(calls).toContain("copy data");
  });
});

it("a start after a volume was renamed says that the stack runs without the data of the former one", async () => {
  domain.runtime.scripts = { db: { emptyVolumes: [] } };
  const manager = await started();
  await manager.stop({ project: "shop" }, call());
  await manager.start({ project: "shop" }, call());
  domain.project("shop", SHOP.replaceAll("data:", "data2:"));
  const { message } = await manager.start({ project: "shop" }, call());
  const kept = "the compose file no longer has the volume data; its data is kept, and the stack runs without it";
  expect(message).toContain(kept);
  expect((await eventsOf(manager, "shop", "warning")).map((event) => event.message)).toContain(`T${kept.slice(1)}.`);
});

describe("start_stack with data_from", () => {
  it("data_from copies the data and generated passwords of a running project, once", async () => {
    const manager = await started();
    domain.project("copy", SHOP);
    const first = await manager.start({ project: "copy", dataFrom: { project: "shop" } }, call());
    expect(first.verified).toBe(true);
    expect(first.message).toMatch(/ Its data was copied from shop, as of \d{4}-\d\d-\d\dT[\d:.]+Z\.$/);
    expect(volume("copy/data")).toBe(100);
    const secret = (project: string) =>
      domain.runtime.stacks.findLast(({ request }) => request.projectId === project)?.request.definition.secrets
        .password;
    expect(secret("copy")).toBe(secret("shop"));
    expect(secret("copy")?.length).toBeGreaterThan(20);
    expect((await manager.snapshots("shop")).snapshots).toEqual([]);
    domain.runtime.volumes.set("copy/data", 55);
    await manager.stop({ project: "copy" }, call());
    const unchanged = "data_from changed nothing: copy has this data already, with its later changes.";
    for (const status of ["running", "already_running"]) {
      const again = await manager.start({ project: "copy", dataFrom: { project: "shop" } }, call());
      expect(again.status).toBe(status);
      expect(again.message).toContain(unchanged);
    }
    expect(volume("copy/data")).toBe(55);
  });

  it("data_from copies a named snapshot and never overwrites data", async () => {
    const manager = await started();
    await manager.saveSnapshot({ project: "shop", name: "seeded" }, call());
    domain.runtime.volumes.set("shop/data", 1);
    domain.project("copy", SHOP);
    await manager.start({ project: "copy", dataFrom: { project: "shop", snapshot: "seeded" } }, call());
    expect(volume("copy/data")).toBe(100);
    const conflict = { code: "PROJECT_CONFLICT", message: "copy already has data, which is not overwritten." };
    const other = { project: "shop", snapshot: "another" };
    await expect(manager.start({ project: "copy", dataFrom: other }, call())).rejects.toMatchObject(conflict);
    expect((await manager.report("copy")).state).toBe("running");
    await manager.stop({ project: "copy" }, call());
    await expect(manager.start({ project: "copy", dataFrom: { project: "shop" } }, call())).rejects.toMatchObject(
      conflict,
    );
    expect(volume("copy/data")).toBe(100);
  });

  it("data_from refuses the project itself, unknown names and a project without data", async () => {
    const manager = await started();
    domain.project("copy", SHOP);
    const start = (dataFrom: { project: string; snapshot?: string }) =>
      manager.start({ project: "copy", dataFrom }, call());
    await expect(start({ project: "copy" })).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(start({ project: "nope" })).rejects.toMatchObject({ code: "UNKNOWN_PROJECT" });
    await expect(start({ project: "shop", snapshot: "nope" })).rejects.toMatchObject({ code: "UNKNOWN_SNAPSHOT" });
    domain.project("empty", SHOP);
    await expect(start({ project: "empty" })).rejects.toMatchObject({ code: "INVALID_INPUT" });
    expect((await manager.report("copy")).state).toBe("stopped");
  });
});
