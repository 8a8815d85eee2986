/** Environment of a service, with published addresses filled in and secrets separated. */
import type { ServiceDefinition, StackDefinition } from "../../../stack/definition/types.js";

const PUBLISHED = /\{published:([A-Za-z0-9._-]+):(\d{1,5})\}/g;
/** Minimum length of a secret: shorter values occur in harmless text everywhere. */
const SHORTEST_SECRET = 4;

export interface SplitEnvironment {
  plain: Record<string, string>;
  secret: Record<string, string>;
}

export function splitEnvironment(
  service: ServiceDefinition,
  definition: StackDefinition,
  hostPort: (service: string, containerPort: number) => number | undefined,
): SplitEnvironment {
  const split: SplitEnvironment = { plain: Object.create(null), secret: Object.create(null) };
  const values = definition.secretValues.filter((value) => value.length >= SHORTEST_SECRET);
  for (const [name, raw] of Object.entries(service.environment)) {
    const value = raw.replace(PUBLISHED, (_whole, other: string, port: string) => {
      const published = hostPort(other, Number(port));
      // Not published: use the name by which other services of the stack reach it.
      return published === undefined ? `${other}:${port}` : `127.0.0.1:${published}`;
    });
    const secret = service.secretEnvironment.includes(name) || values.some((one) => value.includes(one));
    // The engine does not support empty secrets.
    if (secret && value !== "") split.secret[name] = value;
    else split.plain[name] = value;
  }
  return split;
}
