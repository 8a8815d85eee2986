/** The private networks of a stack: its services resolve each other by name there, and no other stack has access. */
import { createSocket } from "node:dgram";
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import type { NetworkDefinition, ServiceDefinition, StackDefinition } from "../../../stack/definition/types.js";
import { withRetry } from "../../../system/retry.js";
import { engineMessage, isConnectionError, unreachable } from "../engine/errors.js";
import { identityHash, LABEL, type StackIdentity, serverId, stackLabels } from "../leftovers/labels.js";
import { addressFault } from "./addresses.js";

export interface StackNetwork {
  id: string;
  /** Name on the engine. */
  name: string;
  /**
   * True when this machine has an address on it, so that checks reach containers at theirs. False for virtual and
   * remote machines.
   */
  direct: boolean;
  /** It has the addresses of the compose file: services can have fixed ones. */
  fixed: boolean;
}

/** Tests for an address of this machine by binding it: the list of interfaces omits a bridge without containers. */
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

/** Another program changed the machine's firewall rules at the same time: the engine's own change fails then. */
const FIREWALL_RETRY = {
  maxRetries: 3,
  baseDelayMs: 50,
  classify: (error: unknown): boolean => /iptables failed|xtables lock/i.test(engineMessage(error)),
};

interface NetworkOptions {
  docker: Docker;
  identity: StackIdentity;
  host: string;
  /** The engine gives this machine its address on a network with the first container (Podman). */
  late: boolean;
  /** True when the engine runs on this machine. */
  sameMachine: boolean;
  warn(message: string): void;
}

const ipamConfig = ({ ipam = [] }: NetworkDefinition) => ({
  Driver: "default",
  Config: ipam.map(({ subnet, ipRange, gateway, auxiliary }) => ({
    Subnet: subnet,
    ...(ipRange === undefined ? {} : { IPRange: ipRange }),
    ...(gateway === undefined ? {} : { Gateway: gateway }),
    ...(auxiliary === undefined ? {} : { AuxiliaryAddresses: auxiliary }),
  })),
});

/** Creates a network with the addresses of the file, else, with a warning, with addresses that the engine chooses. */
async function createNetwork(
  options: NetworkOptions,
  network: string,
  definition: NetworkDefinition,
): Promise<StackNetwork> {
  const { ipam = [] } = definition;
  if (ipam.length === 0) return create(options, network, definition);
  const without = ({ message }: { message: string }): Promise<StackNetwork> => {
    options.warn(
      `The network ${network} gets other addresses than the compose file's, and its services have no fixed ones: ${message}.`,
    );
    const { ipam: _ipam, ...rest } = definition;
    return create(options, network, rest);
  };
  const fault = addressFault(ipam, options.sameMachine);
  if (fault !== null) return without({ message: fault });
  return create(options, network, definition).catch((error: StackwardenError) => {
    if (error.code !== "RUNTIME_UNAVAILABLE" || isConnectionError(error.cause)) throw error;
    return without({ message: engineMessage(error.cause) });
  });
}

/**
 * @param network name in the compose file
 * @throws RUNTIME_UNAVAILABLE, also when the engine has no free addresses
 */
async function create(
  { docker, identity, host, late }: NetworkOptions,
  network: string,
  definition: NetworkDefinition,
): Promise<StackNetwork> {
  const { internal, ipam = [] } = definition;
  const name = `stackwarden_${identity.projectId}_${network}_${identityHash(identity)}`;
  try {
    const created = await withRetry(
      () =>
        docker.createNetwork({
          Name: name,
          Driver: "bridge",
          Internal: internal,
          ...(ipam.length === 0 ? {} : { IPAM: ipamConfig(definition) }),
          CheckDuplicate: true,
          Labels: { ...stackLabels(identity), [LABEL.server]: serverId() },
        }),
      FIREWALL_RETRY,
    );
    const inspection = (await created.inspect()) as { Id: string; IPAM?: { Config?: { Gateway?: string }[] } };
    const gateways = (inspection.IPAM?.Config ?? []).flatMap(({ Gateway }) =>
      Gateway ? [Gateway.replace(/\/.*$/, "")] : [],
    );
    const own = late ? [gateways.length > 0] : await Promise.all(gateways.map(isOwnAddress));
    return { id: inspection.Id, name, direct: own.includes(true), fixed: ipam.length > 0 };
  } catch (error) {
    if (isConnectionError(error)) throw unreachable(host, error);
    throw new StackwardenError(
      "RUNTIME_UNAVAILABLE",
      `The stack's network ${network} cannot be created: ${engineMessage(error)}`,
      {
        hint: /address pool|non-overlapping/i.test(engineMessage(error))
          ? "The engine has no addresses left: remove unused networks with `docker network prune`."
          : "Read the message; `docker network ls` shows what there is.",
        cause: error,
      },
    );
  }
}

const DEFAULT_NETWORK = "default";

/** Names of a service's networks in the compose file. */
export function networkNames({ networks, networkMode }: ServiceDefinition): string[] {
  if (networkMode === "none") return [];
  const names = Object.keys(networks ?? {});
  return names.length === 0 ? [DEFAULT_NETWORK] : names;
}

/** Creates each network when the first service needs it. */
export class StackNetworks {
  readonly #created = new Map<string, Promise<StackNetwork>>();

  constructor(private readonly options: NetworkOptions) {}

  /** @throws RUNTIME_UNAVAILABLE */
  of(service: ServiceDefinition, definition: StackDefinition): Promise<StackNetwork[]> {
    return Promise.all(networkNames(service).map((name) => this.#one(name, definition)));
  }

  #one(name: string, { networks }: StackDefinition): Promise<StackNetwork> {
    const before = this.#created.get(name);
    if (before !== undefined) return before;
    const created = createNetwork(this.options, name, networks?.[name] ?? { internal: false, external: false });
    this.#created.set(name, created);
    // A failure is not cached: addresses may be free at the next start.
    created.catch(() => this.#created.delete(name));
    return created;
  }
}
