/** Data of a removed project that stays on an engine, because the engine does not answer. */
import { StackwardenError } from "../../errors.js";

export interface KeptContent {
  /** The engine, as it is named in messages. */
  engine: string;
  /** Why the data was not deleted: a sentence. */
  reason: string;
  /** True when the engine already prevented an earlier removal of the project. */
  failedBefore: boolean;
}

export const holds = ({ engine, reason }: Pick<KeptContent, "engine" | "reason">): string =>
  `the engine ${engine} still holds their content: ${reason}`;

/**
 * The second failed removal on an engine does not prevent the removal of the project: the engine may not exist any
 * more.
 * @param record stores which engines prevented this removal
 * @returns sentences about the data that stays
 * @throws RUNTIME_UNAVAILABLE when an engine prevents the removal for the first time
 */
export async function keptAfterRemoval(
  projectId: string,
  kept: readonly KeptContent[],
  record: () => Promise<void>,
): Promise<string[]> {
  const first = kept.find(({ failedBefore }) => !failedBefore);
  if (first === undefined) return kept.map((content) => `Volumes were not deleted: ${holds(content)}`);
  await record();
  throw new StackwardenError("RUNTIME_UNAVAILABLE", `The volumes of ${projectId} were not deleted: ${holds(first)}`, {
    hint: "Start the engine, then call again. If the engine no longer exists, call again too: the next call forgets the project even when the engine does not answer, and leaves the content there.",
    details: { engine: first.engine },
  });
}
