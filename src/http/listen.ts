/** Listens for HTTP on an address, and on a socket file for the server's user. */
import { once } from "node:events";
import { lstat, rm } from "node:fs/promises";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { StackwardenError } from "../errors.js";
import type { Logger } from "../logger.js";
import { listenPrivately } from "../system/private-socket.js";
import { type CertificateFiles, certifiedServer } from "./certificate.js";
import { limitAnonymous, limitPipelining } from "./connections.js";
import { markPrivate } from "./private-sockets.js";

export interface AddressOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** 0: any free port. */
  port: number;
  /** PEM files; read again when they change. */
  tlsCert?: string;
  tlsKey?: string;
  /** Milliseconds between two checks of the files. Default 5,000. */
  tlsCheckMs?: number;
  /** Permit an address other than loopback without TLS. Default false. */
  insecureBind?: boolean;
}

export interface ConnectionLimits {
  /** Milliseconds for the headers of a request, so that a slow client does not hold a connection. Default 10,000. */
  headersMs?: number;
  /** Milliseconds for a whole request with its body. Default 30,000. */
  requestMs?: number;
  /** Concurrent connections; further ones are closed. Default 512: far more than the clients of one user need. */
  connections?: number;
  /**
   * Connections of one source on which no request carried a valid token. Beyond this number the oldest one is closed.
   * Default 64.
   */
  anonymousPerSource?: number;
}

export interface Listening {
  /** `http://127.0.0.1:7717`, or the socket's path. */
  readonly place: string;
  /** Accepts no new connections and closes idle ones. */
  stop(): void;
  /** Closes the remaining connections and resolves when the last one has ended. */
  end(): Promise<void>;
}

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);
const usage = (message: string, hint: string, cause?: unknown): StackwardenError =>
  new StackwardenError("INVALID_INPUT", message, { hint, cause });

/**
 * Validates the address before anything is opened.
 * @throws INVALID_INPUT
 */
export function checkAddress(options: AddressOptions): void {
  const { host = "127.0.0.1", port, tlsCert, tlsKey, insecureBind = false } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw usage(`Invalid port ${port}: expected an integer from 0 to 65535.`, "Set --port; 0 selects a free port.");
  if (host === "") throw usage("The address to listen on is empty.", "Leave --host out for 127.0.0.1.");
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw usage("TLS needs a certificate and its key.", "Give both --tls-cert and --tls-key, or neither.");
  if (!LOOPBACK.has(host) && tlsCert === undefined && !insecureBind)
    throw usage(
      `${host} can be reached from other machines, and tokens would travel in plain text.`,
      "Give --tls-cert and --tls-key, or --insecure-bind behind a proxy that terminates TLS.",
    );
}

/** @throws INVALID_INPUT, PORT_IN_USE */
export async function listenOnAddress(
  options: AddressOptions,
  handler: RequestListener,
  logger: Logger,
  limits: ConnectionLimits = {},
): Promise<Listening> {
  checkAddress(options);
  const { host = "127.0.0.1", port, tlsCert, tlsKey, tlsCheckMs } = options;
  const files =
    tlsCert === undefined || tlsKey === undefined
      ? null
      : { cert: tlsCert, key: tlsKey, ...(tlsCheckMs === undefined ? {} : { checkMs: tlsCheckMs }) };
  const server = await serverOf(files, handler, logger, limits);
  server.listen(port, host);
  await once(server, "listening").catch((error: NodeJS.ErrnoException) => {
    const { code = "" } = error;
    const what = `Cannot listen on ${host}:${port}: ${code}.`;
    if (code === "EADDRINUSE")
      throw new StackwardenError("PORT_IN_USE", what, { hint: "Choose another port with --port.", cause: error });
    throw usage(
      what,
      code === "EACCES" ? "Choose a port from 1024 on." : "Give --host an address that this machine has.",
      error,
    );
  });
  server.on("error", ({ message }) => logger.warn(`A connection could not be accepted: ${message}`));
  const address = server.address() as AddressInfo;
  const hostname = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return listening(`${tlsCert === undefined ? "http" : "https"}://${hostname}:${address.port}`, server);
}

/**
 * The folder must be writable by its owner only.
 * @throws STORAGE_FAILED when another server listens there, the path is not a socket, or the file cannot be created
 */
export async function listenOnSocket(
  path: string,
  handler: RequestListener,
  logger: Logger,
  limits: ConnectionLimits = {},
): Promise<Listening> {
  if (await answers(path))
    throw new StackwardenError("STORAGE_FAILED", `Another server listens on ${path}.`, {
      hint: "Stop that server, or choose another path with --socket.",
    });
  // Replace the socket of a killed server, and nothing else.
  const there = process.platform === "win32" ? null : await lstat(path).catch(() => null);
  if (there !== null && !there.isSocket())
    throw new StackwardenError("STORAGE_FAILED", `${path} exists and is not a socket.`, {
      hint: "Choose another path with --socket, or remove the file.",
    });
  if (there !== null) await rm(path, { force: true });
  const server = await serverOf(null, handler, logger, limits);
  server.on("connection", markPrivate);
  await listenPrivately(server, path).catch((error: NodeJS.ErrnoException) => {
    throw new StackwardenError("STORAGE_FAILED", `Cannot listen on ${path}: ${error.code}.`, {
      hint: "Choose another path with --socket.",
      cause: error,
    });
  });
  return listening(path, server);
}

/** Whether a process listens on this socket. */
const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });

async function serverOf(
  certificate: CertificateFiles | null,
  handler: RequestListener,
  logger: Logger,
  { headersMs = 10_000, requestMs = 30_000, connections = 512, anonymousPerSource = 64 }: ConnectionLimits,
): Promise<Server> {
  const options = {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    // Interval of the check for slow requests.
    connectionsCheckingInterval: Math.min(1000, headersMs),
    requireHostHeader: true,
  };
  const limited = limitPipelining(handler);
  const server =
    certificate === null
      ? createHttpServer(options, limited)
      : await certifiedServer(certificate, limited, options, logger);
  server.maxConnections = connections;
  limitAnonymous(server, anonymousPerSource);
  return server;
}

function listening(place: string, server: Server): Listening {
  let closing: Promise<void> | undefined;
  const stop = (): void => {
    closing ??= new Promise((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
  };
  return {
    place,
    stop,
    end: async () => {
      stop();
      server.closeAllConnections();
      await closing;
    },
  };
}
