/** Adapts a definition to one runtime: removes unsupported settings and adds a note for each. */
import { RUNTIME_TRAITS, type RuntimeName } from "../vocabulary.js";
import { noteOf } from "./attributes/attributes.js";
import { withInstances } from "./instances.js";
import type { PortMapping, ServiceDefinition, StackDefinition } from "./types.js";

/** `services.build.target` → `build.target`; top-level attributes keep their section. */
const labelOf = (attribute: string): string => attribute.replace(/^services\./, "");

/** The ports that the runtime can publish. */
function possiblePorts(service: ServiceDefinition, runtime: RuntimeName, note: (text: string) => void): PortMapping[] {
  const { allPorts } = RUNTIME_TRAITS[runtime];
  const ports: PortMapping[] = [];
  for (const port of service.ports) {
    const portName = `${port.containerPort}/${port.protocol} of ${service.name}`;
    if (port.protocol === "udp" && !allPorts)
      note(`Port ${portName} is not published: this runtime publishes only TCP ports.`);
    else if (!allPorts && ports.some((other) => other.containerPort === port.containerPort))
      note(
        `Port ${portName} is published once, not on ${port.hostPort ?? "a second host port"} as well: this runtime publishes each port once.`,
      );
    else ports.push(port);
  }
  return ports;
}

/** Reduces a service to the ports that the runtime publishes. */
function adaptService(
  service: ServiceDefinition,
  runtime: RuntimeName,
  note: (text: string) => void,
): ServiceDefinition {
  if (service.networkMode === "none")
    note(`network_mode: none of ${service.name} has no effect: this runtime cannot remove a service's network.`);
  return { ...service, ports: possiblePorts(service, runtime, note) };
}

/**
 * Notes for attributes that the files use and the runtime does not support: one for each attribute, with its services.
 */
function attributeNotes({ uses = [] }: StackDefinition, runtime: RuntimeName): string[] {
  const services = new Map<string, Set<string>>();
  for (const { attribute, service } of uses) {
    if (noteOf(attribute, runtime) === null) continue;
    const names = services.get(attribute) ?? new Set<string>();
    if (service !== undefined) names.add(service);
    services.set(attribute, names);
  }
  return [...services].map(([attribute, names]) => {
    const of = names.size === 0 ? "" : ` (${[...names].join(", ")})`;
    return `${labelOf(attribute)}${of} has no effect on the ${runtime} runtime: ${noteOf(attribute, runtime)}`;
  });
}

export function forRuntime(definition: StackDefinition, runtime: RuntimeName): StackDefinition {
  const notes = [...definition.notes];
  const services: StackDefinition["services"] = Object.create(null);
  for (const [name, service] of Object.entries(definition.services))
    services[name] = adaptService(service, runtime, (text) => void notes.push(text));
  const expanded = withInstances({ ...definition, services }, runtime, (text) => void notes.push(text));
  return { ...expanded, notes: [...notes, ...attributeNotes(definition, runtime)] };
}
