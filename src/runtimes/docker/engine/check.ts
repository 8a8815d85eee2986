/** Checks within a second, and without side effects, which engine is available and which limits it can enforce. */

import { StackwardenError } from "../../../errors.js";
import type { Enforcement, RuntimeStatus } from "../../../stack/runtime.js";
import { timeoutSignal } from "../../../system/wait.js";
import { limitsEnforcement } from "../service/limits.js";
import type { DockerSettings } from "../settings.js";
import { type EngineAddress, findAddress } from "./address.js";
import { type Engine, openEngine } from "./engine.js";

export interface CheckOptions {
  settings: DockerSettings;
  env: NodeJS.ProcessEnv;
  /** Time limit in milliseconds; an engine behind SSH gets more. Default 900. */
  deadlineMs?: number;
}

const DEADLINE_MS = 900;
const none = (reason: string): Enforcement => ({ level: "none", reason });

const unavailable = (message: string, fix: string): RuntimeStatus => {
  const reason = none("no container engine can be used here");
  return {
    runtime: "docker",
    available: false,
    findings: [{ check: "container engine", ok: false, message, fix }],
    isolation: { limits: reason, users: reason, network: reason, filesystem: reason },
  };
};

const NETWORK =
  "a network for each stack; published ports listen on 127.0.0.1 only. Services reach the internet and this machine, as with Docker Compose";

function describe(engine: Engine): RuntimeStatus {
  const { info, address, socket } = engine;
  const where = `${address.host} (${address.source})`;
  const enforced = (reason: string): Enforcement => ({ level: "enforced", reason });
  return {
    runtime: "docker",
    available: true,
    findings: [
      {
        check: "container engine",
        ok: true,
        message: `${info.name} ${info.version} at ${where}${info.rootless ? ", rootless" : ""}`,
      },
      ...(socket
        ? []
        : [
            {
              check: "engine on another machine",
              ok: true,
              message:
                "the engine runs elsewhere: folders of this machine cannot be mounted, and published ports listen there",
            },
          ]),
      ...(info.seccomp || info.podman
        ? []
        : [
            {
              check: "seccomp",
              ok: false,
              message: "the engine filters no system calls (seccomp is off)",
              fix: "use a kernel and an engine with seccomp",
            },
          ]),
    ],
    isolation: {
      limits: limitsEnforcement(info),
      users: enforced("no service runs as root unless the configuration allows it; no capabilities, no new privileges"),
      network: enforced(NETWORK),
      filesystem: enforced(
        "each container has a separate root file system; only mounts of the compose file are shared",
      ),
    },
  };
}

/** Never rejects. */
export async function checkEngine({ settings, env, deadlineMs }: CheckOptions): Promise<RuntimeStatus> {
  let address: EngineAddress;
  try {
    address = findAddress({ settings, env });
  } catch (error) {
    const { message, hint } = error as StackwardenError;
    return unavailable(message, hint);
  }
  const limit = deadlineMs ?? (address.host.startsWith("ssh://") ? 5 * DEADLINE_MS : DEADLINE_MS);
  try {
    const engine = await openEngine(address, env, timeoutSignal(limit));
    try {
      return describe(engine);
    } finally {
      await engine.close();
    }
  } catch (error) {
    if (error instanceof StackwardenError) return unavailable(error.message, error.hint);
    return unavailable(
      `the container engine at ${address.host} does not answer within ${limit} ms`,
      "start Docker (or Podman), or name the engine by DOCKER_HOST",
    );
  }
}
