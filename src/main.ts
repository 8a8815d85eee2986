#!/usr/bin/env node
/**
 * Entry point. Agents wait for the start of the bridge (`stackwarden mcp`), which therefore loads neither the CLI parser
 * nor the configuration's schema, and for the start of servers, which do not load the CLI parser.
 */
import { fileURLToPath } from "node:url";
import { serverArguments } from "./cli/server-arguments.js";
import { knownStateDir } from "./config/state-dir.js";
import { bridgeFlags } from "./daemon/bridge/flags.js";

async function main(argv: string[]): Promise<number> {
  const program = fileURLToPath(import.meta.url);
  const flags = bridgeFlags(argv);
  const stateDir = flags && (await knownStateDir({ flags, env: process.env, cwd: process.cwd() }));
  if (flags !== null && stateDir !== null)
    return (await import("./daemon/bridge/command.js")).bridge({ flags, stateDir, program });
  const server = serverArguments(argv);
  return server === null
    ? (await import("./run-command.js")).runCommand(argv, program)
    : (await import("./run-server.js")).runServer(argv, server, program);
}

void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
