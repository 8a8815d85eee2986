/** Runs a command of the command line. The bundle of the commands begins here. */
import { runCli } from "./cli/program.js";

/** @param program path of the stackwarden program that starts a server */
export function runCommand(argv: string[], program: string): Promise<number> {
  return runCli(argv, {
    composeManager: async (config, logger) => (await import("./composition.js")).composeManager(config, logger),
    program,
  });
}
