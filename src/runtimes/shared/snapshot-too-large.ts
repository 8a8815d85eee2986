/** Creates the error for data that exceeds what a copy may take. */
import { StackwardenError } from "../../errors.js";

export const snapshotTooLarge = (maxBytes: number): StackwardenError =>
  new StackwardenError(
    "SNAPSHOT_TOO_LARGE",
    `The data is larger than the ${maxBytes} bytes that a copy may take here.`,
    {
      hint: "Delete snapshots, free space on the state directory's disk, or have the operator raise snapshots.max_mb.",
      details: { max_bytes: maxBytes },
    },
  );
