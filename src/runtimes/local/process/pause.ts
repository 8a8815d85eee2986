/** Pauses every process of an instance: with the kernel's freezer (cgroup v2), else with SIGSTOP to each of them. */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { StackwardenError } from "../../../errors.js";
import { fieldsOfStat } from "../../../system/process-identity.js";
import { pauseRefused } from "../../shared/pause-refused.js";
import { processes, read, write } from "./cgroup.js";
import type { Inside } from "./launch.js";
import { processesInside } from "./namespace-end.js";

const DEADLINE_MS = 5000;

/** Stopped, traced by a debugger, or ended. */
async function halted(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (stat === null) return true;
  return ["T", "t", "Z", "X"].includes(fieldsOfStat(stat)[0] ?? "");
}

function send(pid: number, signal: "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export interface PauseTarget {
  /** The main process, which leads its process group. */
  pid: number;
  /** Directories of its cgroup; empty when there is none. */
  directories: readonly string[];
  /** Its namespaces, where it has some. */
  inside: Inside | null;
}

/** Null when only its process group is known. */
async function members({ directories, inside }: PauseTarget): Promise<number[] | null> {
  if (directories.length > 0) return processes(directories);
  return inside === null ? null : processesInside(inside);
}

const freezer = async ({ directories }: PauseTarget): Promise<string | null> => {
  const [directory] = directories;
  if (directories.length !== 1 || directory === undefined) return null;
  return (await read(directory, "cgroup.freeze")) === null ? null : directory;
};

async function freeze(directory: string): Promise<void> {
  await write(directory, "cgroup.freeze", 1);
  for (const end = Date.now() + DEADLINE_MS; ; await sleep(5)) {
    if (/^frozen 1$/m.test((await read(directory, "cgroup.events")) ?? "")) return;
    if (Date.now() > end) throw pauseRefused("the kernel did not freeze them in time");
  }
}

/** Rounds: the next one catches a process that forks meanwhile. */
async function stopEach(target: PauseTarget): Promise<void> {
  for (const end = Date.now() + DEADLINE_MS; ; await sleep(5)) {
    const alive = await members(target);
    if (alive === null) {
      // Signals the whole process group; a process that left it continues to run.
      send(-target.pid, "SIGSTOP");
      return;
    }
    const running: number[] = [];
    for (const one of alive) if (!(await halted(one))) running.push(one);
    if (running.length === 0) return;
    for (const one of running) send(one, "SIGSTOP");
    if (Date.now() > end) throw pauseRefused("some of them did not stop in time");
  }
}

/** @throws UNSUPPORTED; then no process is paused */
export async function pauseProcesses(target: PauseTarget): Promise<void> {
  const directory = await freezer(target);
  try {
    await (directory === null ? stopEach(target) : freeze(directory));
  } catch (error) {
    await resumeProcesses(target).catch(() => undefined);
    throw error instanceof StackwardenError ? error : pauseRefused((error as Error).message, error);
  }
}

export async function resumeProcesses(target: PauseTarget): Promise<void> {
  const directory = await freezer(target);
  if (directory !== null) await write(directory, "cgroup.freeze", 0);
  else {
    const stopped = await members(target);
    if (stopped === null) send(-target.pid, "SIGCONT");
    for (const one of stopped ?? []) send(one, "SIGCONT");
  }
}
