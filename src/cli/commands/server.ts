/** `stackwarden server start|status|stop|logs`: manages the background server. */
import type { ConfigFlags } from "../../config/settings.js";
import type { ServerStatus } from "../../daemon/handshake.js";
import { StackwardenError } from "../../errors.js";
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
