/** The running instances of this server's stacks: for errors that name the service to which a process or user belongs. */
import { readKernelFile } from "../../system/kernel-file.js";
import { fieldsOfStat } from "../../system/process-identity.js";
import { isServiceUid } from "./process/user-range.js";

export interface RunningInstance {
  project: string;
  service: string;
  /** Its main process. */
  pid: number;
  uid: number;
}

const running = new Set<RunningInstance>();

export function remember(instance: RunningInstance): () => void {
  running.add(instance);
  return () => running.delete(instance);
}

const parentOf = (pid: number): number => Number(fieldsOfStat(readKernelFile(`/proc/${pid}/stat`) ?? "")[1] ?? 0);

/** The instance of a user that only one service has. */
export const instanceOfUser = (uid: number): RunningInstance | null =>
  isServiceUid(uid) ? ([...running].find((one) => one.uid === uid) ?? null) : null;

/** Whether a service of another project runs. */
export const runsElsewhere = (project: string): boolean => [...running].some((one) => one.project !== project);

/** The instance that started a process, directly or through others. */
export function instanceOfProcess(pid: number): RunningInstance | null {
  for (let at = pid; at > 1; at = parentOf(at)) {
    for (const one of running) if (one.pid === at) return one;
  }
  return null;
}
