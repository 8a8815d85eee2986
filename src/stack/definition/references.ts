/**
 * Checks that everything a service refers to exists: services, volumes, networks, secrets, configs, published
 * addresses.
 */
import { nearest } from "../../system/nearest.js";
import type { NodeReader } from "./attributes/node-reader.js";
import { findCycle, publishedTokens } from "./graph.js";
import type { ServiceDefinition } from "./types.js";

export interface Declared {
  volumes: ReadonlySet<string>;
  networks: ReadonlySet<string>;
  configs: ReadonlySet<string>;
  secrets: ReadonlySet<string>;
}

function hintFor(name: string, services: readonly string[]): string {
  const near = nearest(name, services);
  return `${near === undefined ? "" : `Did you mean ${near}? `}Services are: ${services.join(", ")}.`;
}

export const leftOutNote = (name: string, other: string): string =>
  `${name} starts without ${other}, on which it depends: ${other} is left out.`;

const DECLARE = (section: string): string => `Declare it under the top-level \`${section}\`.`;

/**
 * Checks the references of the active `services`. `all` has every service of the files, active or not. `without` has
 * the services that the caller excludes.
 * @returns the dependencies that are excluded, by the service that starts without them
 */
export function checkReferences(
  services: Record<string, ServiceDefinition>,
  all: ReadonlyMap<string, NodeReader>,
  without: ReadonlySet<string>,
  declared: Declared,
  note: (text: string) => void,
): Record<string, string[]> {
  const missing: Record<string, string[]> = Object.create(null);
  const containers = new Map<string, string>();
  for (const [name, service] of Object.entries(services)) {
    const reader = all.get(name) as NodeReader;
    const at = (key: string): NodeReader => reader.entries().find(([one]) => one === key)?.[1] ?? reader;
    const { containerName } = service;
    const owner = containerName === undefined ? undefined : containers.get(containerName);
    if (owner !== undefined)
      note(
        `${owner} and ${name} have the same container_name ${containerName}; Docker Compose would not start the second.`,
      );
    else if (containerName !== undefined) containers.set(containerName, name);
    for (const [other, { required }] of Object.entries(service.dependsOn)) {
      if (Object.hasOwn(services, other)) continue;
      delete service.dependsOn[other];
      if (without.has(other)) {
        note(leftOutNote(name, other));
        missing[name] = [...(missing[name] ?? []), other];
      } else if (required && all.has(other))
        at("depends_on").invalid(
          `depends on ${other}, whose profile is not active`,
          "Start with one of its profiles, or write required: false.",
        );
      else if (required)
        at("depends_on").invalid(`depends on ${other}, which does not exist`, hintFor(other, [...all.keys()]));
    }
    for (const [key, value] of Object.entries(service.environment))
      for (const { token, service: target, port } of publishedTokens(value))
        if (!services[target]?.ports.some((mapping) => mapping.containerPort === port))
          reader.invalid(
            `${key} uses ${token}, which no service publishes`,
            "Name a service of the stack and a port in its `ports`.",
          );
    for (const mount of service.mounts)
      if (mount.type === "volume" && mount.anonymous !== true && !declared.volumes.has(mount.source))
        at("volumes").invalid(`uses the volume ${mount.source}, which is not declared`, DECLARE("volumes"));
    for (const network of Object.keys(service.networks ?? {}))
      if (network !== "default" && !declared.networks.has(network))
        at("networks").invalid(`uses the network ${network}, which is not declared`, DECLARE("networks"));
    for (const { source } of service.configs ?? [])
      if (!declared.configs.has(source))
        at("configs").invalid(`uses the config ${source}, which is not declared`, DECLARE("configs"));
    for (const { source } of [...service.secrets, ...(service.build?.secrets ?? [])])
      if (!declared.secrets.has(source))
        reader.invalid(`uses the secret ${source}, which is not declared`, DECLARE("secrets"));
  }
  const cycle = findCycle(services);
  if (cycle !== null)
    all
      .get(cycle[0] as string)
      ?.invalid(`depends on itself: ${cycle.join(" → ")}`, "Remove one of these dependencies.");
  return missing;
}
