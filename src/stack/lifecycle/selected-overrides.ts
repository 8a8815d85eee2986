/** What calls selected in place of the compose file: for the open stack, and in a start in progress. */
import { repositoryOfWorktree } from "../../system/git-worktree.js";
import { type KeptLimits, keepChange, overrideLimits } from "../definition/override-limits.js";
import { currentPorts, overridePorts, type SelectedPort } from "../definition/override-ports.js";
import type { LimitChange, Limits, StackDefinition } from "../definition/types.js";
import type { ProjectStorage } from "../storage/project-storage.js";
import { outdatedLimits, outdatedPhrases } from "./overrides.js";
import type { ProjectSelection } from "./project-selection.js";

/** What calls selected for the open stack. Options of earlier calls stay in effect until the stack stops. */
export interface StackOptions {
  selection: ProjectSelection;
  ports: Record<string, SelectedPort>;
  autoPorts?: boolean;
  /** Epoch milliseconds before the definition was read. */
  readAt: number;
}
export const NO_OPTIONS: StackOptions = { selection: {}, ports: {}, readAt: 0 };

export const hostPorts = (selected: Record<string, SelectedPort>): Record<string, number> =>
  Object.fromEntries(Object.entries(selected).map(([key, { hostPort }]) => [key, hostPort]));

/** A start in progress. What it selects is kept when it succeeds. */
export interface Attempt {
  options: StackOptions;
  limits: Record<string, LimitChange>;
  /** Ports of earlier calls that the compose file has changed since. */
  outdatedPorts: Record<string, SelectedPort>;
  /** True once it has started or stopped a service. */
  changed: boolean;
}

interface LimitSources {
  storage: ProjectStorage;
  /** Limits of the call in progress, by service. They are not stored yet. */
  requested: Record<string, LimitChange>;
  definition: StackDefinition | undefined;
}

/**
 * Limits of a service's next instance. Limits set by calls override those of the definition; those of a service apply to
 * all of its instances.
 */
export function limitsOf({ storage, requested, definition }: LimitSources, service: string): Limits {
  const { limits, instanceOf = service } = definition?.services[service] ?? {};
  const written = limits ?? {};
  const keptOf = (name: string): KeptLimits => keepChange(storage.limits(name), requested[name] ?? {}, written);
  return overrideLimits(overrideLimits(written, keptOf(instanceOf)), keptOf(service));
}

/** The definition as a start without options would use it: with the ports that earlier calls selected. */
export function withSelected(written: StackDefinition, current: StackOptions, folder: string): StackDefinition {
  const { ports, autoPorts = repositoryOfWorktree(folder) !== null } = current;
  return overridePorts(written, hostPorts(currentPorts(written, ports).current), autoPorts);
}

/** Deletes limits that the definition has changed since they were set. @returns a phrase for each value that is dropped */
export async function dropOutdated(
  definition: StackDefinition,
  { outdatedPorts }: Attempt,
  storage: ProjectStorage,
): Promise<string[]> {
  const keptOf = (service: string): KeptLimits => storage.limits(service);
  const limits = outdatedLimits(definition, keptOf);
  const phrases = outdatedPhrases(definition, outdatedPorts, limits, keptOf);
  for (const [service, limit] of limits) await storage.keepLimits(service, { [limit]: null }, {});
  return phrases;
}
