/** The logic of the docker runtime's watchdog process. */

import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { timeoutSignal } from "../../../system/wait.js";
import type { EngineAddress } from "../engine/address.js";
import { openEngine } from "../engine/engine.js";
import { LABEL } from "./labels.js";
import { removeLabelled } from "./remove.js";

/** An address as JSON, with certificates in base64. */
export type PlainAddress = Omit<EngineAddress, "tls"> & {
  tls?: { ca?: string; cert?: string; key?: string; skipVerify: boolean };
};

/** Messages, one line of JSON each. `done`: the server has removed everything itself. */
export type WatchdogMessage = { engine: PlainAddress } | { secrets: string } | { done: true };

export const plainAddress = ({ tls, ...address }: EngineAddress): PlainAddress =>
  tls === undefined
    ? address
    : {
        ...address,
        tls: {
          skipVerify: tls.skipVerify,
          ...(tls.ca === undefined ? {} : { ca: tls.ca.toString("base64") }),
          ...(tls.cert === undefined ? {} : { cert: tls.cert.toString("base64") }),
          ...(tls.key === undefined ? {} : { key: tls.key.toString("base64") }),
        },
      };

const addressOf = ({ tls, ...address }: PlainAddress): EngineAddress => {
  if (tls === undefined) return address;
  const bytes = (text: string | undefined): Buffer | undefined =>
    text === undefined ? undefined : Buffer.from(text, "base64");
  const { skipVerify } = tls;
  const [ca, cert, key] = [bytes(tls.ca), bytes(tls.cert), bytes(tls.key)];
  return {
    ...address,
    tls: {
      skipVerify,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    },
  };
};

/** Null for a line that was cut off by the end of the server. */
function parse(line: string): WatchdogMessage | null {
  try {
    return JSON.parse(line) as WatchdogMessage;
  } catch {
    return null;
  }
}

const ATTEMPTS = 20;
const APART_MS = 3000;

/** Waits for an engine that is restarting. */
async function cleanEngine(address: EngineAddress, server: string, apartMs: number): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      const engine = await openEngine(address, process.env, timeoutSignal(10_000));
      try {
        await removeLabelled(engine.docker, { [LABEL.server]: server });
        return;
      } finally {
        await engine.close();
      }
    } catch {
      await delay(apartMs);
    }
  }
}

/**
 * Reads until the input closes, which means that the server has ended; then removes what the server left on every
 * engine.
 * @param server value of the label on the server's containers and networks
 */
export async function watch(input: Readable, server: string, apartMs = APART_MS): Promise<void> {
  const engines = new Map<string, EngineAddress>();
  const secrets = new Set<string>();
  for await (const line of createInterface({ input })) {
    const message = parse(line);
    if (message === null) continue;
    if ("done" in message) return;
    if ("engine" in message) engines.set(message.engine.host, addressOf(message.engine));
    else secrets.add(message.secrets);
  }
  await Promise.all([...engines.values()].map((address) => cleanEngine(address, server, apartMs)));
  for (const folder of secrets) await rm(folder, { recursive: true, force: true }).catch(() => undefined);
}
