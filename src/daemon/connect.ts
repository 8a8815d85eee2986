/**
 * Joins the user's background server, starting it where that is wanted. Loads nothing but Node's own parts, since it
 * runs before every session of an agent.
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
  /** Starts a server when none runs. Absent: none is started. */
  start?: { program: string; env: NodeJS.ProcessEnv };
  /** Take a server of another version as it is. Default false. */
  anyVersion?: boolean;
  /** Milliseconds to wait for a server that starts, ends or hangs. Default 45,000. */
  patienceMs?: number;
}

export interface Connected {
  /** What comes from now on is the session's. */
  socket: Socket;
  welcome: ServerHello;
}

/** A server that ends stops its stacks first; whoever comes meanwhile waits for its successor. */
const PATIENCE_MS = 45_000;
const WELCOME_MS = 10_000;
const STEP_MS = 20;

/**
 * @returns null when no server runs and none is to be started
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
    // It is just starting, or just ending.
    await sleep(STEP_MS);
  }
  const pid = lockHolder(place.lock);
  throw new StackwardenError(
    "SERVER_UNAVAILABLE",
    `The background server (process ${pid ?? "unknown"}) does not answer.`,
    {
      hint: `Read its log (${place.log}); when it hangs, end that process: its services end with it.`,
      details: { pid, log: place.log },
    },
  );
}

/** @returns null when nobody listens */
async function reach(place: DaemonPaths): Promise<Socket | null> {
  const socket = connect(place.socket);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    // An error is followed by close, which is what everybody listens for.
    socket.on("error", () => undefined);
    return socket;
  } catch (error) {
    socket.destroy();
    const { code = "" } = error as NodeJS.ErrnoException;
    if (["ENOENT", "ECONNREFUSED", "ECONNRESET", "ENOTSOCK"].includes(code)) return null;
    throw new StackwardenError("SERVER_UNAVAILABLE", `The background server cannot be reached: ${code}.`, {
      hint: `Look at ${place.socket}, or do without the server: stackwarden mcp --standalone.`,
      cause: error,
    });
  }
}

/** @returns null when the server went away or was replaced meanwhile: try again */
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
    // The key of a server that was just replaced opens nothing: read the new one. One that is ending has a successor.
    if (answer === null || ["UNAUTHORIZED", "SERVER_UNAVAILABLE"].includes(answer.refused.code)) return null;
    throw reviveError(answer.refused);
  }
  const { welcome } = answer;
  const matters = (purpose === "mcp" || purpose === "control") && request.anyVersion !== true;
  if (!matters || welcome.server.version === version) return { socket, welcome };
  socket.destroy();
  await replace(welcome, request);
  return null;
}

/** Ends an idle server of another version; one in use is left alone. */
async function replace({ server }: ServerHello, request: ConnectRequest): Promise<void> {
  try {
    const { force: _force, start: _start, stopOnExit: _stopOnExit, ...rest } = request;
    (await connectToDaemon({ ...rest, purpose: "stop" }))?.socket.destroy();
  } catch (error) {
    if (!(error instanceof StackwardenError) || error.code !== "SERVER_IN_USE") throw error;
    throw new StackwardenError(
      "SERVER_IN_USE",
      `The background server (process ${server.pid}) has version ${server.version}, this program ${request.version}; ${error.message}`,
      {
        hint: "End it with `stackwarden server stop --force` (its stacks are stopped, their data stays), then try again.",
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
