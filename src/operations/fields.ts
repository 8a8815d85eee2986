/**
 * Fields that several operations share. Each has a short description for the tool list, where every character costs
 * tokens in every session, and a phrase for its valid values, which INVALID_INPUT errors and docs/TOOLS.md quote.
 */
import * as z from "zod";
import type { LimitChange, Limits } from "../stack/definition/types.js";
import { PROJECT_ID, SERVICE_NAME, SNAPSHOT_NAME } from "../stack/project-id.js";
import { durationMs } from "../stack/text/duration.js";

/** Unit of a numeric field. Text such as "5min" or "2g" is converted to this unit. */
export type Unit = "seconds" | "megabytes";

const facts = z.registry<{ valid: string; unit?: Unit }>();

/** Describes the valid values of a field; undefined for a schema without such a description. */
export const validOf = (schema: z.core.$ZodType): string | undefined => facts.get(schema)?.valid;

export const unitOf = (schema: z.core.$ZodType): Unit | undefined => facts.get(schema)?.unit;

/**
 * @param valid completes "expected …" in errors
 * @param purpose one sentence for the tool list; empty when the field's name is sufficient
 */
export function field<T extends z.ZodType>(schema: T, valid: string, purpose: string, unit?: Unit): T {
  const described = purpose === "" ? schema.clone() : schema.describe(purpose);
  facts.add(described, { valid, ...(unit === undefined ? {} : { unit }) });
  return described;
}

/** Members of Object.prototype. Used as a record's key, such a name would access the prototype. */
export const PROTOTYPE_KEYS: ReadonlySet<string> = new Set([
  ...Object.getOwnPropertyNames(Object.prototype),
  "prototype",
]);

const notPrototypeKey = (value: string): boolean => !PROTOTYPE_KEYS.has(value);
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this matches.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]|\p{Cs}/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this matches.
const CONTROL_BUT_TAB = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]|\p{Cs}/u;

const PROJECT_VALID = "1 to 63 lower-case letters, digits, _ or -, beginning with a letter or digit";
const NAME_VALID = "1 to 63 letters, digits, . _ or -, beginning with a letter or digit";

export const project = field(
  z.string().max(63).regex(PROJECT_ID).refine(notPrototypeKey, "is a reserved word"),
  PROJECT_VALID,
  "Project id.",
);

/** A service may be named `constructor`, so records keyed by service names have no prototype. */
const plainName = z.string().max(63).regex(SERVICE_NAME);

export const serviceName = (purpose: string) => field(plainName, NAME_VALID, purpose);

export const service = serviceName("Service name.");

export const services = field(
  z.array(plainName).min(1).max(50),
  `a list of 1 to 50 service names; a name has ${NAME_VALID}`,
  "",
);

const folder = field(
  z
    .string()
    .min(1)
    .max(4096)
    .refine((value) => !CONTROL.test(value), "contains a control character")
    .refine((value) => !value.startsWith("-"), "looks like an option")
    .refine((value) => !value.split(/[\\/]/).includes(".."), "contains '..'"),
  "a path of 1 to 4,096 characters without '..', control characters or a leading '-', below an allowed root",
  "Project folder: absolute, or relative to the first allowed root.",
);

const TIMEOUT_VALID = "a number of seconds from 1 to 600";
export const timeoutSeconds = (purpose: string) =>
  field(z.number().min(1).max(600), TIMEOUT_VALID, purpose, "seconds").default(50);

/** Long polls stay below the 60 s after which clients time out. */
export const waitSeconds = (purpose: string) =>
  field(z.number().min(0).max(50), "a number of seconds from 0 to 50", purpose, "seconds");

export const tail = field(z.int().min(1).max(10_000), "an integer from 1 to 10,000", "Last lines.").default(100);

export const flag = (purpose: string) => field(z.boolean(), "true or false", purpose);

const profiles = field(
  z.array(plainName).max(50),
  `a list of at most 50 profile names; a name has ${NAME_VALID}`,
  "Compose profiles.",
);

const composeFile = z
  .string()
  .min(1)
  .max(4096)
  .refine((value) => !CONTROL.test(value), "contains a control character")
  .refine((value) => !value.startsWith("-"), "looks like an option")
  .refine((value) => !value.split(/[\\/]/).includes(".."), "contains '..'");

const files = field(
  z.array(composeFile).min(1).max(20),
  "a list of 1 to 20 paths below the project's folder",
  "Compose files, merged in order.",
);

export const serviceList = (purpose: string) =>
  field(z.array(plainName).min(1).max(50), `a list of 1 to 50 service names; a name has ${NAME_VALID}`, purpose);

/** Inputs that select the project, its compose files and the services of a start. */
export const selection = {
  project,
  folder: folder.optional(),
  profiles: profiles.optional(),
  files: files.optional(),
  services: serviceList("Only these and their dependencies.").optional(),
  without: serviceList("Exclude these.").optional(),
};

const port = z.int().min(1).max(65_535);
const portKey = z
  .string()
  .max(69)
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}(:\d{1,5})?$/)
  .refine((value) => notPrototypeKey(value.split(":")[0] ?? ""), "is a reserved word");
export const ports = field(
  z.union([
    z.literal("auto"),
    z.record(portKey, port).refine((value) => Object.keys(value).length <= 50, "has more than 50 entries"),
  ]),
  'an object of at most 50 entries {service or service:container port: integer from 1 to 65,535}, or "auto"',
  'Host ports: {"web": 8001, "web:9090": 9001}; "auto": next free ones; {}: the compose file\'s.',
);

/** The value of a limit that returns to the compose file's. */
const UNSET = 0;
const UNSET_VALID = ", or 0 to return to the compose file's limit";
const unsetOrFrom = (least: number) => (value: number) => value === UNSET || value >= least;

export const cpus = field(
  z.number().min(UNSET).max(1024).refine(unsetOrFrom(0.01), "is too small"),
  `a number of cores from 0.01 to 1,024${UNSET_VALID}`,
  "",
);
export const memoryMb = field(
  z.int().min(UNSET).max(16_777_216).refine(unsetOrFrom(6), "is too small"),
  `an integer from 6 to 16,777,216 (MB of 1,048,576 bytes)${UNSET_VALID}`,
  "",
  "megabytes",
);
export const pids = field(z.int().min(UNSET).max(4_194_304), `an integer from 1 to 4,194,304${UNSET_VALID}`, "");

/** The change of limits that a call asks for. */
export const limitChange = (limits: { [Name in keyof Limits]?: number | undefined }): LimitChange =>
  Object.fromEntries(Object.entries(defined(limits)).map(([name, value]) => [name, value === UNSET ? null : value]));

const limitSet = z.strictObject({ cpus: cpus.optional(), memory_mb: memoryMb.optional(), pids: pids.optional() });
export const limitsByService = field(
  z.record(plainName, limitSet).refine((value) => Object.keys(value).length <= 50, "has more than 50 entries"),
  "an object of at most 50 entries {service name: {cpus?, memory_mb?, pids?}}",
  'Kept for later starts: {"web": {"cpus": 0.5, "memory_mb": 256}}.',
);

export const moment = field(
  z
    .string()
    .max(40)
    .refine((value) => momentMs(value, 0) !== null, "is not a point in time"),
  "an ISO 8601 date and time with zone such as 2026-01-31T12:00:00Z, or an age such as 30s, 10m, 1h30m, 1d",
  "ISO time, or an age such as 10m.",
);

const ISO = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** Epoch milliseconds of an ISO time, or of an age such as "5min" subtracted from `nowMs`; null for any other text. */
export function momentMs(value: string, nowMs: number): number | null {
  const age = durationMs(value);
  if (age !== null) return nowMs - age;
  if (!ISO.test(value)) return null;
  const time = Date.parse(value);
  return Number.isNaN(time) ? null : time;
}

const searchText = (purpose: string) =>
  field(
    z
      .string()
      .min(1)
      .max(1000)
      .refine((value) => !CONTROL_BUT_TAB.test(value), "contains a control character"),
    "a text of 1 to 1,000 characters without control characters",
    purpose,
  );
export const grep = searchText("Only lines with this text (case-insensitive).");
export const waitText = searchText("Wait for a line with this text.");

export const cursor = field(
  z
    .string()
    .max(200)
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.:=-]{0,199}$/),
  "the next_cursor of an earlier answer",
  "next_cursor of an earlier answer: only later lines.",
);

export const oneOf = <const T extends readonly [string, ...string[]]>(values: T, purpose: string) =>
  field(z.enum(values), `one of ${values.join(", ")}`, purpose);

export const listOf = <const T extends readonly [string, ...string[]]>(values: T, purpose: string) =>
  field(z.array(z.enum(values)).min(1).max(values.length), `a list of ${values.join(", ")}`, purpose);

/** Formats without toLocaleString: loading its tables takes a tenth of the server's start-up time. */
const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ",");

export const integer = (min: number, max: number, purpose: string) =>
  field(z.int().min(min).max(max), `an integer from ${grouped(min)} to ${grouped(max)}`, purpose);

/** Keeps absent fields absent (exactOptionalPropertyTypes): drops keys whose value is undefined. */
export function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never;
}

export const snapshotName = field(
  z.string().max(63).regex(SNAPSHOT_NAME).refine(notPrototypeKey, "is a reserved word"),
  NAME_VALID,
  "",
);

export const dataFrom = field(
  z.strictObject({ project, snapshot: snapshotName.optional() }),
  "an object {project, snapshot?}",
  "Copy another project's data first.",
);

const IDLE_VALID = 'a number of seconds from 1 to 31,536,000 or a duration such as "2h"; 0 switches it off';

/** @returns milliseconds, 0 for never; null for a value that is neither a number of seconds nor a duration in range */
export function idleStopMs(value: number | string): number | null {
  const number = typeof value === "string" && /^\d{1,9}(?:\.\d{1,6})?$/.test(value.trim()) ? Number(value) : value;
  const ms = typeof number === "number" ? number * 1000 : durationMs(number);
  return ms !== null && (ms === 0 || (ms >= 1000 && ms <= 31_536_000_000)) ? ms : null;
}

export const idleStop = field(
  z.union([z.number(), z.string().max(40)]).refine((value) => idleStopMs(value) !== null, "is not a time"),
  IDLE_VALID,
  'Stop after this time unused: seconds or "2h"; 0: off.',
);

export const commandSeconds = field(
  z.number().min(1).max(86_400),
  "a number of seconds from 1 to 86,400",
  "Kill the command after this time.",
  "seconds",
).default(50);

const argument = z
  .string()
  .max(65_536)
  .refine((value) => !value.includes("\u0000"), "contains a NUL");
export const commandLine = field(
  z.union([
    argument.min(1),
    z
      .array(argument)
      .min(1)
      .max(1000)
      .refine(([program]) => program !== "", "names no program"),
  ]),
  "a text of 1 to 65,536 characters, or a list of 1 to 1,000 of them, without NUL",
  "",
);

export const workdir = field(
  z
    .string()
    .max(4096)
    .regex(/^\//)
    .refine((value) => !CONTROL.test(value), "contains a control character"),
  "an absolute path of at most 4,096 characters without control characters",
  "Absolute path in the service.",
);

export const commandEnvironment = field(
  z
    .record(
      z
        .string()
        .max(256)
        .regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/),
      z
        .string()
        .max(65_536)
        .refine((value) => !value.includes("\u0000"), "contains a NUL"),
    )
    .refine((value) => Object.keys(value).length <= 100, "has more than 100 entries"),
  "an object of at most 100 entries {variable name: text of at most 65,536 characters without NUL}",
  "",
);

export const commandInput = field(z.string().max(262_144), "a text of at most 262,144 characters", "");
