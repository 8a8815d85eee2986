/** Paths of the background server's files, and which folders it trusts. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.js";
import { stateDirOf } from "../../src/config/state-dir.js";
import { daemonPaths, requirePrivate } from "../../src/daemon/daemon-paths.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-parts-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("the socket is in the state directory, or in a private folder when its path would be too long", () => {
  expect(daemonPaths("/var/lib/stackwarden").socket).toBe("/var/lib/stackwarden/server/server.sock");
  const deep = `/${"long/".repeat(40)}state`;
  const { socket } = daemonPaths(deep, { platform: "linux", uid: 1000, temporary: "/tmp" });
  expect(socket).toMatch(/^\/tmp\/stackwarden-1000\/server-[0-9a-f]{20}\.sock$/);
  expect(daemonPaths(`${deep}2`, { platform: "linux", uid: 1000, temporary: "/tmp" }).socket).not.toBe(socket);
  expect(daemonPaths("C:\\state", { platform: "win32" }).socket).toMatch(/^\\\\\.\\pipe\\stackwarden-server-/);
});

it("only a folder of the same user is trusted", async () => {
  const place = daemonPaths(folder);
  expect(await requirePrivate(place)).toBe(false);
  mkdirSync(place.folder, { mode: 0o700 });
  expect(await requirePrivate(place)).toBe(true);
  await expect(requirePrivate(place, 4711)).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    hint: expect.stringContaining("another user"),
  });
});

it("stateDirOf finds the state directory of the whole configuration", async () => {
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
