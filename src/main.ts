#!/usr/bin/env node
/**
 * Entry point. Loads nothing but the command line's own parts: what a command needs is imported by that command.
 */
import { fileURLToPath } from "node:url";
import { runCli } from "./cli/program.js";

process.exitCode = await runCli(process.argv.slice(2), {
  composeManager: async (config, logger) => (await import("./composition.js")).composeManager(config, logger),
  program: fileURLToPath(import.meta.url),
});
