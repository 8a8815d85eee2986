/**
 * The control server: while this process runs a project's stack, the command line of the same user reaches it through a
 * socket that only this user can open (mode 0600).
 */

import { rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { toStackwardenError, transferError } from "../errors.js";
import type { Logger } from "../logger.js";
import type { CallContext, SharedStackManager } from "../stack/model.js";
import { LineSplitter } from "../system/line-splitter.js";
import { listenPrivately } from "../system/private-socket.js";
import { connectControl } from "./client.js";
import { encode, MAX_REQUEST, parseRequest } from "./protocol.js";
import { type RemoteTerminal, remoteTerminal } from "./remote-terminal.js";
import { controlSocket, makeControlFolder } from "./socket-path.js";

/** Milliseconds that closing waits for pending results. */
const CLOSE_MS = 2000;

/** Validates and runs an operation by name; throws StackwardenErrors only. */
export type Invoke = (operation: string, input: unknown, call: CallContext) => Promise<unknown>;

export interface ControlServerOptions {
  stateDir: string;
  manager: SharedStackManager;
  invoke: Invoke;
  logger: Logger;
  version: string;
}

export interface ControlServer {
  /** Projects with an open socket. */
  readonly projects: readonly string[];
  /** Opens and closes sockets to match the current states of the projects. */
  settled(): Promise<void>;
  /** Removes every socket and closes every connection. Idempotent. */
  close(): Promise<void>;
}

/** Opens a socket for every project whose stack is not stopped. A socket that cannot be opened is logged, not thrown. */
export function openControlServer(options: ControlServerOptions): ControlServer {
  const { manager, logger } = options;
  const open = new Map<string, Listener>();
  let closed = false;
  let queue: Promise<void> = Promise.resolve();
  const pending = new Set<string>();

  const refresh = async (project: string): Promise<void> => {
    pending.delete(project);
    const state = manager.state(project);
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
        logger.warn(`Cannot open the control socket of ${project}: ${(error as Error).message}`);
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
      options.logger.warn(
        `Another server owns the control socket of ${project}; the command line reaches that server.`,
      );
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
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // The client that requested the stop still gets its result, but an open connection cannot delay the shutdown.
      for (const { socket, busy } of connections) if (!busy()) socket.end();
      const timer = setTimeout(() => {
        for (const { socket } of connections) socket.destroy();
      }, CLOSE_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

interface Connection {
  socket: Socket;
  /** True while a request is pending. */
  busy(): boolean;
}

/** Serves one connection. Pending requests are cancelled when it closes. */
export function serveControl(
  socket: Socket,
  { invoke, version, logger }: Pick<ControlServerOptions, "invoke" | "version" | "logger">,
  { actor = "cli", onIdle = () => undefined }: { actor?: string; onIdle?: () => void } = {},
): Connection {
  let active = 0;
  const disconnected = new AbortController();
  const cancels = new Map<number, AbortController>();
  const terminals = new Map<number, RemoteTerminal>();
  socket.on("error", (error) => logger.debug(`control connection: ${error.message}`));
  socket.once("close", () => disconnected.abort());
  const send = (line: string): void => {
    if (socket.writable) socket.write(line);
  };
  const lines = new LineSplitter((line) => {
    const request = parseRequest(line);
    if (request === null) {
      socket.destroy();
      return;
    }
    if ("cancel" in request) {
      cancels.get(request.cancel)?.abort();
      return;
    }
    if ("typed" in request) {
      terminals.get(request.typed)?.type(request.data);
      return;
    }
    if ("resize" in request) {
      terminals.get(request.resize)?.resize(request);
      return;
    }
    const { id } = request;
    const terminal = request.terminal === undefined ? null : remoteTerminal(request.terminal, socket, id);
    if (terminal !== null) terminals.set(id, terminal);
    const cancel = new AbortController();
    cancels.set(id, cancel);
    const call: CallContext = {
      signal: AbortSignal.any([disconnected.signal, cancel.signal]),
      actor,
      progress: (progress) => send(encode({ id, progress })),
      output: (stream, line) => send(encode({ id, output: { stream, line } })),
      ...(terminal === null ? {} : { terminal: terminal.terminal }),
    };
    active += 1;
    invoke(request.operation, request.input, call)
      .then(
        (result) => send(encode({ id, result })),
        (error: unknown) => send(encode({ id, error: transferError(toStackwardenError(error)) })),
      )
      .finally(() => {
        cancels.delete(id);
        terminals.delete(id);
        terminal?.close();
        active -= 1;
        if (active === 0) onIdle();
      });
  }, MAX_REQUEST);
  socket.on("data", (chunk: Buffer) => {
    if (!lines.push(chunk)) socket.destroy();
  });
  send(encode({ hello: { version, pid: process.pid } }));
  return { socket, busy: () => active > 0 };
}
