/**
 * Namespaces of a service, made by bubblewrap: process ids, IPC, host name and mounts of its own. What it started ends with
 * it, and home folders, other projects and the temporary files of others do not exist in it.
 */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, relative, sep } from "node:path";
import { promisify } from "node:util";
import { privileges } from "./gate.js";

const execute = promisify(execFile);

export interface SandboxTools {
  bwrap: string;
  nsenter: string;
}

/** What is the same for every service of a server. */
export interface SandboxHost {
  tools: SandboxTools;
  /** Folders that do not exist inside: home folders and the server's state directory. */
  hidden: readonly string[];
  /** Parts of them that everything may read, such as the server's cache of programs. */
  shared: readonly string[];
}

/** Private temporary folders, in memory that counts as the service's. */
const TEMPORARY = ["/tmp", "/var/tmp"];

const NAMESPACES = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--new-session", "--die-with-parent", "--"];

/** Device nodes of graphics and computing cards: bubblewrap's /dev has none. */
const CARDS = /^(dri|kfd|kvm|nvidia.*)$/;

const cards = (): string[] =>
  readdirSync("/dev")
    .filter((name) => CARDS.test(name))
    .map((name) => `/dev/${name}`);

const within = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}${sep}`);

/** Folders from a hidden one down to what is above a visible one. */
function parents(path: string, hidden: string): string[] {
  const parts = relative(hidden, dirname(path)).split(sep).filter(Boolean);
  return parts.map((_, at) => [hidden, ...parts.slice(0, at + 1)].join(sep));
}

/** The folder that a program needs around it (`/home/ada/node` for `/home/ada/node/bin/node`), never a whole home folder. */
function around(program: string, hidden: readonly string[]): string {
  const folder = dirname(program);
  const prefix = dirname(folder);
  return hidden.some((home) => within(home, prefix)) ? folder : prefix;
}

export interface SandboxView {
  /** What the service may see and, with its user's rights, change below hidden folders. */
  visible: readonly string[];
  /** Its program and the folders of its PATH: what lies below hidden folders is visible, read-only. */
  program: string;
  path: readonly string[];
  /** Files that take the place of the machine's own: their path, and where they are inside. */
  files?: Readonly<Record<string, string>>;
}

/** bubblewrap's arguments up to the command. */
export function sandboxArgs(host: SandboxHost, view: SandboxView): string[] {
  const hidden = [...TEMPORARY, ...host.hidden].filter((folder) => existsSync(folder));
  const over = (path: string): string | undefined =>
    hidden.filter((folder) => within(path, folder)).sort((a, b) => b.length - a.length)[0];
  const programs = [view.program, ...view.path.map((folder) => `${folder}/program`)]
    .filter((one) => one.startsWith("/") && over(one) !== undefined)
    .map((one) => around(one, hidden))
    // What an installation fills is its program's folder too, and stays writable.
    .filter((one) => !view.visible.some((folder) => within(one, folder)));
  const shown = new Map<string, "--bind" | "--ro-bind">();
  for (const one of [...host.shared, ...programs]) shown.set(one, "--ro-bind");
  for (const one of view.visible) shown.set(one, "--bind");
  const args = ["--bind", "/", "/", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm", "--proc", "/proc"];
  for (const card of cards()) args.push("--dev-bind-try", card, card);
  const made = new Set<string>();
  // bubblewrap would make them for root alone.
  const makeParents = (path: string): void => {
    const folder = over(dirname(path));
    for (const parent of folder === undefined ? [] : parents(path, folder)) {
      if (made.has(parent)) continue;
      made.add(parent);
      args.push("--perms", "0755", "--dir", parent);
    }
    made.add(path);
  };
  // An outer folder before an inner one: what comes later lies on top.
  const byLength = (a: string, b: string): number => a.length - b.length;
  for (const folder of hidden.sort(byLength)) {
    makeParents(folder);
    args.push("--perms", TEMPORARY.includes(folder) ? "1777" : "0755", "--tmpfs", folder);
  }
  for (const one of [...shown.keys()].sort(byLength)) {
    if (over(one) === undefined || !existsSync(one)) continue;
    makeParents(one);
    args.push(shown.get(one) ?? "--ro-bind", one, one);
  }
  for (const [file, place] of Object.entries(view.files ?? {})) args.push("--ro-bind", file, place);
  return [...args, ...NAMESPACES];
}

/** Arguments that put a command into the namespaces of a running process. */
export const joinArgs = (pid: number): string[] => [`--target=${pid}`, "--mount", "--pid", "--ipc", "--uts", "--"];

/** Home folders of this machine: /root, what lies in /home, and those of the people in /etc/passwd. */
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
 * Whether services can have namespaces here: found by making some.
 * @returns the programs, or why not
 */
export async function findSandboxTools(setpriv: string | null): Promise<SandboxTools | { reason: string }> {
  if (process.platform !== "linux") return { reason: "only Linux has them" };
  if (process.getuid?.() !== 0) return { reason: "only a server that runs as root uses them" };
  const bwrap = firstFile(["/usr/bin/bwrap", "/bin/bwrap"]);
  const nsenter = firstFile(["/usr/bin/nsenter", "/bin/nsenter"]);
  if (bwrap === null) return { reason: "bubblewrap is not installed" };
  if (nsenter === null || setpriv === null) return { reason: "nsenter and setpriv of util-linux are not installed" };
  const tools = { bwrap, nsenter };
  const nobody = privileges({ uid: 65_534, gid: 65_534 }, true);
  const view = { visible: [], program: "/bin/sh", path: [] };
  const sandbox = [...sandboxArgs({ tools, hidden: [], shared: [] }, view), setpriv, ...nobody, "/bin/sh", "-c"];
  // The number of its own process shows that the process ids are its own.
  const run = execute(bwrap, [...sandbox, "echo $$"], { env: {}, cwd: "/", timeout: 10_000 });
  return run.then(
    ({ stdout }) => (Number(stdout) < 10 ? tools : { reason: "bubblewrap made no process ids of its own" }),
    (error: { stderr?: string; message: string }) => ({
      reason: `bubblewrap cannot make namespaces: ${(error.stderr || error.message).trim().split("\n").at(-1)}`,
    }),
  );
}
