#!/usr/bin/env node
/**
 * Entry point. `stackwarden mcp` starts the bridge without loading the CLI parser; every other command imports its own
 * modules.
 */
import { fileURLToPath } from "node:url";
import { bridgeFlags } from "./daemon/bridge/flags.js";

const argv = process.argv.slice(2);
const program = fileURLToPath(import.meta.url);
const flags = bridgeFlags(argv);
if (flags !== null) {
  const { bridge } = await import("./daemon/bridge/command.js");
  process.exitCode = await bridge(flags, program);
} else {
  const { runCli } = await import("./cli/program.js");
  process.exitCode = await runCli(argv, {
    composeManager: async (config, logger) => (await import("./composition.js")).composeManager(config, logger),
    program,
  });
}
