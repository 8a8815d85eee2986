/** What is said of a project: from its units while it runs, from its definition when it does not. */
import type { ServiceDefinition } from "./definition/types.js";
import type { HealthReport, ServiceHealth, ServiceReport, StackState } from "./model.js";
import type { ServiceUnit } from "./service-unit.js";

/** A service whose stack was not started by this server. */
export const idleService = (service: ServiceDefinition): ServiceReport => ({
  service: service.name,
  state: "stopped",
  image: service.image ?? null,
  generation: 0,
  restarts: 0,
  started_at: null,
  pid: null,
  user: null,
  endpoints: [],
  limits: null,
  last_exit: null,
  depends_on: Object.keys(service.dependsOn),
  notes: [],
});

const idleHealth = (service: string): ServiceHealth => ({
  service,
  healthy: false,
  status: "stopped",
  message: "The stack is not running.",
  error: "The stack is not running.",
  latency_ms: null,
  checked_at: null,
  check: null,
  consecutive_failures: 0,
});

export function healthReport(
  project: string,
  state: StackState,
  units: ReadonlyMap<string, ServiceUnit> | null,
  names: readonly string[],
): HealthReport {
  const services: Record<string, ServiceHealth> = Object.create(null);
  for (const name of names) services[name] = units?.get(name)?.health() ?? idleHealth(name);
  const all = Object.values(services);
  return {
    project,
    state,
    overall_healthy: all.length > 0 && all.every((one) => one.healthy),
    services,
    timestamp: new Date().toISOString(),
  };
}

/** What is not healthy, and why. */
export const missingServices = (
  report: HealthReport,
): { service: string; state: ServiceHealth["status"]; reason: string }[] =>
  Object.values(report.services)
    .filter((one) => !one.healthy)
    .map(({ service, status, message }) => ({ service, state: status, reason: message }));
