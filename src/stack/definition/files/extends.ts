/**
 * `extends`: a service inherits the attributes of another service in the same file or another one, and merges its own
 * over them.
 */
import { dirname, resolve } from "node:path";
import type { Lookup } from "./interpolate.js";
import { merge } from "./merge.js";
import { fileTrees, type ModelContext } from "./model-context.js";
import { entry, isNull, type Mapping, mapping, type Tree, textOf } from "./tree.js";

interface Services {
  /** As written; a base is resolved when it is needed. */
  written: ReadonlyMap<string, Tree>;
  resolved: Map<string, Tree>;
  path: string;
  /** Folder to which `extends.file` is relative. */
  folder: string;
}

export function resolveExtends(context: ModelContext, tree: Mapping, folder: string, path: string): Mapping {
  const services = tree.entries.get("services");
  if (services?.kind !== "map") return tree;
  const bases = new Map<string, Services | undefined>();

  const open = (file: string, lookup: Lookup, where: Tree): Services | undefined => {
    if (bases.has(file)) return bases.get(file);
    const place = { folder: dirname(file), lookup };
    let model: Tree | undefined;
    for (const one of fileTrees(context, file, place, where) ?? [])
      model = model === undefined ? one : merge(model, one, [], context.budget);
    const written = entry(model, "services");
    const opened =
      written?.kind === "map"
        ? { written: written.entries, resolved: new Map(), path: file, folder: dirname(file) }
        : undefined;
    if (model !== undefined && opened === undefined)
      context.problems.invalid(where, "", `${file} has no services`, "Name a compose file that defines the service.");
    bases.set(file, opened);
    return opened;
  };

  const resolveOne = (name: string, of: Services, chain: readonly string[]): Tree | undefined => {
    const resolved = of.resolved.get(name);
    if (resolved !== undefined) return resolved;
    const service = of.written.get(name);
    const reference = entry(service, "extends");
    if (service?.kind !== "map" || reference === undefined || isNull(reference)) return service;
    const own = new Map(service.entries);
    own.delete("extends");
    const plain = mapping(service, own);
    const at = `services.${name}.extends`;
    const step = `${name} in ${of.path}`;
    if (chain.includes(step)) {
      const whole = [...chain, step];
      const inFile = ` in ${of.path}`;
      const shown = whole.every((one) => one.endsWith(inFile))
        ? whole.map((one) => one.slice(0, -inFile.length))
        : whole;
      context.problems.invalid(reference, at, `extends itself: ${shown.join(" → ")}`, "Remove one of these extends.");
      return service;
    }
    const target = textOf(reference) ?? textOf(entry(reference, "service"));
    if (target === undefined) {
      context.problems.invalid(
        reference,
        at,
        "names no service",
        "Write { service: base }, with `file` for one of another file.",
      );
      return service;
    }
    const file = textOf(entry(reference, "file"));
    const from = file === undefined ? of : open(resolve(of.folder, file), reference.file.lookup, reference);
    if (from === undefined) return service;
    if (!from.written.has(target)) {
      context.problems.invalid(
        reference,
        at,
        `extends ${target}, which ${from.path} does not define`,
        `Services there: ${[...from.written.keys()].join(", ") || "none"}.`,
      );
      return service;
    }
    const base = resolveOne(target, from, [...chain, step]);
    const result = base === undefined || isNull(base) ? plain : merge(base, plain, ["services", name], context.budget);
    of.resolved.set(name, result);
    return result;
  };

  const here: Services = { written: services.entries, resolved: new Map(), path, folder };
  const entries = new Map<string, Tree>();
  for (const [name, service] of services.entries) entries.set(name, resolveOne(name, here, []) ?? service);
  return mapping(tree, new Map([...tree.entries, ["services", mapping(services, entries)]]));
}
