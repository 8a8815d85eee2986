/** Publishes a stack's ports: through the gateway on 127.0.0.1, or through Dagger's own tunnel on every address. */

import { StackwardenError } from "../../../errors.js";
import type { ServiceDefinition, StackDefinition } from "../../../stack/definition/types.js";
import type { Endpoint } from "../../../stack/runtime.js";
import type { PortRequest } from "../../shared/port-ledger.js";
import type { Gateway } from "../gateway/types.js";

/** A running instance of a service. */
export interface PublishedInstance {
  service: string;
  /** Its id in the session. */
  id: string;
  /** Settles when it has ended; never rejects. */
  exited: Promise<unknown>;
  /** Signal of its start. */
  signal: AbortSignal;
}

export interface Published {
  /** Notes for the instance. */
  notes: string[];
  /** Settles when the instance has ended, its forwarding is closed, and its ports are held again; never rejects. */
  closed: Promise<unknown>;
}

export interface PublishedPorts {
  /**
   * Holds every port that the definition publishes, in addition to those already held, and releases the ports that it
   * no longer publishes. From then on other processes cannot take them. On failure nothing changes.
   * @throws PORT_IN_USE with every busy port and its service
   */
  reserve(definition: StackDefinition): Promise<void>;
  /** Published addresses. */
  endpoints(): Endpoint[];
  /** Host port of a published container port. */
  hostPort(service: string, containerPort: number): number | undefined;
  /**
   * Called before a service's container is prepared: holds its ports.
   * @throws PORT_IN_USE
   */
  secure(service: string): Promise<void>;
  /**
   * Called concurrently with the start of a service that publishes ports.
   * @throws RUNTIME_UNAVAILABLE
   */
  start(signal: AbortSignal): Promise<void>;
  /**
   * Called when the instance runs: forwards its ports to it.
   * @throws PORT_IN_USE, RUNTIME_UNAVAILABLE, SERVICE_START_FAILED
   */
  open(instance: PublishedInstance): Promise<Published>;
  close(): Promise<void>;
}

/** @throws UNSUPPORTED for a port that is published twice */
export function publishedRequests(service: ServiceDefinition): PortRequest[] {
  const containerPorts = new Set<number>();
  return service.ports.map(({ containerPort, hostPort, hostPortEnd, preferredPort }) => {
    if (containerPorts.has(containerPort))
      throw new StackwardenError(
        "UNSUPPORTED",
        `Service "${service.name}" publishes port ${containerPort} twice; each port is published once.`,
        { hint: `Keep one of the two entries under services.${service.name}.ports.` },
      );
    containerPorts.add(containerPort);
    return {
      service: service.name,
      containerPort,
      published: true,
      ...(hostPort === undefined ? {} : { hostPort }),
      ...(hostPortEnd === undefined ? {} : { hostPortEnd }),
      ...(preferredPort === undefined ? {} : { preferredPort }),
    };
  });
}

/** The gateway serves the ports for the lifetime of the stack, for every instance. Its owner closes it. */
export const throughGateway = (gateway: Gateway): PublishedPorts => ({
  reserve: (definition) => gateway.reserve(definition),
  endpoints: () => gateway.endpoints(),
  hostPort: (service, port) => gateway.hostPort(service, port),
  secure: async () => {},
  start: (signal) => gateway.start(signal),
  open: async ({ exited }) => ({ notes: [], closed: exited }),
  close: async () => {},
});
