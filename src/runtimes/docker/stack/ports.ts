/** The host ports of a service: those that it publishes. */
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import type { PortRequest } from "../../shared/port-ledger.js";

export const portRequests = (service: ServiceDefinition): PortRequest[] => {
  const seen = new Set<string>();
  return service.ports.flatMap(({ containerPort, hostPort, preferredPort }) => {
    // Identical entries are merged; one container port on several host ports is kept.
    const key = `${containerPort} ${hostPort}`;
    if (seen.has(key)) return [];
    seen.add(key);
    return [
      {
        service: service.name,
        containerPort,
        published: true,
        ...(hostPort === undefined ? {} : { hostPort }),
        ...(preferredPort === undefined ? {} : { preferredPort }),
      },
    ];
  });
};
