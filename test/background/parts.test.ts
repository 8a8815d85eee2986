/** Parts of the background server: where it lies, its log, where the state directory is found. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openDoor } from "../../src/background/door.js";
import { joinServer } from "../../src/background/join.js";
import { openLogFile } from "../../src/background/log-file.js";
import { readLog } from "../../src/background/log-reader.js";
import { requirePrivate, serverPlace } from "../../src/background/place.js";
import { loadConfig } from "../../src/config/load.js";
import { stateDirOf } from "../../src/config/state-dir.js";
import { StackwardenError } from "../../src/stack/errors.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-parts-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("has its socket in the state directory, or in a private folder where the path would be too long", () => {
  expect(serverPlace("/var/lib/stackwarden").socket).toBe("/var/lib/stackwarden/server/server.sock");
  const deep = `/${"long/".repeat(40)}state`;
  const { socket } = serverPlace(deep, { platform: "linux", uid: 1000, temporary: "/tmp" });
  expect(socket).toMatch(/^\/tmp\/stackwarden-1000\/server-[0-9a-f]{20}\.sock$/);
  expect(serverPlace(`${deep}2`, { platform: "linux", uid: 1000, temporary: "/tmp" }).socket).not.toBe(socket);
  expect(serverPlace("C:\\state", { platform: "win32" }).socket).toMatch(/^\\\\\.\\pipe\\stackwarden-server-/);
});

it("trusts only a folder of its own user", async () => {
  const place = serverPlace(folder);
  expect(await requirePrivate(place)).toBe(false);
  mkdirSync(place.folder, { mode: 0o700 });
  expect(await requirePrivate(place)).toBe(true);
  await expect(requirePrivate(place, 4711)).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    hint: expect.stringContaining("another user"),
  });
});

it("is waited for by a client that meets it while it ends, until its successor is there", async () => {
  const place = serverPlace(folder);
  mkdirSync(place.folder, { mode: 0o700 });
  writeFileSync(place.info, JSON.stringify({ pid: process.pid, version: "1", key: "k" }));
  writeFileSync(place.lock, JSON.stringify({ pid: process.pid, started: null }));
  let visits = 0;
  const status = () => ({ pid: 1, version: "1", started_at: "", clients: 0, stacks: [], log: "" });
  const door = await openDoor({
    socket: place.socket,
    key: "k",
    logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    status,
    nextSession: () => "s",
    receive: async () => {
      visits += 1;
      if (visits < 3) throw new StackwardenError("SERVER_UNAVAILABLE", "The background server is ending.");
      return () => undefined;
    },
  });
  try {
    const request = { stateDir: folder, version: "1", purpose: "mcp" as const, cwd: folder, flags: {}, env: {} };
    const joined = await joinServer(request);
    expect(joined?.welcome.session).toBe("s");
    joined?.socket.destroy();
    expect(visits).toBe(3);
  } finally {
    await door.shut();
    await door.disconnect(1000);
  }
});

it("keeps a bounded log that only the user reads, and begins it anew", async () => {
  const path = join(folder, "server.log");
  writeFileSync(path, "", { mode: 0o644 });
  const log = openLogFile(path, { maxBytes: 50, keep: 2 });
  for (let line = 0; line < 20; line += 1) log.write(`this is line ${line}\n`);
  log.close();
  for (const name of [path, `${path}.1`, `${path}.2`]) {
    expect(statSync(name).size).toBeLessThanOrEqual(50);
    expect(statSync(name).mode & 0o777).toBe(0o600);
  }
  expect(existsSync(`${path}.3`)).toBe(false);
  expect(readFileSync(path, "utf8")).toContain("line 19");
  // A second process goes on where the first one ended.
  const again = openLogFile(path, { maxBytes: 1000 });
  again.write("and more\n");
  again.close();
  expect(readFileSync(path, "utf8")).toMatch(/line 19\nand more\n$/);
});

it("shows the log's last lines, and follows it across a new file", async () => {
  const path = join(folder, "server.log");
  const over = new AbortController();
  const none: string[] = [];
  for await (const line of readLog(path, { tail: 5, follow: false, signal: over.signal })) none.push(line);
  expect(none).toEqual([]);
  const log = openLogFile(path, { maxBytes: 40 });
  for (let line = 0; line < 3; line += 1) log.write(`line ${line}\n`);
  const seen: string[] = [];
  const reading = (async () => {
    for await (const line of readLog(path, { tail: 2, follow: true, signal: over.signal, pollMs: 5 })) {
      seen.push(line);
      // One at a time, so that the reader sees each file.
      if (seen.length < 12) log.write(`line ${seen.length}\n`);
      else over.abort();
    }
  })();
  await reading;
  log.close();
  expect(seen.slice(0, 2)).toEqual(["line 1", "line 2"]);
  expect(seen.slice(2)).toEqual(Array.from({ length: 10 }, (_, index) => `line ${index + 1}`));
});

it("finds the state directory as the whole configuration does", async () => {
  const env = { HOME: folder, XDG_CONFIG_HOME: join(folder, "config") };
  const same = async (request: Parameters<typeof stateDirOf>[0]) => {
    const found = await stateDirOf(request);
    expect(found).toBe((await loadConfig(request)).stateDir);
    return found;
  };
  await same({ flags: {}, env, cwd: folder });
  expect(await same({ flags: { stateDir: "here" }, env, cwd: folder })).toBe(join(folder, "here"));
  expect(await same({ flags: {}, env: { ...env, STACKWARDEN_STATE_DIR: "there" }, cwd: folder })).toBe(
    join(folder, "there"),
  );
  const named = join(folder, "named.yaml");
  writeFileSync(named, "state_dir: beside\n");
  expect(await same({ flags: { config: "named.yaml" }, env, cwd: folder })).toBe(join(folder, "beside"));
  expect(await same({ flags: {}, env: { ...env, STACKWARDEN_CONFIG: named }, cwd: "/" })).toBe(join(folder, "beside"));
  writeFileSync(named, "read_only: true\n");
  await same({ flags: { config: named }, env, cwd: folder });
  mkdirSync(join(folder, "config", "stackwarden"), { recursive: true });
  writeFileSync(join(folder, "config", "stackwarden", "stackwarden.yaml"), "log_level: debug\n");
  await same({ flags: {}, env, cwd: folder });
  await expect(stateDirOf({ flags: { config: "missing.yaml" }, env, cwd: folder })).rejects.toThrow("does not exist");
});
