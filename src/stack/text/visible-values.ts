/**
 * Selects the secrets that are redacted by value. A password that is also the name of a service, image, user, database
 * or path of the same stack is already visible. Redacting it would hide identifiers that readers and callers need, and
 * protect nothing.
 */
import type { StackDefinition } from "../definition/types.js";
import { redactPatterns } from "./redaction-patterns.js";
import { isSecretName } from "./secret-names.js";

/** Variables whose value is a name: a database, a user, a host or a path. */
const NAMING =
  /(?:^|_)(?:db|database|dbname|schema|user|username|login|role|name|host|hostname|server|path|dir|folder|bucket|queue|topic|project)$|^pg(?:user|database|host)$/i;
const ADDRESS = /^[a-z][a-z0-9+.-]*:\/\//i;

function* visibleTexts(definition: StackDefinition, project: string): Generator<string> {
  yield project;
  yield definition.name;
  yield* definition.volumes;
  yield* Object.keys(definition.secrets);
  for (const [name, service] of Object.entries(definition.services)) {
    yield name;
    yield* [service.image, service.user, service.workingDir, service.build?.context].filter(
      (text) => text !== undefined,
    );
    yield* service.profiles;
    for (const mount of service.mounts) {
      yield mount.target;
      if (mount.type !== "tmpfs") yield mount.source;
    }
    for (const { source, target } of service.secrets) yield* [source, target];
    const secret = new Set(service.secretEnvironment);
    for (const [variable, value] of Object.entries(service.environment)) {
      if (ADDRESS.test(value)) yield redactPatterns(value);
      else if (!secret.has(variable) && !isSecretName(variable) && NAMING.test(variable)) yield value;
    }
  }
}

/**
 * The definition's secrets that must be redacted by value. Generated secrets are not included, because they are always
 * redacted.
 */
export function hiddenSecrets(definition: StackDefinition, project: string): string[] {
  const visible = [...visibleTexts(definition, project)];
  return definition.secretValues.filter((value) => !visible.some((text) => text.includes(value)));
}
