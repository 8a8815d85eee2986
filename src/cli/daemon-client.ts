/** Connects a command to the background server. */
import { CLIENT_FLAGS } from "../config/flags.js";
import type { ConfigFlags } from "../config/settings.js";
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

/** What the handshake tells the server about this command's configuration. */
export async function clientConfiguration(options: ConfigFlags) {
  const { configurationVariables } = await import("../daemon/handshake.js");
  return {
    cwd: process.cwd(),
    flags: Object.fromEntries(
      CLIENT_FLAGS.flatMap((flag) => (options[flag] === undefined ? [] : [[flag, options[flag]]])),
    ),
    env: configurationVariables(process.env),
  };
}

/** @returns null when no server is running and `program` is absent */
export async function connectDaemon(
  request: ConnectDaemonRequest,
): Promise<{ client: ControlClient; status: ServerStatus } | null> {
  const [{ connectToDaemon }, { controlOver }, configuration] = await Promise.all([
    import("../daemon/connect.js"),
    import("../control/client.js"),
    clientConfiguration(request.options),
  ]);
  const { stateDir, stopOnExit, program } = request;
  const { env } = process;
  const joined = await connectToDaemon({
    stateDir,
    version: VERSION,
    purpose: "control",
    ...configuration,
    stopOnExit,
    ...(program === undefined ? {} : { start: { program, env } }),
  });
  if (joined === null) return null;
  return { client: await controlOver(joined.socket), status: joined.welcome.server };
}
