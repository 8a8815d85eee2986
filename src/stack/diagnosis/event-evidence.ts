import type { StackEvent } from "../model.js";
import type { Evidence } from "./types.js";

/** An event as evidence for a cause. */
export const eventEvidence = ({ service, time, message }: StackEvent): Evidence => ({
  source: "event",
  service,
  time,
  text: message,
});
