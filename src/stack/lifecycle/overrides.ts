/** Ports and limits that calls set in place of those of the compose file: which still apply, and how to return to the file. */
import { isOutdated, type KeptLimits, LIMIT_NAMES } from "../definition/override-limits.js";
import type { SelectedPort } from "../definition/override-ports.js";
import type { Limits, StackDefinition } from "../definition/types.js";

type KeptOf = (service: string) => KeptLimits;

const fromFile = (value: string | number | null | undefined): string => `compose file: ${value ?? "none"}`;

/** A note on the values that apply in place of the compose file's; empty when there are none. */
export function overrideNotes(
  definition: StackDefinition,
  ports: Record<string, SelectedPort>,
  keptOf: KeptOf,
): string[] {
  const selected = Object.entries(ports)
    .filter(([, { hostPort, written }]) => String(hostPort) !== written)
    .map(([key, { hostPort, written }]) => `host port ${hostPort} of ${key} (${fromFile(written ?? "any")})`);
  const limited = Object.values(definition.services).flatMap(({ name, limits }) =>
    limitNames(keptOf(name))
      .filter((limit) => !isOutdated(limit, keptOf(name), limits) && keptOf(name)[limit] !== limits[limit])
      .map((limit) => `${limit} ${keptOf(name)[limit]} of ${name} (${fromFile(limits[limit])})`),
  );
  if (selected.length === 0 && limited.length === 0) return [];
  const back = [
    ...(selected.length === 0 ? [] : ['start_stack with "ports": {}']),
    ...(limited.length === 0 ? [] : ["set_limits with the value 0"]),
  ];
  return [`Set by calls: ${[...selected, ...limited].join("; ")}. To return to the compose file: ${back.join(", ")}.`];
}

/** Limits that were set before the definition changed them, by service. */
export function outdatedLimits(definition: StackDefinition, keptOf: KeptOf): [service: string, limit: keyof Limits][] {
  return Object.values(definition.services).flatMap(({ name, limits }) =>
    limitNames(keptOf(name))
      .filter((limit) => isOutdated(limit, keptOf(name), limits))
      .map((limit): [string, keyof Limits] => [name, limit]),
  );
}

const limitNames = (limits: KeptLimits): (keyof Limits)[] => LIMIT_NAMES.filter((name) => limits[name] !== undefined);

/** Phrases for values of calls that no longer apply. */
export function outdatedPhrases(
  definition: StackDefinition,
  ports: Record<string, SelectedPort>,
  limits: readonly [service: string, limit: keyof Limits][],
  keptOf: KeptOf,
): string[] {
  return [
    ...Object.entries(ports).map(
      ([key, { hostPort }]) => `${key} has the compose file's changed port, not ${hostPort} of an earlier call`,
    ),
    ...limits.map(
      ([service, limit]) =>
        `${service} has the compose file's changed ${limit} (${definition.services[service]?.limits[limit] ?? "none"}), not ${keptOf(service)[limit]} of an earlier call`,
    ),
  ];
}
