/** The certificate of the HTTP server. Its files are read again when they change, so that a renewal needs no restart. */
import { unwatchFile, watchFile } from "node:fs";
import { readFile } from "node:fs/promises";
import type { RequestListener, ServerOptions } from "node:http";
import { createServer, type Server } from "node:https";
import { createSecureContext } from "node:tls";
import { StackwardenError } from "../errors.js";
import type { Logger } from "../logger.js";

export interface CertificateFiles {
  /** Paths of PEM files. */
  cert: string;
  key: string;
  /** Milliseconds between two checks of the files. Default 5,000. */
  checkMs?: number;
}

const CHECK_MS = 5_000;
/** Older versions of TLS are broken. */
const MIN_VERSION = "TLSv1.2";

const usage = (message: string, hint: string): StackwardenError =>
  new StackwardenError("INVALID_INPUT", message, { hint });

/** @throws INVALID_INPUT when they cannot be read or do not match */
async function secureOptions({ cert, key }: CertificateFiles) {
  const [certText, keyText] = await Promise.all([readFile(cert), readFile(key)]).catch((error: Error) => {
    throw usage(`The certificate or its key cannot be read: ${error.message}.`, "Give paths of PEM files.");
  });
  const options = { cert: certText, key: keyText, minVersion: MIN_VERSION } as const;
  try {
    createSecureContext(options);
  } catch (error) {
    throw usage(`The certificate or its key cannot be used: ${(error as Error).message}.`, "Give a pair in PEM form.");
  }
  return options;
}

/**
 * A server that uses the certificate of these files until it closes. Open connections keep their certificate. A pair that
 * is invalid, for example because one file is not written yet, leaves the previous one in use.
 * @throws INVALID_INPUT
 */
export async function certifiedServer(
  files: CertificateFiles,
  handler: RequestListener,
  options: ServerOptions,
  logger: Logger,
): Promise<Server> {
  const server = createServer({ ...options, ...(await secureOptions(files)) }, handler);
  const renew = async (): Promise<void> => {
    try {
      server.setSecureContext(await secureOptions(files));
      logger.info("The certificate was reloaded.", { cert: files.cert });
    } catch (error) {
      logger.warn(`The old certificate stays in use: ${(error as Error).message}`, { cert: files.cert });
    }
  };
  let renewing = Promise.resolve();
  const changed = (): void => {
    renewing = renewing.then(renew);
  };
  // Poll the paths: a renewal may replace the files, or put links to new ones in their place.
  const watching = { interval: files.checkMs ?? CHECK_MS, persistent: false };
  server.once("listening", () => {
    for (const file of [files.cert, files.key]) watchFile(file, watching, changed);
  });
  server.once("close", () => {
    for (const file of [files.cert, files.key]) unwatchFile(file, changed);
  });
  return server;
}
