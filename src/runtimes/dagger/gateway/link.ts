/**
 * The server's end of the gateway: the listener to which its script connects, and the connections that it opens on
 * request.
 */

import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { LineSplitter } from "../../../system/line-splitter.js";
import { within } from "../../../system/wait.js";

/** Longest first line. */
const MOST_HEADER = 200;
/** Milliseconds for the first line of a connection. */
const HEADER_MS = 5000;
/** The script responds within the given time; after this additional time it counts as unavailable. */
const ANSWER_MS = 2000;

interface ConnectionRequest {
  resolve(socket: Socket): void;
  reject(error: Error): void;
}

/** Error with a system code, which the probes recognise. */
export function systemError(code: string, what: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`connect ${code} ${what}`), { code });
}

/**
 * Reads the first line of a connection and leaves later data in the socket. Null for an invalid line. It does not use a
 * `data` listener: the paused socket would stay paused for a caller that only adds listeners.
 */
function header(socket: Socket): Promise<string | null> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const end = (line: string | null): void => {
      clearTimeout(timer);
      socket.off("readable", take).off("close", onClose).off("error", onClose);
      resolve(line);
    };
    const onClose = (): void => end(null);
    const take = (): void => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
        bytes = Buffer.concat([bytes, chunk]);
        const length = bytes.indexOf("\n");
        if (length < 0 && bytes.length < MOST_HEADER) continue;
        if (length >= 0 && length + 1 < bytes.length) socket.unshift(bytes.subarray(length + 1));
        end(length < 0 ? null : bytes.subarray(0, length).toString());
        return;
      }
    };
    const timer = setTimeout(onClose, HEADER_MS);
    socket.on("readable", take).once("close", onClose).once("error", onClose);
  });
}

export class Link {
  /** Secret that only the script knows: every process on this machine can connect to the port. */
  readonly token = randomBytes(32).toString("hex");
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #requests = new Map<number, ConnectionRequest>();
  #control: Socket | null = null;
  #next = 0;
  #dialledIn: () => void = () => {};

  /** The control connection of the script. */
  readonly ready = new Promise<void>((resolve) => {
    this.#dialledIn = resolve;
  });

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#open.add(socket);
      socket.once("close", () => this.#open.delete(socket));
      socket.on("error", () => {});
      void this.#accept(socket);
    });
    this.#server.unref();
  }

  static async open(): Promise<Link> {
    const link = new Link();
    await new Promise<void>((resolve, reject) => {
      // Later errors concern connections that could not be accepted, and are ignored.
      link.#server.on("error", reject);
      link.#server.listen({ host: "127.0.0.1", port: 0 }, resolve);
    });
    return link;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  async #accept(socket: Socket): Promise<void> {
    const [token = "", kind, id] = (await header(socket))?.split(" ") ?? [];
    const [received, expected] = [Buffer.from(token), Buffer.from(this.token)];
    if (received.length !== expected.length || !timingSafeEqual(received, expected)) {
      socket.destroy();
      return;
    }
    if (kind === "control" && this.#control === null) this.#listen(socket);
    else {
      const request = this.#take(Number(id));
      // The caller no longer waits for this connection.
      if (request === undefined) socket.destroy();
      else request.resolve(socket);
    }
  }

  #listen(control: Socket): void {
    this.#control = control;
    const lines = new LineSplitter((line) => {
      const { id, failed } = JSON.parse(line) as { id: number; failed: string };
      this.#take(id)?.reject(systemError(failed, "through the gateway"));
    }, Number.POSITIVE_INFINITY);
    control.on("data", (chunk: Buffer) => lines.push(chunk));
    control.once("end", () => control.destroy()).once("close", () => this.#failAll());
    control.resume();
    this.#dialledIn();
  }

  #take(id: number): ConnectionRequest | undefined {
    const request = this.#requests.get(id);
    this.#requests.delete(id);
    return request;
  }

  #failAll(): void {
    for (const id of [...this.#requests.keys()]) this.#take(id)?.reject(systemError("ECONNRESET", "the gateway ended"));
  }

  /** Makes the script open a connection. Rejects with the system's error code, or the signal's reason. */
  async dial(host: string, port: number, timeoutMs: number, signal?: AbortSignal): Promise<Socket> {
    const control = this.#control;
    if (control === null || control.destroyed) throw systemError("ECONNREFUSED", "no gateway");
    this.#next += 1;
    const id = this.#next;
    signal?.throwIfAborted();
    const connected = new Promise<Socket>((resolve, reject) => this.#requests.set(id, { resolve, reject }));
    control.write(`${JSON.stringify({ id, host, port, ms: timeoutMs })}\n`);
    const late = () => systemError("ETIMEDOUT", `${host}:${port}`);
    return within(connected, { ms: timeoutMs + ANSWER_MS, late, ...(signal === undefined ? {} : { signal }) }).finally(
      () => this.#requests.delete(id),
    );
  }

  /** Closes the listener and every connection. */
  async close(): Promise<void> {
    this.#failAll();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#open) socket.resetAndDestroy();
    await closed;
  }
}
