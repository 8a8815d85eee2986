/** `stackwarden server run`: runs the background server. */
import { closeSync, writeSync } from "node:fs";
import { loadConfig } from "../../config/load.js";
import type { ConfigFlags } from "../../config/settings.js";
import { stateDirOf } from "../../config/state-dir.js";
import { type Daemon, openDaemon } from "../../daemon/daemon.js";
import { daemonPaths } from "../../daemon/daemon-paths.js";
import { openLogFile } from "../../daemon/log-file.js";
import { REPORT_FD, type StartReport } from "../../daemon/spawn.js";
import { surviveUnhandledRejections } from "../../daemon/unhandled-rejections.js";
import { toStackwardenError, transferError } from "../../errors.js";
import { createLogger } from "../../pino-logger.js";
import { VERSION } from "../../version.js";
import { dashboardHost } from "../dashboard-host.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import type { CliHost } from "../session.js";

/** Runs the background server. `daemon/spawn.ts` starts it in a new session with the log file as standard error. */
export async function serverRun(options: ConfigFlags, host: CliHost): Promise<ExitCode> {
  const report = (what: StartReport): void => {
    try {
      writeSync(REPORT_FD, `${JSON.stringify(what)}\n`);
      closeSync(REPORT_FD);
    } catch {
      // Started by hand: the report descriptor does not exist.
    }
  };
  try {
    return await run(options, host, () => report({ ready: true }));
  } catch (error) {
    const failure = toStackwardenError(error);
    const pid = failure.details?.pid;
    if (failure.code !== "SERVER_IN_USE" || typeof pid !== "number") {
      report({ error: transferError(failure) });
      throw error;
    }
    // Another server started first, which satisfies the caller.
    report({ taken: pid });
    return EXIT.ok;
  }
}

async function run(options: ConfigFlags, host: CliHost, ready: () => void): Promise<ExitCode> {
  // The umask of the shell that started the server must not apply to other clients.
  process.umask(0o022);
  const place = daemonPaths(await stateDirOf({ flags: options, env: process.env, cwd: process.cwd() }));
  const config = await loadConfig({ flags: options, env: process.env, cwd: place.folder });
  const logger = createLogger(config.logLevel, openLogFile(place.log));
  surviveUnhandledRejections(logger);
  const server: Daemon = await openDaemon({
    stateDir: config.stateDir,
    version: VERSION,
    logger,
    composeManager: () => host.composeManager(config, logger),
    idleMs: config.serverIdleMs,
    dashboard: dashboardHost({ config, logger, manager: () => server.manager() }),
  });
  const signalled = new Promise<string>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(signal));
  });
  // The server has no controlling terminal; a hang-up must not end it.
  process.on("SIGHUP", () => undefined);
  logger.info("background server started", { version: VERSION, state_dir: config.stateDir });
  ready();
  // The first session needs this module: load it while the client connects.
  void import("../../mcp/socket.js");
  const reason = await Promise.race([server.stopRequested, signalled]);
  logger.info(`background server shutting down: ${reason}`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(EXIT.interrupted));
  await server.close(reason);
  process.exit(EXIT.ok);
}
