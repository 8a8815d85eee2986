/** Sends an archive that is made while it is sent. */
import type { Readable } from "node:stream";

/**
 * The client library does not notice a failure of the archive: the request would wait for the rest, and the error would end
 * the server. The archive is destroyed at the end.
 * @param send makes the request; the signal cancels it when the archive fails
 * @throws the archive's error, the signal's reason, the engine's error
 */
export async function sendArchive<T>(
  archive: Readable,
  signal: AbortSignal,
  send: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const cancel = new AbortController();
  const broken = new Promise<never>((_, reject) => archive.on("error", reject));
  broken.catch(() => cancel.abort());
  try {
    return await Promise.race([broken, send(AbortSignal.any([signal, cancel.signal]))]);
  } finally {
    archive.destroy();
  }
}
