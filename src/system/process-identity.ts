/** A process is known by its id and its start: ids are used again. */
import { readFileSync } from "node:fs";

/** Start time from /proc in clock ticks since boot; null where there is no such process, or no /proc. */
export function startTime(pid: number, procRoot = "/proc"): string | null {
  try {
    const stat = readFileSync(`${procRoot}/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything, also spaces and parentheses.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}

/** Whether this very process lives; where no start is known, whether any process has its id. */
export function isAlive(pid: number, started: string | null): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const now = startTime(pid);
  return now === null || started === null || now === started;
}

/** A process's argument vector; empty for a zombie, where there is no such process, or no /proc. */
export function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}
