/** Reported snapshots of a project's data. */
import * as z from "zod";
import { RUNTIMES } from "../vocabulary.js";

const text = z.string();
const number = z.number();

export const snapshot = z.object({
  name: text,
  /** ISO 8601, UTC. */
  created_at: text,
  /** Only this runtime can restore it. */
  runtime: z.enum(RUNTIMES),
  bytes: number,
  /** Bytes of each volume. 0: the volume had no data, and is empty after a restore. */
  volumes: z.record(z.string(), number),
  /**
   * True for snapshots saved before volumes were deleted or replaced. The oldest of them are deleted to make room for
   * new ones.
   */
  automatic: z.boolean(),
});
export type Snapshot = z.infer<typeof snapshot>;

export const snapshotList = z.object({
  project: text,
  snapshots: z.array(snapshot),
  /** Present for a folder without a project: nothing was started in it, or everything was deleted. */
  note: text.exactOptional(),
});
export type SnapshotList = z.infer<typeof snapshotList>;

export const snapshotOutcome = z.object({
  project: text,
  message: text,
  snapshot,
  /** Name of the automatic snapshot with the data that a restore replaced; absent when there was none. */
  replaced: text.exactOptional(),
  took_ms: number,
});
export type SnapshotOutcome = z.infer<typeof snapshotOutcome>;
