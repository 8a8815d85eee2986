/**
 * Connects to the background server and starts it on request. Imports only Node's built-in modules, because it runs
 * before every session of an agent.
 */
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { reviveError, StackwardenError } from "../errors.js";
import { lockHolder } from "../system/lock-file.js";
import { type DaemonInfo, type DaemonPaths, daemonPaths, prepareDaemonFolder, requirePrivate } from "./daemon-paths.js";
import {
  type ClientHello,
  encodeLine,
  firstLine,
  type HandshakeReply,
  PROTOCOL,
  type ServerHello,
} from "./handshake.js";

export interface ConnectRequest extends Omit<ClientHello, "protocol" | "key"> {
  stateDir: string;
  /** How to start a server when none is running. Absent: none is started. */
  start?: { program: string; env: NodeJS.ProcessEnv };
  /** Accept a server of another version. Default false. */
  anyVersion?: boolean;
  /** Milliseconds to wait for a server that starts, shuts down or hangs. Default 45,000. */
  patienceMs?: number;
}

export interface Connected {
  /** Carries the session from here on. */
  socket: Socket;
  welcome: ServerHello;
}

/** Covers a shutdown: the server stops its stacks first, and clients wait for its successor. */
const PATIENCE_MS = 45_000;
const WELCOME_MS = 10_000;
const STEP_MS = 20;

/**
 * @returns null when no server is running and `start` is absent
 * @throws StackwardenError SERVER_UNAVAILABLE, SERVER_IN_USE (another version), STORAGE_FAILED, or the server's refusal
 */
export async function connectToDaemon(request: ConnectRequest): Promise<Connected | null> {
  const place = daemonPaths(request.stateDir);
  for (const latest = Date.now() + (request.patienceMs ?? PATIENCE_MS); Date.now() < latest; ) {
    const socket = (await requirePrivate(place)) ? await reach(place) : null;
    if (socket !== null) {
      const joined = await greet(socket, place, request);
      if (joined !== null) return joined;
    } else if (lockHolder(place.lock) === null) {
      if (request.start === undefined) return null;
      await prepareDaemonFolder(request.stateDir, place);
      const { spawnDaemon } = await import("./spawn.js");
      await spawnDaemon({ stateDir: request.stateDir, place, ...request.start });
      continue;
    }
    // The server is starting or shutting down.
    await sleep(STEP_MS);
  }
  const pid = lockHolder(place.lock);
  throw new StackwardenError(
    "SERVER_UNAVAILABLE",
    `The background server (process ${pid ?? "unknown"}) does not respond.`,
    {
      hint: `Read its log (${place.log}). If it hangs, end that process; its services end with it.`,
      details: { pid, log: place.log },
    },
  );
}

/** @returns null when no process listens */
async function reach(place: DaemonPaths): Promise<Socket | null> {
  const socket = connect(place.socket);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    // `close` follows every error, and all users of the socket listen for `close`.
    socket.on("error", () => undefined);
    return socket;
  } catch (error) {
    socket.destroy();
    const { code = "" } = error as NodeJS.ErrnoException;
    if (["ENOENT", "ECONNREFUSED", "ECONNRESET", "ENOTSOCK"].includes(code)) return null;
    throw new StackwardenError("SERVER_UNAVAILABLE", `The background server cannot be reached: ${code}.`, {
      hint: `Check ${place.socket}, or run without the server: stackwarden mcp --standalone.`,
      cause: error,
    });
  }
}

/** @returns null when the server ended or was replaced meanwhile; the caller tries again */
async function greet(socket: Socket, place: DaemonPaths, request: ConnectRequest): Promise<Connected | null> {
  const { version, purpose, cwd, flags, env, stopOnExit, force, patienceMs = WELCOME_MS } = request;
  const info = await readInfo(place);
  if (info === null) {
    socket.destroy();
    return null;
  }
  const hello: ClientHello = { protocol: PROTOCOL, version, key: info.key, purpose, cwd, flags, env };
  if (stopOnExit === true) hello.stopOnExit = true;
  if (force === true) hello.force = true;
  socket.write(encodeLine({ stackwarden: hello }));
  const line = await firstLine(socket, Math.min(patienceMs, WELCOME_MS)).catch(() => null);
  const answer = line === null ? null : parseAnswer(line);
  if (answer === null || "refused" in answer) {
    socket.destroy();
    // A replaced server has another key, and a server that shuts down gets a successor: try again.
    if (answer === null || ["UNAUTHORIZED", "SERVER_UNAVAILABLE"].includes(answer.refused.code)) return null;
    throw reviveError(answer.refused);
  }
  const { welcome } = answer;
  const matters = ["mcp", "control", "dashboard"].includes(purpose) && request.anyVersion !== true;
  if (!matters || welcome.server.version === version) return { socket, welcome };
  socket.destroy();
  await replace(welcome, request);
  return null;
}

/** Ends an idle server of another version. A server in use is an error. */
async function replace({ server }: ServerHello, request: ConnectRequest): Promise<void> {
  try {
    const { force: _force, start: _start, stopOnExit: _stopOnExit, ...rest } = request;
    (await connectToDaemon({ ...rest, purpose: "stop" }))?.socket.destroy();
  } catch (error) {
    if (!(error instanceof StackwardenError) || error.code !== "SERVER_IN_USE") throw error;
    throw new StackwardenError(
      "SERVER_IN_USE",
      `The background server (process ${server.pid}) has version ${server.version}, this program has ${request.version}. ${error.message}`,
      {
        hint: "Stop it with `stackwarden server stop --force` (its stacks are stopped, data is kept), then try again.",
        details: { ...error.details, versions: { server: server.version, client: request.version } },
      },
    );
  }
}

async function readInfo(place: DaemonPaths): Promise<DaemonInfo | null> {
  try {
    return JSON.parse(await readFile(place.info, "utf8")) as DaemonInfo;
  } catch {
    return null;
  }
}

function parseAnswer(line: string): HandshakeReply | null {
  try {
    return (JSON.parse(line) as { stackwarden: HandshakeReply }).stackwarden;
  } catch {
    return null;
  }
}
