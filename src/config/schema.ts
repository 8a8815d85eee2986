/** The one schema of the server's configuration, in the spelling of stackwarden.yaml (snake_case). */
import * as z from "zod";
import { PROJECT_ID } from "../stack/project-id.js";
import { durationMs } from "../stack/text/duration.js";
import { RUNTIMES } from "../stack/vocabulary.js";

const MB = 1024 * 1024;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters in a path are what is refused here.
const CONTROL = /[\u0000-\u001f\u007f]/;

const path = z
  .string()
  .min(1, "must not be empty")
  .max(4096)
  .refine((text) => !CONTROL.test(text), "must hold no control characters");

const SERVICE_REF = /^([a-z0-9][a-z0-9_-]{0,62}\/)?[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/;
const BIND_FOLDER = /^\/[^\0]*$/;

/** RFC 6749 */
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, "must be one word of printable ASCII characters");
const ENGINE_NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const engineName = z.string().regex(ENGINE_NAME, "an engine's name is lower-case letters, digits, _ and -");
const DOCKER_HOST = /^(?:unix|npipe|tcp|ssh|https?):\/\/[^\s]+$/;
const CONTEXT_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.+-]{0,254}$/;
const RUNNER_HOST = /^[a-z][a-z0-9-]*:\/\/./;
/** An image's name never begins like an option; what follows an @ is a whole digest. */
const IMAGE = /^[a-z0-9][A-Za-z0-9._/:-]{0,254}(@sha256:[0-9a-f]{64})?$/;

/**
 * With `node` on its PATH: the gateway to published ports is a script. A tag, because it is the image of the built-in
 * stack's frontend too: the engine has pulled it once for both.
 */
export const GATEWAY_IMAGE = "node:20-alpine";

/** Where the Dagger SDK downloads the CLI. */
export const DAGGER_CLI_SOURCE = "https://dl.dagger.io/dagger/releases";
/** Encrypted, because the checksum comes from the same place; a mirror on this machine needs no encryption. */
const CLI_SOURCE = /^(?:https:\/\/[^\s@]+|http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?(?:\/[^\s@]*)?)$/;

export const configSchema = z.strictObject({
  runtime: z.enum(["auto", ...RUNTIMES]).default("auto"),
  roots: z.array(path).min(1, "must name at least one folder").optional(),
  state_dir: path.optional(),
  read_only: z.boolean().default(false),
  require_enforced_limits: z.boolean().default(false),
  allow_root: z.array(z.string().regex(SERVICE_REF, "must be `service` or `project/service`")).default([]),
  allow_binds: z
    .array(z.string().max(4096).regex(BIND_FOLDER, "must be an absolute path, with :rw at its end or not"))
    .default([]),
  commands: z.enum(["any", "declared", "off"]).default("any"),
  restart_budget: z.int().min(0).max(1000).default(3),
  start_timeout_seconds: z.number().min(1).max(86_400).default(300),
  idle_stop: z
    .union([z.number(), z.string()])
    .transform((value) => (typeof value === "number" || /^\d+$/.test(value) ? Number(value) * 1000 : durationMs(value)))
    .refine(
      (ms) => ms !== null && ms >= 1000 && ms <= 31_536_000_000,
      "must be a duration from 1s to 365d such as 2h or 90m, or a number of seconds",
    )
    .optional(),
  server_idle_seconds: z.number().min(1).max(31_536_000).default(600),
  log_level: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
  projects: z
    .record(
      z.string().regex(PROJECT_ID, "a project's id is lower-case letters, digits, _ and -, at most 63 characters"),
      z.strictObject({ folder: path, engine: engineName.optional() }),
    )
    .default({}),
  oauth: z
    .strictObject({
      issuer: z.url({ error: "must be a URL" }),
      audience: z.url({ error: "must be a URL" }),
      jwks_uri: z.url({ error: "must be a URL" }).optional(),
      read_scope: scope.default("stackwarden:read"),
      operate_scope: scope.default("stackwarden:operate"),
    })
    .optional(),
  engines: z
    .record(
      engineName,
      path.refine(
        (text) => RUNNER_HOST.test(text),
        "must be an engine's address such as unix:///path or tcp://host:port",
      ),
    )
    .default({}),
  engine: engineName.optional(),
  gateway_image: z
    .string()
    .regex(IMAGE, "must be an image's name, such as node:20-alpine or node@sha256:<64 hexadecimal digits>")
    .default(GATEWAY_IMAGE),
  dagger_tunnel: z.boolean().default(false),
  dagger_cli_download: z.boolean().default(true),
  dagger_cli_source: z
    .string()
    .max(2048)
    .regex(CLI_SOURCE, "must be an https:// address, without user and password")
    .default(DAGGER_CLI_SOURCE),
  local_network: z.enum(["auto", "isolated", "shared"]).default("auto"),
  docker_host: z
    .string()
    .regex(DOCKER_HOST, "must be a container engine's address: unix:///path, tcp://host:port or ssh://user@host")
    .optional(),
  docker_context: z.string().regex(CONTEXT_NAME, "must be the name of a Docker context").optional(),
  retry: z
    .strictObject({
      max_retries: z.int().min(0).max(10).default(3),
      base_delay_ms: z.int().min(1).max(60_000).default(1000),
    })
    .prefault({}),
  snapshots: z
    .strictObject({
      max_count: z.int().min(1).max(1000).default(10),
      max_mb: z.int().min(1).max(1_048_576).default(10_240),
    })
    .prefault({}),
  logs: z
    .strictObject({
      ring_mb: z.number().min(0.0625).max(1024).default(8),
      spool_mb: z.number().min(0.0625).max(102_400).default(64),
    })
    .prefault({}),
});

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

export type RawConfig = z.output<typeof configSchema>;

/** Megabytes as everywhere in the project: 1 MB = 1,048,576 bytes. */
export const bytesOfMb = (megabytes: number): number => Math.round(megabytes * MB);
