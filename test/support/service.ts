/** A service with defaults and the given fields. */
import type { ServiceDefinition } from "../../src/stack/definition/types.js";

export const serviceDefinition = (fields: Partial<ServiceDefinition> = {}): ServiceDefinition => ({
  name: "web",
  environment: {},
  secretEnvironment: [],
  ports: [],
  expose: [],
  dependsOn: {},
  restart: { policy: "no" },
  mounts: [],
  limits: {},
  reservations: {},
  stopSignal: "SIGTERM",
  stopGracePeriodMs: 10_000,
  readOnly: false,
  init: false,
  labels: {},
  profiles: [],
  secrets: [],
  allowRoot: false,
  ...fields,
});
