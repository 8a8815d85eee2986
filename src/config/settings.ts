/**
 * Every setting that has a flag or an environment variable, in one table: documentation, precedence and
 * error messages all come from it.
 */
import { delimiter } from "node:path";
import { RUNTIMES } from "../stack/vocabulary.js";
import { editDistance } from "../system/edit-distance.js";

type Kind = "text" | "boolean" | "number" | "paths" | "list";

export interface Setting {
  /** Key in stackwarden.yaml; a dot separates levels. */
  readonly key: string;
  readonly env: string;
  /** Name in ConfigFlags, when there is a flag. */
  readonly flag?: keyof ConfigFlags;
  readonly kind: Kind;
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

/** What the command line gives; absent means not given. Numbers arrive as text. */
export interface ConfigFlags {
  /** Path of a configuration file; it then is the only file read. */
  config?: string;
  runtime?: string;
  root?: string[];
  /** A person's own choice of folder: it is an allowed root when no `--root` is given. */
  folder?: string;
  stateDir?: string;
  readOnly?: boolean;
  requireEnforcedLimits?: boolean;
  logLevel?: string;
  startTimeout?: string;
}

export const SETTINGS: readonly Setting[] = [
  {
    key: "runtime",
    env: "STACKWARDEN_RUNTIME",
    flag: "runtime",
    kind: "text",
    placeholder: "<name>",
    help: "runtime to use",
    choices: ["auto", ...RUNTIMES],
  },
  {
    key: "roots",
    env: "STACKWARDEN_ROOTS",
    flag: "root",
    kind: "paths",
    placeholder: "<folder>",
    help: "folder that may contain projects (repeatable)",
  },
  {
    key: "state_dir",
    env: "STACKWARDEN_STATE_DIR",
    flag: "stateDir",
    kind: "text",
    placeholder: "<folder>",
    help: "folder for data, logs and generated secrets",
    process: true,
  },
  {
    key: "read_only",
    env: "STACKWARDEN_READ_ONLY",
    flag: "readOnly",
    kind: "boolean",
    help: "offer only operations that change nothing",
    agents: true,
  },
  {
    key: "require_enforced_limits",
    env: "STACKWARDEN_REQUIRE_ENFORCED_LIMITS",
    flag: "requireEnforcedLimits",
    kind: "boolean",
    help: "refuse to start services whose limits cannot be enforced",
  },
  { key: "allow_root", env: "STACKWARDEN_ALLOW_ROOT", kind: "list" },
  { key: "allow_binds", env: "STACKWARDEN_ALLOW_BINDS", kind: "list" },
  { key: "commands", env: "STACKWARDEN_COMMANDS", kind: "text" },
  { key: "restart_budget", env: "STACKWARDEN_RESTART_BUDGET", kind: "number" },
  {
    key: "start_timeout_seconds",
    env: "STACKWARDEN_START_TIMEOUT_SECONDS",
    flag: "startTimeout",
    kind: "number",
    placeholder: "<seconds>",
    help: "time for a stack to become healthy",
  },
  { key: "idle_stop", env: "STACKWARDEN_IDLE_STOP", kind: "text" },
  { key: "server_idle_seconds", env: "STACKWARDEN_SERVER_IDLE_SECONDS", kind: "number" },
  {
    key: "log_level",
    env: "STACKWARDEN_LOG_LEVEL",
    flag: "logLevel",
    kind: "text",
    placeholder: "<level>",
    help: "level of the server's log on standard error",
    process: true,
  },
  { key: "oauth.issuer", env: "STACKWARDEN_OAUTH_ISSUER", kind: "text" },
  { key: "oauth.audience", env: "STACKWARDEN_OAUTH_AUDIENCE", kind: "text" },
  { key: "oauth.jwks_uri", env: "STACKWARDEN_OAUTH_JWKS_URI", kind: "text" },
  { key: "oauth.read_scope", env: "STACKWARDEN_OAUTH_READ_SCOPE", kind: "text" },
  { key: "oauth.operate_scope", env: "STACKWARDEN_OAUTH_OPERATE_SCOPE", kind: "text" },
  { key: "engine", env: "STACKWARDEN_ENGINE", kind: "text" },
  { key: "gateway_image", env: "STACKWARDEN_GATEWAY_IMAGE", kind: "text" },
  { key: "dagger_tunnel", env: "STACKWARDEN_DAGGER_TUNNEL", kind: "boolean" },
  { key: "dagger_cli_download", env: "STACKWARDEN_DAGGER_CLI_DOWNLOAD", kind: "boolean" },
  { key: "dagger_cli_source", env: "STACKWARDEN_DAGGER_CLI_SOURCE", kind: "text" },
  { key: "local_network", env: "STACKWARDEN_LOCAL_NETWORK", kind: "text", process: true },
  { key: "docker_host", env: "STACKWARDEN_DOCKER_HOST", kind: "text" },
  { key: "docker_context", env: "STACKWARDEN_DOCKER_CONTEXT", kind: "text" },
  { key: "retry.max_retries", env: "STACKWARDEN_RETRY_MAX_RETRIES", kind: "number" },
  { key: "retry.base_delay_ms", env: "STACKWARDEN_RETRY_BASE_DELAY_MS", kind: "number" },
  { key: "snapshots.max_count", env: "STACKWARDEN_SNAPSHOTS_MAX_COUNT", kind: "number" },
  { key: "snapshots.max_mb", env: "STACKWARDEN_SNAPSHOTS_MAX_MB", kind: "number" },
  { key: "logs.ring_mb", env: "STACKWARDEN_LOGS_RING_MB", kind: "number" },
  { key: "logs.spool_mb", env: "STACKWARDEN_LOGS_SPOOL_MB", kind: "number" },
];

/** Settings that the command line has. */
export const FLAG_SETTINGS = SETTINGS.filter(
  (setting): setting is Setting & { flag: keyof ConfigFlags } => setting.flag !== undefined,
);

/** Flags that configure a client's view of a server that runs already. */
export const CLIENT_FLAGS: readonly (keyof ConfigFlags)[] = [
  "config",
  "folder",
  ...FLAG_SETTINGS.filter((setting) => setting.process !== true).map(({ flag }) => flag),
];

/** Read elsewhere than in the table. */
export const OTHER_VARIABLES = [
  "STACKWARDEN_CONFIG",
  "STACKWARDEN_NAMESPACES",
  "STACKWARDEN_PROGRAM_DIRS",
  "STACKWARDEN_PROJECT",
  "STACKWARDEN_TEST_SUMMARY",
];

/** `--state-dir` of `stateDir`. */
export const flagName = (flag: string): string => `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Text becomes the kind's type where it can; what cannot is left for the schema to refuse. */
export function parseText(kind: Kind, text: string): unknown {
  switch (kind) {
    case "boolean":
      if (/^(1|true|yes|on)$/i.test(text)) return true;
      if (/^(0|false|no|off)$/i.test(text)) return false;
      return text;
    case "number":
      return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
    case "paths":
      return text.split(delimiter).filter((part) => part !== "");
    case "list":
      return text
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== "");
    default:
      return text;
  }
}

/** A sentence for each variable that begins with `STACKWARDEN_` and has no meaning: most often a spelling mistake. */
export function misspeltVariables(env: NodeJS.ProcessEnv): string[] {
  const variableNames = [...SETTINGS.map((setting) => setting.env), ...OTHER_VARIABLES];
  return Object.keys(env)
    .filter((name) => name.startsWith("STACKWARDEN_") && !variableNames.includes(name))
    .sort()
    .map((name) => {
      const nearest = variableNames
        .map((one) => ({ one, distance: editDistance(one, name) }))
        .sort((a, b) => a.distance - b.distance)[0];
      const hint = nearest !== undefined && nearest.distance <= 3 ? ` Did you mean ${nearest.one}?` : "";
      return `The environment variable ${name} is not a setting and has no effect.${hint}`;
    });
}
