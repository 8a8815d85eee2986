import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accessible } from "../../../../src/runtimes/local/process/access.js";
import { registryDirectory } from "../../../../src/runtimes/local/process/user-registry.js";
import { ServiceUsers } from "../../../../src/runtimes/local/process/users.js";
import { tempDir } from "../support/fixture.js";
import { isRoot } from "./support.js";

let dir: ReturnType<typeof tempDir>;
let stateDir: string;
const ROOT = { uid: 0, gid: 0 };
beforeEach(() => {
  dir = tempDir();
  stateDir = join(dir.path, "state");
});
afterEach(() => dir.remove());

const file = (): string => join(stateDir, "uids.json");
const remembered = (path = file()): Record<string, number> => JSON.parse(readFileSync(path, "utf8"));
const registry = (): string => join(dir.path, "registry");
const record = (): string => join(registry(), "uids.json");
/** A server on a machine whose files are in the temporary directory. */
const server = (state = stateDir): ServiceUsers =>
  new ServiceUsers(state, ROOT, { registry: registry(), etc: join(dir.path, "etc") });

describe("users of a root server", () => {
  beforeEach(() => mkdirSync(registry()));

  it("each service of a project gets a separate uid, stored in files that only root can read", async () => {
    const users = server();
    const web = await users.of("demo", "web");
    expect(web).toEqual({
      uid: 200_000,
      gid: 200_000,
      name: "200000",
      enforcement: { level: "enforced", reason: "a separate user" },
    });
    expect((await users.of("demo", "db")).uid).toBe(200_001);
    expect((await users.of("other", "web")).uid).toBe(200_002);
    expect((await server().of("demo", "db")).uid).toBe(200_001);
    expect(remembered()).toEqual({ "demo/web": 200_000, "demo/db": 200_001, "other/web": 200_002 });
    for (const one of [file(), record()]) expect(statSync(one).mode & 0o777).toBe(0o600);
    expect(readdirSync(stateDir)).toEqual(["uids.json"]);
    expect(readdirSync(registry())).toEqual(["uids.json"]);
  });

  it("concurrent servers and state directories of one machine never get the same uid", async () => {
    const other = join(dir.path, "other-state");
    const servers = [server(), server(), server(other)];
    const names = Array.from({ length: 12 }, (_, n) => `s${n}`);
    const all = await Promise.all(
      servers.flatMap((users, n) => names.map((name) => users.of(`project${name === "s0" ? "" : n}`, name))),
    );
    // s0 is one service of two servers that share a state directory.
    expect(new Set(all.map(({ uid }) => uid)).size).toBe(3 * 11 + 2);
    const { users } = JSON.parse(readFileSync(record(), "utf8"));
    expect(Object.keys(users[stateDir]).length).toBe(2 * 11 + 1);
    expect(Object.keys(users[other]).length).toBe(12);
  });

  it("uids of the machine's users, groups and subordinate ranges are not used", async () => {
    mkdirSync(join(dir.path, "etc"));
    const etc = (name: string, text: string) => writeFileSync(join(dir.path, "etc", name), text);
    etc("passwd", "root:x:0:0::/:/bin/sh\nada:x:200000:200000::/:/bin/sh\n");
    etc("group", "ops:x:200001:\n");
    etc("subuid", "ada:200002:10\nbad line\n");
    etc("subgid", "ada:200010:5\n");
    expect((await server().of("demo", "web")).uid).toBe(200_015);
  });

  it("uids of a removed state directory are reused only after the others, and a full range is refused", async () => {
    const gone = join(dir.path, "gone");
    expect((await server(gone).of("demo", "web")).uid).toBe(200_000);
    rmSync(gone, { recursive: true });
    expect((await server().of("demo", "web")).uid).toBe(200_001);
    mkdirSync(join(dir.path, "etc"));
    writeFileSync(join(dir.path, "etc", "subuid"), "ada:200010:400000\n");
    const full = Object.fromEntries([0, 1, 2, 3, 4, 6, 7, 8, 9].map((n) => [`p/s${n}`, 200_000 + n]));
    writeFileSync(record(), JSON.stringify({ next: 200_006, users: { [stateDir]: full } }));
    expect((await server().of("new", "one")).uid).toBe(200_005);
    await expect(server().of("new", "two")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      hint: expect.stringContaining(record()),
    });
  });

  it("a service keeps its uid when the machine's record is lost, unless it is taken or out of range", async () => {
    await server().of("demo", "db");
    expect((await server().of("demo", "web")).uid).toBe(200_001);
    rmSync(record());
    expect((await server(join(dir.path, "other-state")).of("x", "y")).uid).toBe(200_000);
    expect((await server().of("demo", "web")).uid).toBe(200_001);
    // Another service has this uid now and could read its data.
    expect((await server().of("demo", "db")).uid).toBe(200_002);
    writeFileSync(file(), '{"demo/web": 70000}');
    rmSync(record());
    expect((await server().of("demo", "web")).uid).toBe(200_000);
  });

  it.each([
    ["invalid JSON", "{"],
    ["the uid of root", '{"a/b": 0}'],
    ["a uid that is a string", '{"a/b": "70000"}'],
    ["one uid for two services", '{"a/b": 200000, "a/c": 200000}'],
  ])("a damaged file of the state directory is refused: %s", async (_what, text) => {
    mkdirSync(stateDir);
    writeFileSync(file(), text);
    await expect(server().of("a", "d")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("damaged"),
    });
    expect(readFileSync(file(), "utf8")).toBe(text);
  });

  it.each([
    ["invalid JSON", "{"],
    ["a uid outside of the range", '{"next": 200000, "users": {"/": {"a/b": 1000}}}'],
    ["one uid for two services", '{"next": 200000, "users": {"/": {"a/b": 200000}, "/tmp": {"a/b": 200000}}}'],
  ])("a damaged record of the machine is refused: %s", async (_what, text) => {
    writeFileSync(record(), text);
    await expect(server().of("a", "d")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("damaged"),
    });
    expect(readFileSync(record(), "utf8")).toBe(text);
    expect(readdirSync(registry())).toEqual(["uids.json"]);
  });

  it("a state directory that cannot be written is refused", async () => {
    writeFileSync(stateDir, "a file");
    await expect(server().of("a", "b")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    await expect(server(join(stateDir, "x")).of("a", "b")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    mkdirSync(join(dir.path, "s", "uids.json"), { recursive: true });
    await expect(server(join(dir.path, "s")).of("a", "b")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });
});

describe.runIf(isRoot)("registryDirectory", () => {
  it("registryDirectory returns the first usable directory and refuses one that others can change", async () => {
    const [blocked, good] = [join(dir.path, "file", "x"), join(dir.path, "good")];
    writeFileSync(join(dir.path, "file"), "");
    expect(await registryDirectory([blocked, good])).toBe(good);
    expect(statSync(good).mode & 0o777).toBe(0o755);
    await expect(registryDirectory([blocked])).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    chmodSync(good, 0o777);
    await expect(registryDirectory([good])).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    chmodSync(good, 0o755);
    chownSync(good, 70_001, 70_001);
    await expect(registryDirectory([good])).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    symlinkSync("/var/lib", join(dir.path, "link"));
    await expect(registryDirectory([join(dir.path, "link")])).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });
});

it("services run as the server's own user when the server is not root, with the reason", async () => {
  const users = new ServiceUsers(stateDir, { uid: 1234, gid: 5678 });
  const user = await users.of("demo", "web");
  expect(user).toMatchObject({ uid: 1234, gid: 5678, name: userInfo().username, enforcement: { level: "none" } });
  expect(user.enforcement.reason).toContain("root");
  expect(users.enforcement()).toEqual(user.enforcement);
  // A platform without uids.
  expect(await new ServiceUsers(stateDir, null).of("a", "b")).toMatchObject({ uid: -1, gid: -1 });
  expect(existsSync(stateDir)).toBe(false);
});

describe.runIf(isRoot)("accessible", () => {
  const user = { uid: 70_005, gid: 70_006, name: "x", enforcement: { level: "none" as const, reason: "test" } };
  const as = (path: string, mode: "read" | "execute"): Promise<boolean> => accessible(path, user, mode);

  it("access depends on every parent folder and on the bits of owner, group or others", async () => {
    const folder = join(dir.path, "folder");
    const path = join(folder, "file");
    mkdirSync(folder);
    writeFileSync(path, "", { mode: 0o640 });
    expect(await as(path, "read")).toBe(false);
    chownSync(path, 0, user.gid);
    expect(await as(path, "read")).toBe(true);
    expect(await as(path, "execute")).toBe(false);
    chownSync(path, user.uid, 0);
    chmodSync(path, 0o077);
    expect(await as(path, "read")).toBe(false);
    chmodSync(path, 0o500);
    expect(await as(path, "execute")).toBe(true);
    chmodSync(folder, 0o700);
    expect(await as(path, "execute")).toBe(false);
    expect(await as(join(folder, "missing"), "read")).toBe(false);
    expect(await as("/", "read")).toBe(true);
  });

  it("read access to a folder requires both its read and its execute bit", async () => {
    const folder = join(dir.path, "folder");
    mkdirSync(folder);
    for (const [mode, expected] of [
      [0o755, true],
      [0o754, false],
      [0o751, false],
    ] as const) {
      chmodSync(folder, mode);
      expect(await as(folder, "read")).toBe(expected);
    }
    expect(await as(folder, "execute")).toBe(true);
  });
});
