/**
 * Normalises arguments as real clients send them: null for an absent field; numbers, booleans, lists and objects as
 * text; and the client's own extra fields. Only unambiguous values are converted. Other values stay unchanged, so that
 * the schema refuses them and the error shows the value sent.
 */
import type { z } from "zod";
import { durationMs } from "../stack/text/duration.js";
import { type Unit, unitOf } from "./fields.js";

type Schema = z.core.$ZodType;
interface Def {
  type: string;
  innerType?: Schema;
  shape?: Record<string, Schema>;
  element?: Schema;
  valueType?: Schema;
  options?: Schema[];
}

/** Fields that clients add to the arguments of tools: Cline its focus chain, Cursor a placeholder where a tool takes none. */
const CLIENT_FIELDS: ReadonlySet<string> = new Set(["task_progress", "random_string"]);

/** Maximum characters of text that is parsed as JSON. No argument needs more. */
const LONGEST_JSON = 200_000;

/** @returns a copy of `raw` for validation by `schema`; `raw` itself when it is not an object */
export function readArguments(schema: z.ZodObject, raw: unknown): unknown {
  return typeof raw === "object" && raw !== null && !Array.isArray(raw)
    ? readObject(schema.shape, raw, CLIENT_FIELDS)
    : raw;
}

function readObject(shape: Record<string, Schema>, raw: object, ignored: ReadonlySet<string> = new Set()): object {
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    const member = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (member === undefined && ignored.has(key)) continue;
    if (member !== undefined && value === null && isOptional(member)) continue;
    set(result, key, member === undefined ? value : readValue(member, value));
  }
  return result;
}

/** An assignment to `__proto__` would change the object instead of adding a member that the schema can refuse. */
const set = (target: object, key: string, value: unknown): void => {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
};

const defOf = (schema: Schema): Def => schema._zod.def as Def;
const isOptional = (schema: Schema): boolean => schema._zod.optin !== undefined;

function readValue(schema: Schema, value: unknown, unit: Unit | undefined = unitOf(schema)): unknown {
  const def = defOf(schema);
  if (def.innerType !== undefined) return readValue(def.innerType, value, unit ?? unitOf(def.innerType));
  switch (def.type) {
    case "number":
      return typeof value === "string" ? (numberIn(value, unit) ?? value) : value;
    case "boolean":
      return typeof value === "string" ? (booleanIn(value) ?? value) : value;
    case "array":
      return readList(def.element as Schema, value);
    case "object":
    case "record":
      return readMembers(def, value);
    case "union":
      return readUnion(def.options ?? [], value);
    default:
      return value;
  }
}

function readList(element: Schema, value: unknown): unknown {
  const list = typeof value === "string" ? listIn(element, value) : value;
  return Array.isArray(list) ? list.map((entry) => readValue(element, entry)) : list;
}

function readMembers({ shape, valueType }: Def, value: unknown): unknown {
  const object = typeof value === "string" ? (jsonIn(value, "{") ?? value) : value;
  if (typeof object !== "object" || object === null || Array.isArray(object)) return object;
  if (shape !== undefined) return readObject(shape, object);
  const result = {};
  for (const [key, member] of Object.entries(object)) set(result, key, readValue(valueType as Schema, member));
  return result;
}

/**
 * A union that accepts text keeps the text unchanged, unless the text is a JSON list or object that the union accepts.
 */
function readUnion(options: Schema[], value: unknown): unknown {
  const takes = (...types: string[]) => options.find((option) => types.includes(defOf(option).type));
  const list = takes("array");
  const object = takes("object", "record");
  if (typeof value === "string") {
    if (list !== undefined && jsonIn(value, "[") !== undefined) return readValue(list, value);
    if (object !== undefined && jsonIn(value, "{") !== undefined) return readValue(object, value);
    if (takes("string", "enum") !== undefined) return value;
    const other = takes("number") ?? takes("boolean") ?? list;
    return other === undefined ? value : readValue(other, value);
  }
  const option = Array.isArray(value) ? list : object;
  return option === undefined || typeof value !== "object" ? value : readValue(option, value);
}

function numberIn(text: string, unit: Unit | undefined): number | undefined {
  const whole = text.trim();
  if (/^[+-]?\d{1,17}(\.\d{1,17})?$/.test(whole)) return Number(whole);
  if (unit === "seconds") {
    const ms = durationMs(whole);
    return ms === null ? undefined : ms / 1000;
  }
  const size = unit === "megabytes" ? /^(\d{1,9}(?:\.\d{1,6})?) ?(m|g)(?:i?b)?$/i.exec(whole) : null;
  if (size === null) return undefined;
  return Number(size[1]) * (size[2]?.toLowerCase() === "g" ? 1024 : 1);
}

function booleanIn(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  return word === "true" ? true : word === "false" ? false : undefined;
}

/** A single entry becomes a list of one. Names may also be separated by commas. */
function listIn(element: Schema, text: string): unknown[] {
  const json = jsonIn(text, "[");
  if (Array.isArray(json)) return json;
  const named = ["string", "enum"].includes(defOf(element).type);
  return named && text.includes(",") ? text.split(",").map((part) => part.trim()) : [text];
}

function jsonIn(text: string, begin: "[" | "{"): unknown {
  const whole = text.trim();
  if (!whole.startsWith(begin) || whole.length > LONGEST_JSON) return undefined;
  try {
    const value: unknown = JSON.parse(whole);
    return typeof value === "object" ? value : undefined;
  } catch {
    return undefined;
  }
}
