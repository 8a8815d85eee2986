/** The processor time of one thread of this process, from the kernel; only on Linux. */
import { readlinkSync } from "node:fs";
import { readKernelFile } from "./kernel-file.js";

export interface ThreadTime {
  /** Milliseconds on a processor. */
  ran: number;
  /** Milliseconds in which the thread could have run and waited for a processor. */
  waited: number;
}

/** The thread that calls, as a path below /proc; null on systems without it. */
export function thisThread(): string | null {
  try {
    return readlinkSync("/proc/thread-self");
  } catch {
    return null;
  }
}

/** Null when the thread has ended, or the kernel does not count. */
export function threadTime(thread: string): ThreadTime | null {
  const [ran = 0, waited = 0] = (readKernelFile(`/proc/${thread}/schedstat`) ?? "").split(" ").map(Number);
  return ran > 0 ? { ran: ran / 1e6, waited: waited / 1e6 } : null;
}
