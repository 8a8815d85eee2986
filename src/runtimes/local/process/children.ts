/** The child processes of a process, from /proc. */
import { readdirSync, readFileSync } from "node:fs";

const text = (file: string): string | null => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
};

const parentOf = (pid: string): number => {
  const stat = text(`/proc/${pid}/stat`) ?? "";
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
};

/** Oldest first where the kernel provides a list, else in the order of their ids. */
export function childrenOf(pid: number): number[] {
  const listed = text(`/proc/${pid}/task/${pid}/children`);
  if (listed !== null) return listed.split(" ").filter(Boolean).map(Number);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number);
}
