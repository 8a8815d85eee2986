/** Finds what remains of a test's stacks: processes (and thereby ports), mounts, cgroups and run files. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";

const CGROUPS = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/pids", "/sys/fs/cgroup"];

const text = (file: string): string => {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
};

/** Processes whose arguments, environment or working directory name the folder. */
export function processesOf(folder: string): string[] {
  const found: string[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const at = join("/proc", name);
    let cwd = "";
    try {
      cwd = readlinkSync(join(at, "cwd"));
    } catch {
      // The process has ended, or is a kernel thread.
    }
    const args = text(join(at, "cmdline"));
    if ([cwd, args, text(join(at, "environ"))].some((one) => one.includes(folder)))
      found.push(`${name} ${args.replaceAll("\0", " ").slice(0, 200)}`);
  }
  return found;
}

function cgroupsIn(folder: string, server: number, depth = 0): string[] {
  let names: string[];
  try {
    names = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const path = join(folder, name);
    if (name.startsWith(`stackwarden-${server}-`)) return [path];
    return depth < 3 ? cgroupsIn(path, server, depth + 1) : [];
  });
}

export const cgroupsOf = (server: number): string[] => CGROUPS.flatMap((folder) => cgroupsIn(folder, server));

/** @param servers process ids of the stackwarden servers that ran */
export async function expectNothingLeft(folder: string, servers: readonly number[]): Promise<void> {
  const look = () => ({
    processes: processesOf(folder),
    mounts: text("/proc/self/mounts")
      .split("\n")
      .filter((line) => line.includes(folder)),
    cgroups: [...new Set(servers.flatMap(cgroupsOf))],
    runFiles: (() => {
      try {
        return readdirSync(join(folder, "state", "run")).filter((name) => name.endsWith(".json"));
      } catch {
        return [];
      }
    })(),
  });
  const nothing = { processes: [], mounts: [], cgroups: [], runFiles: [] };
  // The watchdog of a killed server needs a moment.
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    if (JSON.stringify(look()) === JSON.stringify(nothing)) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(look()).toEqual(nothing);
}
