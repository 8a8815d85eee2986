/** Ends every process of a service's user, in any session, process group or cgroup. */
import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { setImmediate as otherWork, setTimeout as sleep } from "node:timers/promises";
import { readKernelFile } from "../../../system/kernel-file.js";
import { isRootServer } from "../../../system/root-server.js";
import { isServiceUid } from "./user-range.js";

/** Processes that are examined before other work of the server gets a turn. */
const AT_ONCE = 500;

/** Live processes that have the uid as any of their four user ids; null on systems without /proc. */
async function processesOfUser(uid: number): Promise<number[] | null> {
  const names = await readdir("/proc").catch((): string[] => []);
  const pids = names.filter((name) => /^\d+$/.test(name));
  if (pids.length === 0) return null;
  const own: number[] = [];
  for (const [at, pid] of pids.entries()) {
    if (at > 0 && at % AT_ONCE === 0) await otherWork();
    const status = readKernelFile(`/proc/${pid}/status`) ?? "";
    const uids = /^Uid:\s*(.*)$/m.exec(status)?.[1]?.trim().split(/\s+/) ?? [];
    // A zombie executes nothing and cannot be killed.
    if (uids.includes(String(uid)) && !/^State:\s*[ZX]/m.test(status)) own.push(Number(pid));
  }
  return own;
}

/**
 * Sends one signal to all processes of the user at once, which no fork can outrun. The sender runs as that user, so a
 * process of the user can kill it first: it complements the search in /proc and does not replace it.
 */
function killAllAtOnce(uid: number): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn("/bin/sh", ["-c", "kill -KILL -1"], { uid, gid: uid, cwd: "/", env: {}, stdio: "ignore" });
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
}

/**
 * Kills processes until the user has none. Does nothing for other users than those of services, and without root
 * privileges.
 * @param deadlineMs milliseconds; default 5,000
 * @returns false when a process still exists at the deadline
 */
export async function endUser(uid: number, deadlineMs = 5000): Promise<boolean> {
  if (!isRootServer() || !isServiceUid(uid)) return true;
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
        // The process has ended meanwhile.
      }
    }
    // Processes that survive a round fork faster than /proc can be read.
    if (round > 0) await killAllAtOnce(uid);
    await sleep(Math.min(50, 2 ** round));
  }
}
