/** The host ports of a stack: those that a start would use now, and those that differ from the definition. */
import { StackwardenError } from "../../errors.js";
import type { PortMapping, ServiceDefinition, StackDefinition } from "../definition/types.js";
import type { Endpoint, StackRuntime } from "../runtime.js";
import type { CheckProblem } from "../schemas/check.js";
import type { StackSettings } from "../settings.js";

export interface PortPlan {
  /** The host port of a mapping; null when it is not known. */
  hostPort(service: string, mapping: PortMapping): number | null;
  notes: string[];
  problems: CheckProblem[];
}

const protocolOf = ({ protocol }: Pick<Endpoint, "protocol">): string => protocol ?? "tcp";

/** The address of the project's running stack that a start keeps for a mapping. */
const keptFor = (own: readonly Endpoint[], service: string, mapping: PortMapping): Endpoint | undefined =>
  own.find(
    (endpoint) =>
      protocolOf(endpoint) === mapping.protocol &&
      (mapping.hostPort === undefined
        ? endpoint.service === service && endpoint.container_port === mapping.containerPort
        : endpoint.host_port >= mapping.hostPort && endpoint.host_port <= (mapping.hostPortEnd ?? mapping.hostPort)),
  );

export interface PlanOptions {
  definition: StackDefinition;
  runtime: StackRuntime;
  settings: StackSettings;
  /** Addresses of the project's running stack. */
  own(): readonly Endpoint[];
  /** True while the project's stack is starting. */
  starting(): boolean;
}

const NOT_CHECKED = "The host ports were not checked, because the stack is starting and holds them.";

export async function planPorts({ definition, runtime, settings, own, starting }: PlanOptions): Promise<PortPlan> {
  const problems: CheckProblem[] = [];
  let planned: Endpoint[] = [];
  let skipped = starting();
  if (!skipped) {
    const services = withoutKept(definition, own());
    try {
      planned = (await runtime.checkPorts?.({ definition: { ...definition, services }, settings })) ?? [];
    } catch (error) {
      problems.push(problemOf(error));
    }
    // A start that began meanwhile holds ports that the runtime then reports as busy.
    skipped = starting();
    if (skipped) {
      planned = [];
      problems.length = 0;
    }
  }
  const kept = own();
  const hostPort = (service: string, mapping: PortMapping): number | null =>
    (keptFor(kept, service, mapping) ?? keptFor(planned, service, mapping))?.host_port ?? mapping.hostPort ?? null;
  const moved = movedPorts(definition, [...kept, ...planned]).map(wouldMove);
  return { hostPort, problems, notes: skipped ? [NOT_CHECKED] : moved };
}

/** The services without the ports that the project's running stack has already. */
function withoutKept(definition: StackDefinition, own: readonly Endpoint[]): Record<string, ServiceDefinition> {
  const services: Record<string, ServiceDefinition> = Object.create(null);
  for (const service of Object.values(definition.services))
    services[service.name] = {
      ...service,
      ports: service.ports.filter((mapping) => keptFor(own, service.name, mapping) === undefined),
    };
  return services;
}

function problemOf(error: unknown): CheckProblem {
  if (!(error instanceof StackwardenError)) throw error;
  const { message, hint, details } = error;
  const busy = (details?.ports ?? []) as { service: string }[];
  const names = [...new Set(busy.map(({ service }) => service))];
  const service = names.length === 1 ? (names[0] ?? null) : null;
  const path = service === null ? "" : `services.${service}.ports`;
  return { kind: busy.length > 0 ? "port" : "runtime", service, file: "", line: null, path, message, hint };
}

interface MovedPort {
  service: string;
  containerPort: number;
  from: number;
  to: number;
}

/** Ports that are another one than the definition prefers, because that one is in use. */
export function movedPorts(definition: StackDefinition, endpoints: readonly Endpoint[]): MovedPort[] {
  return Object.values(definition.services).flatMap(({ name, ports }) =>
    ports.flatMap((mapping) => {
      const { preferredPort: from } = mapping;
      const to = keptFor(endpoints, name, mapping)?.host_port;
      return from === undefined || mapping.hostPort !== undefined || to === undefined || to === from
        ? []
        : [{ service: name, containerPort: mapping.containerPort, from, to }];
    }),
  );
}

/** How to get a port that no start changes. */
const fixed = ({ service, containerPort }: MovedPort, port: number): string =>
  `start_stack with ports ${JSON.stringify({ [`${service}:${containerPort}`]: port })} fixes it`;

const wouldMove = (moved: MovedPort): string =>
  `${moved.service}: host port ${moved.from} is in use; a start uses ${moved.to} now, or the next free one. ${fixed(moved, moved.to)}.`;

/** @returns a sentence for events and reports of a running stack */
export const hasMoved = (moved: MovedPort): string =>
  `${moved.service} uses host port ${moved.to}: ${moved.from}, which the compose file names, was in use. ${fixed(moved, moved.to)}.`;
