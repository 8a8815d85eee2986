/**
 * The `host.tunnel` of a session. The engine's client program (`dagger session`, a child of the server) listens on
 * every address of this machine (0.0.0.0 in the engine's source). The tunnel ends with the instance behind it.
 */

import { setTimeout as delay } from "node:timers/promises";
import type { NetworkProtocol, Service } from "@dagger.io/dagger";
import { raceAbort } from "../../../system/wait.js";
import { portsInUse } from "../../shared/port-ledger.js";
import { startError, takenPort } from "../engine/engine-errors.js";
import { newTrace } from "../session/trace.js";
import type { DaggerSession } from "../session/types.js";
import type { OpenTunnel } from "./types.js";

/** Milliseconds for the engine's response to a stop. */
const STOP_MS = 5000;

export function sessionTunnels(session: DaggerSession): OpenTunnel {
  /** Never rejects: a session that is over has no tunnels. */
  const settled = async (...tasks: Promise<unknown>[]): Promise<void> => {
    const late = new AbortController();
    await Promise.race([
      Promise.allSettled(tasks),
      delay(STOP_MS, undefined, { signal: late.signal, ref: false }).catch(() => {}),
    ]);
    late.abort();
  };

  return async ({ service: name, id, ports }, signal) => {
    // Output of a container that a tunnel starts by mistake must not appear in the instance's log.
    const client = session.client({ trace: newTrace() });
    const behind = client.loadServiceFromID(id as never);
    const protocol = "TCP" as NetworkProtocol;
    let tunnel: Service | undefined;
    const stop = async (): Promise<void> => {
      if (session.ended.aborted) return;
      if (tunnel !== undefined) await settled(tunnel.stop());
      // A tunnel to a service that has ended starts it again, without the server's control.
      await settled(behind.stop({ kill: true }));
    };
    try {
      const forwards = ports.map(({ frontend, backend }) => ({ frontend, backend, protocol }));
      const tunnelId = await session.client({ signal }).host().tunnel(behind, { ports: forwards }).id();
      tunnel = client.loadServiceFromID(tunnelId as never);
      await raceAbort(tunnel.start(), signal);
      return { stop };
    } catch (error) {
      // Before the stop, the engine waits for a start in progress.
      if (tunnel !== undefined && !session.ended.aborted) await settled(tunnel.stop());
      signal.throwIfAborted();
      session.ended.throwIfAborted();
      const conflict = ports.find(({ frontend }) => frontend === takenPort(error));
      if (conflict !== undefined)
        throw portsInUse([{ service: name, port: conflict.frontend, container_port: conflict.backend }]);
      throw startError(error, name, "publishing its ports");
    }
  };
}
