/**
 * `stackwarden mcp`: MCP over stdio. By default a bridge to the background server; with `--standalone` a private server
 * that ends with its client.
 */

import type { ConfigFlags } from "../../config/settings.js";
import type { ControlServer } from "../../control/control-server.js";
import { surviveUnhandledRejections } from "../../daemon/unhandled-rejections.js";
import { VERSION } from "../../version.js";
import type { ExitCode } from "../exit-codes.js";
import type { CliHost } from "../session.js";

export interface McpOptions extends ConfigFlags {
  /** Run the server in this process; its stacks stop when the client exits. */
  standalone?: boolean;
  stopOnExit?: boolean;
}

export async function mcp(options: McpOptions, host: CliHost): Promise<ExitCode> {
  const { standalone = false, stopOnExit = false, ...flags } = options;
  if (!standalone) {
    const [{ bridge }, { stateDirOf }] = await Promise.all([
      import("../../daemon/bridge/command.js"),
      import("../../config/state-dir.js"),
    ]);
    const stateDir = await stateDirOf({ flags, env: process.env, cwd: process.cwd() });
    return (await bridge({ flags: { ...flags, stopOnExit }, stateDir, program: host.program })) === 0 ? 0 : 1;
  }
  const [{ loadConfig }, { useClientRoots }, { createLogger }, { serveStdio }] = await Promise.all([
    import("../../config/load.js"),
    import("../../config/client-roots.js"),
    import("../../pino-logger.js"),
    import("../../mcp/stdio.js"),
  ]);
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
