/**
 * A BuildKit session: the engine's connection back to this server during a build, on which it asks for secrets and
 * registry credentials by gRPC. Nothing of them is sent unless a step of the build asks for it.
 */
import { randomUUID } from "node:crypto";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { Duplex } from "node:stream";
import type Docker from "dockerode";
import type { RegistryAuth } from "../../engine/credentials.js";
import { encodeField, textField } from "./protobuf.js";

export interface SessionOptions {
  docker: Docker;
  /** By the name that the Dockerfile uses. */
  secrets: Readonly<Record<string, string | Buffer>>;
  /** @param host the registry's host; empty for Docker Hub */
  credentials(host: string): Promise<RegistryAuth | null>;
  /** Ends the attempt to open the session. */
  signal: AbortSignal;
}

export interface BuildSession {
  /** For the build's request. */
  id: string;
  close(): void;
}

/** A status of gRPC other than OK. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
/** `SERVING` of the health check. */
const SERVING = Buffer.from([8, 1]);
const DOCKER_HUB = /^(?:registry-1\.docker\.io|index\.docker\.io|docker\.io)$/;
const PREFIX = 5;
const LARGEST_REQUEST = 1_048_576;

type Method = (request: Buffer) => Buffer | Promise<Buffer>;

const methodsOf = ({ secrets, credentials }: SessionOptions): Record<string, Method> => ({
  "/grpc.health.v1.Health/Check": () => SERVING,
  "/moby.buildkit.secrets.v1.Secrets/GetSecret": (request) => {
    const id = textField(request, 1);
    const value = Object.hasOwn(secrets, id) ? secrets[id] : undefined;
    if (value === undefined) throw new Refusal(NOT_FOUND, `secret ${id} not found`);
    return encodeField(1, value);
  },
  "/moby.filesync.v1.Auth/Credentials": async (request) => {
    const host = textField(request, 1);
    const auth = await credentials(DOCKER_HUB.test(host) ? "" : host);
    if (auth === null) return Buffer.alloc(0);
    // BuildKit takes a secret without a name as an identity token.
    if (auth.identitytoken !== undefined) return encodeField(2, auth.identitytoken);
    return Buffer.concat([encodeField(1, auth.username ?? ""), encodeField(2, auth.password ?? "")]);
  },
});

async function requestOf(stream: ServerHttp2Stream): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += (chunk as Buffer).length;
    if (size > LARGEST_REQUEST) throw new Refusal(INTERNAL, "the request is too large");
    parts.push(chunk as Buffer);
  }
  return Buffer.concat(parts).subarray(PREFIX);
}

const HEADERS = { ":status": 200, "content-type": "application/grpc" };

async function answer(stream: ServerHttp2Stream, method: Method | undefined): Promise<void> {
  try {
    if (method === undefined) throw new Refusal(UNIMPLEMENTED, "unknown method");
    const message = await method(await requestOf(stream));
    const prefix = Buffer.alloc(PREFIX);
    prefix.writeUInt32BE(message.length, 1);
    stream.respond(HEADERS, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.concat([prefix, message]));
  } catch (error) {
    // The engine may have ended the stream meanwhile; then there is nothing to respond to.
    if (stream.destroyed || stream.closed || stream.headersSent) return;
    const status = error instanceof Refusal ? error.status : INTERNAL;
    const trailers = { "grpc-status": String(status), "grpc-message": encodeURIComponent((error as Error).message) };
    stream.respond({ ...HEADERS, ...trailers }, { endStream: true });
  }
}

/**
 * HTTP/2 reads a socket by its handle and would miss the bytes that arrived with the response to the upgrade. They are in
 * the socket's own buffer.
 */
function bufferedSocket(socket: Duplex): Duplex {
  const outer = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (chunk) => {
    if (!outer.push(chunk)) socket.pause();
  });
  socket.once("end", () => outer.push(null));
  socket.once("close", () => outer.destroy());
  socket.on("error", () => outer.destroy());
  outer.on("error", () => undefined);
  return outer;
}

interface Modem {
  dial(options: object, callback: (error: unknown, socket: Duplex) => void): void;
}

/** @throws the engine's error, with a status for an engine without BuildKit; an error when the signal aborts */
export async function openSession(options: SessionOptions): Promise<BuildSession> {
  const id = randomUUID();
  const methods = methodsOf(options);
  const socket = await new Promise<Duplex>((resolve, reject) => {
    (options.docker.modem as unknown as Modem).dial(
      {
        method: "POST",
        path: "/session",
        hijack: true,
        headers: {
          Upgrade: "h2c",
          "X-Docker-Expose-Session-Uuid": id,
          "X-Docker-Expose-Session-Name": "stackwarden",
          "X-Docker-Expose-Session-Grpc-Method": Object.keys(methods),
        },
        statusCodes: {},
        abortSignal: options.signal,
      },
      (error, hijacked) => (error ? reject(error) : resolve(hijacked)),
    );
  });
  const server = createServer();
  server.on("session", (session: ServerHttp2Session) => session.on("error", () => undefined));
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => undefined);
    void answer(stream, methods[String(headers[":path"])]);
  });
  const outer = bufferedSocket(socket);
  server.emit("connection", outer);
  return { id, close: () => void outer.destroy() };
}
