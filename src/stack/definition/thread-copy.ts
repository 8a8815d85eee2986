/**
 * Preserves what structured cloning between threads loses: objects without a prototype (a service may be named
 * `constructor`) are sent as maps, buffers as bytes.
 */
type Plain = Record<string, unknown>;

const isObject = (value: unknown): value is Plain => typeof value === "object" && value !== null;

/** Converts a value for `postMessage`. */
export function packed(value: unknown): unknown {
  if (!isObject(value) || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(packed);
  const entries = Object.entries(value).map(([key, one]): [string, unknown] => [key, packed(one)]);
  return Object.getPrototypeOf(value) === null ? new Map(entries) : Object.fromEntries(entries);
}

/** Restores the value that `packed` converted. */
export function unpacked(value: unknown): unknown {
  if (!isObject(value)) return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map(unpacked);
  if (value instanceof Map) {
    const bare = Object.create(null) as Plain;
    for (const [key, one] of value) bare[key] = unpacked(one);
    return bare;
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, unpacked(one)]));
}
