/** An engine whose host is not reachable: every operation reports that, and no limit is claimed to be enforced. */
import { StackwardenError } from "../../../errors.js";
import type { AppliedLimits, EnforcementLevel, ServiceStats } from "../../../stack/runtime.js";
import { NO_STATS } from "../../shared/no-stats.js";
import { pauseRefused } from "../../shared/pause-refused.js";
import type { EngineHost } from "./types.js";

export const unknownLimits = (reason: string, level: EnforcementLevel = "none"): AppliedLimits => {
  const nothing = () => ({ value: null, enforcement: { level, reason } });
  return { cpus: nothing(), memory_mb: nothing(), pids: nothing() };
};

export const unknownStats = (reason: string): ServiceStats => ({ ...NO_STATS, reason });

export function unreachableHost(reason: string): EngineHost {
  const refuse = (): Promise<never> =>
    Promise.reject(
      new StackwardenError("UNSUPPORTED", `This cannot be done from here: ${reason}.`, {
        hint: "Use an engine whose container or machine this server can enter (docker, podman, nerdctl, kubectl, or the same machine).",
      }),
    );
  return {
    description: reason,
    enforcement: { level: "none", reason },
    capacity: null,
    find: refuse,
    elsewhere: () => false,
    apply: () => Promise.resolve(unknownLimits(reason)),
    read: () => Promise.resolve(unknownLimits(reason)),
    stats: () => Promise.resolve(unknownStats(reason)),
    user: () => Promise.resolve(null),
    begun: () => Promise.resolve(null),
    exec: refuse,
    stream: refuse,
    pause: () => Promise.reject(pauseRefused(reason)),
    end: refuse,
    kill: refuse,
    close: () => Promise.resolve(),
  };
}
