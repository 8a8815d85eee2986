/**
 * `stackwarden mcp`: MCP over stdio. By default a bridge to the background server; with `--standalone` a private server
 * that ends with its client.
 */

import type { ConfigFlags } from "../../config/settings.js";
import type { ExitCode } from "../exit-codes.js";
import type { CliHost } from "../session.js";

export interface McpOptions extends ConfigFlags {
  /** Run the server in this process; its stacks stop when the client exits. */
  standalone?: boolean;
  stopOnExit?: boolean;
}

export async function mcp(options: McpOptions, host: CliHost): Promise<ExitCode> {
  const { standalone: isStandalone = false, stopOnExit = false, ...flags } = options;
  if (isStandalone) {
    const { standalone } = await import("./mcp-standalone.js");
    return standalone(flags, host);
  }
  const [{ bridge }, { stateDirOf }] = await Promise.all([
    import("../../daemon/bridge/command.js"),
    import("../../config/state-dir.js"),
  ]);
  const stateDir = await stateDirOf({ flags, env: process.env, cwd: process.cwd() });
  return (await bridge({ flags: { ...flags, stopOnExit }, stateDir, program: host.program })) === 0 ? 0 : 1;
}
