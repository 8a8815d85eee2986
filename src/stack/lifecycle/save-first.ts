/** The automatic snapshot before data is deleted or replaced. */
import { changedError, toStackwardenError } from "../../errors.js";
import type { Snapshot } from "../schemas/snapshots.js";

/** Errors of a save that mean that there is no data, or that the runtime cannot copy it. */
const NO_SNAPSHOT = new Set(["INVALID_INPUT", "UNSUPPORTED"]);

/**
 * @param what `The data was not deleted`
 * @param instead how to continue without a snapshot, as a sentence
 * @returns the name of the snapshot; null when there is no data or the runtime cannot copy it
 * @throws when the data cannot be saved; the caller then leaves it as it is
 */
export async function saveFirst(
  save: () => Promise<Snapshot | null>,
  { what, instead }: { what: string; instead: string },
): Promise<string | null> {
  try {
    return (await save())?.name ?? null;
  } catch (cause) {
    const error = toStackwardenError(cause);
    if (NO_SNAPSHOT.has(error.code)) return null;
    throw changedError(error, {
      message: `${what}, because it cannot be saved first: ${error.message}`,
      hint: [...error.hintParts, { text: ` ${instead}` }],
    });
  }
}
