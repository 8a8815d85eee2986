/** The processes of a PID namespace, and its end, which is the end of every process that was ever in it. */
import { readdirSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { readKernelFile } from "../../../system/kernel-file.js";
import { fieldsOfStat } from "../../../system/process-identity.js";
import { withDescendants } from "./children.js";
import type { Inside } from "./launch.js";

/** The state, the parent and the start time of a process; null when it does not exist. */
function stateOf(pid: number): { state: string; parent: number; started: string } | null {
  const stat = readKernelFile(`/proc/${pid}/stat`);
  if (stat === null) return null;
  const fields = fieldsOfStat(stat);
  return { state: fields[0] ?? "", parent: Number(fields[1]), started: fields[19] ?? "" };
}

/**
 * Waits until the first process of a namespace has ended. The kernel kills all others before and waits for them, also
 * for those that joined the namespace.
 * @param deadlineMs milliseconds; default 2,000
 * @returns false when the process still exists at the deadline
 */
export async function namespaceEnded({ init, started }: Inside, deadlineMs = 2000): Promise<boolean> {
  const end = Date.now() + deadlineMs;
  for (let wait = 1; ; wait = Math.min(50, wait * 2)) {
    const now = stateOf(init);
    if (now === null || now.started !== started || now.state === "Z" || now.state === "X") return true;
    if (Date.now() > end) return false;
    await sleep(wait);
  }
}

/** The processes of a namespace and of those inside of it, without the first one. */
export function processesInside({ init, pidNamespace }: Inside): number[] {
  const all = readdirSync("/proc").flatMap((name) => {
    const now = /^\d+$/.test(name) ? stateOf(Number(name)) : null;
    return now === null ? [] : [{ pid: Number(name), parent: now.parent }];
  });
  const isInside = ({ pid }: { pid: number }): boolean => {
    try {
      return readlinkSync(`/proc/${pid}/ns/pid`) === pidNamespace;
    } catch {
      // It has ended, or belongs to another user.
      return false;
    }
  };
  return withDescendants(all, all.filter(isInside)).flatMap(({ pid }) => (pid === init ? [] : [pid]));
}
