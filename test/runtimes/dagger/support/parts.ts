/** Settings of the Dagger runtime, a host that cannot be entered and a gateway without connections. */

import { StackwardenError } from "../../../../src/errors.js";
import type { EngineHost } from "../../../../src/runtimes/dagger/engine-host/types.js";
import type { DaggerSettings } from "../../../../src/runtimes/dagger/settings.js";
import type { AppliedLimits, ServiceStats } from "../../../../src/stack/runtime.js";

/** The environment names the engine. One retry after a short delay. */
export const SETTINGS: DaggerSettings = {
  engines: {},
  projects: {},
  gatewayImage: "node:20-alpine",
  retry: { maxRetries: 1, baseDelayMs: 10 },
};

export const REMOTE = "the engine is on another machine";

const nothing = { value: null, enforcement: { level: "none", reason: REMOTE } } as const;
const unlimited: AppliedLimits = { cpus: nothing, memory_mb: nothing, pids: nothing };
const refuse = async (): Promise<never> => {
  throw new StackwardenError("UNSUPPORTED", REMOTE);
};

export const remoteHost = (more: Partial<EngineHost> = {}): EngineHost => ({
  description: "a remote engine",
  enforcement: { level: "none", reason: REMOTE },
  capacity: null,
  find: refuse,
  elsewhere: () => false,
  exec: refuse,
  stream: refuse,
  pause: refuse,
  end: refuse,
  kill: refuse,
  apply: async () => unlimited,
  read: async () => unlimited,
  stats: async () => ({ reason: REMOTE }) as ServiceStats,
  user: async () => null,
  begun: async () => null,
  close: async () => {},
  ...more,
});
