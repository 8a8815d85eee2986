/** Runs `stackwarden mcp` as a bridge to the background server. */
import { existsSync } from "node:fs";
import { misspeltVariables } from "../../config/variables.js";
import { createLogger, type LogLevel } from "../../pino-logger.js";
import { lockHolder } from "../../system/lock-file.js";
import { VERSION } from "../../version.js";
import { connectToDaemon } from "../connect.js";
import { daemonPaths } from "../daemon-paths.js";
import { configurationVariables } from "../handshake.js";
import { runBridge } from "./bridge.js";
import type { BridgeFlags } from "./flags.js";

const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];

export interface BridgeCommand {
  flags: BridgeFlags;
  stateDir: string;
  /** Path of the stackwarden program that starts a server. */
  program: string;
}

export function bridge({ flags: options, stateDir, program }: BridgeCommand): Promise<number> {
  const { stopOnExit = false, ...flags } = options;
  const { env } = process;
  const cwd = process.cwd();
  const level = flags.logLevel ?? env.STACKWARDEN_LOG_LEVEL ?? "info";
  const logger = createLogger((LEVELS.includes(level) ? level : "info") as LogLevel);
  for (const warning of misspeltVariables(env)) logger.warn(warning);
  const place = daemonPaths(stateDir);
  const request = {
    stateDir,
    version: VERSION,
    purpose: "mcp" as const,
    cwd,
    flags: { ...flags },
    env: configurationVariables(env),
    stopOnExit,
  };
  return runBridge({
    logger,
    join: ({ start, first }) =>
      // A session that exists accepts the version of the server that replaced the first one.
      connectToDaemon({ ...request, anyVersion: !first, ...(start ? { start: { program, env } } : {}) }),
    present: () => (process.platform === "win32" || existsSync(place.socket)) && lockHolder(place.lock) !== null,
  });
}
