/**
 * Keeps a service from redirecting a bind mount. The engine follows links in the source of a bind when a container
 * starts. A service that can write to a folder of the project could replace a folder in it, which is the source of
 * another bind, by a link to any folder of the machine. Each such source, and each folder between, is therefore also
 * mounted at its place in the service's container: a mount point can be neither renamed nor removed.
 */
import { relative, sep } from "node:path";
import { join } from "node:path/posix";
import type { BindMount, Mount, StackDefinition } from "../../../stack/definition/types.js";
import { isBeneath } from "../../../system/is-beneath.js";

export interface PinnedBind {
  source: string;
  target: string;
}

const isBind = (mount: Mount): mount is BindMount => mount.type === "bind";

const bindsOf = (definition: Pick<StackDefinition, "services">): BindMount[] =>
  Object.values(definition.services).flatMap(({ mounts }) => mounts.filter(isBind));

/** Binds of any service whose sources a service with these mounts could replace. */
export const replaceable = (mounts: readonly Mount[], definition: Pick<StackDefinition, "services">): BindMount[] => {
  const writable = mounts.filter(isBind).filter(({ readOnly }) => !readOnly);
  return bindsOf(definition).filter(({ source }) =>
    writable.some((outer) => source !== outer.source && isBeneath(outer.source, source)),
  );
};

/**
 * @param mounts the service's own mounts
 * @param taken targets at which the container has a mount already
 * @param exists whether a source exists; a mount of a missing one would fail
 */
export function pinnedBinds(
  mounts: readonly Mount[],
  definition: Pick<StackDefinition, "services">,
  taken: readonly string[],
  exists: (source: string) => boolean,
): PinnedBind[] {
  const covered = new Set(taken);
  const pinned = new Map<string, PinnedBind>();
  for (const outer of mounts) {
    if (outer.type !== "bind" || outer.readOnly) continue;
    for (const { source } of replaceable([outer], definition)) {
      let at: PinnedBind = { source: outer.source, target: outer.target };
      for (const name of relative(outer.source, source).split(sep)) {
        at = { source: `${at.source === sep ? "" : at.source}${sep}${name}`, target: join(at.target, name) };
        // Another mount hides what is below it.
        if (covered.has(at.target) || !exists(at.source)) break;
        pinned.set(at.target, at);
      }
    }
  }
  return [...pinned.values()];
}
