/** Connects a command to the background server. */
import { CLIENT_FLAGS, type ConfigFlags } from "../config/settings.js";
import type { ControlClient } from "../control/client.js";
import type { ServerStatus } from "../daemon/handshake.js";
import { VERSION } from "../version.js";

export interface ConnectDaemonRequest {
  stateDir: string;
  /** The command's options; those that configure its view of the server are sent in the handshake. */
  options: ConfigFlags;
  stopOnExit: boolean;
  /** Start the server with this program when it is not running. */
  program?: string;
}

/** @returns null when no server is running and `program` is absent */
export async function connectDaemon(
  request: ConnectDaemonRequest,
): Promise<{ client: ControlClient; status: ServerStatus } | null> {
  const [{ connectToDaemon }, { configurationVariables }, { controlOver }] = await Promise.all([
    import("../daemon/connect.js"),
    import("../daemon/handshake.js"),
    import("../control/client.js"),
  ]);
  const { stateDir, options, stopOnExit, program } = request;
  const { env } = process;
  const joined = await connectToDaemon({
    stateDir,
    version: VERSION,
    purpose: "control",
    cwd: process.cwd(),
    flags: Object.fromEntries(
      CLIENT_FLAGS.flatMap((flag) => (options[flag] === undefined ? [] : [[flag, options[flag]]])),
    ),
    env: configurationVariables(env),
    stopOnExit,
    ...(program === undefined ? {} : { start: { program, env } }),
  });
  if (joined === null) return null;
  return { client: await controlOver(joined.socket), status: joined.welcome.server };
}
