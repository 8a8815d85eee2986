/**
 * The handshake of a connection to the background server. The client sends one line with its version, key, purpose and
 * configuration; the server accepts or rejects it with one line. Then the connection carries one MCP session (one
 * JSON-RPC message per line) or the control protocol. Imports only Node's built-in modules.
 */
import type { Socket } from "node:net";
import { StackwardenError, type TransferredError } from "../errors.js";
import { CLIENT_PROGRAM_VARIABLE } from "../system/client-environment.js";

/** Incremented when the handshake becomes incompatible with older clients. */
export const PROTOCOL = 1;
const MAX_HELLO = 256 * 1024;

/**
 * `mcp`: an MCP session. `control`: operations for the command line. `dashboard`: a link to the dashboard. `status`: report
 * only. `stop`: end the server.
 */
export type Purpose = "mcp" | "control" | "dashboard" | "status" | "stop";

export interface ClientHello {
  protocol: number;
  version: string;
  key: string;
  purpose: Purpose;
  /** Working directory of the client; base of relative paths and the default root. */
  cwd: string;
  /** Configuration flags of the client's command line. */
  flags: Record<string, unknown>;
  /** The client's environment variables that configure stackwarden. */
  env: Record<string, string>;
  /** Stop the stacks that this client started when it disconnects. */
  stopOnExit?: boolean;
  /** `stop`: also with running stacks or connected clients. Default: only an idle server ends. */
  force?: boolean;
}

export interface ServerStatus {
  pid: number;
  version: string;
  /** ISO 8601 */
  started_at: string;
  /** Connected MCP sessions and commands. */
  clients: number;
  stacks: { project: string; state: string; folder: string }[];
  log: string;
  /** Present when the server also serves HTTP. */
  http?: string;
  /** Address of the dashboard's listener, once a user has opened it. */
  dashboard?: string;
  /** PATH of the server. Absent in earlier versions. */
  path?: string;
}

export interface DashboardLink {
  /** As `http://127.0.0.1:7717`. */
  url: string;
  token: string;
}

export interface ServerHello {
  protocol: number;
  /** Session name in events. */
  session: string;
  server: ServerStatus;
  /** For the purpose `dashboard`. */
  dashboard?: DashboardLink;
}

export type HandshakeReply = { welcome: ServerHello } | { refused: TransferredError };

const VARIABLES = [/^STACKWARDEN_/, /^XDG_(CONFIG|STATE)_HOME$/, /^(LOCAL)?APPDATA$/, CLIENT_PROGRAM_VARIABLE];

/**
 * The environment variables that the server needs to read the client's configuration and to find its programs. No
 * others leave the process.
 */
export function configurationVariables(env: NodeJS.ProcessEnv): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && VARIABLES.some((pattern) => pattern.test(name))) variables[name] = value;
  return variables;
}

export const encodeLine = (value: unknown): string => `${JSON.stringify(value)}\n`;

/** @throws StackwardenError INVALID_INPUT when the line is not a valid handshake */
export function parseClientHello(line: string): ClientHello {
  let value: { stackwarden?: Partial<ClientHello> } | null = null;
  try {
    value = JSON.parse(line);
  } catch {
    // Refused below.
  }
  const hello = value?.stackwarden;
  const refuse = (message: string): never => {
    throw new StackwardenError("INVALID_INPUT", message, { hint: "Connect with: stackwarden mcp" });
  };
  if (typeof hello !== "object" || hello === null) return refuse("Expected a handshake as the first message.");
  const { protocol, version, key, purpose, cwd, flags, env } = hello;
  if (protocol !== PROTOCOL) return refuse(`Expected handshake protocol ${PROTOCOL}, got ${String(protocol)}.`);
  if (![version, key, cwd].every((text) => typeof text === "string"))
    return refuse("Invalid handshake: `version`, `key` and `cwd` must be strings.");
  if (!["mcp", "control", "dashboard", "status", "stop"].includes(String(purpose)))
    return refuse("Invalid handshake: `purpose` must be mcp, control, dashboard, status or stop.");
  if (!isPlain(flags, (one) => ["string", "boolean", "number"].includes(typeof one) || isTexts(one)))
    return refuse("Invalid handshake: `flags` must be an object of strings, booleans, numbers or lists of strings.");
  if (!isPlain(env, (one) => typeof one === "string"))
    return refuse("Invalid handshake: `env` must be an object of strings.");
  return hello as ClientHello;
}

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((one) => typeof one === "string" || typeof one === "number");
const isPlain = (value: unknown, member: (one: unknown) => boolean): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(member);

/**
 * Reads the first line and leaves the following bytes in the socket.
 * @returns null when the connection ended before a complete line arrived
 * @throws Error when the line is too long or does not arrive in time
 */
export function firstLine(socket: Socket, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      socket.off("readable", read);
      socket.off("end", onEnd);
      socket.off("close", onEnd);
      socket.off("error", onEnd);
      finish();
    };
    const timer = setTimeout(() => settle(() => reject(new Error(`no handshake within ${timeoutMs} ms`))), timeoutMs);
    const onEnd = (): void => settle(() => resolve(null));
    const read = (): void => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
        const end = chunk.indexOf(10);
        if (end < 0) {
          parts.push(chunk);
          size += chunk.length;
          if (size > MAX_HELLO) settle(() => reject(new Error("the handshake is too long")));
          continue;
        }
        parts.push(chunk.subarray(0, end));
        const rest = chunk.subarray(end + 1);
        settle(() => {
          if (rest.length > 0) socket.unshift(rest);
          resolve(Buffer.concat(parts).toString("utf8"));
        });
        return;
      }
    };
    socket.on("readable", read);
    socket.once("end", onEnd);
    socket.once("close", onEnd);
    socket.once("error", onEnd);
  });
}
