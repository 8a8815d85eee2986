/** Opens a control socket for the manager of this process, so that other commands reach its stacks. */
import type { Config } from "../config/types.js";
import type { ControlServer } from "../control/control-server.js";
import type { Logger } from "../logger.js";
import type { SharedStackManager } from "../stack/model.js";
import { VERSION } from "../version.js";

export async function openManagerControl(
  config: Config,
  logger: Logger,
  manager: SharedStackManager,
): Promise<ControlServer> {
  const [{ openControlServer }, { invoke, operationNamed }] = await Promise.all([
    import("../control/control-server.js"),
    import("../operations/index.js"),
  ]);
  return openControlServer({
    stateDir: config.stateDir,
    manager,
    logger,
    version: VERSION,
    invoke: (name, input, call) =>
      invoke(operationNamed(name), input, { ...call, manager }, { readOnly: config.readOnly }),
  });
}
