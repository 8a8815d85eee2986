/** The kernel's tables of the TCP sockets of a network namespace. */
import { readKernelFile } from "./kernel-file.js";

/** How many TCP sockets listen or are connected; null when the kernel does not count them. */
export const socketCount = (procNet: string, version: "" | "6"): string | null =>
  /^TCP6?: inuse (\d+)/m.exec(readKernelFile(`${procNet}/sockstat${version}`) ?? "")?.[1] ?? null;

/** Whether a line of a table is that of a socket that does not listen. */
const isConnection = (line: string): boolean => /^\s*\d+: \S+ \S+ (?!0A)/.test(line);

export interface SocketTable {
  family: 4 | 6;
  text: string;
}

/**
 * The tables that are not empty: for each one the kernel walks its hash of all connections, which takes milliseconds
 * however few there are.
 * @param part `listening`: connections may be missing. A table begins with the listening sockets, so that the kernel
 * does not need to walk the hash to its end.
 * @returns null on systems without tables
 */
export function socketTables(procNet: string, part: "all" | "listening"): SocketTable[] | null {
  const versions = (["", "6"] as const).filter((version) => socketCount(procNet, version) !== "0");
  const tables = versions.map((version) => {
    const text = readKernelFile(`${procNet}/tcp${version}`, part === "all" ? undefined : isConnection);
    return text === null ? null : { family: version === "6" ? (6 as const) : (4 as const), text };
  });
  if (tables.length > 0 && tables.every((table) => table === null)) return null;
  return tables.filter((table) => table !== null);
}
