/** Cursors `<epoch>:<seq>`: a position in one store. The epoch distinguishes a store from a deleted one. */
import { randomBytes } from "node:crypto";
import { StackwardenError } from "../../errors.js";

const FORM = /^([0-9a-f]{8}):(0|[1-9]\d{0,15})$/;
const HINT = "Leave cursor out to get the newest lines; continue with the answer's next_cursor.";

export const newEpoch = (): string => randomBytes(4).toString("hex");
export const isEpoch = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{8}$/.test(value);

export const formatCursor = (epoch: string, seq: number): string => `${epoch}:${seq}`;

/**
 * Returns the seq of a cursor.
 * @throws INVALID_INPUT when the cursor is malformed, belongs to another store, or is ahead of this one
 */
export function parseCursor(cursor: string, epoch: string, lastSeq: number): number {
  const match = FORM.exec(cursor);
  if (match === null) {
    throw new StackwardenError("INVALID_INPUT", "The log cursor is malformed.", { hint: HINT });
  }
  const seq = Number(match[2]);
  if (match[1] !== epoch || seq > lastSeq) {
    throw new StackwardenError("INVALID_INPUT", "The log cursor belongs to another log: this one is new.", {
      hint: HINT,
    });
  }
  return seq;
}
