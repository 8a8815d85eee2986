/** Reported events. */
import * as z from "zod";
import { EVENT_TYPES } from "../vocabulary.js";

const number = z.number();
const text = z.string();

export const stackEvent = z.object({
  seq: number,
  /** ISO 8601, UTC. */
  time: text,
  project: text,
  type: z.enum(EVENT_TYPES),
  service: text.nullable(),
  message: text,
  /** The client's name and session, or `stackwarden`. */
  actor: text,
  data: z.record(z.string(), z.unknown()).exactOptional(),
});
export type StackEvent = z.infer<typeof stackEvent>;

export const eventPage = z.object({
  project: text,
  events: z.array(stackEvent),
  next_cursor: number,
  omitted: number,
  /** Present when the query asked for a wait that did not happen. */
  note: text.exactOptional(),
});
export type EventPage = z.infer<typeof eventPage>;
