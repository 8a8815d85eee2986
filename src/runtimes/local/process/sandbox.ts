/**
 * Namespaces of a service, created by bubblewrap: separate process ids, IPC, host name and mounts. All processes of the
 * service end with it. Home folders, other projects and temporary files of others are not visible in it.
 */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, sep } from "node:path";
import { promisify } from "node:util";
import { privileges } from "./gate.js";
import { existing, foldersBetween, replaceFolder } from "./mount-places.js";
import { systemFolders } from "./sandbox-check.js";

const execute = promisify(execFile);

export interface SandboxTools {
  bwrap: string;
  nsenter: string;
  /** Folders that decide what setpriv loads as root. */
  system: readonly string[];
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
  const hidden = [...TEMPORARY, ...host.hidden].filter((folder) => existsSync(folder));
  const over = (path: string): string | undefined =>
    hidden.filter((folder) => within(path, folder)).sort((a, b) => b.length - a.length)[0];
  const programs = view.programs
    .filter((one) => one.startsWith("/") && over(one) !== undefined)
    .map((one) => around(one, hidden))
    // A folder that an installation fills is also its program's folder; it stays writable.
    .filter((one) => !view.visible.some((folder) => within(one, folder)));
  const mounts = new Map<string, "--bind" | "--ro-bind">();
  for (const one of [...host.shared, ...programs]) mounts.set(one, "--ro-bind");
  for (const one of view.visible) mounts.set(one, "--bind");
  const places = view.mounts ?? [];
  const absent = places.filter(({ target }) => over(target) === undefined && existing(target) !== target);
  const replaced = [...new Set(absent.map(({ target }) => existing(target)))].sort(byLength);
  const args = replaced[0] === "/" ? replaceFolder("/") : ["--bind", "/", "/"];
  args.push("--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm", "--proc", "/proc");
  for (const card of cards()) args.push("--dev-bind-try", card, card);
  for (const folder of replaced) if (folder !== "/") args.push(...replaceFolder(folder));
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
  // Outer folders come before inner ones: a later mount covers an earlier one.
  for (const folder of hidden.sort(byLength)) {
    makeParents(folder);
    args.push("--perms", TEMPORARY.includes(folder) ? "1777" : "0755", "--tmpfs", folder);
  }
  for (const one of [...mounts.keys()].sort(byLength)) {
    if (over(one) === undefined || !existsSync(one)) continue;
    makeParents(one);
    args.push(mounts.get(one) ?? "--ro-bind", one, one);
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
  "--tmpfs": 1,
  "--proc": 1,
  "--dev": 1,
};

/** Where the arguments mount something. */
export const targetsOf = (args: readonly string[]): string[] =>
  args.flatMap((option, at) => (MOUNTING[option] === undefined ? [] : (args[at + MOUNTING[option]] ?? [])));

/** Arguments that run a command in the namespaces of a running process. */
export const joinArgs = (pid: number): string[] => [
  `--target=${pid}`,
  "--mount",
  "--pid",
  "--ipc",
  "--uts",
  "--net",
  "--",
];

/** Home folders of this machine: /root, the entries of /home, and the home folders of users in /etc/passwd. */
export async function homeFolders(passwd = "/etc/passwd"): Promise<string[]> {
  const text = await readFile(passwd, "utf8").catch(() => "");
  const people = text.split("\n").flatMap((line) => {
    const [, , uid = "", , , home = ""] = line.split(":");
    return Number(uid) >= 1000 && Number(uid) < 60_000 && /^\/[^/]+\/./.test(home) ? [home] : [];
  });
  return [...new Set(["/root", "/home", ...people])].filter((one) => existsSync(one));
}

const firstFile = (paths: readonly string[]): string | null => paths.find((path) => existsSync(path)) ?? null;

/**
 * Checks whether services can have namespaces here, by creating some.
 * @returns the programs, or the reason why not
 */
export async function findSandboxTools(setpriv: string | null): Promise<SandboxTools | { reason: string }> {
  if (process.platform !== "linux") return { reason: "only Linux has them" };
  if (process.getuid?.() !== 0) return { reason: "only a server that runs as root uses them" };
  const bwrap = firstFile(["/usr/bin/bwrap", "/bin/bwrap"]);
  const nsenter = firstFile(["/usr/bin/nsenter", "/bin/nsenter"]);
  if (bwrap === null) return { reason: "bubblewrap is not installed" };
  if (nsenter === null || setpriv === null) return { reason: "nsenter and setpriv of util-linux are not installed" };
  if (!existsSync("/proc/self/syscall")) return { reason: "the kernel does not show where a process waits" };
  const tools = { bwrap, nsenter, system: await systemFolders(setpriv) };
  const nobody = privileges({ uid: 65_534, gid: 65_534 }, true);
  const view = { visible: [], programs: [] };
  const sandbox = [...sandboxArgs({ tools, hidden: [], shared: [] }, view), setpriv, ...nobody, "/bin/sh", "-c"];
  // Its own process id shows that the PID namespace is separate.
  const run = execute(bwrap, [...sandbox, "echo $$"], { env: {}, cwd: "/", timeout: 10_000 });
  return run.then(
    ({ stdout }) => (Number(stdout) < 10 ? tools : { reason: "bubblewrap created no PID namespace" }),
    (error: { stderr?: string; message: string }) => ({
      reason: `bubblewrap cannot make namespaces: ${(error.stderr || error.message).trim().split("\n").at(-1)}`,
    }),
  );
}
