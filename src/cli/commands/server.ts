/** `stackwarden server start|status|stop|logs|run`: manages the background server. */
import { closeSync, writeSync } from "node:fs";
import type { ConfigFlags } from "../../config/settings.js";
import type { Daemon } from "../../daemon/daemon.js";
import type { ServerStatus } from "../../daemon/handshake.js";
import { REPORT_FD, type StartReport } from "../../daemon/spawn.js";
import { StackwardenError, toStackwardenError, transferError } from "../../errors.js";
import { VERSION } from "../../version.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { table } from "../output/table.js";
import { createTerminal, dim } from "../output/terminal.js";
import type { CliHost, CommonOptions } from "../session.js";

const STATUS_TRIES_MS = 50;

async function placeOf(flags: ConfigFlags) {
  const [{ stateDirOf }, { daemonPaths }] = await Promise.all([
    import("../../config/state-dir.js"),
    import("../../daemon/daemon-paths.js"),
  ]);
  const stateDir = await stateDirOf({ flags, env: process.env, cwd: process.cwd() });
  return { stateDir, place: daemonPaths(stateDir) };
}

async function ask(
  flags: ConfigFlags,
  more: { purpose: "status" | "stop"; force?: boolean; start?: string },
): Promise<ServerStatus | null> {
  const { connectToDaemon } = await import("../../daemon/connect.js");
  const { stateDir } = await placeOf(flags);
  const { purpose, force = false, start } = more;
  const joined = await connectToDaemon({
    stateDir,
    version: VERSION,
    purpose,
    force,
    cwd: process.cwd(),
    flags: {},
    env: {},
    ...(start === undefined ? {} : { start: { program: start, env: process.env } }),
  });
  joined?.socket.destroy();
  return joined?.welcome.server ?? null;
}

function show(status: ServerStatus): string {
  const rows = [
    ["process", String(status.pid)],
    ["version", status.version],
    ["since", status.started_at],
    ["clients", String(status.clients)],
    ...(status.http === undefined ? [] : [["http", status.http]]),
    ...(status.dashboard === undefined ? [] : [["dashboard", status.dashboard]]),
    ["log", status.log],
    ...status.stacks.map(({ project, state, folder }) => ["stack", `${project} ${state} ${folder}`]),
  ];
  return table(["SERVER", ""].map(dim), rows);
}

export async function serverStart(options: CommonOptions, host: CliHost): Promise<ExitCode> {
  const terminal = createTerminal(options.json === true);
  const status = await ask(options, { purpose: "status", start: host.program });
  if (status === null) throw new StackwardenError("SERVER_UNAVAILABLE", "The background server did not start.");
  terminal.print(terminal.json ? JSON.stringify(status) : show(status));
  return EXIT.ok;
}

export async function serverStatus(options: CommonOptions): Promise<ExitCode> {
  const terminal = createTerminal(options.json === true);
  const status = await ask(options, { purpose: "status" });
  if (terminal.json) terminal.print(JSON.stringify(status));
  else if (status === null)
    terminal.print("The background server is not running. The first agent or `stackwarden up` starts it.");
  else terminal.print(show(status));
  return status === null ? EXIT.notRunning : EXIT.ok;
}

export interface ServerStopOptions extends CommonOptions {
  force?: boolean;
}

/** Waits until the server process has released its lock, which it does after every service has ended. */
export async function serverStop(options: ServerStopOptions): Promise<ExitCode> {
  const terminal = createTerminal(options.json === true);
  const status = await ask(options, { purpose: "stop", force: options.force === true });
  if (status !== null) {
    const [{ place }, { lockHolder }] = await Promise.all([placeOf(options), import("../../system/lock-file.js")]);
    terminal.note(dim("Stopping…"));
    while (lockHolder(place.lock) === status.pid) await new Promise((resolve) => setTimeout(resolve, STATUS_TRIES_MS));
  }
  if (terminal.json) terminal.print(JSON.stringify({ stopped: status !== null, server: status }));
  else
    terminal.print(
      status === null
        ? "The background server was not running."
        : `Stopped the background server (process ${status.pid}).`,
    );
  return EXIT.ok;
}

export interface ServerLogsOptions extends CommonOptions {
  tail?: number;
  follow?: boolean;
}

export async function serverLogs(options: ServerLogsOptions): Promise<ExitCode> {
  const [{ place }, { readLog }] = await Promise.all([placeOf(options), import("../../daemon/log-reader.js")]);
  const terminal = createTerminal(options.json === true);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stop.abort());
  const { tail = 100, follow = false } = options;
  const signal = AbortSignal.any([stop.signal, terminal.unread]);
  for await (const line of readLog(place.log, { tail, follow, signal })) terminal.print(line);
  return EXIT.ok;
}

export interface ServerRunOptions extends ConfigFlags {
  stateDir: string;
}

/** Runs the background server. `daemon/spawn.ts` starts it in a new session with the log file as standard error. */
export async function serverRun(options: ServerRunOptions, host: CliHost): Promise<ExitCode> {
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

async function run(options: ServerRunOptions, host: CliHost, ready: () => void): Promise<ExitCode> {
  const [
    { loadConfig },
    { createLogger },
    { openLogFile },
    { openDaemon },
    { surviveUnhandledRejections },
    { dashboardHost },
  ] = await Promise.all([
    import("../../config/load.js"),
    import("../../pino-logger.js"),
    import("../../daemon/log-file.js"),
    import("../../daemon/daemon.js"),
    import("../../daemon/unhandled-rejections.js"),
    import("../dashboard-host.js"),
  ]);
  // The umask of the shell that started the server must not apply to other clients.
  process.umask(0o022);
  const { place } = await placeOf(options);
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
