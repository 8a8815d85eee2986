/**
 * Configuration: flags > STACKWARDEN_* > the user's stackwarden.yaml > defaults, each value with the place it came from.
 * A stackwarden.yaml of the working directory narrows it (`working-directory.ts`).
 */
import { realpath } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { z } from "zod";
import { StackwardenError } from "../errors.js";
import { clientEnvironment } from "../system/client-environment.js";
import { excludeProgramsBelow } from "../system/find-program.js";
import { defaultStateDir, userConfigFile } from "./default-paths.js";
import { isNoDefaultRoot } from "./default-roots.js";
import { type ConfigFile, readConfigFile } from "./file.js";
import { environmentLayer, flagLayer, type Layer, sourceOf } from "./layers.js";
import { setAt, valueAt } from "./nested.js";
import { configSchema, type RawConfig, type SettingValues } from "./schema.js";
import { type ConfigFlags, SETTINGS } from "./settings.js";
import type { Config } from "./types.js";
import { misspeltVariables } from "./variables.js";
import { isWithin, together, workingDirectoryLayers } from "./working-directory.js";

export interface LoadConfigRequest {
  flags?: ConfigFlags;
  env: NodeJS.ProcessEnv;
  /** Absolute. */
  cwd: string;
}

/**
 * @returns the whole configuration, every path absolute
 * @throws StackwardenError INVALID_INPUT naming the setting and its source; POLICY_VIOLATION when a file of the
 * working directory would lift a guard
 */
export async function loadConfig({ flags = {}, env, cwd }: LoadConfigRequest): Promise<Config> {
  const { own, local } = await findFiles(flags, env, cwd);
  const operatorLayers: Layer[] = [environmentLayer(env, cwd), flagLayer(flags, cwd)];
  const operator = own === null ? operatorLayers : [own, ...operatorLayers];
  const narrowing = local === null ? null : workingDirectoryLayers(local, together(operator));
  // Weakest first.
  const layers: Layer[] =
    narrowing === null
      ? operator
      : [narrowing.choices, ...(own === null ? [] : [own]), narrowing.restrictions, ...operatorLayers];
  const merged = together(layers);
  const parsed = configSchema.safeParse({ ...merged });
  if (!parsed.success) throw refusal(parsed.error, layers);
  const raw = parsed.data as RawConfig;
  checkEngineNames(raw, layers);
  const config = await toConfig(raw, layers, { flags, env, cwd });
  if (narrowing !== null) markSuggested(config, narrowing.choices, own);
  return config;
}

interface Files {
  /** The operator's: the named one, else the user's. */
  own: ConfigFile | null;
  /** The working directory's. */
  local: ConfigFile | null;
}

async function findFiles(flags: ConfigFlags, env: NodeJS.ProcessEnv, cwd: string): Promise<Files> {
  const named = flags.config ?? (env.STACKWARDEN_CONFIG || undefined);
  if (named !== undefined) {
    const path = resolve(cwd, named);
    const file = await readConfigFile(path);
    if (file === null) {
      throw new StackwardenError("INVALID_INPUT", `The configuration file ${path} does not exist.`, {
        hint: `Give ${flags.config === undefined ? "STACKWARDEN_CONFIG" : "--config"} the path of a stackwarden.yaml.`,
      });
    }
    return { own: file, local: null };
  }
  const place = userConfigFile({ env });
  const own = place === null ? null : await readConfigFile(place);
  const local = await readConfigFile(join(cwd, "stackwarden.yaml"));
  return { own, local: local?.path === own?.path ? null : local };
}

/**
 * Projects that only the working directory's file names stay below the allowed roots, and take over no known project.
 * @throws StackwardenError POLICY_VIOLATION
 */
function markSuggested(config: Config, choices: Layer, own: ConfigFile | null): void {
  const names = (values: unknown): string[] =>
    typeof values === "object" && values !== null ? Object.keys(values) : [];
  const trusted = new Set(names(own?.values.projects));
  for (const id of names(choices.values.projects)) {
    const project = config.projects[id];
    if (project === undefined || trusted.has(id)) continue;
    if (!config.roots.some((root) => isWithin(root, project.folder)))
      throw new StackwardenError(
        "POLICY_VIOLATION",
        `${choices.where(["projects", id, "folder"])}: projects.${id}.folder leads out of the allowed roots.`,
        {
          hint: "A file in the working directory can only narrow what the operator's configuration permits. Name the folder in the user's configuration, or add a root with --root.",
          details: { setting: `projects.${id}.folder`, roots: config.roots },
        },
      );
    config.projects[id] = { ...project, suggested: true };
  }
}

function refusal(error: z.ZodError, layers: readonly Layer[]): StackwardenError {
  const problems = error.issues.map((issue) => {
    const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
    const name = path.map(String).join(".");
    const what = issue.code === "unrecognized_keys" ? "is not a setting" : issue.message.replace(/^Invalid \w+: /, "");
    return { setting: name, source: sourceOf(path, layers), problem: what };
  });
  const [first] = problems;
  return new StackwardenError("INVALID_INPUT", `${first?.source}: ${first?.setting}: ${first?.problem}.`, {
    hint: `Settings: ${Object.keys(configSchema.shape).join(", ")}. docs/OPERATIONS.md describes them.`,
    details: { problems },
  });
}

/** @throws INVALID_INPUT when an engine is named that there is not */
function checkEngineNames(raw: RawConfig, layers: readonly Layer[]): void {
  const engineNames = Object.keys(raw.engines);
  const named: [path: string[], name: string | undefined][] = [
    [["engine"], raw.engine],
    ...Object.entries(raw.projects).map(([id, { engine }]): [string[], string | undefined] => [
      ["projects", id, "engine"],
      engine,
    ]),
  ];
  for (const [path, name] of named) {
    if (name === undefined || engineNames.includes(name)) continue;
    throw new StackwardenError(
      "INVALID_INPUT",
      `${sourceOf(path, layers)}: ${path.join(".")}: no engine is named ${name}.`,
      {
        hint: `Engines of the configuration: ${engineNames.join(", ") || "none"}. docs/OPERATIONS.md describes engines.`,
        details: { valid: engineNames },
      },
    );
  }
}

async function toConfig(raw: RawConfig, layers: readonly Layer[], request: LoadConfigRequest): Promise<Config> {
  const roots: string[] = [];
  const byDefault = isNoDefaultRoot(request.cwd, request.env) ? [] : [request.cwd];
  for (const [index, root] of (raw.roots ?? byDefault).entries()) {
    try {
      roots.push(await realpath(root));
    } catch (cause) {
      const source = raw.roots === undefined ? "working directory" : sourceOf(["roots", index], layers);
      throw new StackwardenError("INVALID_INPUT", `${source}: the folder ${root} does not exist.`, {
        hint: "Allowed roots must be folders that exist.",
        cause,
      });
    }
  }
  excludeProgramsBelow(roots);
  const values = settingValues(raw);
  return {
    ...values,
    // Present without a setting too: a client's choice of none replaces the server's.
    docker: { ...values.docker },
    roots,
    rootsByDefault: raw.roots === undefined,
    warnings: misspeltVariables(request.env),
    clientEnvironment: clientEnvironment(request.env),
    stateDir: raw.state_dir ?? defaultStateDir({ env: request.env }),
  };
}

/** Each setting at its path in `Config` and in the unit of `Config`; an optional one that is absent stays absent. */
function settingValues(raw: RawConfig): SettingValues {
  const values: Record<string, unknown> = {};
  for (const { key, as = camelCase(key), convert } of SETTINGS) {
    const value = valueAt(raw, key.split("."));
    if (value === undefined) continue;
    setAt(values, as.split("."), convert === undefined ? value : convert(value as number));
  }
  return values as unknown as SettingValues;
}

const camelCase = (key: string): string => key.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
