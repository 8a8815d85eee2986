/** Runs a server without the CLI parser, because agents wait for its start. */
import { standalone } from "./cli/commands/mcp-standalone.js";
import { serverRun } from "./cli/commands/server-run.js";
import { reportingFailure } from "./cli/reporting-failure.js";
import type { ServerArguments } from "./cli/server-arguments.js";
import { cliHost } from "./cli-host.js";

/** @param program path of the stackwarden program */
export function runServer(argv: string[], { command, flags }: ServerArguments, program: string): Promise<number> {
  const host = cliHost(program);
  return reportingFailure(argv, () => (command === "server run" ? serverRun(flags, host) : standalone(flags, host)));
}
