/**
 * The user's server: one process that holds the user's stacks for all of the user's agents and commands. `server run`
 * is nothing else; `serve` is it with the HTTP door.
 */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { StackwardenError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { SharedStackManager } from "../stack/model.js";
import { atomicWrite, removeUnfinished, storageError } from "../system/atomic-write.js";
import { type LockFile, takeLock } from "../system/lock-file.js";
import { type DaemonInfo, type DaemonPaths, daemonPaths, prepareDaemonFolder } from "./daemon-paths.js";
import type { ServerStatus } from "./handshake.js";
import { type DaemonServer, type IncomingConnection, openDaemonServer } from "./server.js";
import { openSession } from "./sessions.js";

export interface DaemonOptions {
  stateDir: string;
  version: string;
  logger: Logger;
  /** Called once, at the first call that needs a stack. */
  composeManager(): Promise<SharedStackManager>;
  /** Milliseconds without client and without stack after which it ends by itself; null: never. */
  idleMs: number | null;
  /** Address of its HTTP door, for status. */
  http?: () => string | undefined;
}

export interface Daemon {
  readonly place: DaemonPaths;
  /** The manager that sees everything. */
  manager(): Promise<SharedStackManager>;
  /** Why it should end: idle, or somebody asked for it. */
  readonly asked: Promise<string>;
  /** Stops every stack, ends every connection, gives up its place. Idempotent. */
  close(reason: string): Promise<void>;
}

/** For answers of calls that the end cut short. */
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
  const asked = new Promise<string>((resolve) => {
    ask = resolve;
  });
  let made: Promise<SharedStackManager> | undefined;
  let present: SharedStackManager | undefined;
  const ending = (): StackwardenError =>
    new StackwardenError("SERVER_UNAVAILABLE", "The background server is ending.", { hint: "Try again." });
  const manager = async (): Promise<SharedStackManager> => {
    // One that was made now would be shut down by nobody.
    if (closing !== undefined) throw ending();
    made ??= options.composeManager();
    const current = made;
    try {
      present = await current;
      return present;
    } catch (error) {
      // Not kept: the next call tries again.
      if (made === current) made = undefined;
      throw error;
    }
  };
  const status = (): ServerStatus => {
    const http = options.http?.();
    return {
      pid: process.pid,
      version,
      started_at: started,
      clients: sessions.size,
      stacks: present?.running() ?? [],
      log: place.log,
      ...(http === undefined ? {} : { http }),
      path: process.env.PATH ?? "",
    };
  };
  const isIdle = (): boolean => sessions.size === 0 && status().stacks.length === 0;

  const receive = async (visit: IncomingConnection) => {
    const { hello, session, socket } = visit;
    if (closing !== undefined) throw ending();
    if (hello.purpose === "status") return () => void socket.end();
    if (hello.purpose === "stop") {
      if (hello.force !== true && !(isIdle() && status().http === undefined)) throw inUse(status());
      return () => {
        socket.end();
        ask("somebody asked for it");
      };
    }
    // Counted from here on, so that the server does not end under a client that was let in.
    sessions.add(session);
    logger.debug("session begins", { session, purpose: hello.purpose });
    socket.once("close", () => {
      sessions.delete(session);
      idleSince = Date.now();
      logger.debug("session ended", { session });
    });
    return openSession(visit, { stateDir, version, logger, manager });
  };

  let door: DaemonServer;
  try {
    const key = randomBytes(32).toString("hex");
    const info: DaemonInfo = { pid: process.pid, version, key };
    // Before the socket: whoever gets through must find the right key.
    await atomicWrite(place.info, `${JSON.stringify(info)}\n`);
    const nextSession = (): string => {
      last += 1;
      return `${process.pid.toString(36)}-${last}`;
    };
    door = await openDaemonServer({ socket: place.socket, key, logger, status, receive, nextSession });
  } catch (error) {
    await lock.release();
    throw error instanceof StackwardenError ? error : storageError(`${place.socket} cannot be opened`, error);
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
    asked,
    close: (reason) => {
      closing ??= (async () => {
        clearInterval(idle);
        await door.shut();
        await (await made?.catch(() => undefined))?.shutdown(reason);
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
    throw storageError(`The lock ${place.lock} cannot be made`, error);
  });
  if (outcome.lock !== null) return outcome.lock;
  throw new StackwardenError("SERVER_IN_USE", `The background server runs already (process ${outcome.pid}).`, {
    hint: "See what it does with: stackwarden server status",
    details: { pid: outcome.pid },
  });
}

/** What keeps a server from being ended without force. */
export function inUse({ pid, clients, stacks, http }: ServerStatus): StackwardenError {
  const uses = [
    ...(stacks.length > 0 ? [`it runs ${stacks.map(({ project, state }) => `${project} (${state})`).join(", ")}`] : []),
    ...(clients > 0 ? [`${clients} client${clients === 1 ? " is" : "s are"} connected`] : []),
    ...(http === undefined ? [] : [`it serves ${http}`]),
  ];
  return new StackwardenError("SERVER_IN_USE", `The server (process ${pid}) is in use: ${uses.join("; ")}.`, {
    hint: "End it all the same with `stackwarden server stop --force`: its stacks are stopped, their data stays.",
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
