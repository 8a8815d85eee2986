/** One engine session: its process, its connection, its telemetry, and the detection of its end. */

import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@dagger.io/dagger";
import { StackwardenError } from "../../../errors.js";
import { callTo, hint } from "../../../hint.js";
import { timeoutSignal } from "../../../system/wait.js";
import { checkEngineVersion } from "../engine/versions.js";
import { openTelemetry } from "../telemetry/session-telemetry.js";
import { type CliProcess, startCli } from "./cli-process.js";
import { Connections } from "./connection.js";
import { sdkClients } from "./sdk.js";
import type { ClientOptions, DaggerSession, SessionOptions } from "./types.js";

/** Interval of the queries that check whether the engine responds. */
const HEARTBEAT_MS = 4_000;
/** Milliseconds for one response. An engine that exceeds it hangs: the session is lost at most 15 s after the engine stopped. */
const RESPONSE_MS = 10_000;
/** A dead engine refuses or breaks connections. One failure can be transient, so that a query is repeated. */
const RETRY_MS = 500;
const MAX_FAILURES = 3;

/** @throws RUNTIME_UNAVAILABLE, UNSUPPORTED (version); nothing is left then */
export async function openSession(options: SessionOptions): Promise<DaggerSession> {
  // Load the SDK while the process starts; if it cannot be loaded, end the process.
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
        throw new StackwardenError("RUNTIME_UNAVAILABLE", "The Dagger engine does not respond to its session.", {
          hint: "Run `stackwarden doctor`.",
          cause: error,
        });
      });
    checkEngineVersion(engineVersion, options.warn);
    return watch({ process, connections, client, life, engineVersion, responseMs: options.responseMs ?? RESPONSE_MS });
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
  responseMs: number;
}

function watch({ process, connections, client, life, engineVersion, responseMs }: Parts): DaggerSession {
  let closing = false;
  let settleDied: (death: { reason: string }) => void = () => {};
  const died = new Promise<{ reason: string }>((resolve) => {
    settleDied = resolve;
  });
  const over = (reason: string): void => {
    if (life.signal.aborted) return;
    life.abort(
      new StackwardenError("RUNTIME_LOST", `The Dagger session ended: ${reason}.`, {
        hint: hint`Start the stack again with ${callTo("start_stack")}.`,
      }),
    );
    connections.close();
    if (!closing) settleDied({ reason });
    void process.end();
  };
  void process.exited.then(({ reason }) => over(reason));

  let checking = false;
  /** Queries the engine until it responds, hangs, or has failed several times. */
  const check = async (): Promise<void> => {
    if (checking) return;
    checking = true;
    try {
      for (let failures = 1; !life.signal.aborted && !closing; failures += 1) {
        const timeout = timeoutSignal(responseMs);
        try {
          await client({ signal: timeout }).version();
          return;
        } catch (error) {
          if (timeout.aborted) return over(`the engine did not respond within ${responseMs / 1000} s`);
          if (failures >= MAX_FAILURES)
            return over(`the engine no longer responds (${(error as Error).message.slice(0, 200)})`);
          await delay(RETRY_MS, undefined, { ref: false });
        }
      }
    } finally {
      checking = false;
    }
  };
  const heartbeat = setInterval(() => void check(), HEARTBEAT_MS);
  heartbeat.unref();
  life.signal.addEventListener("abort", () => clearInterval(heartbeat), { once: true });
  const telemetry = openTelemetry({
    address: process.address,
    signal: life.signal,
    onBroken: () => void check(),
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
