/**
 * The control protocol: one JSON value per line. The server sends a greeting. Each request gets any number of `progress`
 * and `output` lines and one `result` or `error`, also when it is cancelled. A request with a terminal also gets its raw
 * output, and is followed by what the user types and by changes of the terminal's size.
 */
import type { TransferredError } from "../errors.js";
import type { Progress } from "../stack/model.js";
import type { TerminalSize } from "../stack/runtime.js";

export interface ControlRequest {
  id: number;
  operation: string;
  input: unknown;
  /** Attaches the operation's command to a terminal of the client. */
  terminal?: TerminalSize & { type: string };
}

/** What the user types in the terminal of a request, in base64; absent at its end. */
export interface ControlTyped {
  typed: number;
  data?: string;
}

export interface ControlResize extends TerminalSize {
  resize: number;
}

export interface ControlCancel {
  cancel: number;
}

export interface ControlHello {
  hello: { version: string; pid: number };
}

export type ControlReply =
  | { id: number; result: unknown }
  | { id: number; error: TransferredError }
  | ControlProgress
  | ControlOutput
  | ControlTerminal;

/** Raw output of a terminal, in base64. */
export interface ControlTerminal {
  id: number;
  terminal: string;
}

/** A line that a command printed. */
export interface ControlOutput {
  id: number;
  output: { stream: "stdout" | "stderr"; line: string };
}

export interface ControlProgress {
  id: number;
  progress: Progress;
}

/** Longest request and reply in bytes; a longer one closes the connection. */
export const MAX_REQUEST = 1024 * 1024;
export const MAX_REPLY = 16 * 1024 * 1024;

type ClientMessage = ControlRequest | ControlCancel | ControlTyped | ControlResize;

export const encode = (message: ControlHello | ClientMessage | ControlReply): string => `${JSON.stringify(message)}\n`;

const isSize = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536;

function terminalOf(value: Partial<ControlRequest["terminal"]>): ControlRequest["terminal"] {
  const { columns, rows, type } = value ?? {};
  if (!isSize(columns) || !isSize(rows) || typeof type !== "string" || !/^[\w.+-]{1,64}$/.test(type)) return undefined;
  return { columns, rows, type };
}

/** @returns null for a line that is no message of a client */
export function parseRequest(line: string): ClientMessage | null {
  try {
    const value = JSON.parse(line) as Partial<ControlRequest & ControlCancel & ControlTyped & ControlResize> | null;
    if (typeof value !== "object" || value === null) return null;
    const { id, operation, input = {}, terminal, cancel, typed, data, resize, columns, rows } = value;
    if (Number.isSafeInteger(cancel)) return { cancel: cancel as number };
    if (Number.isSafeInteger(typed)) return { typed: typed as number, ...(typeof data === "string" ? { data } : {}) };
    if (Number.isSafeInteger(resize))
      return isSize(columns) && isSize(rows) ? { resize: resize as number, columns, rows } : null;
    if (!Number.isSafeInteger(id) || typeof operation !== "string") return null;
    const size = terminal === undefined ? undefined : terminalOf(terminal);
    return { id: id as number, operation, input, ...(size === undefined ? {} : { terminal: size }) };
  } catch {
    return null;
  }
}
