/** Processes of this machine: those of a user, those with a text in their arguments, and what an attack's could do. */
import { readdirSync, readFileSync } from "node:fs";

export const isRoot = process.getuid?.() === 0;

/** Both ways in which a root server runs services: with namespaces and without. */
export const NAMESPACES: readonly [how: string, env: Record<string, string>][] = [
  ["with namespaces where the machine has them", {}],
  ["without namespaces", { STACKWARDEN_NAMESPACES: "off" }],
];

const text = (file: string): string => {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
};

const pids = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

const living = (status: string): boolean => status !== "" && !/^State:\s*[ZX]/m.test(status);

/** Living processes of a user. */
export const processesOfUid = (uid: number): number[] => {
  const owned = new RegExp(`^Uid:.*\\b${uid}\\b`, "m");
  return pids().filter((pid) => {
    const status = text(`/proc/${pid}/status`);
    return living(status) && owned.test(status);
  });
};

/** Living processes that have the text in their arguments. */
export const processesNaming = (mark: string): number[] =>
  pids().filter(
    (pid) => pid !== process.pid && living(text(`/proc/${pid}/status`)) && text(`/proc/${pid}/cmdline`).includes(mark),
  );

/** Rights of a process, as a process of an attack wrote them. */
export interface Recorded {
  uid: number;
  capabilities: string;
  noNewPrivs: boolean;
  cgroups: string[];
}

/** A shell script that appends the rights of its process to a file. */
export const recordTo = (file: string): string =>
  `exec 9>>${file}; { grep -E '^(Uid|CapBnd|CapEff|NoNewPrivs)' /proc/self/status; cat /proc/self/cgroup; echo; } | tr '\\n' '|' >&9; echo >&9`;

export function recorded(file: string): Recorded[] {
  return text(file)
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => ({
      uid: Number(/Uid:\s*(\d+)/.exec(line)?.[1]),
      capabilities: /CapBnd:\s*([0-9a-f]+)/.exec(line)?.[1] ?? "",
      noNewPrivs: /NoNewPrivs:\s*1/.test(line),
      cgroups: line.split("|").filter((part) => /^\d+:/.test(part)),
    }));
}
