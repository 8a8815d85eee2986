/** Which engine a project's stack runs on. */
import { StackwardenError } from "../../../errors.js";

export interface EngineSettings {
  /** Name → what `_EXPERIMENTAL_DAGGER_RUNNER_HOST` would hold. */
  engines: Record<string, string>;
  /** Name of the engine for projects that name none. */
  engine?: string;
  /** A project's own choice of engine, by name. */
  projects: Record<string, { engine?: string | undefined }>;
}

export interface Engine {
  /** Null: the CLI chooses, and starts one with a container runtime. */
  runnerHost: string | null;
  /** Where this was said: for people. */
  source: string;
}

/** The CLI's own variables: which program it is, which engine it uses. */
export const CLI_VARIABLE = "_EXPERIMENTAL_DAGGER_CLI_BIN";
export const RUNNER_VARIABLE = "_EXPERIMENTAL_DAGGER_RUNNER_HOST";

/**
 * The project's engine, else the configured one, else the environment's, else the CLI's own choice.
 * @throws INVALID_INPUT when a name is given that no engine has
 */
export function engineOf(settings: EngineSettings, env: NodeJS.ProcessEnv, project?: string): Engine {
  const own =
    project !== undefined && Object.hasOwn(settings.projects, project) ? settings.projects[project]?.engine : undefined;
  const name = own ?? settings.engine;
  if (name !== undefined) {
    const runnerHost = Object.hasOwn(settings.engines, name) ? settings.engines[name] : undefined;
    if (runnerHost === undefined) {
      const valid = Object.keys(settings.engines);
      throw new StackwardenError(
        "INVALID_INPUT",
        `${own === undefined ? "The setting engine" : `The project ${project}`} names the engine ${JSON.stringify(name)}, which is not configured.`,
        {
          hint: `Configured engines: ${valid.join(", ") || "none"}. Add it below engines in the server's configuration.`,
          details: { valid },
        },
      );
    }
    return { runnerHost, source: `engines.${name} in the configuration` };
  }
  const given = env[RUNNER_VARIABLE];
  if (given !== undefined && given !== "") return { runnerHost: given, source: RUNNER_VARIABLE };
  return { runnerHost: null, source: "the Dagger CLI's own choice" };
}
