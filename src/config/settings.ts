/**
 * Every setting of the operator, one row each: type and default, environment variable, flag, place in `Config`, and
 * what a file of the working directory may decide. Documentation, precedence and error messages come from this table.
 */
import type * as zod from "zod";
import { variableOf } from "../hint.js";
import { PROJECT_ID } from "../stack/project-id.js";
import { durationMs } from "../stack/text/duration.js";
import { RUNTIMES } from "../stack/vocabulary.js";

export type Kind = "text" | "boolean" | "number" | "paths" | "list" | "mapping";

/** What a stackwarden.yaml of the working directory may decide (`working-directory.ts`). */
export type Rule =
  /** Refused here. */
  | { kind: "forbidden" }
  /** Only this value is accepted. */
  | { kind: "only"; value: boolean }
  /** A number on this side of the operator's value, or of the default. */
  | { kind: "at most" | "at least" }
  /** One of these, and not before the operator's or the default: the first permits most. */
  | { kind: "not before"; values: readonly string[] }
  /** Folders below the file's own and below the operator's roots. */
  | { kind: "roots" }
  /** Counts where the operator decides nothing. */
  | { kind: "choice"; why: string };

/** The functions of zod that the table uses. */
export type Zod = Pick<
  typeof zod,
  "array" | "boolean" | "enum" | "int" | "number" | "record" | "strictObject" | "string" | "union" | "url"
>;

export interface Setting {
  /** Type, bounds and default. Takes zod as an argument, because the command line reads this table without it. */
  readonly schema: (z: Zod) => zod.ZodType;
  /** How a flag's or a variable's text is read. Default: text. A mapping is set in stackwarden.yaml only. */
  readonly kind?: Kind;
  /** Path in `Config`. Default: the key in camel case. */
  readonly as?: string;
  /** From the unit of the key to the unit of `Config`. */
  readonly convert?: (value: number) => number;
  /** What a file of the working directory may set; for a mapping, the rule of each key. */
  readonly workingDirectory: Rule | { keys: Readonly<Record<string, Rule>> };
  /** `stateDir` for `--state-dir`. Absent: there is no flag. */
  readonly flag?: string;
  /** For the command line; present exactly where there is a flag. */
  readonly help?: string;
  /** What the flag's value is called; absent for a boolean. */
  readonly placeholder?: string;
  /** Values the command line accepts. */
  readonly choices?: readonly string[];
  /** Of agents' servers alone (`mcp`, `serve`): a person's commands do not have it. */
  readonly agents?: true;
  /** Of the server's process: a command that joins a running server does not pass it on. */
  readonly process?: true;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters in a path are what is refused here.
const CONTROL = /[\u0000-\u001f\u007f]/;
const SERVICE_REF = /^([a-z0-9][a-z0-9_-]{0,62}\/)?[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/;
const BIND_FOLDER = /^\/[^\0]*$/;
/** RFC 6749 */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;
const ENGINE_NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const DOCKER_HOST = /^(?:unix|npipe|tcp|ssh|https?):\/\/[^\s]+$/;
const CONTEXT_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.+-]{0,254}$/;
const RUNNER_HOST = /^[a-z][a-z0-9-]*:\/\/./;
/** An image's name never begins like an option; what follows an @ is a whole digest. */
const IMAGE = /^[a-z0-9][A-Za-z0-9._/:-]{0,254}(@sha256:[0-9a-f]{64})?$/;
/** With `node` on its PATH. The engine has pulled this one for the built-in stack's frontend already. */
const GATEWAY_IMAGE = "node:20-alpine";
/** Where the Dagger SDK downloads the CLI. */
const DAGGER_CLI_SOURCE = "https://dl.dagger.io/dagger/releases";
/** Encrypted, because the checksum comes from the same place; a mirror on this machine needs no encryption. */
const CLI_SOURCE = /^(?:https:\/\/[^\s@]+|http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?(?:\/[^\s@]*)?)$/;

const path = (z: Zod) =>
  z
    .string()
    .min(1, "must not be empty")
    .max(4096)
    .refine((text) => !CONTROL.test(text), "must not contain control characters");
const engineName = (z: Zod) => z.string().regex(ENGINE_NAME, "an engine's name is lower-case letters, digits, _ and -");
const scope = (z: Zod) => z.string().regex(SCOPE, "must be one word of printable ASCII characters");
const url = (z: Zod) => z.url({ error: "must be a URL" });

const milliseconds = (seconds: number): number => Math.round(seconds * 1000);
/** Megabytes as everywhere in the project: 1 MB = 1,048,576 bytes. */
const bytes = (megabytes: number): number => Math.round(megabytes * 1024 * 1024);

const FORBIDDEN: Rule = { kind: "forbidden" };
const AT_MOST: Rule = { kind: "at most" };
const choice = (why: string): Rule => ({ kind: "choice", why });

const TABLE = {
  runtime: {
    schema: (z) => z.enum(["auto", ...RUNTIMES]).default("auto"),
    workingDirectory: choice("one of those that the operator's `auto` permits"),
    flag: "runtime",
    placeholder: "<name>",
    help: "runtime to use",
    choices: ["auto", ...RUNTIMES],
  },
  roots: {
    schema: (z) => z.array(path(z)).min(1, "must name at least one folder").optional(),
    kind: "paths",
    workingDirectory: { kind: "roots" },
    flag: "root",
    placeholder: "<folder>",
    help: "folder that may contain projects (repeatable)",
  },
  state_dir: {
    schema: (z) => path(z).optional(),
    workingDirectory: FORBIDDEN,
    flag: "stateDir",
    placeholder: "<folder>",
    help: "folder for data, logs and generated secrets",
    process: true,
  },
  /** Only read-only operations. */
  read_only: {
    schema: (z) => z.boolean().default(false),
    kind: "boolean",
    workingDirectory: { kind: "only", value: true },
    flag: "readOnly",
    help: "offer only operations that change nothing",
    agents: true,
  },
  require_enforced_limits: {
    schema: (z) => z.boolean().default(false),
    kind: "boolean",
    workingDirectory: { kind: "only", value: true },
    flag: "requireEnforcedLimits",
    help: "refuse to start services whose limits cannot be enforced",
  },
  allow_root: {
    schema: (z) => z.array(z.string().regex(SERVICE_REF, "must be `service` or `project/service`")).default([]),
    kind: "list",
    workingDirectory: FORBIDDEN,
  },
  allow_binds: {
    schema: (z) =>
      z
        .array(z.string().max(4096).regex(BIND_FOLDER, "must be an absolute path, optionally followed by :rw"))
        .default([]),
    kind: "list",
    workingDirectory: FORBIDDEN,
  },
  commands: {
    schema: (z) => z.enum(["any", "declared", "off"]).default("any"),
    workingDirectory: { kind: "not before", values: ["any", "declared", "off"] },
  },
  restart_budget: {
    schema: (z) => z.int().min(0).max(1000).default(3),
    kind: "number",
    workingDirectory: AT_MOST,
  },
  start_timeout_seconds: {
    schema: (z) => z.number().min(1).max(86_400).default(300),
    kind: "number",
    as: "startTimeoutMs",
    convert: milliseconds,
    workingDirectory: AT_MOST,
    flag: "startTimeout",
    placeholder: "<seconds>",
    help: "longest time for a stack to become healthy",
  },
  idle_stop: {
    schema: (z) =>
      z
        .union([z.number(), z.string()])
        .transform((value) =>
          typeof value === "number" || /^\d+$/.test(value) ? milliseconds(Number(value)) : durationMs(value),
        )
        .refine(
          (ms) => ms !== null && ms >= 1000 && ms <= 31_536_000_000,
          "must be a duration from 1s to 365d such as 2h or 90m, or a number of seconds",
        )
        .transform((ms) => Math.round(ms ?? 0))
        .optional(),
    as: "idleStopMs",
    workingDirectory: choice("the time without calls after which a stack stops"),
  },
  /** Seconds without client and without stack after which the background server ends. */
  server_idle_seconds: {
    schema: (z) => z.number().min(1).max(31_536_000).default(600),
    kind: "number",
    as: "serverIdleMs",
    convert: milliseconds,
    workingDirectory: AT_MOST,
  },
  /** Level of pino. */
  log_level: {
    schema: (z) => z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
    workingDirectory: choice("what this client's own log shows"),
    flag: "logLevel",
    placeholder: "<level>",
    help: "level of the server's log on standard error",
    process: true,
  },
  projects: {
    schema: (z) =>
      z
        .record(
          z.string().regex(PROJECT_ID, "a project's id is lower-case letters, digits, _ and -, at most 63 characters"),
          z.strictObject({ folder: path(z), engine: engineName(z).optional() }),
        )
        .default({}),
    kind: "mapping",
    workingDirectory: {
      keys: {
        "*.folder": choice("below the allowed roots; a known project keeps its folder"),
        "*.engine": choice("one of the operator's engines"),
      },
    },
  },
  /** Issuer whose access tokens the HTTP server accepts beside its own. */
  "oauth.issuer": { schema: url, workingDirectory: FORBIDDEN },
  "oauth.audience": { schema: url, workingDirectory: FORBIDDEN },
  /** Default: found in the issuer's metadata. */
  "oauth.jwks_uri": { schema: (z) => url(z).optional(), workingDirectory: FORBIDDEN },
  "oauth.read_scope": { schema: (z) => scope(z).default("stackwarden:read"), workingDirectory: FORBIDDEN },
  "oauth.operate_scope": { schema: (z) => scope(z).default("stackwarden:operate"), workingDirectory: FORBIDDEN },
  /** Dagger engines: name → what `_EXPERIMENTAL_DAGGER_RUNNER_HOST` would hold. */
  engines: {
    schema: (z) =>
      z
        .record(
          engineName(z),
          path(z).refine(
            (text) => RUNNER_HOST.test(text),
            "must be an engine's address such as unix:///path or tcp://host:port",
          ),
        )
        .default({}),
    kind: "mapping",
    as: "dagger.engines",
    workingDirectory: { keys: { "*": FORBIDDEN } },
  },
  /** Engine of projects that name none. Default: the Dagger CLI's own choice. */
  engine: {
    schema: (z) => engineName(z).optional(),
    as: "dagger.engine",
    workingDirectory: choice("one of the operator's engines"),
  },
  /** Image of the gateway to published ports; has `node` 18 or later on its PATH. */
  gateway_image: {
    schema: (z) =>
      z
        .string()
        .regex(IMAGE, "must be an image's name, such as node:20-alpine or node@sha256:<64 hexadecimal digits>")
        .default(GATEWAY_IMAGE),
    as: "dagger.gatewayImage",
    workingDirectory: FORBIDDEN,
  },
  /** Ports through Dagger's own tunnel, which opens them to the network. */
  dagger_tunnel: {
    schema: (z) => z.boolean().default(false),
    kind: "boolean",
    as: "dagger.tunnel",
    workingDirectory: { kind: "only", value: false },
  },
  dagger_cli_download: {
    schema: (z) => z.boolean().default(true),
    kind: "boolean",
    as: "dagger.cliDownload",
    workingDirectory: { kind: "only", value: false },
  },
  /** A program from there runs with the server's rights. */
  dagger_cli_source: {
    schema: (z) =>
      z
        .string()
        .max(2048)
        .regex(CLI_SOURCE, "must be an https:// address, without user and password")
        .default(DAGGER_CLI_SOURCE),
    as: "dagger.cliSource",
    workingDirectory: FORBIDDEN,
  },
  /** Whether stacks of the local runtime have separate networks: where the machine supports it, always, or never. */
  local_network: {
    schema: (z) => z.enum(["auto", "isolated", "shared"]).default("auto"),
    process: true,
    workingDirectory: FORBIDDEN,
  },
  /** Default: the address of `docker_context`, else the client's `DOCKER_HOST`. */
  docker_host: {
    schema: (z) =>
      z
        .string()
        .regex(DOCKER_HOST, "must be a container engine's address: unix:///path, tcp://host:port or ssh://user@host")
        .optional(),
    as: "docker.host",
    workingDirectory: FORBIDDEN,
  },
  /** Default: the Docker CLI's current context. */
  docker_context: {
    schema: (z) => z.string().regex(CONTEXT_NAME, "must be the name of a Docker context").optional(),
    as: "docker.context",
    workingDirectory: FORBIDDEN,
  },
  "retry.max_retries": {
    schema: (z) => z.int().min(0).max(10).default(3),
    kind: "number",
    workingDirectory: AT_MOST,
  },
  "retry.base_delay_ms": {
    schema: (z) => z.int().min(1).max(60_000).default(1000),
    kind: "number",
    workingDirectory: { kind: "at least" },
  },
  "snapshots.max_count": {
    schema: (z) => z.int().min(1).max(1000).default(10),
    kind: "number",
    workingDirectory: AT_MOST,
  },
  "snapshots.max_mb": {
    schema: (z) => z.int().min(1).max(1_048_576).default(10_240),
    kind: "number",
    as: "snapshots.maxBytes",
    convert: bytes,
    workingDirectory: AT_MOST,
  },
  "logs.ring_mb": {
    schema: (z) => z.number().min(0.0625).max(1024).default(8),
    kind: "number",
    as: "logs.ringBytes",
    convert: bytes,
    workingDirectory: AT_MOST,
  },
  "logs.spool_mb": {
    schema: (z) => z.number().min(0.0625).max(102_400).default(64),
    kind: "number",
    as: "logs.spoolBytes",
    convert: bytes,
    workingDirectory: AT_MOST,
  },
} as const satisfies Record<string, Setting>;

export type SettingTable = typeof TABLE;

type FlagText<S> = S extends { kind: "boolean" } ? boolean : S extends { kind: "paths" } ? string[] : string;

type SettingFlags = {
  -readonly [K in keyof SettingTable as SettingTable[K] extends { flag: infer Flag extends string }
    ? Flag
    : never]?: FlagText<SettingTable[K]>;
};

/** What the command line gives; absent means not given. Numbers arrive as text. */
export interface ConfigFlags extends SettingFlags {
  /** Path of a configuration file; it then is the only file read. */
  config?: string;
  /** A person's own choice of folder: it is an allowed root when no `--root` is given. */
  folder?: string;
}

export interface SettingRow extends Setting {
  /** Key in stackwarden.yaml; a dot separates levels. */
  readonly key: string;
  /** Environment variable; null for a mapping. */
  readonly env: string | null;
  readonly flag?: keyof SettingFlags;
}

export const SETTINGS: readonly SettingRow[] = Object.entries<Omit<SettingRow, "key" | "env">>(TABLE).map(
  ([key, setting]) => ({
    ...setting,
    key,
    env: setting.kind === "mapping" ? null : variableOf(key),
  }),
);
