/**
 * Downloads the Dagger CLI of the SDK's version from where the SDK downloads it, or from the operator's mirror, and checks
 * its published SHA-256. The file has its final name only when it is complete and verified.
 */

import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { lstat, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { StackwardenError } from "../../../errors.js";
import { hint, setting } from "../../../hint.js";
import { storageError } from "../../../system/atomic-write.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";
import { isTransient, retryMessage, withRetry } from "../../../system/retry.js";
import { timeoutSignal } from "../../../system/wait.js";
import { SDK_VERSION } from "./versions.js";

const MB = 1_048_576;
/** The archive of 0.21.8 has about 25 MB; nothing of ten times that size is one. */
const MOST_BYTES = 256 * MB;
const MOST_CHECKSUM_BYTES = MB;
const DEADLINE_MS = 600_000;
const PROGRAM = "dagger";

export interface DownloadOptions {
  /** Private folder of the server. */
  folder: string;
  /** Address that holds `<version>/checksums.txt` and the archives. */
  source: string;
  signal: AbortSignal;
  retry: { maxRetries: number; baseDelayMs: number };
  /** Progress for the caller, a sentence each. */
  report(message: string): void;
  platform?: NodeJS.Platform;
  arch?: string;
}

export const downloadPath = (folder: string): string => join(folder, `dagger-${SDK_VERSION}`);

/** The CLI that an earlier start downloaded; null when there is none, or another user could have changed it. */
export async function downloadedCli(folder: string): Promise<string | null> {
  const path = downloadPath(folder);
  const stats = await lstat(path).catch(() => null);
  if (stats?.isFile() !== true || (stats.mode & 0o022) !== 0) return null;
  const user = process.getuid?.();
  return user === undefined || stats.uid === user ? path : null;
}

/** Name of the archive; null for a platform for which Dagger publishes none in this format. */
export function archiveName(platform: NodeJS.Platform = process.platform, arch: string = process.arch): string | null {
  const machine = ({ x64: "amd64", arm64: "arm64", arm: "armv7" } as Record<string, string>)[arch];
  if (machine === undefined || !["linux", "darwin"].includes(platform)) return null;
  return `dagger_v${SDK_VERSION}_${platform}_${machine}.tar.gz`;
}

/** A response that no retry changes. */
class Refused extends Error {}

const unavailable = (message: string, cause?: unknown): StackwardenError =>
  new StackwardenError("RUNTIME_UNAVAILABLE", message, {
    hint: hint`Install the Dagger CLI ${SDK_VERSION} (https://docs.dagger.io/install), or have the operator name a mirror in ${setting("dagger_cli_source")}.`,
    cause,
  });

async function get(url: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal, redirect: "follow" });
  // A redirect must not leave the encrypted connection.
  if (url.startsWith("https:") && !response.url.startsWith("https:"))
    throw new Refused(`${url} redirects to ${response.url}, which is not encrypted`);
  if (response.ok) return response;
  await response.body?.cancel();
  const message = `${url} answered ${response.status}`;
  if (response.status >= 500 || response.status === 429 || response.status === 408)
    throw Object.assign(new Error(message), { code: "ECONNRESET" });
  throw new Refused(message);
}

const bounded = (most: number, of: string): Transform => {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, next) {
      size += chunk.length;
      next(size > most ? new Refused(`${of} has more than ${most} bytes`) : null, chunk);
    },
  });
};

const bodyOf = (response: Response): Readable => Readable.fromWeb(response.body as never);

/** The archive's SHA-256 in checksums.txt. */
async function publishedSum(base: string, name: string, signal: AbortSignal): Promise<string> {
  const url = `${base}/checksums.txt`;
  const parts: Buffer[] = [];
  await pipeline(
    bodyOf(await get(url, signal)),
    bounded(MOST_CHECKSUM_BYTES, url),
    async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) parts.push(chunk);
    },
    { signal },
  );
  for (const line of Buffer.concat(parts).toString().split("\n")) {
    const [sum = "", file] = line.trim().split(/\s+\*?/);
    if (file === name && /^[0-9a-f]{64}$/i.test(sum)) return sum.toLowerCase();
  }
  throw new Refused(`${url} has no SHA-256 of ${name}`);
}

/** @returns bytes and SHA-256 of the archive */
async function fetchArchive(url: string, to: string, signal: AbortSignal): Promise<{ bytes: number; sum: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      bytes += chunk.length;
      hash.update(chunk);
      next(null, chunk);
    },
  });
  await pipeline(
    bodyOf(await get(url, signal)),
    bounded(MOST_BYTES, url),
    count,
    createWriteStream(to, { mode: 0o600 }),
    { signal },
  );
  return { bytes, sum: hash.digest("hex") };
}

/** Writes the program of the archive, executable for this user only. */
async function unpack(archive: string, to: string, signal: AbortSignal): Promise<void> {
  const reader = extract();
  let present = false;
  reader.on("entry", ({ name, type }, entry, next) => {
    if (name.replace(/^\.\//, "") !== PROGRAM || type !== "file") {
      entry.once("end", next);
      entry.resume();
      return;
    }
    present = true;
    pipeline(entry, bounded(2 * MOST_BYTES, PROGRAM), createWriteStream(to, { mode: 0o700 }), { signal }).then(
      () => next(),
      (error: Error) => reader.destroy(error),
    );
  });
  await pipeline(createReadStream(archive), createGunzip(), reader, { signal });
  if (!present) throw new Refused(`the archive has no file ${PROGRAM}`);
}

async function download(options: DownloadOptions, name: string, signal: AbortSignal): Promise<void> {
  const { folder, source, report } = options;
  const base = `${source.replace(/\/+$/, "")}/${SDK_VERSION}`;
  const own = join(folder, `.download-${process.pid}-${randomBytes(6).toString("hex")}`);
  try {
    await mkdir(own, { recursive: true, mode: 0o700 });
    const expected = await publishedSum(base, name, signal);
    const archive = join(own, name);
    const { bytes, sum } = await fetchArchive(`${base}/${name}`, archive, signal);
    if (sum !== expected)
      throw new Refused(`${base}/${name} has the SHA-256 ${sum}, ${base}/checksums.txt says ${expected}`);
    await unpack(archive, join(own, PROGRAM), signal);
    await rename(join(own, PROGRAM), downloadPath(folder));
    report(
      `Downloaded the Dagger CLI ${SDK_VERSION} (${(bytes / MB).toFixed(1)} MB, SHA-256 verified) to ${downloadPath(folder)}.`,
    );
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

/** Concurrent starts share one download. */
const serial = new KeyedMutex();

/**
 * @returns the path of the CLI
 * @throws RUNTIME_UNAVAILABLE, UNSUPPORTED for the platform, STORAGE_FAILED, the signal's reason; nothing is left then
 */
export async function downloadCli(options: DownloadOptions): Promise<string> {
  const { folder, source, retry, signal, report } = options;
  const name = archiveName(options.platform, options.arch);
  if (name === null)
    throw new StackwardenError(
      "UNSUPPORTED",
      `The Dagger CLI is not downloaded for ${options.platform ?? process.platform}/${options.arch ?? process.arch}.`,
      { hint: `Install the Dagger CLI ${SDK_VERSION}: https://docs.dagger.io/install.` },
    );
  return serial.run([folder], async () => {
    const before = await downloadedCli(folder);
    if (before !== null) return before;
    report(`Downloading the Dagger CLI ${SDK_VERSION} from ${source}.`);
    const deadline = timeoutSignal(DEADLINE_MS);
    const bound = AbortSignal.any([signal, deadline]);
    try {
      await withRetry(() => download(options, name, bound), {
        ...retry,
        signal: bound,
        classify: (error) => !(error instanceof Refused) && isTransient(error),
        onRetry: (retry) => report(retryMessage("The download of the Dagger CLI failed", retry)),
      });
      return downloadPath(folder);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StackwardenError) throw error;
      const { code, message, cause } = error as NodeJS.ErrnoException & { cause?: Error };
      if (["ENOSPC", "EACCES", "EROFS", "EDQUOT"].includes(code ?? ""))
        throw storageError(`The Dagger CLI cannot be kept in ${folder}`, error);
      const why = deadline.aborted
        ? `it took longer than ${DEADLINE_MS / 60_000} minutes`
        : (cause?.message ?? message);
      throw unavailable(`The Dagger CLI ${SDK_VERSION} cannot be downloaded: ${why}.`, error);
    }
  });
}
