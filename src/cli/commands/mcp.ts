/** `stackwarden mcp`: the stdio door. It answers before anything of the stack is loaded, and ends with its client. */
import type { ConfigFlags } from "../../config/settings.js";
import { VERSION } from "../../version.js";
import type { ControlDoor } from "../control/door.js";
import type { ExitCode } from "../exit-codes.js";
import type { CliHost } from "../session.js";

export async function mcp(flags: ConfigFlags, host: CliHost): Promise<ExitCode> {
  const [{ loadConfig }, { createLogger }, { serveStdio }] = await Promise.all([
    import("../../config/load.js"),
    import("../logger.js"),
    import("../../mcp/stdio.js"),
  ]);
  const config = await loadConfig({ flags, env: process.env, cwd: process.cwd() });
  const logger = createLogger(config.logLevel);
  let door: ControlDoor | undefined;
  const code = await serveStdio({
    version: VERSION,
    logger,
    readOnly: config.readOnly,
    getManager: async () => {
      const manager = await host.composeManager(config, logger);
      const { openManagerDoor } = await import("../manager-door.js");
      // The user's command line reaches the stack that the agent started.
      door = await openManagerDoor(config, logger, manager);
      return manager;
    },
    onEnd: () => door?.close(),
  });
  return code === 0 ? 0 : 1;
}
