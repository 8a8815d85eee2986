/**
 * Requests a separate cgroup from the user's systemd when the server was started in one that it shares with other
 * programs.
 */
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const execute = promisify(execFile);
const BUSCTL = "/usr/bin/busctl";
const MANAGER = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"];
const DEADLINE_MS = 3000;

/**
 * Asks the user's systemd to move this process into a new scope whose subtree is delegated to it.
 * @param present the process's cgroup path now
 * @returns whether the process is in another cgroup afterwards. Never throws.
 */
export async function enterDelegatedScope(present: () => Promise<string | null>): Promise<boolean> {
  const { pid, env } = process;
  if (env.XDG_RUNTIME_DIR === undefined && env.DBUS_SESSION_BUS_ADDRESS === undefined) return false;
  const before = await present();
  const name = `stackwarden-${pid}.scope`;
  const properties = ["2", "PIDs", "au", "1", String(pid), "Delegate", "b", "true"];
  const bus = Object.fromEntries(
    ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"].flatMap((key) => (env[key] === undefined ? [] : [[key, env[key]]])),
  );
  try {
    await execute(
      BUSCTL,
      ["--user", "call", ...MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", name, "fail", ...properties, "0"],
      { env: bus, cwd: "/", timeout: DEADLINE_MS },
    );
  } catch {
    // There is no systemd for the user, or it refuses.
    return false;
  }
  // systemd replies before it has moved the process.
  for (const end = Date.now() + DEADLINE_MS; Date.now() < end; await sleep(20))
    if ((await present()) !== before) return true;
  return false;
}
