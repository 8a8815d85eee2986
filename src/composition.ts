/** Composes the server: configuration, runtimes, manager. Construction has no side effects; the first call does. */
import { join } from "node:path";
import type { Config } from "./config/types.js";
import type { Logger } from "./logger.js";
import { createDaggerRuntime } from "./runtimes/dagger/dagger-runtime.js";
import { createDockerRuntime } from "./runtimes/docker/docker-runtime.js";
import { createLocalRuntime } from "./runtimes/local/local-runtime.js";
import { createWorkerLoader } from "./stack/definition/load-worker.js";
import { openLogStore } from "./stack/logs/store.js";
import { createStackManager } from "./stack/manager.js";
import type { SharedStackManager } from "./stack/model.js";
import type { RuntimeName, StackRuntime } from "./stack/runtime.js";

const engineSettings = ({ dagger, projects, retry }: Config) => ({
  ...dagger,
  cliSource: dagger.cliDownload ? dagger.cliSource : null,
  projects,
  retry,
});

const dockerSettings = ({ docker, retry }: Config) => ({ ...docker, retry });

export function composeManager(config: Config, logger: Logger): SharedStackManager {
  const warn = (message: string): void => logger.warn(message);
  const local = createLocalRuntime({
    stateDir: config.stateDir,
    retry: config.retry,
    ...(config.clientEnvironment === undefined ? {} : { clientEnvironment: config.clientEnvironment }),
    warn,
    processHost: async () => {
      const { createProcessHost } = await import("./runtimes/local/process-host.js");
      const namespaces = process.env.STACKWARDEN_NAMESPACES !== "off";
      return createProcessHost({ stateDir: config.stateDir, warn, namespaces, network: config.localNetwork });
    },
  });
  const dagger = createDaggerRuntime({
    settings: engineSettings(config),
    // Each client of the background server has its own configuration.
    settingsOf: (client) => engineSettings({ ...config, ...client }),
    programs: join(config.stateDir, "programs"),
    env: process.env,
    warn,
  });
  const docker = createDockerRuntime({
    settings: dockerSettings(config),
    settingsOf: (client) => dockerSettings({ ...config, ...client }),
    env: process.env,
    warn,
  });
  const loader = createWorkerLoader();
  // Ready by the time of the first start.
  loader.warm();
  const { loadStack } = loader;
  const runtimes: Record<RuntimeName, StackRuntime> = { local, dagger, docker };
  return createStackManager({ config, runtimes: Object.values(runtimes), loadStack, openLogStore, logger });
}
