/** A stack's own network: its services resolve each other by name there, and nothing of another stack is on it. */
import { createSocket } from "node:dgram";
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import { engineMessage, isConnectionError, unreachable } from "../engine/errors.js";
import { identityHash, LABEL, type StackIdentity, serverId, stackLabels } from "../leftovers/labels.js";

export interface StackNetwork {
  id: string;
  name: string;
  /** This machine has an address on it: checks reach containers by theirs. Not so on virtual and other machines. */
  direct: boolean;
}

/** Only an address of this machine can be bound; a bridge without containers is on no list of interfaces. */
const isOwnAddress = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ address, port: 0, exclusive: true }, () => {
      socket.close();
      resolve(true);
    });
  });

/** @throws RUNTIME_UNAVAILABLE, also when the engine has no addresses left */
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
    const gateways = (found.IPAM?.Config ?? []).flatMap(({ Gateway }) =>
      Gateway ? [Gateway.replace(/\/.*$/, "")] : [],
    );
    const own = await Promise.all(gateways.map(isOwnAddress));
    return { id: found.Id, name, direct: own.includes(true) };
  } catch (error) {
    if (isConnectionError(error)) throw unreachable(host, error);
    throw new StackwardenError(
      "RUNTIME_UNAVAILABLE",
      `The stack's network cannot be created: ${engineMessage(error)}`,
      {
        hint: /address pool|non-overlapping/i.test(engineMessage(error))
          ? "The engine has no addresses left: remove unused networks with `docker network prune`."
          : "Read the message; `docker network ls` shows what there is.",
        cause: error,
      },
    );
  }
}
