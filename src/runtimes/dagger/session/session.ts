/** One engine session: its process, its connection, its telemetry, and the notice of its death. */

import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@dagger.io/dagger";
import { StackwardenError } from "../../../errors.js";
import { callTo, hint } from "../../../hint.js";
import { checkEngineVersion } from "../engine/versions.js";
import { openTelemetry } from "../telemetry/session-telemetry.js";
import { type CliProcess, startCli } from "./cli-process.js";
import { Connections } from "./connection.js";
import { sdkClients } from "./sdk.js";
import type { ClientOptions, DaggerSession, SessionOptions } from "./types.js";

/** Between two looks at whether the engine still answers; three without an answer in a row mean that it is gone. */
const HEARTBEAT_MS = 10_000;
const ANSWER_MS = 10_000;
/** When the streams broke off, it is asked at once, and with less patience: a dead engine refuses. */
const SUSPECT_MS = 500;
const MOST_UNANSWERED = 3;

/** @throws RUNTIME_UNAVAILABLE, UNSUPPORTED (version); nothing is left then */
export async function openSession(options: SessionOptions): Promise<DaggerSession> {
  // Both at once; without the SDK nothing of the process may stay.
  const starting = startCli(options);
  const makeClient = await sdkClients().catch(async (error: unknown) => {
    await starting.then((started) => started.end()).catch(() => undefined);
    throw error;
  });
  const process = await starting;
  const life = new AbortController();
  const connections = new Connections(process.address, life.signal);
  const client = (with_: ClientOptions = {}): Client => makeClient(connections.with(with_));
  try {
    const engineVersion = await client({ signal: options.signal })
      .version()
      .catch((error: unknown) => {
        options.signal.throwIfAborted();
        throw new StackwardenError("RUNTIME_UNAVAILABLE", "The Dagger engine does not answer its session.", {
          hint: "Run `stackwarden doctor`.",
          cause: error,
        });
      });
    checkEngineVersion(engineVersion, options.warn);
    return watch({ process, connections, client, life, engineVersion });
  } catch (error) {
    life.abort();
    connections.close();
    await process.end();
    throw error;
  }
}

interface Parts {
  process: CliProcess;
  connections: Connections;
  client(options?: ClientOptions): Client;
  life: AbortController;
  engineVersion: string;
}

function watch({ process, connections, client, life, engineVersion }: Parts): DaggerSession {
  let closing = false;
  let tellDeath: (death: { reason: string }) => void = () => {};
  const died = new Promise<{ reason: string }>((resolve) => {
    tellDeath = resolve;
  });
  const over = (reason: string): void => {
    if (life.signal.aborted) return;
    life.abort(
      new StackwardenError("RUNTIME_LOST", `The Dagger session ended: ${reason}.`, {
        hint: hint`Start the stack again with ${callTo("start_stack")}.`,
      }),
    );
    connections.close();
    if (!closing) tellDeath({ reason });
    void process.end();
  };
  void process.exited.then(({ reason }) => over(reason));

  let asking = false;
  /** Asks the engine until it answers, or until it is clear that it is gone. */
  const ask = async (patienceMs: number): Promise<void> => {
    if (asking) return;
    asking = true;
    try {
      for (let unanswered = 1; !life.signal.aborted && !closing; unanswered += 1) {
        try {
          await client({ signal: AbortSignal.timeout(ANSWER_MS) }).version();
          return;
        } catch (error) {
          if (unanswered >= MOST_UNANSWERED) {
            over(`the engine does not answer any more (${(error as Error).message.slice(0, 200)})`);
            return;
          }
          await delay(patienceMs, undefined, { ref: false });
        }
      }
    } finally {
      asking = false;
    }
  };
  const heartbeat = setInterval(() => void ask(ANSWER_MS / 2), HEARTBEAT_MS);
  heartbeat.unref();
  life.signal.addEventListener("abort", () => clearInterval(heartbeat), { once: true });
  const telemetry = openTelemetry({
    address: process.address,
    signal: life.signal,
    onBroken: () => void ask(SUSPECT_MS),
  });
  let closed: Promise<void> | undefined;
  return {
    engineVersion,
    telemetry,
    client,
    died,
    ended: life.signal,
    close: () => {
      closed ??= (async () => {
        closing = true;
        over("it was closed");
        await process.end();
      })();
      return closed;
    },
  };
}
