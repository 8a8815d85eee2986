/** Reads the services of a project: those that run, and what can be read of the others. */
import { StackwardenError } from "../../../errors.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import { SERVICE_NAME } from "../../project-id.js";
import { entry } from "../files/tree.js";
import { publishedTokens } from "../graph.js";
import type { ServiceDefinition } from "../types.js";
import { attributeUses } from "./attribute-uses.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { readService, type ServiceContext } from "./read-service.js";

/**
 * Maximum number of services, above what one machine runs. Code that follows dependencies recurses as deep as there are
 * services.
 */
const MOST_SERVICES = 500;

/** The services of a section by name. Reports names that are not valid. */
export function servicesOf(section: NodeReader | undefined): Map<string, NodeReader> {
  const all = new Map<string, NodeReader>();
  const written = hasValue(section) ? section.entries() : [];
  if (written.length > MOST_SERVICES)
    section?.invalid(`has ${written.length} services; ${MOST_SERVICES} are possible`, "Split the stack.");
  for (const [name, service] of written.slice(0, MOST_SERVICES)) {
    if (SERVICE_NAME.test(name)) all.set(name, service);
    else
      service.invalid(
        `${JSON.stringify(name.slice(0, 64))} is not a service name`,
        "Use letters, digits, dots, dashes and underscores; begin with a letter or digit.",
      );
  }
  return all;
}

/**
 * Reads the selected services. One that a provider would run is left out.
 * @param use receives each attribute that has no full effect on some runtime
 */
export function readSelected(
  all: ReadonlyMap<string, NodeReader>,
  names: readonly string[],
  {
    leftOut,
    use,
    ...context
  }: ServiceContext & { leftOut(service: string): void; use(attribute: string, service: string): void },
): Record<string, ServiceDefinition> {
  const services: Record<string, ServiceDefinition> = Object.create(null);
  for (const name of names) {
    const service = all.get(name) as NodeReader;
    if (
      hasValue(service) &&
      entry(service.tree, "provider") !== undefined &&
      entry(service.tree, "image") === undefined
    ) {
      context.note(`The service ${name} is left out: a provider outside of stackwarden would run it.`);
      leftOut(name);
      continue;
    }
    services[name] = readService(name, service, context);
    for (const attribute of attributeUses(service.tree, "services")) use(attribute, name);
  }
  return services;
}

/** The services that can be read. Problems of a service that does not run are not reported. */
export function readQuietly(
  all: ReadonlyMap<string, NodeReader>,
  names: readonly string[],
  context: Omit<ServiceContext, "note" | "envFile">,
): ServiceDefinition[] {
  return names.flatMap((name) => {
    const service = all.get(name);
    if (service === undefined) return [];
    try {
      return [readService(name, service, { ...context, note: () => undefined, envFile: () => undefined })];
    } catch (error) {
      if (error instanceof StackwardenError) return [];
      throw error;
    }
  });
}

/** Removes services of the built-in stack whose folder does not exist in the project. */
export function leaveOutAbsent(
  services: Record<string, ServiceDefinition>,
  folder: string,
  note: (text: string) => void,
): void {
  for (const [name, service] of Object.entries(services)) {
    const at = service.local?.workingDir;
    if (at === undefined || statBeneath(at, folder) !== undefined) continue;
    delete services[name];
    note(`The service ${name} is left out: the project has no folder ${name}/.`);
    for (const other of Object.values(services)) {
      delete other.dependsOn[name];
      for (const [key, value] of Object.entries(other.environment))
        if (publishedTokens(value).some((token) => token.service === name)) delete other.environment[key];
    }
  }
}

/** Removes services with 0 replicas. */
export function leaveOutEmpty(services: Record<string, ServiceDefinition>, note: (text: string) => void): void {
  for (const [name, service] of Object.entries(services)) {
    if (service.replicas !== 0) continue;
    delete services[name];
    note(`The service ${name} is left out: it has 0 replicas.`);
    for (const other of Object.values(services)) delete other.dependsOn[name];
  }
}
