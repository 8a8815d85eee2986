/** The host ports of a service that shares the machine's network: every port it listens on. */

import { StackwardenError } from "../../../errors.js";
import type { PortRequest } from "../../shared/port-ledger.js";
import { ownPlaceholders } from "../addresses/address-rewrite.js";
import { providerOf } from "../providers/provider-of.js";
import { SERVERS } from "../servers/images.js";
import type { TranslatedService } from "../types.js";

/** Every port a service listens on, published first. */
export function portRequests(service: TranslatedService): PortRequest[] {
  const requests = new Map<number, PortRequest>();
  for (const mapping of service.ports) {
    if (requests.has(mapping.containerPort)) {
      throw new StackwardenError(
        "UNSUPPORTED",
        `Service "${service.name}" publishes port ${mapping.containerPort} twice; the local runtime publishes each port once.`,
        { hint: `Keep one of the two entries under services.${service.name}.ports.` },
      );
    }
    requests.set(mapping.containerPort, {
      service: service.name,
      containerPort: mapping.containerPort,
      published: true,
      ...(mapping.hostPort === undefined ? {} : { hostPort: mapping.hostPort }),
      ...(mapping.hostPortEnd === undefined ? {} : { hostPortEnd: mapping.hostPortEnd }),
      ...(mapping.preferredPort === undefined ? {} : { preferredPort: mapping.preferredPort }),
    });
  }
  const provider = providerOf(service);
  const inner = [...service.expose, ...(provider === null ? ownPlaceholders(service) : [])];
  const test = service.healthcheck?.test;
  if (test?.kind === "http" || test?.kind === "tcp") inner.push(test.port);
  if (service.server !== undefined) inner.unshift(...SERVERS[service.server].ports);
  if (provider !== null) inner.unshift(provider === "postgres" ? 5432 : 6379);
  for (const containerPort of inner) {
    if (containerPort === 0 && requests.size > 0) continue;
    if (!requests.has(containerPort)) {
      // The program of an image has its port in its code more often than it reads PORT.
      const preferred = service.recipe === undefined ? {} : { preferredPort: containerPort };
      requests.set(containerPort, { service: service.name, containerPort, published: false, ...preferred });
    }
  }
  return [...requests.values()];
}
