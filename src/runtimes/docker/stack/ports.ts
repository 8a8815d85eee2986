/** The host ports of a service: those that it publishes. */
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import type { PortRequest } from "../../shared/port-ledger.js";

export const portRequests = (service: ServiceDefinition): PortRequest[] => {
  const keys = new Set<string>();
  return service.ports.flatMap(({ containerPort, hostPort, hostPortEnd, preferredPort, protocol }) => {
    // Identical entries are merged; one container port on several host ports is kept.
    const key = `${containerPort}/${protocol} ${hostPort}`;
    if (keys.has(key)) return [];
    keys.add(key);
    return [
      {
        service: service.name,
        containerPort,
        published: true,
        ...(protocol === "udp" ? { protocol } : {}),
        ...(hostPort === undefined ? {} : { hostPort }),
        ...(hostPortEnd === undefined ? {} : { hostPortEnd }),
        ...(preferredPort === undefined ? {} : { preferredPort }),
      },
    ];
  });
};
