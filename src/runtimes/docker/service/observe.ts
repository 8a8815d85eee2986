/**
 * Determines the user of a container's program: from this machine's kernel, else from inside the container, else
 * unknown.
 */

import type { Enforcement } from "../../../stack/runtime.js";
import { timeoutSignal } from "../../../system/wait.js";
import type { Engine } from "../engine/engine.js";
import { execInContainer } from "./exec.js";
import { kernelUser } from "./kernel-view.js";

export interface ObservedUser {
  uid: number | null;
  enforcement: Enforcement;
  /** Null when only the engine's inspection is available. */
  noNewPrivileges: boolean | null;
}

const LOOK_MS = 5000;

async function fromInside(engine: Engine, container: string, service: string): Promise<number | null> {
  let output = "";
  const { exitCode } = await execInContainer(
    {
      docker: engine.docker,
      container,
      service,
      sameMachine: engine.sameMachine,
      init: engine.info.dockerInit,
    },
    {
      command: ["id", "-u"],
      signal: timeoutSignal(LOOK_MS),
      onOutput: (_stream, chunk) => {
        output += chunk.toString();
      },
    },
  );
  const uid = Number(output.trim());
  return exitCode === 0 && Number.isInteger(uid) && output.trim() !== "" ? uid : null;
}

/**
 * @param pid process id on the engine's machine; 0 for a container that has ended
 * @param requested user id that was requested from the engine; null when it is not known
 */
export async function observeUser(
  engine: Engine,
  container: string,
  service: string,
  pid: number,
  requested: number | null,
): Promise<ObservedUser> {
  const processUser = engine.sameMachine ? await kernelUser(pid, container) : null;
  if (processUser !== null)
    return {
      uid: processUser.uid,
      enforcement: { level: "enforced", reason: "seen by the kernel of this machine" },
      noNewPrivileges: processUser.noNewPrivileges,
    };
  const inside = pid === 0 ? null : await fromInside(engine, container, service).catch(() => null);
  if (inside !== null)
    return {
      uid: inside,
      enforcement: { level: "enforced", reason: "seen inside the container" },
      noNewPrivileges: null,
    };
  return {
    uid: requested,
    // The engine itself sets the user of a container's first process.
    enforcement:
      requested === null
        ? {
            level: "advisory",
            reason: "requested from the engine, not verified: this server could not look into the container",
          }
        : { level: "enforced", reason: "set by the engine; the container ended before this server could look into it" },
    noNewPrivileges: null,
  };
}
