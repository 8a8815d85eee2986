/** A process is known by its id and its start: ids are used again. */
import { readFileSync } from "node:fs";

/**
 * Fields of the text of /proc/<pid>/stat from the third one on: state, parent, group, session, … The name before them is
 * in parentheses and can contain any character, including spaces and parentheses.
 */
export const fieldsOfStat = (stat: string): string[] => stat.slice(stat.lastIndexOf(")") + 2).split(" ");

/** As `fieldsOfStat`; empty when the process or /proc does not exist. */
function statFields(pid: number, procRoot: string): string[] {
  try {
    return fieldsOfStat(readFileSync(`${procRoot}/${pid}/stat`, "utf8"));
  } catch {
    return [];
  }
}

/** Start time from /proc in clock ticks since boot; null when the process or /proc does not exist. */
export const startTime = (pid: number, procRoot = "/proc"): string | null => statFields(pid, procRoot)[19] ?? null;

/** Process id of the leader of its session; null when the process or /proc does not exist. */
export function sessionOf(pid: number, procRoot = "/proc"): number | null {
  const session = Number(statFields(pid, procRoot)[3]);
  return Number.isInteger(session) ? session : null;
}

/**
 * Whether this very process lives; where no start is known, whether any process has its id. A process that has ended
 * keeps its id until its parent reads the exit code, which the first process of a container may never do.
 */
export function isAlive(pid: number, started: string | null): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const fields = statFields(pid, "/proc");
  // The first thread can be a zombie while others still run.
  if ((fields[0] === "Z" || fields[0] === "X") && Number(fields[17]) <= 1) return false;
  const now = fields[19] ?? null;
  return now === null || started === null || now === started;
}

/** A process's argument vector; empty for a zombie, when the process or /proc does not exist. */
export function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}
