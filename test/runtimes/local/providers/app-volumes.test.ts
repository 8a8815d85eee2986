import { chownSync, lstatSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appVolumes, type VolumePlaces } from "../../../../src/runtimes/local/providers/app-volumes.js";
import type { Mount, ServiceDefinition } from "../../../../src/stack/definition/types.js";
import { service } from "../support/fixture.js";
import { Preparation } from "../support/preparation.js";

const isRoot = process.getuid?.() === 0;
const volume = (source: string, target: string, readOnly = false): Mount => ({
  type: "volume",
  source,
  target,
  readOnly,
});

describe("appVolumes", () => {
  let preparation: Preparation;
  beforeEach(() => {
    preparation = new Preparation();
  });
  afterEach(() => preparation.close());

  const prepare = async (
    mounts: Mount[],
    places: Partial<VolumePlaces> = {},
    around: { name?: string; others?: ServiceDefinition[] } = {},
  ) =>
    appVolumes(await preparation.context(service(around.name ?? "web", { mounts }), { others: around.others ?? [] }), {
      folders: [{ container: "/app", host: preparation.folder }],
      root: preparation.folder,
      needed: [],
      isInstalled: () => false,
      ...places,
    });
  const dataOf = (name: string) => join(preparation.stateDir, "volumes", name, "data");

  it("a volume replaces its path in texts where services have no namespaces, and nothing that only resembles it", async () => {
    const { mounts, place, notes, emptyVolumes } = await prepare([volume("cache", "/cache")]);
    expect(mounts).toEqual([]);
    expect(notes).toEqual([
      `The volume cache is ${dataOf("cache")} instead of /cache, also in its command and environment.`,
    ]);
    expect(place("--dir=/cache/x file:///cache /cached /a/cache")).toBe(
      `--dir=${dataOf("cache")}/x file://${dataOf("cache")} /cached /a/cache`,
    );
    expect(emptyVolumes).toEqual(["cache"]);
    writeFileSync(join(dataOf("cache"), "file"), "");
    expect((await prepare([volume("cache", "/cache")])).emptyVolumes).toEqual([]);
  });

  it("a volume is mounted at its own path in namespaces where that is possible", async () => {
    preparation.host.namespaces = true;
    preparation.host.mountPlace = async () => "/cache";
    const { mounts, place, notes } = await prepare([volume("cache", "/cache", true)]);
    expect(mounts).toEqual([{ source: dataOf("cache"), target: "/cache", readOnly: true }]);
    expect(place("/cache/x")).toBe("/cache/x");
    expect(notes).toEqual([]);
  });

  it("a volume inside of the sources is mounted there, in a folder that is made for it", async () => {
    preparation.host.namespaces = true;
    mkdirSync(join(preparation.folder, "var"));
    const { mounts, place } = await prepare([volume("uploads", "/app/var/uploads")]);
    const target = join(preparation.folder, "var/uploads");
    expect(mounts).toEqual([{ source: dataOf("uploads"), target, readOnly: false }]);
    expect(lstatSync(target).isDirectory()).toBe(true);
    expect(place("DIR=/app/var/uploads")).toBe(`DIR=${target}`);
  });

  it("the innermost folder of the container stands for a path", async () => {
    preparation.host.namespaces = true;
    mkdirSync(join(preparation.folder, "inner"));
    const folders = [
      { container: "/app", host: preparation.folder },
      { container: "/app/lib", host: join(preparation.folder, "inner") },
    ];
    const { mounts } = await prepare([volume("x", "/app/lib/x")], { folders });
    expect(mounts).toMatchObject([{ target: join(preparation.folder, "inner/x") }]);
  });

  it("a temporary file system is one of the service's namespaces, of its size, and is noted without them", async () => {
    const tmpfs: Mount[] = [
      { type: "tmpfs", target: "/scratch", sizeBytes: 1024 },
      { type: "tmpfs", target: "/app/tmp" },
    ];
    expect((await prepare(tmpfs)).notes).toEqual([
      "/scratch is not mounted: it is a folder of this machine, if it exists.",
      "/app/tmp is not mounted: it is a folder of this machine, if it exists.",
    ]);
    preparation.host.namespaces = true;
    preparation.host.mountPlace = async () => "/scratch";
    const { mounts, notes } = await prepare(tmpfs);
    expect(mounts).toEqual([
      { tmpfs: true, target: "/scratch", sizeBytes: 1024 },
      { tmpfs: true, target: join(preparation.folder, "tmp") },
    ]);
    expect(notes).toEqual([]);
  });

  it("a volume of installed packages is left out", async () => {
    const isInstalled = (target: string) => target.endsWith("/node_modules");
    expect(await prepare([volume("modules", "/app/node_modules")], { isInstalled })).toMatchObject({
      mounts: [],
      notes: [],
      emptyVolumes: [],
    });
  });

  it("a volume of a database is not mounted into an app", async () => {
    const database = service("db", { image: "postgres:15", mounts: [volume("data", "/var/lib/postgresql/data")] });
    const { notes, mounts } = await prepare([volume("data", "/backup")], {}, { others: [database] });
    expect(mounts).toEqual([]);
    expect(notes).toEqual(["/backup is not mounted: the volume data has the data of db alone."]);
  });

  const outside = (source: string): Mount => ({ type: "bind", source, target: "/models", readOnly: true });

  it("the operator's bind is noted where services have no namespaces", async () => {
    const { mounts, notes } = await prepare([outside(preparation.dir.path)]);
    expect(mounts).toEqual([]);
    expect(notes).toEqual([
      "/models is not mounted: on the local runtime the service sees the machine's own file system.",
    ]);
  });

  it("the operator's bind is mounted in namespaces, else at its path of this machine", async () => {
    preparation.host.namespaces = true;
    const source = join(preparation.dir.path, "models");
    expect((await prepare([outside(source)])).notes).toEqual([`/models is not mounted: ${source} does not exist.`]);
    mkdirSync(source);
    preparation.host.mountPlace = async () => "/models";
    expect(await prepare([outside(source)])).toMatchObject({
      mounts: [{ source, target: "/models", readOnly: true }],
      notes: [],
    });
    preparation.host.mountPlace = async () => null;
    const { mounts, notes, place } = await prepare([outside(source)]);
    expect(mounts).toEqual([{ source, target: source, readOnly: true }]);
    expect(notes).toEqual([`${source} is at ${source} instead of /models, also in its command and environment.`]);
    expect(place("/models/a.bin")).toBe(`${source}/a.bin`);
  });

  it("binds of the project are not volumes", async () => {
    const bind: Mount = { type: "bind", source: preparation.folder, target: "/app", readOnly: false };
    expect(await prepare([bind])).toMatchObject({ mounts: [], notes: [] });
  });

  it.runIf(isRoot)("a volume of one service belongs to its user alone, also after another one had it", async () => {
    mkdirSync(dataOf("cache"), { recursive: true });
    chownSync(dataOf("cache"), 70_123, 70_123);
    const { groups } = await prepare([volume("cache", "/cache")]);
    const { uid } = await preparation.host.userFor("test", "web");
    expect(statSync(dataOf("cache"))).toMatchObject({ uid, gid: uid });
    expect(statSync(dataOf("cache")).mode & 0o7777).toBe(0o700);
    expect(groups).toEqual([]);
  });

  it.runIf(isRoot)("a volume of two services belongs to a group, which both get", async () => {
    const shared = volume("shared", "/shared");
    const [web, worker] = [service("web", { mounts: [shared] }), service("worker", { mounts: [shared] })];
    const first = await prepare([shared], {}, { others: [worker] });
    const gid = statSync(dataOf("shared")).gid;
    expect(first.groups).toEqual([gid]);
    expect(statSync(dataOf("shared")).mode & 0o7777).toBe(0o2770);
    chownSync(dataOf("shared"), 70_123, gid);
    expect((await prepare([shared], {}, { name: "worker", others: [web] })).groups).toEqual([gid]);
    expect(statSync(dataOf("shared")).uid).toBe(0);
  });

  it("an invalid name of a volume is refused", async () => {
    await expect(prepare([volume("../x", "/x")])).rejects.toMatchObject({
      code: "INVALID_INPUT",
      message: '"../x" is not a volume name.',
      hint: "Use letters, digits, dots, dashes and underscores.",
    });
  });
});
