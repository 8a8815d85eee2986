/** The child processes of a process, from /proc. */
import { readdirSync, readFileSync } from "node:fs";
import { fieldsOfStat } from "../../../system/process-identity.js";

const text = (file: string): string | null => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
};

const parentOf = (pid: string): number => Number(fieldsOfStat(text(`/proc/${pid}/stat`) ?? "")[1]);

/** Oldest first where the kernel provides a list, else in the order of their ids. */
export function childrenOf(pid: number): number[] {
  const listed = text(`/proc/${pid}/task/${pid}/children`);
  if (listed !== null) return listed.split(" ").filter(Boolean).map(Number);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number);
}

/** @returns these processes and all of their descendants among `all` */
export function withDescendants<T extends { pid: number; parent: number }>(
  all: readonly T[],
  first: readonly T[],
): T[] {
  const children = new Map<number, T[]>();
  for (const one of all) children.set(one.parent, [...(children.get(one.parent) ?? []), one]);
  const members = new Map<number, T>();
  const waiting = [...first];
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    if (members.has(one.pid)) continue;
    members.set(one.pid, one);
    waiting.push(...(children.get(one.pid) ?? []));
  }
  return [...members.values()];
}
