/** What servers left on the engine that were killed together with their watchdog. */
import type Docker from "dockerode";
import { isAlive } from "../../../system/process-identity.js";
import { LABEL, type StackIdentity, serverId, stackLabels } from "./labels.js";
import { removeLabelled } from "./remove.js";

/** Whether the server that a label names lives on this machine. */
export function serverLives(id: string | undefined): boolean {
  const [, pid, started] = /^(\d+)@(.*)$/.exec(id ?? "") ?? [];
  return pid !== undefined && isAlive(Number(pid), started === "" ? null : (started ?? null));
}

/**
 * Removes containers and networks of a project whose lock this server holds: nothing of it may run yet.
 * @returns how many containers there were
 */
export const sweepProject = (docker: Docker, identity: StackIdentity): Promise<number> =>
  removeLabelled(docker, stackLabels(identity), (labels) => {
    const server = labels[LABEL.server];
    return server !== serverId() && serverLives(server);
  });
