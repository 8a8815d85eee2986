/** What commands get from outside of src/cli, which must not import the runtimes. */
import type { CliHost } from "./cli/session.js";

/** @param program path of the stackwarden program that starts a server */
export const cliHost = (program: string): CliHost => ({
  composeManager: async (config, logger) => (await import("./composition.js")).composeManager(config, logger),
  program,
});
