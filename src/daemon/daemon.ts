/**
 * The background server: one process per user that runs the stacks of all the user's agents and commands. `server run`
 * runs it; `serve` runs it with HTTP.
 */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { StackwardenError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { SharedStackManager } from "../stack/model.js";
import { atomicWrite, removeUnfinished, storageError } from "../system/atomic-write.js";
import { type LockFile, takeLock } from "../system/lock-file.js";
import { type DaemonInfo, type DaemonPaths, daemonPaths, prepareDaemonFolder } from "./daemon-paths.js";
import type { ClientHello, DashboardLink, ServerStatus } from "./handshake.js";
import { type AcceptedConnection, type DaemonServer, type IncomingConnection, openDaemonServer } from "./server.js";
import { openSession } from "./sessions.js";

export interface DaemonOptions {
  stateDir: string;
  version: string;
  logger: Logger;
  /** Called once: soon after the first session begins, or by the first call that needs a stack. */
  composeManager(): Promise<SharedStackManager>;
  /** Milliseconds without a client and a stack after which the server shuts down; null: never. */
  idleMs: number | null;
  /** Address of the HTTP server, for status. */
  http?: () => string | undefined;
  dashboard: DashboardHost;
}

export interface DashboardHost {
  /** Address of the dashboard's own listener. Null: it is not open. */
  readonly url: string | null;
  /** Requests in progress, with the event streams of open pages. */
  readonly openRequests: number;
  /**
   * Opens the listener unless it is open.
   * @throws StackwardenError the rejection sent to the client
   */
  link(client: ClientHello): Promise<DashboardLink>;
  close(): Promise<void>;
}

export interface Daemon {
  readonly place: DaemonPaths;
  /** The manager without a client's scope. */
  manager(): Promise<SharedStackManager>;
  /** Resolves with the reason when the server should shut down: idle, or a client's request. */
  readonly stopRequested: Promise<string>;
  /** Stops every stack, ends every connection, releases the lock. Idempotent. */
  close(reason: string): Promise<void>;
}

/**
 * Milliseconds from the first session to the composition of the manager: a client initializes first, and its first call
 * comes later.
 */
const COMPOSE_MS = 100;
/** Milliseconds for the results of calls that the shutdown interrupts. */
const GOODBYE_MS = 1000;

/** @throws StackwardenError SERVER_IN_USE with `details.pid` when another process is the server; STORAGE_FAILED */
export async function openDaemon(options: DaemonOptions): Promise<Daemon> {
  const { stateDir, version, logger } = options;
  const place = daemonPaths(stateDir);
  await prepareDaemonFolder(stateDir, place);
  const lock = await take(place);
  await removeUnfinished(place.folder);
  const started = new Date().toISOString();
  const sessions = new Set<string>();
  let idleSince = Date.now();
  let last = 0;
  let closing: Promise<void> | undefined;
  let ask: (reason: string) => void = () => undefined;
  const stopRequested = new Promise<string>((resolve) => {
    ask = resolve;
  });
  let pending: Promise<SharedStackManager> | undefined;
  let present: SharedStackManager | undefined;
  const ending = (): StackwardenError =>
    new StackwardenError("SERVER_UNAVAILABLE", "The background server is shutting down.", { hint: "Try again." });
  const manager = async (): Promise<SharedStackManager> => {
    // A manager created now would never be shut down.
    if (closing !== undefined) throw ending();
    pending ??= options.composeManager();
    const current = pending;
    try {
      present = await current;
      return present;
    } catch (error) {
      // Do not cache the failure: the next call tries again.
      if (pending === current) pending = undefined;
      throw error;
    }
  };
  const status = (): ServerStatus => {
    const http = options.http?.();
    const { url } = options.dashboard;
    return {
      pid: process.pid,
      version,
      started_at: started,
      clients: sessions.size,
      stacks: present?.running() ?? [],
      log: place.log,
      ...(http === undefined ? {} : { http }),
      ...(url === null ? {} : { dashboard: url }),
      path: process.env.PATH ?? "",
    };
  };
  const isIdle = (): boolean =>
    sessions.size === 0 && status().stacks.length === 0 && options.dashboard.openRequests === 0;

  const receive = async (visit: IncomingConnection): Promise<AcceptedConnection> => {
    const { hello, session, socket } = visit;
    if (closing !== undefined) throw ending();
    const end = (): void => void socket.end();
    if (hello.purpose === "status") return { run: end };
    if (hello.purpose === "dashboard") {
      const dashboard = await options.dashboard.link(hello);
      idleSince = Date.now();
      return { dashboard, run: end };
    }
    if (hello.purpose === "stop") {
      if (hello.force !== true && !(isIdle() && status().http === undefined)) throw inUse(status());
      return {
        run: () => {
          end();
          ask("a client requested it");
        },
      };
    }
    // Count the session before it is accepted, so that the idle shutdown cannot end it.
    sessions.add(session);
    logger.debug("session begins", { session, purpose: hello.purpose });
    socket.once("close", () => {
      sessions.delete(session);
      idleSince = Date.now();
      logger.debug("session ended", { session });
    });
    if (pending === undefined) setTimeout(() => void manager().catch(() => undefined), COMPOSE_MS).unref();
    return { run: await openSession(visit, { stateDir, version, logger, manager }) };
  };

  let door: DaemonServer;
  try {
    const key = randomBytes(32).toString("hex");
    const info: DaemonInfo = { pid: process.pid, version, key };
    // Write the key before the socket opens: clients read it first.
    await atomicWrite(place.info, `${JSON.stringify(info)}\n`);
    const nextSession = (): string => {
      last += 1;
      return `${process.pid.toString(36)}-${last}`;
    };
    door = await openDaemonServer({ socket: place.socket, key, logger, status, receive, nextSession });
  } catch (error) {
    await lock.release();
    throw error instanceof StackwardenError ? error : storageError(`Cannot open ${place.socket}`, error);
  }
  const idle = watchIdle(
    options.idleMs,
    () => {
      if (!isIdle()) idleSince = Date.now();
      return idleSince;
    },
    () => ask("it was idle"),
  );
  return {
    place,
    manager,
    stopRequested,
    close: (reason) => {
      closing ??= (async () => {
        clearInterval(idle);
        await Promise.all([door.shut(), options.dashboard.close()]);
        await (await pending?.catch(() => undefined))?.shutdown(reason);
        await door.disconnect(GOODBYE_MS);
        await rm(place.info, { force: true });
        await lock.release();
      })();
      return closing;
    },
  };
}

async function take(place: DaemonPaths): Promise<LockFile> {
  const outcome = await takeLock(place.lock).catch((error: unknown) => {
    throw storageError(`Cannot create the lock ${place.lock}`, error);
  });
  if (outcome.lock !== null) return outcome.lock;
  throw new StackwardenError("SERVER_IN_USE", `The background server is already running (process ${outcome.pid}).`, {
    hint: "Inspect it with: stackwarden server status",
    details: { pid: outcome.pid },
  });
}

/** Why a server cannot be stopped without force. */
export function inUse({ pid, clients, stacks, http }: ServerStatus): StackwardenError {
  const uses = [
    ...(stacks.length > 0 ? [`it runs ${stacks.map(({ project, state }) => `${project} (${state})`).join(", ")}`] : []),
    ...(clients > 0 ? [`${clients} client${clients === 1 ? " is" : "s are"} connected`] : []),
    ...(http === undefined ? [] : [`it serves ${http}`]),
  ];
  return new StackwardenError("SERVER_IN_USE", `The server (process ${pid}) is in use: ${uses.join("; ")}.`, {
    hint: "To stop it anyway, run `stackwarden server stop --force`: its stacks are stopped, data is kept.",
    details: { pid, clients, stacks },
  });
}

function watchIdle(idleMs: number | null, since: () => number, end: () => void): NodeJS.Timeout | undefined {
  if (idleMs === null) return undefined;
  const timer = setInterval(
    () => {
      if (Date.now() - since() >= idleMs) end();
    },
    Math.max(50, Math.min(idleMs / 4, 5000)),
  );
  return timer;
}
