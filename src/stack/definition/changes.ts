/** Determines which services of a running stack a start changes. */
import { createHash } from "node:crypto";
import { publishedTokens } from "./graph.js";
import type { ServiceDefinition, StackDefinition } from "./types.js";

const digest = (content: string | Buffer | undefined): string | null =>
  content === undefined ? null : createHash("sha256").update(content).digest("hex");

/**
 * Everything that determines an instance. Excludes limits, which change on the running service, and annotations, which
 * no runtime applies.
 */
function fingerprint(service: ServiceDefinition, definition: StackDefinition): string {
  // A service that uses another service's published address also depends on that address.
  const published = Object.values(service.environment)
    .flatMap(publishedTokens)
    .map(({ service: other, port }) => [
      other,
      definition.services[other]?.ports.find((mapping) => mapping.containerPort === port)?.hostPort ?? null,
    ]);
  const secrets = service.secrets.map(({ source }) =>
    digest(definition.secrets[source] ?? definition.binarySecrets?.[source]),
  );
  const configs = (service.configs ?? []).map(({ source }) => digest(definition.configs?.[source]));
  const {
    limits: _limits,
    dependsOn: _order,
    commands: _commands,
    watch: _watch,
    annotations: _annotations,
    ...rest
  } = service;
  return JSON.stringify([rest, published, secrets, configs]);
}

export interface DefinitionChanges {
  added: string[];
  changed: string[];
  removed: string[];
}

export function compareDefinitions(before: StackDefinition, after: StackDefinition): DefinitionChanges {
  const names = Object.keys(after.services);
  return {
    added: names.filter((name) => before.services[name] === undefined),
    changed: names.filter((name) => {
      const [old, present] = [before.services[name], after.services[name]];
      return old !== undefined && present !== undefined && fingerprint(old, before) !== fingerprint(present, after);
    }),
    removed: Object.keys(before.services).filter((name) => after.services[name] === undefined),
  };
}
