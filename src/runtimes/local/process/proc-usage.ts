/** Usage of a service without a cgroup: the sum over its processes in /proc. */
import { readdir, readFile } from "node:fs/promises";
import { fieldsOfStat } from "../../../system/process-identity.js";
import { NO_STATS } from "../../shared/no-stats.js";
import type { Usage } from "./cgroup.js";
import { withDescendants } from "./children.js";

/** Linux reports CPU times to programs in this unit on every platform (ticks per second). */
const TICKS = 100;

interface ProcessTimes {
  pid: number;
  parent: number;
  group: number;
  session: number;
  /** CPU time of the process and of its ended children. */
  ticks: number;
  threads: number;
}

async function timesOf(pid: number): Promise<ProcessTimes | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (stat === null) return null;
  const fields = fieldsOfStat(stat);
  const at = (field: number): number => Number(fields[field - 3]);
  const ticks = at(14) + at(15) + at(16) + at(17);
  return { pid, parent: at(4), group: at(5), session: at(6), ticks, threads: at(20) };
}

/** The main process, its group, its session and all of its descendants. */
const belonging = (all: ProcessTimes[], main: number): ProcessTimes[] =>
  withDescendants(
    all,
    all.filter((one) => [one.pid, one.group, one.session].includes(main)),
  );

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
}

/**
 * Sums up the usage; memory that processes share counts once for each of them.
 * @param main the service's main process
 * @param init the first process of its namespaces, which adopts what its processes leave behind and is not counted
 * @returns null on systems without /proc, or when the process has ended
 */
export async function procUsage(main: number, init?: number): Promise<Usage | null> {
  const pids = (await readdir("/proc").catch((): string[] => [])).filter((name) => /^\d+$/.test(name));
  const all = (await Promise.all(pids.map((pid) => timesOf(Number(pid))))).filter((one) => one !== null);
  const members = belonging(all, init ?? main).filter(({ pid }) => pid !== init);
  if (members.length === 0) return null;
  const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
  return {
    ...NO_STATS,
    cpu_seconds_total: sum(members.map(({ ticks }) => ticks)) / TICKS,
    memory_mb: sum(await Promise.all(members.map(({ pid }) => residentMb(pid)))),
    pids: sum(members.map(({ threads }) => threads)),
  };
}
