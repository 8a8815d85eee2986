/** The short path of a socket in a folder whose own path is too long for a socket. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { SHORT_FOLDER } from "../../../../src/runtimes/local/providers/short-socket-folder.js";

it.skipIf(!existsSync("/proc/self/cwd"))("a socket of a killed initialisation is in its folder, not in /tmp", () => {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-socket-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const cwd = join(folder, "a".repeat(120));
  mkdirSync(cwd);
  const listen = `require("net").createServer().listen(process.argv[1], () => process.kill(process.ppid, "SIGKILL") && process.kill(process.pid, "SIGKILL"))`;
  const script = `${SHORT_FOLDER}\necho "$folder"\n"$1" -e '${listen}' "$folder/m.sock"\nexit 0`;
  const { stdout, signal } = spawnSync("/bin/sh", ["-c", script, "init", process.execPath], { cwd, encoding: "utf8" });
  expect(signal).toBe("SIGKILL");
  expect(stdout).toMatch(/^\/proc\/\d+\/cwd\n$/);
  expect(readdirSync(cwd)).toEqual(["m.sock"]);
});
