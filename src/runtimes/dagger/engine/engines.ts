/** Selects the engine of a project's stack. */
import { StackwardenError } from "../../../errors.js";

export interface EngineSettings {
  /** Value of `_EXPERIMENTAL_DAGGER_RUNNER_HOST` by engine name. */
  engines: Record<string, string>;
  /** Name of the engine for projects without an own choice. */
  engine?: string | undefined;
  /** The engine of a project, by name. */
  projects: Record<string, { engine?: string | undefined }>;
}

export interface Engine {
  /** Null: the CLI chooses, and starts an engine with a container runtime. */
  runnerHost: string | null;
  /** Source of the choice, for reports. */
  source: string;
}

/** The CLI's own variables: the path of the CLI, and the engine to use. */
export const CLI_VARIABLE = "_EXPERIMENTAL_DAGGER_CLI_BIN";
export const RUNNER_VARIABLE = "_EXPERIMENTAL_DAGGER_RUNNER_HOST";

/**
 * The project's engine, else the configured one, else the environment's, else the CLI's own choice.
 * @throws INVALID_INPUT for the name of an unknown engine
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
  const fromEnvironment = env[RUNNER_VARIABLE];
  if (fromEnvironment !== undefined && fromEnvironment !== "")
    return { runnerHost: fromEnvironment, source: RUNNER_VARIABLE };
  return { runnerHost: null, source: "the Dagger CLI's own choice" };
}
