/** Ends every process of a service's user, wherever it moved: another session, group or cgroup. */
import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isServiceUid } from "./user-range.js";

/** Living processes that have the uid as any of their four user ids; null where the system has no /proc. */
export async function processesOfUser(uid: number): Promise<number[] | null> {
  const names = await readdir("/proc").catch((): string[] => []);
  const pids = names.filter((name) => /^\d+$/.test(name));
  if (pids.length === 0) return null;
  const own = pids.map(async (pid) => {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    const uids = /^Uid:\s*(.*)$/m.exec(status)?.[1]?.trim().split(/\s+/) ?? [];
    // A zombie runs nothing and cannot be killed.
    return uids.includes(String(uid)) && !/^State:\s*[ZX]/m.test(status) ? [Number(pid)] : [];
  });
  return (await Promise.all(own)).flat();
}

/**
 * One signal of the kernel to all processes of the user at once, which no fork outruns. The sender has that user itself,
 * so a process of the user can end it before: it supports the search in /proc, it does not replace it.
 */
function killAllAtOnce(uid: number): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn("/bin/sh", ["-c", "kill -KILL -1"], { uid, gid: uid, cwd: "/", env: {}, stdio: "ignore" });
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
}

/**
 * Kills until the user has no process. Does nothing for a user that is not a service's, and without root's rights.
 * @param deadlineMs default 5 s
 * @returns false when a process was still there at the deadline
 */
export async function endUser(uid: number, deadlineMs = 5000): Promise<boolean> {
  if (process.getuid?.() !== 0 || !isServiceUid(uid)) return true;
  const end = Date.now() + deadlineMs;
  for (let round = 0; ; round += 1) {
    const pids = await processesOfUser(uid);
    if (pids === null) {
      await killAllAtOnce(uid);
      return true;
    }
    if (pids.length === 0) return true;
    if (Date.now() > end) return false;
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended meanwhile.
      }
    }
    // What survives a round forks faster than /proc is read.
    if (round > 0) await killAllAtOnce(uid);
    await sleep(Math.min(50, 2 ** round));
  }
}
