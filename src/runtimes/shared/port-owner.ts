/**
 * Determines which process listens on a port, from the kernel's tables. Linux only; the owner is unknown on other
 * platforms.
 */
import { readdirSync, readlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { setImmediate as otherWork } from "node:timers/promises";
import { socketTables } from "../../system/socket-tables.js";

export interface PortOwner {
  /** Process id; null when it is not visible (a process of another user, on an unprivileged server). */
  pid: number | null;
  /** Name of its program; null when the process is not visible. */
  program: string | null;
  /** Owner of the socket. */
  uid: number;
  /** Whether it is reachable only from this machine, and the protocol. */
  address: { family: 4 | 6; loopback: boolean };
  port: number;
  /** Present when the port belongs to a stack of this server. */
  project?: string;
  service?: string;
  /** Name of the container that publishes the port. */
  container?: string;
  /** The Docker Compose project of that container. */
  compose_project?: string;
}

/** What an error names of the owner of a port. */
export type NamedOwner = Pick<PortOwner, "pid" | "program" | "project" | "service" | "container" | "compose_project">;

interface Socket extends Omit<PortOwner, "pid" | "program"> {
  inode: string;
}

const LISTEN = "0A";
const LOOPBACK_V6 = "00000000000000000000000001000000";

function loopback(address: string): boolean {
  if (address.length === 8) return address.endsWith("7F");
  return address === LOOPBACK_V6 || (address.startsWith("0000000000000000FFFF0000") && address.endsWith("7F"));
}

function sockets(table: string, family: 4 | 6): Socket[] {
  const listening: Socket[] = [];
  for (const line of table.split("\n").slice(1)) {
    const [, local = "", , state, , , , uid, , inode = ""] = line.trim().split(/\s+/);
    if (state !== LISTEN) continue;
    const [address = "", port = ""] = local.split(":");
    listening.push({
      port: Number.parseInt(port, 16),
      uid: Number(uid),
      inode,
      address: { family, loopback: loopback(address) },
    });
  }
  return listening;
}

const listeningSockets = (netDir: string): Socket[] =>
  (socketTables(netDir, "listening") ?? []).flatMap(({ family, text }) => sockets(text, family));

/** Processes that are examined before other work of the server gets a turn. */
const AT_ONCE = 20;

const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch {
    // The process has ended, or belongs to another user.
    return [];
  }
};

const linkTarget = (path: string): string => {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
};

/** Processes by the inode of each requested socket. A step through the thread pool takes longer than to read a link. */
async function processesOf(inodes: ReadonlySet<string>, procRoot: string): Promise<Map<string, number>> {
  const owners = new Map<string, number>();
  if (inodes.size === 0) return owners;
  const pids = namesIn(procRoot).filter((name) => /^\d+$/.test(name));
  for (const [at, pid] of pids.entries()) {
    if (at > 0 && at % AT_ONCE === 0) await otherWork();
    for (const file of namesIn(`${procRoot}/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkTarget(`${procRoot}/${pid}/fd/${file}`))?.[1];
      if (inode !== undefined && inodes.has(inode) && !owners.has(inode)) owners.set(inode, Number(pid));
    }
    if (owners.size === inodes.size) break;
  }
  return owners;
}

async function programOf(pid: number, procRoot: string): Promise<string | null> {
  const [first = ""] = (await readFile(`${procRoot}/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
  const comm = (await readFile(`${procRoot}/${pid}/comm`, "utf8").catch(() => "")).trim();
  // Some programs put a status text into their command line.
  const name = basename(first.split(" ", 1)[0] ?? "").replace(/:$/, "") || comm;
  return name === "" ? null : name.slice(0, 64);
}

interface Tables {
  /** Default: `/proc`. */
  procRoot?: string;
  /** Folder with the tables of the network namespace. Default: `<procRoot>/net`. */
  netDir?: string;
}

/** Every listening process whose socket `matches`. */
export async function owners(
  matches: (socket: Pick<PortOwner, "port" | "uid">) => boolean,
  { procRoot = "/proc", netDir = `${procRoot}/net` }: Tables = {},
): Promise<PortOwner[]> {
  const matching = listeningSockets(netDir).filter(matches);
  const pids = await processesOf(new Set(matching.map(({ inode }) => inode)), procRoot);
  return Promise.all(
    matching.map(async ({ inode, ...socket }) => {
      const pid = pids.get(inode) ?? null;
      return { ...socket, pid, program: pid === null ? null : await programOf(pid, procRoot) };
    }),
  );
}

/** The process that listens on this port; null when none is visible. */
export async function ownerOf(port: number): Promise<PortOwner | null> {
  const [first = null] = await owners((socket) => socket.port === port);
  return first;
}

/** Description such as `postgres (pid 4242)` or `service db of the project shop`. */
export function describeOwner(owner: NamedOwner): string {
  const { pid, program, project, service, container, compose_project: composeProject } = owner;
  if (project !== undefined) return `service ${service} of the project ${project}`;
  if (container !== undefined)
    return `the container ${container}${composeProject === undefined ? "" : ` of the Docker Compose project ${composeProject}`}`;
  if (pid === null) return "a process of another user";
  return `${program ?? "a process"} (pid ${pid})`;
}
