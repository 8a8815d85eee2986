/**
 * Compose's rules for merging one file into another, and a service into the one that it extends. Mappings are merged,
 * lists are appended, and other values are replaced. Attributes in RULES have special rules (compose-go `override`).
 */
import { entry, isNull, mapping, sameTree, scalar, sequence, type Tree, textOf } from "./tree.js";

type Rule = (base: Tree, over: Tree, path: readonly string[], budget: Budget) => Tree;
/** Remaining number of values that may be merged. The bound limits files that aliases expand. */
export type Budget = { left: number };
export const mergeBudget = (): Budget => ({ left: 100_000 });

/**
 * Converts `NAME=value` lists and mappings to a mapping. A name without a value maps to null. Returns null for other
 * forms.
 */
function asValues(tree: Tree): ReadonlyMap<string, Tree> | null {
  if (tree.kind === "map") return tree.entries;
  const items = tree.kind === "list" ? tree.items : [tree];
  const values = new Map<string, Tree>();
  for (const item of items) {
    const text = textOf(item);
    if (text === undefined) return isNull(item) ? values : null;
    const equals = text.indexOf("=");
    if (equals < 0) values.set(text, scalar(item, null));
    else values.set(text.slice(0, equals), scalar(item, text.slice(equals + 1)));
  }
  return values;
}

const keyValues: Rule = (base, over) => {
  const [left, right] = [asValues(base), asValues(over)];
  return left === null || right === null ? over : mapping(over, new Map([...left, ...right]));
};

/** Converts lists and mappings of names to a mapping. A name without settings maps to null. */
function asNames(tree: Tree): ReadonlyMap<string, Tree> {
  if (tree.kind === "map") return tree.entries;
  const items = tree.kind === "list" ? tree.items : [tree];
  return new Map(
    items.flatMap((item) => (textOf(item) === undefined ? [] : [[textOf(item) as string, scalar(item, null)]])),
  );
}

const names: Rule = (base, over, path, budget) =>
  mergeEntries(mapping(base, asNames(base)), mapping(over, asNames(over)), path, budget);

const asSequence = (tree: Tree): readonly Tree[] =>
  tree.kind === "list"
    ? tree.items
    : tree.kind === "map"
      ? [...tree.entries].map(([key, value]) => scalar(value, isNull(value) ? key : `${key}=${textOf(value) ?? ""}`))
      : isNull(tree)
        ? []
        : [tree];

const appended: Rule = (base, over) => sequence(over, withoutRepeats([...asSequence(base), ...asSequence(over)]));
const replaced: Rule = (_base, over) => over;

const build: Rule = (base, over, path, budget) => {
  const wide = (tree: Tree): Tree => (tree.kind === "map" ? tree : mapping(tree, new Map([["context", tree]])));
  return mergeEntries(wide(base), wide(over), path, budget);
};

/** Merges options only when both files use the same driver. */
const logging: Rule = (base, over, path, budget) => {
  const [left, right] = [textOf(entry(base, "driver")), textOf(entry(over, "driver"))];
  return left === right || left === undefined || right === undefined ? mergeEntries(base, over, path, budget) : over;
};

const ulimit: Rule = (base, over, path, budget) =>
  base.kind === "map" && over.kind === "map" ? mergeEntries(base, over, path, budget) : over;

const RULES: Record<string, Rule> = {
  "services.*.annotations": keyValues,
  "services.*.build": build,
  "services.*.build.args": keyValues,
  "services.*.build.additional_contexts": keyValues,
  "services.*.build.extra_hosts": appended,
  "services.*.build.labels": keyValues,
  "services.*.command": replaced,
  "services.*.depends_on": names,
  "services.*.deploy.labels": keyValues,
  "services.*.dns": appended,
  "services.*.dns_opt": appended,
  "services.*.dns_search": appended,
  "services.*.entrypoint": replaced,
  "services.*.env_file": appended,
  "services.*.label_file": appended,
  "services.*.environment": keyValues,
  "services.*.extra_hosts": appended,
  "services.*.healthcheck.test": replaced,
  "services.*.labels": keyValues,
  "services.*.logging": logging,
  "services.*.models": names,
  "services.*.networks": names,
  "services.*.sysctls": keyValues,
  "services.*.tmpfs": appended,
  "services.*.ulimits.*": ulimit,
  "networks.*.labels": keyValues,
  "volumes.*.labels": keyValues,
  "secrets.*.labels": keyValues,
  "configs.*.labels": keyValues,
};

/** Looks up the rule of a path. Names that users choose are `*` in RULES. */
const ruleOf = (path: readonly string[]): Rule | undefined => {
  const [kind, , third, ...rest] = path;
  if (kind === undefined || third === undefined) return undefined;
  const fixed = [kind, "*", third, ...(third === "ulimits" && rest.length > 0 ? ["*", ...rest.slice(1)] : rest)];
  return RULES[fixed.join(".")];
};

function withoutRepeats(items: readonly Tree[]): Tree[] {
  const texts = new Set<string>();
  const kept: Tree[] = [];
  for (const item of items) {
    const text = item.kind === "scalar" ? `${typeof item.value} ${String(item.value)}` : null;
    if (text === null ? kept.some((other) => sameTree(other, item)) : texts.has(text)) continue;
    if (text !== null) texts.add(text);
    kept.push(item);
  }
  return kept;
}

function mergeEntries(base: Tree, over: Tree, path: readonly string[], budget: Budget): Tree {
  if (base.kind !== "map" || over.kind !== "map") return over;
  const entries = new Map(base.entries);
  for (const [key, value] of over.entries) {
    const before = entries.get(key);
    entries.set(key, before === undefined ? value : merge(before, value, [...path, key], budget));
  }
  return mapping(over, entries);
}

/**
 * Merges `over` into `base`; `path` is the position of both, for example `["services", "db"]`. Neither argument is
 * modified.
 */
export function merge(base: Tree, over: Tree, path: readonly string[], budget: Budget): Tree {
  budget.left -= 1;
  if (budget.left < 0)
    return {
      ...scalar(over, null),
      fault: { message: "the files are too large to be merged", hint: "Remove nested anchors and aliases." },
    };
  if (over.tag !== undefined || base.tag === "reset") return over;
  if (base.fault !== undefined) return base;
  if (over.fault !== undefined) return over;
  const rule = ruleOf(path);
  if (rule !== undefined)
    return isNull(over) && rule !== replaced ? base : isNull(base) ? over : rule(base, over, path, budget);
  if (isNull(over)) return base;
  if (isNull(base)) return over;
  const conflict = (): Tree => ({
    ...scalar(over, null),
    fault: {
      message: "has another form than in the file that it is merged into",
      hint: "Write it in the same form, or replace it with !override.",
    },
  });
  if (base.kind === "map") return over.kind === "map" ? mergeEntries(base, over, path, budget) : conflict();
  if (base.kind === "list")
    return over.kind === "list" ? sequence(over, withoutRepeats([...base.items, ...over.items])) : conflict();
  return over;
}
