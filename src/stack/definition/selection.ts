/**
 * Selects the services of a stack: by active profiles, by the caller's names with their dependencies, without excluded
 * ones.
 */
import { StackwardenError } from "../../errors.js";
import { hasValue, type NodeReader } from "./attributes/node-reader.js";
import { readDependencies } from "./attributes/read-dependencies.js";
import { readLinks } from "./attributes/read-networks.js";
import { entry, type Tree } from "./files/tree.js";

export interface SelectionRequest {
  profiles: readonly string[];
  /** Profiles of COMPOSE_PROFILES. Unlike in `profiles`, an unknown name is not an error. */
  usualProfiles: readonly string[];
  services?: readonly string[];
  without?: readonly string[];
}

export interface Selection {
  /** In the files' order. */
  names: string[];
  /** Services that the caller excludes. */
  without: ReadonlySet<string>;
}

const child = (reader: NodeReader, key: string): NodeReader | undefined => {
  const tree: Tree | undefined = entry(reader.tree, key);
  return tree === undefined ? undefined : reader.entries().find(([name]) => name === key)?.[1];
};

function checkNames(what: string, names: readonly string[], valid: readonly string[]): void {
  const unknown = names.find((name) => !valid.includes(name));
  if (unknown === undefined) return;
  throw new StackwardenError("UNKNOWN_SERVICE", `${what}: the compose file has no service ${unknown}.`, {
    hint: `Services: ${valid.join(", ") || "none"}.`,
    details: { valid },
  });
}

/** @throws UNKNOWN_SERVICE, INVALID_INPUT for a profile that no service has */
export function selectServices(all: ReadonlyMap<string, NodeReader>, request: SelectionRequest): Selection {
  const valid = [...all.keys()];
  const { services = [], without = [] } = request;
  checkNames("services", services, valid);
  checkNames("without", without, valid);
  const profilesOf = new Map<string, string[]>();
  for (const [name, reader] of all) {
    const profiles = child(reader, "profiles");
    profilesOf.set(name, hasValue(profiles) ? profiles.strings("a profile") : []);
  }
  const profileNames = [...new Set([...profilesOf.values()].flat())].sort();
  const strange = request.profiles.find((profile) => profile !== "*" && !profileNames.includes(profile));
  if (strange !== undefined)
    throw new StackwardenError("INVALID_INPUT", `profiles: no service has the profile ${strange}.`, {
      hint: `Profiles: ${profileNames.join(", ") || "none"}.`,
      details: {
        issues: [
          { field: "profiles", problem: `unknown profile ${strange}`, valid: profileNames.join(", ") || "none" },
        ],
      },
    });
  const active = new Set([...request.profiles, ...request.usualProfiles]);
  const isActive = (name: string): boolean => {
    const profiles = profilesOf.get(name) ?? [];
    return profiles.length === 0 || active.has("*") || profiles.some((profile) => active.has(profile));
  };
  const excluded = new Set(without);
  const chosen = new Set<string>();
  // As in Compose, a service named by the caller is active regardless of its profiles.
  const waiting = services.length > 0 ? [...services] : valid.filter(isActive);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const reader = all.get(name);
    if (reader === undefined || chosen.has(name) || excluded.has(name)) continue;
    chosen.add(name);
    if (services.length === 0) continue;
    const links = readLinks(child(reader, "links"));
    for (const other of Object.keys(readDependencies(child(reader, "depends_on"), links)))
      if (all.has(other) && (isActive(other) || services.includes(other))) waiting.push(other);
  }
  return { names: valid.filter((name) => chosen.has(name)), without: excluded };
}
