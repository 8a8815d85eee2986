/** The schema of stackwarden.yaml and the type of the configuration, both made from the table of settings. */
import * as z from "zod";
import { SETTINGS, type SettingTable, type Zod } from "./settings.js";

/** Groups that are absent when none of their settings is given. */
const OPTIONAL_GROUPS: readonly string[] = ["oauth"];

type Key = keyof SettingTable;
type RawValue<K extends Key> = z.output<ReturnType<SettingTable[K]["schema"]>>;
type CamelCase<Text extends string> = Text extends `${infer First}_${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Text;
type ConfigPath<K extends Key> = SettingTable[K] extends { as: infer Path extends string } ? Path : CamelCase<K>;

/** `{ "logs.ring_mb": T }` as `{ logs: { ring_mb: T } }`. */
type Nested<Flat> = {
  [K in keyof Flat as K extends `${infer Group}.${string}` ? Group : K]: K extends `${infer Group}.${string}`
    ? { [Inner in keyof Flat as Inner extends `${Group}.${infer Name}` ? Name : never]: Flat[Inner] }
    : Flat[K];
};

/** The settings in the spelling of stackwarden.yaml, checked. */
export type RawConfig = Nested<{ [K in Key]: RawValue<K> }>;
/** The settings as the server uses them: camel case, milliseconds and bytes. */
export type SettingValues = Nested<{ [K in Key as ConfigPath<K>]: RawValue<K> }>;

/**
 * Not `z` itself: the bundle would then contain all of zod, with its messages in fifty languages, and every command
 * read it.
 */
const builders: Zod = {
  array: z.array,
  boolean: z.boolean,
  enum: z.enum,
  int: z.int,
  number: z.number,
  record: z.record,
  strictObject: z.strictObject,
  string: z.string,
  union: z.union,
  url: z.url,
};

function buildSchema() {
  const fields: Record<string, z.ZodType> = {};
  const groups: Record<string, Record<string, z.ZodType>> = {};
  for (const { key, schema } of SETTINGS) {
    const [group = "", name] = key.split(".");
    if (name === undefined) fields[key] = schema(builders);
    else {
      groups[group] ??= {};
      groups[group][name] = schema(builders);
    }
  }
  for (const [name, shape] of Object.entries(groups))
    fields[name] = OPTIONAL_GROUPS.includes(name)
      ? z.strictObject(shape).optional()
      : z.strictObject(shape).prefault({});
  return z.strictObject(fields);
}

export const configSchema = buildSchema();

/** Every setting by its dotted key; `*` stands for a name that the configuration chooses. */
export function settingKeys(schema: unknown = configSchema, path: string[] = []): string[] {
  const plain = unwrapped(schema);
  if (plain instanceof z.ZodObject)
    return Object.entries(plain.shape).flatMap(([key, value]) => settingKeys(value, [...path, key]));
  return plain instanceof z.ZodRecord ? settingKeys(plain.valueType, [...path, "*"]) : [path.join(".")];
}

/** Without `optional` and defaults. */
function unwrapped(schema: unknown): unknown {
  let plain = schema;
  while (plain instanceof z.ZodOptional || plain instanceof z.ZodDefault || plain instanceof z.ZodPrefault)
    plain = plain.unwrap();
  return plain;
}
