/** The HTTP server: the application on an address, on a socket file, or both. */
import type { StackManager } from "../stack/model.js";
import { createHttpApp, type HttpAppOptions } from "./app.js";
import {
  type AddressOptions,
  type ConnectionLimits,
  checkAddress,
  type Listening,
  listenOnAddress,
  listenOnSocket,
} from "./listen.js";

export interface HttpServerOptions extends HttpAppOptions {
  /** Null: only the socket. */
  address: AddressOptions | null;
  /** Path of a socket file with mode 0600, for the server's own user. Null: only the address. */
  socket: string | null;
  limits?: ConnectionLimits;
}

export interface HttpServer {
  /** As `http://127.0.0.1:7717`; null without an address. */
  readonly url: string | null;
  readonly socket: string | null;
  /** Requests in progress. */
  readonly openRequests: number;
  /** Counts the events of a manager that is in use before the first request. */
  follow(manager: StackManager): void;
  /**
   * Accepts no new requests, waits for calls in progress, then ends every connection. Idempotent.
   * @param deadlineMs longest wait for calls in progress; default 5,000
   */
  close(deadlineMs?: number): Promise<void>;
}

/** @throws INVALID_INPUT, PORT_IN_USE, STORAGE_FAILED; nothing is left open then */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { address, socket, limits, ...rest } = options;
  if (address !== null) checkAddress(address);
  const host = address?.host;
  const http = createHttpApp({
    ...rest,
    allowedHosts: [
      ...(host === undefined ? [] : [host.includes(":") ? `[${host}]` : host]),
      ...(rest.allowedHosts ?? []),
    ],
  });
  const open: Listening[] = [];
  const closeAll = async (deadlineMs?: number): Promise<void> => {
    for (const one of open) one.stop();
    await http.close(deadlineMs);
    await Promise.all(open.map((one) => one.end()));
  };
  try {
    if (address !== null) open.push(await listenOnAddress(address, http.app, rest.logger, limits));
    if (socket !== null) open.push(await listenOnSocket(socket, http.app, rest.logger, limits));
  } catch (error) {
    await closeAll(0);
    throw error;
  }
  let closing: Promise<void> | undefined;
  return {
    url: address === null ? null : (open[0]?.place ?? null),
    socket,
    get openRequests() {
      return http.openRequests;
    },
    follow: http.follow,
    close: (deadlineMs) => {
      closing ??= closeAll(deadlineMs);
      return closing;
    },
  };
}
