/**
 * The control protocol: one JSON value per line. The server sends a greeting. Each request gets any number of `progress`
 * and `output` lines and one `result` or `error`, also when it is cancelled.
 */
import type { TransferredError } from "../errors.js";
import type { Progress } from "../stack/model.js";

export interface ControlRequest {
  id: number;
  operation: string;
  input: unknown;
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
  | ControlOutput;

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

export const encode = (message: ControlHello | ControlRequest | ControlCancel | ControlReply): string =>
  `${JSON.stringify(message)}\n`;

export function parseRequest(line: string): ControlRequest | ControlCancel | null {
  try {
    const value = JSON.parse(line) as Partial<ControlRequest & ControlCancel> | null;
    if (typeof value !== "object" || value === null) return null;
    if (Number.isSafeInteger(value.cancel)) return { cancel: value.cancel as number };
    if (!Number.isSafeInteger(value.id) || typeof value.operation !== "string") return null;
    return { id: value.id as number, operation: value.operation, input: value.input ?? {} };
  } catch {
    return null;
  }
}
