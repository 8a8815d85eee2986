/** Replaces the definition's host ports with those that a start requests. */
import { StackwardenError } from "../../errors.js";
import type { PortMapping, ServiceDefinition, StackDefinition } from "./types.js";

/** `web` for its first published port, or `web:9090` for container port 9090. */
const KEY = /^(.*?)(?::(\d{1,5}))?$/;

/** Turns fixed host ports into preferences: when a port is taken, the next free one is used. */
const preferred = ({ hostPort, hostPortEnd, ...mapping }: PortMapping): PortMapping =>
  hostPort === undefined
    ? mapping
    : // A range already accepts any free port.
      { ...mapping, ...(hostPortEnd === undefined ? { preferredPort: hostPort } : { hostPort, hostPortEnd }) };

/** A host port that a call selected. */
export interface SelectedPort {
  hostPort: number;
  /** The host port of the definition at that time, as text; null for any free one. */
  written: string | null;
}

/** The definition's mapping for a key; undefined when it publishes no such port. */
function mappingOf(definition: StackDefinition, key: string): PortMapping | undefined {
  const [, name = "", port] = KEY.exec(key) ?? [];
  const service = Object.hasOwn(definition.services, name) ? definition.services[name] : undefined;
  return service?.ports.find(({ containerPort }) => port === undefined || containerPort === Number(port));
}

/** The host port that the definition has for a key, as text; null for any free one. */
function writtenPort(definition: StackDefinition, key: string): string | null {
  const { hostPort, hostPortEnd } = mappingOf(definition, key) ?? {};
  if (hostPort === undefined) return null;
  return hostPortEnd === undefined ? String(hostPort) : `${hostPort}-${hostPortEnd}`;
}

/** @param definition without overrides */
export const selectPorts = (definition: StackDefinition, ports: Record<string, number>): Record<string, SelectedPort> =>
  Object.fromEntries(
    Object.entries(ports).map(([key, hostPort]) => [key, { hostPort, written: writtenPort(definition, key) }]),
  );

/**
 * Separates selected ports that still apply from those whose entry of the definition has changed since: the file is newer,
 * so it applies.
 */
export function currentPorts(
  definition: StackDefinition,
  selected: Record<string, SelectedPort>,
): { current: Record<string, SelectedPort>; outdated: string[] } {
  const current: Record<string, SelectedPort> = {};
  const outdated: string[] = [];
  for (const [key, port] of Object.entries(selected))
    if (mappingOf(definition, key) !== undefined && writtenPort(definition, key) === port.written) current[key] = port;
    else outdated.push(key);
  return { current, outdated };
}

/**
 * @param ports host port by service, for its first published port, or by `service:containerPort`
 * @param auto true when the definition's host ports are only preferences. Default false.
 * @throws UNKNOWN_SERVICE, INVALID_INPUT for a service that does not publish the port
 */
export function overridePorts(
  definition: StackDefinition,
  ports: Record<string, number>,
  auto = false,
): StackDefinition {
  const services: StackDefinition["services"] = Object.assign(Object.create(null), definition.services);
  const set = (service: ServiceDefinition, change: (mapping: PortMapping) => PortMapping): void => {
    services[service.name] = { ...service, ports: service.ports.map(change) };
  };
  if (auto) for (const service of Object.values(definition.services)) set(service, preferred);
  for (const [key, hostPort] of Object.entries(ports)) {
    const [, name = "", port] = KEY.exec(key) ?? [];
    const service = Object.hasOwn(services, name) ? services[name] : undefined;
    const valid = Object.values(definition.services).flatMap((one) =>
      one.ports.map(({ containerPort }) => `${one.name}:${containerPort}`),
    );
    const options = { hint: `Published ports: ${valid.join(", ") || "none"}.`, details: { valid } };
    if (service === undefined)
      throw new StackwardenError("UNKNOWN_SERVICE", `ports: the stack has no service ${name}.`, options);
    const target = port === undefined ? service.ports[0]?.containerPort : Number(port);
    if (!service.ports.some(({ containerPort }) => containerPort === target))
      throw new StackwardenError(
        "INVALID_INPUT",
        port === undefined ? `ports: ${name} publishes no port.` : `ports: ${name} does not publish port ${port}.`,
        options,
      );
    const done = new Set<PortMapping["protocol"]>();
    set(service, (mapping) => {
      // When a container port is published several times, change only its first entry for each protocol.
      if (mapping.containerPort !== target || done.has(mapping.protocol)) return mapping;
      done.add(mapping.protocol);
      const { preferredPort: _preferred, hostPortEnd: _end, ...rest } = mapping;
      return { ...rest, hostPort };
    });
  }
  return { ...definition, services };
}
