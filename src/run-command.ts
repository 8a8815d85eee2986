/** Runs a command of the command line. */
import { runCli } from "./cli/program.js";
import { cliHost } from "./cli-host.js";

/** @param program path of the stackwarden program that starts a server */
export const runCommand = (argv: string[], program: string): Promise<number> => runCli(argv, cliHost(program));
