import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accessible } from "../../../../src/runtimes/local/process/access.js";
import { withFileLock } from "../../../../src/runtimes/local/process/file-lock.js";
import { ServiceUsers } from "../../../../src/runtimes/local/process/users.js";
import { startTime } from "../../../../src/system/process-identity.js";
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
const remembered = (): Record<string, number> => JSON.parse(readFileSync(file(), "utf8"));

describe("users of a server that is root", () => {
  it("are one for each project's service, remembered, in a file for root only", async () => {
    const users = new ServiceUsers(stateDir, ROOT);
    const web = await users.of("demo", "web");
    expect(web).toEqual({
      uid: 70_000,
      gid: 70_000,
      name: "70000",
      enforcement: { level: "enforced", reason: "a user of its own" },
    });
    expect((await users.of("demo", "db")).uid).toBe(70_001);
    expect((await users.of("other", "web")).uid).toBe(70_002);
    expect((await new ServiceUsers(stateDir, ROOT).of("demo", "db")).uid).toBe(70_001);
    expect(remembered()).toEqual({ "demo/web": 70_000, "demo/db": 70_001, "other/web": 70_002 });
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readdirSync(stateDir)).toEqual(["uids.json"]);
  });

  it("are never given twice, however many ask at once and in how many servers", async () => {
    const servers = [1, 2, 3].map(() => new ServiceUsers(stateDir, ROOT));
    const names = Array.from({ length: 12 }, (_, n) => `s${n}`);
    const all = await Promise.all(
      servers.flatMap((users, n) => names.map((name) => users.of(`project${name === "s0" ? "" : n}`, name))),
    );
    // s0 is the same service for all three servers.
    expect(new Set(all.map(({ uid }) => uid)).size).toBe(3 * 11 + 1);
    expect(Object.keys(remembered()).length).toBe(3 * 11 + 1);
  });

  it("fill gaps, and end with the range", async () => {
    mkdirSync(stateDir);
    const all = Array.from({ length: 10_000 }, (_, n) => [`p/s${n}`, 70_000 + n] as const);
    writeFileSync(file(), JSON.stringify(Object.fromEntries(all.filter(([, uid]) => uid !== 75_000))));
    const users = new ServiceUsers(stateDir, ROOT);
    expect((await users.of("new", "one")).uid).toBe(75_000);
    await expect(users.of("new", "two")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      hint: expect.stringContaining(file()),
    });
    expect((await users.of("p", "s9999")).uid).toBe(79_999);
  });

  it.each([
    ["no JSON", "{"],
    ["root", '{"a/b": 0}'],
    ["no number", '{"a/b": "70000"}'],
    ["above the range", '{"a/b": 80000}'],
    ["one user for two", '{"a/b": 70000, "a/c": 70000}'],
  ])("are refused when the file is damaged: %s", async (_what, text) => {
    mkdirSync(stateDir);
    writeFileSync(file(), text);
    await expect(new ServiceUsers(stateDir, ROOT).of("a", "d")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("damaged"),
    });
    expect(readFileSync(file(), "utf8")).toBe(text);
    expect(existsSync(`${file()}.lock`)).toBe(false);
  });

  it("are refused when the state directory cannot be written", async () => {
    writeFileSync(stateDir, "a file");
    await expect(new ServiceUsers(stateDir, ROOT).of("a", "b")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    await expect(new ServiceUsers(join(stateDir, "x"), ROOT).of("a", "b")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
    mkdirSync(join(dir.path, "s", "uids.json"), { recursive: true });
    await expect(new ServiceUsers(join(dir.path, "s"), ROOT).of("a", "b")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
  });
});

it("is the server's own user where it is not root, and says why", async () => {
  const users = new ServiceUsers(stateDir, { uid: 1234, gid: 5678 });
  const user = await users.of("demo", "web");
  expect(user).toMatchObject({ uid: 1234, gid: 5678, name: userInfo().username, enforcement: { level: "none" } });
  expect(user.enforcement.reason).toContain("root");
  expect(users.enforcement()).toEqual(user.enforcement);
  // A platform without users.
  expect(await new ServiceUsers(stateDir, null).of("a", "b")).toMatchObject({ uid: -1, gid: -1 });
  expect(existsSync(stateDir)).toBe(false);
});

describe("a lock between servers", () => {
  const lock = (): string => join(dir.path, "lock");

  it("lets one in at a time, and is given back after a failure", async () => {
    let inside = 0;
    const tasks = Array.from({ length: 5 }, (_, n) =>
      withFileLock(lock(), async () => {
        inside += 1;
        expect(inside).toBe(1);
        await sleep(5);
        inside -= 1;
        if (n === 2) throw new Error("mine");
        return n;
      }).catch((error: Error) => error.message),
    );
    expect((await Promise.all(tasks)).map(String).sort()).toEqual(["0", "1", "3", "4", "mine"]);
    expect(readdirSync(dir.path)).toEqual([]);
  });

  it("is taken over from the dead, and waited for from the living", async () => {
    for (const text of [JSON.stringify({ pid: process.pid, started: "1" }), "{"]) {
      writeFileSync(lock(), text);
      expect(await withFileLock(lock(), async () => "mine")).toBe("mine");
    }
    writeFileSync(lock(), JSON.stringify({ pid: process.ppid, started: startTime(process.ppid) }));
    await expect(withFileLock(lock(), async () => "mine", 60)).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("EEXIST"),
    });
    expect(readdirSync(dir.path)).toEqual(["lock"]);
  });
});

describe.runIf(isRoot)("access of a user", () => {
  const user = { uid: 70_005, gid: 70_006, name: "x", enforcement: { level: "none" as const, reason: "test" } };
  const as = (path: string, mode: "read" | "execute"): Promise<boolean> => accessible(path, user, mode);

  it("is decided by every folder above and by the owner's, the group's or the others' bits", async () => {
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

  it("to a folder means reading and entering it", async () => {
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
