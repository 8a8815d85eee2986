/**
 * Namespaces of a service, created by bubblewrap: separate process ids, IPC, host name and mounts. All processes of the
 * service end with it. Home folders, other projects and temporary files of others are not visible in it.
 */
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir, userInfo } from "node:os";
import { basename, dirname, isAbsolute, join, sep } from "node:path";
import { realPath } from "../../../system/real-path.js";
import { existing, foldersBetween, isSystem, replaceFolder } from "./mount-places.js";
import { INNER_FD, inUserNamespace, OUTER_FD, type UserNamespaces } from "./user-namespaces.js";

export interface SandboxTools {
  bwrap: string;
  nsenter: string;
  /** Folders that decide what setpriv loads as root; none on a server that is not root. */
  system: readonly string[];
  /** Where a server that is not root makes namespaces; null on a root server. */
  users: UserNamespaces | null;
}

/** Settings that all services of a server share. */
export interface SandboxHost {
  tools: SandboxTools;
  /** Folders that are hidden inside: home folders and the server's state directory. */
  hidden: readonly string[];
  /** Folders below hidden ones that every service may read, such as the server's cache of programs. */
  shared: readonly string[];
}

/** Private temporary folders; their memory counts as the service's. */
export const TEMPORARY: readonly string[] = ["/tmp", "/var/tmp"];

const NAMESPACES = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--new-session", "--die-with-parent", "--"];

/** Device nodes of graphics and compute cards, which bubblewrap's /dev does not include. */
const CARDS = /^(dri|kfd|kvm|nvidia.*)$/;

const cards = (): string[] =>
  readdirSync("/dev")
    .filter((name) => CARDS.test(name))
    .map((name) => `/dev/${name}`);

const within = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}${sep}`);

/**
 * The folder that a program needs around it (`/home/ada/node` for `/home/ada/node/bin/node`); never a whole home
 * folder.
 */
function around(program: string, hidden: readonly string[]): string {
  const folder = dirname(program);
  const prefix = dirname(folder);
  // `~/.local` has data of many programs, which `~/.local/bin` does not need.
  return hidden.some((home) => within(home, prefix)) || basename(prefix) === ".local" ? folder : prefix;
}

/** The program's path without links in its folders. */
const inRealFolder = (program: string): string => join(realPath(dirname(program)), basename(program));

/** The folders below hidden ones that these programs need. */
export function programFolders(programs: readonly string[], hidden: readonly string[]): string[] {
  const isHidden = (one: string): boolean => hidden.some((folder) => within(one, folder));
  return programs
    .filter((one) => one.startsWith("/"))
    .map((one) => (isHidden(one) ? one : inRealFolder(one)))
    .filter(isHidden)
    .map((one) => around(one, hidden));
}

export interface SandboxView {
  /** Paths below hidden folders that the service can see and, with its user's permissions, change. */
  visible: readonly string[];
  /**
   * Programs that the server chose, never those that a project names: the folders around those below hidden folders are
   * visible read-only.
   */
  programs: readonly string[];
  /** Files that replace the machine's own: the source path, and the path inside. */
  files?: Readonly<Record<string, string>>;
  /** Folders that take the place of others, in order. */
  mounts?: readonly SandboxMount[];
}

/** A folder that is shown at another path; with `tmpfs` an empty one in memory, of `sizeBytes` where given. */
export type SandboxMount =
  | { source: string; target: string; readOnly: boolean }
  | { tmpfs: true; target: string; sizeBytes?: number };

const byLength = (a: string, b: string): number => a.length - b.length;

/** The arguments of bubblewrap before the command. */
export function sandboxArgs(host: SandboxHost, view: SandboxView): string[] {
  // The services of a server that is not root have its user, who can change more than what is theirs.
  const isReadOnly = host.tools.users !== null;
  const hidden = [...new Set([...TEMPORARY, ...host.hidden])].filter((folder) => existsSync(folder));
  const over = (path: string): string | undefined =>
    hidden.filter((folder) => within(path, folder)).sort((a, b) => b.length - a.length)[0];
  // A folder that an installation fills is also its program's folder; it stays writable.
  const programs = programFolders(view.programs, hidden).filter(
    (one) => !view.visible.some((folder) => within(one, folder)),
  );
  const mounts = new Map<string, "--bind" | "--ro-bind">();
  for (const one of [...host.shared, ...programs]) mounts.set(one, "--ro-bind");
  for (const one of view.visible) mounts.set(one, "--bind");
  const places = view.mounts ?? [];
  const absent = places.filter(({ target }) => over(target) === undefined && !existsSync(target));
  const replaced = [...new Set(absent.map(({ target }) => existing(target)))].sort(byLength);
  const args = replaced[0] === "/" ? replaceFolder("/", isReadOnly) : [isReadOnly ? "--ro-bind" : "--bind", "/", "/"];
  args.push("--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm", "--proc", "/proc");
  for (const card of cards()) args.push("--dev-bind-try", card, card);
  for (const folder of replaced) if (folder !== "/") args.push(...replaceFolder(folder, isReadOnly));
  const made = new Set<string>();
  // bubblewrap would create these folders accessible to root only.
  const makeParents = (path: string, folder = over(dirname(path))): void => {
    for (const parent of folder === undefined ? [] : foldersBetween(folder, path)) {
      if (made.has(parent)) continue;
      made.add(parent);
      args.push("--perms", "0755", "--dir", parent);
    }
    made.add(path);
  };
  const shown = [...mounts.keys()].filter((one) => (over(one) !== undefined || isReadOnly) && existsSync(one));
  // Outer folders come before inner ones, because a later mount covers an earlier one: the state directory stays hidden
  // in a project's folder that contains it.
  for (const one of [...new Set([...hidden, ...shown])].sort(byLength)) {
    if (!view.visible.some((folder) => folder !== one && within(one, folder))) makeParents(one);
    const mount = shown.includes(one) ? mounts.get(one) : undefined;
    if (mount !== undefined) args.push(mount, one, one);
    else args.push("--perms", TEMPORARY.includes(one) ? "1777" : "0755", "--tmpfs", one);
  }
  for (const mount of places) {
    const { target } = mount;
    const folder = over(target) ?? existing(target);
    if (folder !== target && !view.visible.some((one) => within(target, one))) makeParents(target, folder);
    if ("source" in mount) args.push(mount.readOnly ? "--ro-bind" : "--bind", mount.source, target);
    else {
      if (mount.sizeBytes !== undefined) args.push("--size", String(mount.sizeBytes));
      args.push("--perms", "1777", "--tmpfs", target);
    }
  }
  for (const [file, place] of Object.entries(view.files ?? {})) args.push("--ro-bind", file, place);
  return [...args, ...NAMESPACES];
}

/** Options of bubblewrap that mount something, with the number of their arguments; the last one is where. */
const MOUNTING: Readonly<Record<string, number>> = {
  "--bind": 2,
  "--bind-try": 2,
  "--dev-bind-try": 2,
  "--ro-bind": 2,
  "--ro-bind-try": 2,
  "--tmpfs": 1,
  "--proc": 1,
  "--dev": 1,
};

/** Where the arguments mount something. */
export const targetsOf = (args: readonly string[]): string[] =>
  args.flatMap((option, at) => (MOUNTING[option] === undefined ? [] : (args[at + MOUNTING[option]] ?? [])));

/** Words before bubblewrap and its first own options. */
export function makingNamespaces({ bwrap, nsenter, users }: SandboxTools, network: readonly string[] = []): string[] {
  if (users === null) return [...(network.length === 0 ? [] : [nsenter, ...network, "--"]), bwrap];
  return [...inUserNamespace(nsenter, OUTER_FD, ...network), bwrap, "--userns2", String(INNER_FD)];
}

/** Identifies the network namespace of a process. @throws Error when the process has ended or belongs to another user */
export const networkOf = (pid: number | "self"): string => readlinkSync(`/proc/${pid}/ns/net`);

/**
 * Words before a command that runs in the namespaces of a running process.
 * @param hasNetwork whether its network is not the server's
 */
export function joiningNamespaces({ nsenter, users }: SandboxTools, pid: number, hasNetwork: boolean): string[] {
  const options = [`--target=${pid}`, "--mount", "--pid", "--ipc", "--uts", ...(hasNetwork ? ["--net"] : [])];
  return users === null
    ? [nsenter, ...options, "--"]
    : [...inUserNamespace(nsenter, OUTER_FD, ...options), ...inUserNamespace(nsenter, INNER_FD)];
}

/** The home folders of Windows below /mnt of its subsystem for Linux. */
const windowsHomes = (): string[] =>
  existsSync("/mnt") ? readdirSync("/mnt").flatMap((name) => (/^[a-z]$/.test(name) ? [`/mnt/${name}/Users`] : [])) : [];

/**
 * Home folders of this machine: /root, the entries of /home, the home folders of users in /etc/passwd, and those of
 * Windows.
 */
async function homeFolders(passwd = "/etc/passwd"): Promise<string[]> {
  const text = await readFile(passwd, "utf8").catch(() => "");
  const people = text.split("\n").flatMap((line) => {
    const [, , uid = "", , , home = ""] = line.split(":");
    return Number(uid) >= 1000 && Number(uid) < 60_000 && /^\/[^/]+\/./.test(home) ? [home] : [];
  });
  return [...new Set(["/root", "/home", ...people, ...windowsHomes()].map(realPath))].filter((one) => existsSync(one));
}

/** The home folders of the server's user, wherever they are, except where the system itself is. */
function ownHomes(): string[] {
  let listed = "";
  try {
    listed = userInfo().homedir;
  } catch {
    // The user has no name.
  }
  return [homedir(), listed]
    .filter((one) => isAbsolute(one))
    .map(realPath)
    .filter((one) => !isSystem(one));
}

/**
 * Sockets of the user's other programs (session bus, container engines, agents of keys), by which a program with the
 * user's id could start others outside of its namespaces.
 */
const RUN = "/run";

/** Folders of such sockets elsewhere. A program that can use them has the rights of root. */
const ENGINES = ["/var/snap/lxd/common/lxd", "/var/lib/lxd", "/var/lib/incus"];

/** Parts of /run that programs need: name servers, and the programs of NixOS and Guix. */
const NEEDED_OF_RUN = ["/run/current-system", "/run/opengl-driver"];

/** Looked up for each start: a name server that starts later replaces or creates its folder. */
export function neededOfRun({ users }: Pick<SandboxTools, "users">): string[] {
  if (users === null) return [];
  const resolver = realPath("/etc/resolv.conf");
  const folder = dirname(resolver);
  // A folder shows a new file that takes the place of the present one.
  const shown = [...NEEDED_OF_RUN, folder === RUN ? resolver : folder];
  return shown.filter((one) => within(one, RUN) && existsSync(one));
}

/** What services do not see, and what they see of it. */
export async function hiddenFolders(
  tools: SandboxTools,
  stateDir: string,
): Promise<Pick<SandboxHost, "hidden" | "shared">> {
  const hidden = [...(await homeFolders()), realPath(stateDir)];
  const shared = [join(realPath(stateDir), "cache")];
  return { hidden: tools.users === null ? hidden : [...hidden, ...ownHomes(), RUN, ...ENGINES], shared };
}
