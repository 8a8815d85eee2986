/** One cgroup for each container, below one for each engine. They are real cgroups, whose limits are enforced. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const ROOT = "/sys/fs/cgroup";
const CONTROLLERS = ["memory", "cpu", "cpuacct", "pids", "freezer"];

export const version = () => (existsSync(join(ROOT, "cgroup.controllers")) ? 2 : 1);

const controllers = () =>
  version() === 2 ? [""] : CONTROLLERS.filter((name) => existsSync(join(ROOT, name, "cgroup.procs")));

const parent = (/** @type {{folder: string}} */ engine) => `dagger-sim-${basename(engine.folder)}`;

/** Null if no cgroup can be created here. */
export function makeCgroups(engine, id) {
  try {
    const made = controllers().map((controller) => {
      const above = join(ROOT, controller, parent(engine));
      mkdirSync(above, { recursive: true });
      if (version() === 2) {
        for (const path of [ROOT, above]) writeFileSync(join(path, "cgroup.subtree_control"), "+memory +cpu +pids");
      }
      const path = join(above, id);
      mkdirSync(path, { recursive: true });
      return { controller, path };
    });
    return made.length === 0 ? null : made;
  } catch {
    return null;
  }
}

export function removeCgroups(cgroups) {
  for (const { path } of cgroups) {
    try {
      rmdirSync(path);
    } catch {
      // Its last process is ending, or it is already removed; the end of the engine removes what remains.
    }
  }
}

/** The engine's cgroups. @returns ids of those with processes */
export function removeEngineCgroups(engine) {
  const left = [];
  for (const controller of controllers()) {
    const above = join(ROOT, controller, parent(engine));
    if (!existsSync(above)) continue;
    for (const entry of readdirSync(above, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      left.push(
        ...readFileSync(join(above, entry.name, "cgroup.procs"), "utf8")
          .split("\n")
          .filter(Boolean),
      );
      try {
        rmdirSync(join(above, entry.name));
      } catch {
        // The result names the processes that remain.
      }
    }
    try {
      rmdirSync(above);
    } catch {
      // Likewise.
    }
  }
  return left.map(Number);
}
