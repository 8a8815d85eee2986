/** `stackwarden mcp --standalone`: a private server that ends with its client. */

import { useClientRoots } from "../../config/client-roots.js";
import { loadConfig } from "../../config/load.js";
import type { ConfigFlags } from "../../config/settings.js";
import type { ControlServer } from "../../control/control-server.js";
import { surviveUnhandledRejections } from "../../daemon/unhandled-rejections.js";
import { serveStdio } from "../../mcp/stdio.js";
import { createLogger } from "../../pino-logger.js";
import { VERSION } from "../../version.js";
import type { ExitCode } from "../exit-codes.js";
import type { CliHost } from "../session.js";

export async function standalone(flags: ConfigFlags, host: CliHost): Promise<ExitCode> {
  const config = await loadConfig({ flags, env: process.env, cwd: process.cwd() });
  const logger = createLogger(config.logLevel);
  for (const warning of config.warnings) logger.warn(warning);
  surviveUnhandledRejections(logger);
  const byDefault = [...config.roots];
  let door: ControlServer | undefined;
  const code = await serveStdio({
    version: VERSION,
    logger,
    readOnly: config.readOnly,
    ...(config.rootsByDefault
      ? { useRoots: (uris: string[]) => useClientRoots(config, byDefault, uris, process.env) }
      : {}),
    commands: config.commands,
    getManager: async () => {
      const manager = await host.composeManager(config, logger);
      const { openManagerControl } = await import("../manager-control.js");
      // Lets the command line reach the stack that the agent started.
      door = await openManagerControl(config, logger, manager);
      return manager;
    },
    onEnd: () => door?.close(),
  });
  return code === 0 ? 0 : 1;
}
