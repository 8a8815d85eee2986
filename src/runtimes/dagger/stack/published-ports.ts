/** Who publishes a stack's ports: the gateway on 127.0.0.1, or Dagger's own tunnel on every address. */

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
  /** Of its start. */
  signal: AbortSignal;
}

export interface Published {
  /** What the instance's notes have to say. */
  notes: string[];
  /** The instance has ended, nothing leads to it any more, and its ports are held again; never rejects. */
  closed: Promise<unknown>;
}

export interface PublishedPorts {
  /**
   * Holds every port that the definition publishes, beside what is held already, and lets go of what it no longer
   * publishes. From then on other processes cannot take them.
   * @throws PORT_IN_USE naming every busy port and its service; nothing is changed then
   */
  reserve(definition: StackDefinition): Promise<void>;
  /** Published addresses. */
  endpoints(): Endpoint[];
  /** Of a published container port. */
  hostPort(service: string, containerPort: number): number | undefined;
  /** Before a service's container is prepared: its ports are held. @throws PORT_IN_USE */
  secure(service: string): Promise<void>;
  /** Together with the start of a service that publishes. @throws RUNTIME_UNAVAILABLE */
  start(signal: AbortSignal): Promise<void>;
  /** The instance runs: its ports lead to it. @throws PORT_IN_USE, RUNTIME_UNAVAILABLE, SERVICE_START_FAILED */
  open(instance: PublishedInstance): Promise<Published>;
  close(): Promise<void>;
}

/** @throws UNSUPPORTED for a port that is published twice */
export function publishedRequests(service: ServiceDefinition): PortRequest[] {
  const seen = new Set<number>();
  return service.ports.map(({ containerPort, hostPort, preferredPort }) => {
    if (seen.has(containerPort))
      throw new StackwardenError(
        "UNSUPPORTED",
        `Service "${service.name}" publishes port ${containerPort} twice; each port is published once.`,
        { hint: `Keep one of the two entries under services.${service.name}.ports.` },
      );
    seen.add(containerPort);
    return {
      service: service.name,
      containerPort,
      published: true,
      ...(hostPort === undefined ? {} : { hostPort }),
      ...(preferredPort === undefined ? {} : { preferredPort }),
    };
  });
}

/** The gateway serves the ports during the whole life of the stack, for every instance. Its owner closes it. */
export const throughGateway = (gateway: Gateway): PublishedPorts => ({
  reserve: (definition) => gateway.reserve(definition),
  endpoints: () => gateway.endpoints(),
  hostPort: (service, port) => gateway.hostPort(service, port),
  secure: async () => {},
  start: (signal) => gateway.start(signal),
  open: async ({ exited }) => ({ notes: [], closed: exited }),
  close: async () => {},
});
