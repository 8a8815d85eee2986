/**
 * How a connection to the background server begins: the client's first line says who it is and what it wants, the
 * server's first line welcomes or refuses it. After that the connection is plain MCP (one JSON-RPC message a line, one
 * connection one session), or the command line's control protocol. Nothing here loads more than Node itself.
 */
import type { Socket } from "node:net";
import { StackwardenError, type TransferredError } from "../errors.js";

/** Raised when older clients could no longer be served. */
export const PROTOCOL = 1;
const MAX_HELLO = 256 * 1024;

/** `mcp`: an MCP session. `control`: operations for the command line. `status`: look. `stop`: end the server. */
export type Purpose = "mcp" | "control" | "status" | "stop";

export interface ClientHello {
  protocol: number;
  version: string;
  key: string;
  purpose: Purpose;
  /** Of the client's process: relative paths and the default root start here. */
  cwd: string;
  /** The client's own command line, as configuration flags. */
  flags: Record<string, unknown>;
  /** Those of its environment variables that configure stackwarden. */
  env: Record<string, string>;
  /** Stop the stacks that this client started when it is gone. */
  stopOnExit?: boolean;
  /** `stop`: end also when stacks run or clients are connected. Without it only an idle server ends. */
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
  /** Present while it serves HTTP too. */
  http?: string;
  /** Its PATH: where it looks for programs. Absent in servers of earlier versions. */
  path?: string;
}

export interface ServerHello {
  protocol: number;
  /** Names the session in events. */
  session: string;
  server: ServerStatus;
}

export type HandshakeReply = { welcome: ServerHello } | { refused: TransferredError };

const VARIABLES = [/^STACKWARDEN_/, /^XDG_(CONFIG|STATE)_HOME$/, /^HOME$/, /^(LOCAL)?APPDATA$/];

/** What the server needs of a client's environment to read the client's configuration; nothing else leaves the process. */
export function configurationVariables(env: NodeJS.ProcessEnv): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && VARIABLES.some((pattern) => pattern.test(name))) found[name] = value;
  return found;
}

export const encodeLine = (value: unknown): string => `${JSON.stringify(value)}\n`;

/** @throws StackwardenError INVALID_INPUT for what is no hello of this protocol */
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
  if (typeof hello !== "object" || hello === null)
    return refuse("The connection began with something else than a hello.");
  const { protocol, version, key, purpose, cwd, flags, env } = hello;
  if (protocol !== PROTOCOL) return refuse(`The client speaks protocol ${String(protocol)}, this server ${PROTOCOL}.`);
  if (![version, key, cwd].every((text) => typeof text === "string")) return refuse("The hello is incomplete.");
  if (!["mcp", "control", "status", "stop"].includes(String(purpose))) return refuse("The hello has no known purpose.");
  if (!isPlain(flags, (one) => ["string", "boolean", "number"].includes(typeof one) || isTexts(one)))
    return refuse("The hello's flags are no flags.");
  if (!isPlain(env, (one) => typeof one === "string")) return refuse("The hello's env is no environment.");
  return hello as ClientHello;
}

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((one) => typeof one === "string" || typeof one === "number");
const isPlain = (value: unknown, member: (one: unknown) => boolean): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(member);

/**
 * Reads the first line and leaves what follows it in the socket.
 * @returns null when the connection ended before a whole line came
 * @throws Error when the line is too long or does not come in time
 */
export function firstLine(socket: Socket, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      socket.off("readable", read);
      socket.off("end", ended);
      socket.off("close", ended);
      socket.off("error", ended);
      finish();
    };
    const timer = setTimeout(() => settle(() => reject(new Error("no first line in time"))), timeoutMs);
    const ended = (): void => settle(() => resolve(null));
    const read = (): void => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
        const end = chunk.indexOf(10);
        if (end < 0) {
          parts.push(chunk);
          size += chunk.length;
          if (size > MAX_HELLO) settle(() => reject(new Error("the first line is too long")));
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
    socket.once("end", ended);
    socket.once("close", ended);
    socket.once("error", ended);
  });
}
