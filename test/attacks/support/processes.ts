/** What runs on this machine, as an attacker's process would have to show up in it. */
import { readdirSync, readFileSync } from "node:fs";

export const isRoot = process.getuid?.() === 0;

/** Both ways in which a server that is root runs services: with namespaces of their own, and without. */
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
export const processesOfUid = (uid: number): number[] =>
  pids().filter((pid) => {
    const status = text(`/proc/${pid}/status`);
    return living(status) && new RegExp(`^Uid:.*\\b${uid}\\b`, "m").test(status);
  });

/** Living processes that have the text in their arguments. */
export const processesNaming = (mark: string): number[] =>
  pids().filter(
    (pid) => pid !== process.pid && living(text(`/proc/${pid}/status`)) && text(`/proc/${pid}/cmdline`).includes(mark),
  );

/** What a process could do: written by the processes of an attack, with `RECORD`. */
export interface Recorded {
  uid: number;
  capabilities: string;
  noNewPrivs: boolean;
  cgroups: string[];
}

/** A shell script that appends what the process may do to a file. */
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
