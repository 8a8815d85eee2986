/** Checks of the first moments of a process: it does not run as root, and it listens on its port or exits. */
import { setTimeout as delay } from "node:timers/promises";
import { StackwardenError } from "../../errors.js";
import type { ServiceExit } from "../../stack/runtime.js";
import { isRootServer } from "../../system/root-server.js";
import type { Loopback } from "./network/loopback.js";
import { listenersOn } from "./ports/listeners.js";
import { isServiceUid } from "./process/user-range.js";
import type { ManagedProcess, ServiceUser } from "./types.js";

/**
 * Kills the process and throws when a service of a root server runs as root.
 * @throws POLICY_VIOLATION
 */
export async function refuseRoot(process: ManagedProcess, service: string): Promise<void> {
  if (!isRootServer() || process.effectiveUid() !== 0) return;
  await process.stop({ graceMs: 0 });
  throw new StackwardenError("POLICY_VIOLATION", `"${service}" ran as root and was ended.`, {
    hint: "Install util-linux (setpriv), which runs services as separate users.",
  });
}

/** The exit of an instance that ended shortly after its start. */
export type EarlyExit = { kind: "running" } | { kind: "exited"; exit: ServiceExit };

const STEP_MS = 20;

/**
 * Waits until the service listens, has ended, or the time is up.
 * @param ports the host ports of the service
 * @param loopback where it listens
 * @param foreign is called with a port on which the service's own user listens on a non-loopback address
 */
export async function waitForEarlyExit(
  process: ManagedProcess,
  ports: number[],
  user: ServiceUser,
  signal: AbortSignal,
  waitMs: number,
  loopback: Loopback,
  foreign: (port: number) => void,
): Promise<EarlyExit> {
  let exit: ServiceExit | undefined;
  void process.exited.then((processExit) => {
    exit = processExit;
  });
  const until = Date.now() + waitMs;
  const [port] = ports;
  while (exit === undefined && Date.now() < until) {
    signal.throwIfAborted();
    await Promise.race([process.exited, delay(STEP_MS)]);
    if (exit !== undefined || port === undefined) continue;
    const listening = await listenersOn(port, () => loopback.recentListeners());
    if (listening.some((one) => one.uid === null || one.uid === user.uid || !isRootServer())) break;
  }
  if (exit !== undefined) return { kind: "exited", exit };
  // The sockets of another user than a service's own can belong to its other programs.
  if (loopback.shared && isRootServer() && isServiceUid(user.uid)) {
    for (const one of (await loopback.listeners()) ?? []) if (one.uid === user.uid && !one.loopback) foreign(one.port);
  }
  return { kind: "running" };
}
