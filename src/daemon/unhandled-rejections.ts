/**
 * Logs rejections of promises that no code awaits, which are bugs in stackwarden. They must not end the process, which
 * also serves other calls and runs every stack.
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
