/** Removes what servers left on the engine when they were killed together with their watchdog. */
import type Docker from "dockerode";
import { isAlive } from "../../../system/process-identity.js";
import { LABEL, type StackIdentity, serverId, stackLabels } from "./labels.js";
import { removeLabelled } from "./remove.js";

/** Whether the server of a label runs on this machine. */
export function serverLives(id: string | undefined): boolean {
  const [, pid, started] = /^(\d+)@(.*)$/.exec(id ?? "") ?? [];
  return pid !== undefined && isAlive(Number(pid), started === "" ? null : (started ?? null));
}

/**
 * Removes containers and networks of a project whose lock this server holds; the project must not run yet.
 * @returns the number of removed containers
 */
export const sweepProject = (docker: Docker, identity: StackIdentity): Promise<number> =>
  removeLabelled(docker, stackLabels(identity), (labels) => {
    const server = labels[LABEL.server];
    return server !== serverId() && serverLives(server);
  });
