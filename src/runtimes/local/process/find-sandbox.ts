/** Whether services can have namespaces on this machine, detected by creating namespaces as for a service. */
import { closeSync, existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { isRootServer } from "../../../system/root-server.js";
import { withinOrNull } from "../../../system/wait.js";
import type { ServiceUser } from "../types.js";
import { type Inside, type LaunchSpec, launch, retryMounts } from "./launch.js";
import { joiningNamespaces, makingNamespaces, networkOf, type SandboxTools, sandboxArgs } from "./sandbox.js";
import { BLOCK_FD, systemFolders } from "./sandbox-check.js";
import { openUserNamespaces, type UserNamespaces } from "./user-namespaces.js";

const TRIAL_MS = 10_000;

/** A program of the system. */
export const firstFile = (name: string): string | null =>
  [`/usr/bin/${name}`, `/bin/${name}`].find((path) => existsSync(path)) ?? null;

/** The namespaces of a new process. */
export const ownNamespaces = (
  tools: SandboxTools,
  args: readonly string[],
  { network, ...check }: { network?: readonly string[]; pins: LaunchCheck["pins"]; targets: LaunchCheck["targets"] },
): NonNullable<LaunchSpec["namespaces"]> => ({
  kind: "own",
  words: [...makingNamespaces(tools, network), "--block-fd", String(BLOCK_FD), ...args],
  users: tools.users,
  check: { system: tools.system, ...check },
});

type LaunchCheck = Extract<NonNullable<LaunchSpec["namespaces"]>, { kind: "own" }>["check"];

/** The namespaces of a command that joins those of a process. */
export const joinedNamespaces = (
  tools: SandboxTools,
  { init, pidNamespace }: Inside,
): NonNullable<LaunchSpec["namespaces"]> => ({
  kind: "joined",
  words: joiningNamespaces(tools, init, networkOf(init) !== networkOf("self")),
  users: tools.users,
  pidNamespace,
});

/** Runs one command in namespaces, and another one that joins them. @throws Error with the reason of a failure */
async function tryNamespaces(tools: SandboxTools, setpriv: string): Promise<void> {
  const ids =
    tools.users === null
      ? { uid: 65_534, gid: 65_534 }
      : { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 };
  const user: ServiceUser = { ...ids, name: String(ids.uid), enforcement: { level: "none", reason: "a trial" } };
  const args = sandboxArgs({ tools, hidden: [], shared: [] }, { visible: [], programs: [] });
  const trial = async (script: string, namespaces: NonNullable<LaunchSpec["namespaces"]>) => {
    const launched = await launch({
      argv: ["/bin/sh", "-c", script],
      cwd: "/",
      env: {},
      user,
      tools: { setpriv, perl: null, withoutKeys: [], exactShell: false },
      stdin: "pipe",
      namespaces,
    });
    await launched.begin();
    return launched;
  };
  // Its own process id shows that the PID namespace is separate.
  const own = ownNamespaces(tools, args, { pins: [], targets: [] });
  const first = await retryMounts(() => trial("echo $$; read -r end", own));
  try {
    if (first.inside === null) throw new Error("it created no PID namespace");
    const second = await trial("echo $$", joinedNamespaces(tools, first.inside));
    const joined = await withinOrNull(text(second.stdout), TRIAL_MS);
    // When it ends, the kernel ends the command that joined it.
    first.child.stdin?.end();
    const printed = [joined, await withinOrNull(text(first.stdout), TRIAL_MS)];
    if (!printed.every((pid) => Number(pid) > 0 && Number(pid) < 20)) throw new Error("it created no PID namespace");
  } finally {
    first.child.kill("SIGKILL");
  }
}

/** @returns the programs, or the reason why services have no namespaces */
export async function findSandboxTools(setpriv: string | null): Promise<SandboxTools | { reason: string }> {
  if (process.platform !== "linux") return { reason: "only Linux has them" };
  const bwrap = firstFile("bwrap");
  const nsenter = firstFile("nsenter");
  const unshare = firstFile("unshare");
  if (bwrap === null) return { reason: "bubblewrap is not installed" };
  if (nsenter === null || unshare === null || setpriv === null)
    return { reason: "nsenter, unshare and setpriv of util-linux are not installed" };
  if (!existsSync("/proc/self/syscall")) return { reason: "the kernel does not show where a process waits" };
  const isRoot = isRootServer();
  let users: UserNamespaces | null = null;
  try {
    if (!isRoot) users = await openUserNamespaces({ unshare, nsenter });
  } catch (error) {
    return { reason: `this user cannot make user namespaces: ${(error as Error).message}` };
  }
  const tools = { bwrap, nsenter, users, system: isRoot ? await systemFolders(setpriv) : [] };
  try {
    await tryNamespaces(tools, setpriv);
    return tools;
  } catch (error) {
    if (users !== null) for (const fd of [users.outer, users.inner]) closeSync(fd);
    const { message } = ((error as Error).cause ?? error) as Error;
    return { reason: `bubblewrap cannot make namespaces: ${message}` };
  }
}
