/** A stack's own network: its services resolve each other by name there, and nothing of another stack is on it. */
import { networkInterfaces } from "node:os";
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import { engineMessage, isConnectionError, unreachable } from "../engine/errors.js";
import { identityHash, LABEL, serverId, type StackIdentity, stackLabels } from "../leftovers/labels.js";

export interface StackNetwork {
  id: string;
  name: string;
  /** This machine has an address on it: checks reach containers by theirs. Not so on virtual and other machines. */
  direct: boolean;
}

const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));

/** @throws SERVICE_START_FAILED when the engine has no addresses left, RUNTIME_UNAVAILABLE */
export async function createNetwork(docker: Docker, identity: StackIdentity, host: string): Promise<StackNetwork> {
  const name = `stackwarden_${identity.projectId}_${identityHash(identity)}`;
  try {
    const network = await docker.createNetwork({
      Name: name,
      Driver: "bridge",
      CheckDuplicate: true,
      Labels: { ...stackLabels(identity), [LABEL.server]: serverId() },
    });
    const found = (await network.inspect()) as { Id: string; IPAM?: { Config?: { Gateway?: string }[] } };
    const gateways = (found.IPAM?.Config ?? []).flatMap(({ Gateway }) => (Gateway ? [Gateway.replace(/\/.*$/, "")] : []));
    const own = ownAddresses();
    return { id: found.Id, name, direct: gateways.some((gateway) => own.includes(gateway)) };
  } catch (error) {
    if (isConnectionError(error)) throw unreachable(host, error);
    throw new StackwardenError("RUNTIME_UNAVAILABLE", `The stack's network cannot be created: ${engineMessage(error)}`, {
      hint: /address pool|non-overlapping/i.test(engineMessage(error))
        ? "The engine has no addresses left: remove unused networks with `docker network prune`."
        : "Read the message; `docker network ls` shows what there is.",
      cause: error,
    });
  }
}
