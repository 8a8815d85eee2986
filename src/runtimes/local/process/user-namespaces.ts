/**
 * The user namespaces in which a server that is not root makes the namespaces of its services. In the outer one the
 * server's user has the rights of root over namespaces that are made there, and over nothing else. Services run in the
 * inner one, in which the user has its own id and no capabilities. The server holds both by descriptors; no process
 * remains in them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readKernelFile } from "../../../system/kernel-file.js";

export interface UserNamespaces {
  outer: number;
  inner: number;
}

/** The descriptors of a new process that are the user namespaces. */
export const OUTER_FD = 5;
export const INNER_FD = 6;

const DEADLINE_MS = 10_000;

/** Words before a command that runs in a user namespace. `more` are other namespaces that it enters. */
export const inUserNamespace = (nsenter: string, fd: number, ...more: string[]): string[] => [
  nsenter,
  `--user=/proc/self/fd/${fd}`,
  "--preserve-credentials",
  ...more,
  "--",
];

/** Waits until the program's own namespaces exist. @throws Error with its last line of output */
function untilReady(child: ChildProcess): Promise<void> {
  let failure = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    failure = (failure + chunk.toString()).slice(-2000);
  });
  child.stdin?.on("error", () => undefined);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("unshare did not answer in time")), DEADLINE_MS);
    child.once("error", reject);
    child.stdout?.once("data", () => resolve());
    child.once("close", (code) => reject(new Error(failure.trim().split("\n").at(-1) || `unshare: exit code ${code}`)));
    child.once("close", () => clearTimeout(timer));
  });
}

/** Settings of the kernel that refuse user namespaces to ordinary users, and the values that do so. */
export const REFUSING = {
  "user.max_user_namespaces": { value: "0", allowed: "15000" },
  "kernel.unprivileged_userns_clone": { value: "0", allowed: "1" },
  "kernel.apparmor_restrict_unprivileged_userns": { value: "1", allowed: "0" },
} as const;

/** The setting that refuses them; null when there is none. */
export function refusingSetting(read = readKernelFile): keyof typeof REFUSING | null {
  for (const name of Object.keys(REFUSING) as (keyof typeof REFUSING)[])
    if (read(`/proc/sys/${name.replaceAll(".", "/")}`)?.trim() === REFUSING[name].value) return name;
  return null;
}

/** @throws Error that says why this user cannot have user namespaces here */
export async function openUserNamespaces(programs: { unshare: string; nsenter: string }): Promise<UserNamespaces> {
  const { unshare, nsenter } = programs;
  const wait = ["/bin/sh", "-c", "echo ready; read -r end"];
  const children: ChildProcess[] = [];
  const open: number[] = [];
  const make = async ([program = "", ...words]: string[], outer?: number): Promise<number> => {
    const stdio = ["pipe" as const, "pipe" as const, "pipe" as const];
    const child = spawn(program, [...words, ...wait], {
      cwd: "/",
      env: {},
      stdio: outer === undefined ? stdio : [...stdio, "ignore", "ignore", outer],
    });
    children.push(child);
    await untilReady(child);
    const fd = openSync(`/proc/${child.pid}/ns/user`, "r");
    open.push(fd);
    return fd;
  };
  try {
    const outer = await make([unshare, "--user", "--map-root-user", "--"]);
    const ids = [`--map-user=${process.getuid?.()}`, `--map-group=${process.getgid?.()}`];
    const inner = await make([...inUserNamespace(nsenter, OUTER_FD), unshare, "--user", ...ids, "--"], outer);
    return { outer, inner };
  } catch (error) {
    for (const fd of open) closeSync(fd);
    const setting = refusingSetting();
    if (setting === null) throw error;
    throw new Error(`${(error as Error).message} (${setting} is ${REFUSING[setting].value})`);
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
}
