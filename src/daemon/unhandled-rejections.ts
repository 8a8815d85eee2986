/**
 * A promise that nobody waits for fails by a defect of ours. It must not end the process: other calls and every running
 * stack are in it.
 */
import type { Logger } from "../logger.js";

/** @returns undoes it */
export function surviveUnhandledRejections(logger: Logger): () => void {
  const log = (reason: unknown): void => {
    const cause = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
    logger.error("Internal error (a bug in stackwarden): a rejection was not handled.", { cause });
  };
  process.on("unhandledRejection", log);
  return () => process.off("unhandledRejection", log);
}
