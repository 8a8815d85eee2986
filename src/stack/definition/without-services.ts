/** A definition without services that a call stops while the others keep running. */
import { StackwardenError } from "../../errors.js";
import { publishedTokens } from "./graph.js";
import { leftOutNote } from "./references.js";
import type { StackDefinition } from "./types.js";

/**
 * Its volumes stay: they hold data, whether or not a service uses them.
 * @throws INVALID_INPUT when a remaining service uses the published address of one of them
 */
export function withoutServices(definition: StackDefinition, names: readonly string[]): StackDefinition {
  const services: StackDefinition["services"] = Object.create(null);
  const notes = [...definition.notes];
  const missing: Record<string, string[]> = Object.assign(Object.create(null), definition.missingDependencies);
  for (const name of names) delete missing[name];
  for (const [name, service] of Object.entries(definition.services)) {
    if (names.includes(name)) continue;
    for (const [key, value] of Object.entries(service.environment)) {
      const used = publishedTokens(value).find((token) => names.includes(token.service));
      if (used !== undefined)
        throw new StackwardenError("INVALID_INPUT", `${name} uses the address of ${used.service} in ${key}.`, {
          hint: `Stop ${name} too, or keep ${used.service}.`,
          details: { service: name },
        });
    }
    const dependsOn = { ...service.dependsOn };
    for (const other of names) {
      if (dependsOn[other] === undefined) continue;
      delete dependsOn[other];
      missing[name] = [...(missing[name] ?? []), other];
      const note = leftOutNote(name, other);
      if (!notes.includes(note)) notes.push(note);
    }
    services[name] = { ...service, dependsOn };
  }
  return { ...definition, services, notes, missingDependencies: missing };
}
