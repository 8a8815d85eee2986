/** Reads and writes values of nested groups of settings by their path. */

export const isGroup = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export function valueAt(values: unknown, path: readonly string[]): unknown {
  let value = values;
  for (const name of path) value = isGroup(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return value;
}

/** Creates the groups that are missing. */
export function setAt(values: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let group = values;
  for (const name of path.slice(0, -1)) {
    if (!Object.hasOwn(group, name)) define(group, name, {});
    group = group[name] as Record<string, unknown>;
  }
  define(group, path.at(-1) as string, value);
}

/** Also for a key such as `__proto__`, which the schema then refuses. */
const define = (group: Record<string, unknown>, name: string, value: unknown): void => {
  Object.defineProperty(group, name, { value, enumerable: true, configurable: true, writable: true });
};
