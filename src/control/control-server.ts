/**
 * The control door: while this process holds a project's stack, the command line of the same user reaches it
 * through a socket that only this user may open (mode 0600). It speaks operations and nothing else.
 */
import { rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { toStackwardenError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { CallContext, StackManager } from "../stack/model.js";
import { listenPrivately } from "../system/private-socket.js";
import { connectControl } from "./client.js";
import { encode, lineSplitter, parseRequest } from "./protocol.js";
import { controlSocket, makeControlFolder } from "./socket-path.js";

/** How long a closing door waits for answers under way. */
const CLOSE_MS = 2000;

/** Calls one operation by its name: validates, runs, and throws StackwardenErrors only. */
export type Invoke = (operation: string, input: unknown, call: CallContext) => Promise<unknown>;

export interface ControlServerOptions {
  stateDir: string;
  manager: StackManager;
  invoke: Invoke;
  logger: Logger;
  version: string;
}

export interface ControlServer {
  /** Projects whose socket is open now. */
  readonly projects: readonly string[];
  /** Settles what is under way with the projects' present states. */
  settled(): Promise<void>;
  /** Removes every socket and ends every connection. Idempotent. */
  close(): Promise<void>;
}

/** Follows the manager: a socket for every project whose stack is not stopped. Never throws for a socket it cannot open. */
export function openControlServer(options: ControlServerOptions): ControlServer {
  const { manager, logger } = options;
  const open = new Map<string, Listener>();
  let closed = false;
  let queue: Promise<void> = Promise.resolve();
  const pending = new Set<string>();

  const refresh = async (project: string): Promise<void> => {
    pending.delete(project);
    const state = await manager.report(project).then(
      (report) => report.state,
      () => "stopped" as const,
    );
    const listener = open.get(project);
    if (state === "stopped" || closed) {
      open.delete(project);
      await listener?.close();
    } else if (listener === undefined) {
      const opened = await listen(project, options);
      if (opened !== null) open.set(project, opened);
    }
  };
  const schedule = (project: string): void => {
    if (pending.has(project) || closed) return;
    pending.add(project);
    queue = queue
      .then(() => refresh(project))
      .catch((error: unknown) => {
        logger.warn(`The control socket of ${project} is not available: ${(error as Error).message}`);
      });
  };
  const unsubscribe = manager.subscribe((change) => {
    if (change.kind === "stack") schedule(change.project);
    else if (change.kind === "projects") for (const project of manager.projects()) schedule(project);
  });
  for (const project of manager.projects()) schedule(project);
  return {
    get projects() {
      return [...open.keys()];
    },
    settled: () => queue,
    close: async () => {
      closed = true;
      unsubscribe();
      await queue;
      await Promise.all([...open.values()].map((listener) => listener.close()));
      open.clear();
    },
  };
}

interface Listener {
  close(): Promise<void>;
}

async function listen(project: string, options: ControlServerOptions): Promise<Listener | null> {
  const path = controlSocket(options.stateDir, project);
  await makeControlFolder(options.stateDir, project);
  if (process.platform !== "win32") {
    const other = await connectControl(path).catch(() => "busy" as const);
    if (other !== null) {
      if (other !== "busy") other.close();
      options.logger.warn(`Another server has the control socket of ${project}; the command line reaches that one.`);
      return null;
    }
    await rm(path, { force: true });
  }
  const connections = new Set<Connection>();
  let closing = false;
  const server = createServer((socket) => {
    const connection = serveControl(socket, options, {
      onIdle: () => {
        if (closing) socket.end();
      },
    });
    connections.add(connection);
    socket.once("close", () => connections.delete(connection));
  });
  await listenPrivately(server, path);
  return {
    close: async () => {
      closing = true;
      const ended = new Promise<void>((resolve) => server.close(() => resolve()));
      // Whoever asked for the stop still gets the answer; nobody can hold the server by staying connected.
      for (const { socket, busy } of connections) if (!busy()) socket.end();
      const timer = setTimeout(() => {
        for (const { socket } of connections) socket.destroy();
      }, CLOSE_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

interface Connection {
  socket: Socket;
  /** True while a request is under way. */
  busy(): boolean;
}

/** Serves one connection until it closes; what is under way then is cancelled. */
export function serveControl(
  socket: Socket,
  { invoke, version, logger }: Pick<ControlServerOptions, "invoke" | "version" | "logger">,
  { actor = "cli", onIdle = () => undefined }: { actor?: string; onIdle?: () => void } = {},
): Connection {
  let active = 0;
  const gone = new AbortController();
  const cancels = new Map<number, AbortController>();
  socket.setEncoding("utf8");
  socket.on("error", (error) => logger.debug(`control connection: ${error.message}`));
  socket.once("close", () => gone.abort());
  const send = (line: string): void => {
    if (socket.writable) socket.write(line);
  };
  const take = lineSplitter((line) => {
    const request = parseRequest(line);
    if (request === null) {
      socket.destroy();
      return;
    }
    if ("cancel" in request) {
      cancels.get(request.cancel)?.abort();
      return;
    }
    const { id } = request;
    const cancel = new AbortController();
    cancels.set(id, cancel);
    const call: CallContext = {
      signal: AbortSignal.any([gone.signal, cancel.signal]),
      actor,
      progress: (progress) => send(encode({ id, progress })),
      output: (stream, line) => send(encode({ id, output: { stream, line } })),
    };
    active += 1;
    invoke(request.operation, request.input, call)
      .then(
        (result) => send(encode({ id, result })),
        (error: unknown) => send(encode({ id, error: toStackwardenError(error).report() })),
      )
      .finally(() => {
        cancels.delete(id);
        active -= 1;
        if (active === 0) onIdle();
      });
  }, 1024 * 1024);
  socket.on("data", (chunk: string) => {
    if (!take(chunk)) socket.destroy();
  });
  send(encode({ hello: { version, pid: process.pid } }));
  return { socket, busy: () => active > 0 };
}
