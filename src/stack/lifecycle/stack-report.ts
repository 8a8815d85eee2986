/** Reports of a project: from its service controllers while the stack runs, else from its definition. */
import { existsSync } from "node:fs";
import type { ServiceDefinition, StackDefinition } from "../definition/types.js";
import type { HealthReport, ServiceHealth, ServiceReport, StackReport, StackState } from "../model.js";
import type { RuntimeName } from "../runtime.js";
import type { IdleStop } from "./idle-stop.js";
import { leftOutHealth } from "./left-out.js";
import { hasMoved, movedPorts } from "./port-plan.js";
import type { ServiceController } from "./service-controller.js";
import { declaredNames } from "./service-report.js";
import type { Stack } from "./stack.js";
import { overallHealthy, uncheckedServices } from "./stack-state.js";
import type { StaleServices } from "./stale-services.js";
import type { Watch } from "./watch.js";

/** A service whose stack was not started by this server. */
const idleService = (service: ServiceDefinition): ServiceReport => ({
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
  ...declaredNames(service),
  notes: [],
});

/** The note on a folder without a project. */
export const NEVER_STARTED = "The stack has never been started; no data is stored for it.";

/**
 * Health of a service without a controller: the stack is not running, or its definition is being read.
 * @param stored returns false when nothing is stored of the project
 */
function idleHealth(service: string, state: StackState, stored: () => boolean): ServiceHealth {
  const coming = state === "starting";
  const message = coming
    ? "The stack is starting; this service has not started yet."
    : stored()
      ? "The stack is not running."
      : NEVER_STARTED;
  return {
    service,
    healthy: false,
    status: coming ? "pending" : "stopped",
    message,
    error: message,
    latency_ms: null,
    checked_at: null,
    check: null,
    consecutive_failures: 0,
  };
}

export const staleField = (unit: ServiceController, services: StaleServices): Pick<ServiceReport, "stale"> => {
  const stale = services.of(unit);
  return stale === null ? {} : { stale };
};

/** States in which nothing starts a service without a controller. */
const SETTLED: readonly StackState[] = ["running", "degraded"];

/** True for a service that is not part of the open stack and that nothing starts. */
export const isLeftOut = (
  service: string,
  { state, units, leftOut }: { state: StackState; units: Units | undefined; leftOut: readonly string[] },
): boolean => units?.has(service) !== true && (leftOut.includes(service) || SETTLED.includes(state));

type Units = ReadonlyMap<string, ServiceController>;

export interface HealthFacts {
  project: string;
  state: StackState;
  /** Undefined before the first start by this server. */
  units: Units | undefined;
  stale: StaleServices;
  /** Services that a call stopped or named in `without`; empty when no stack is open. */
  leftOut: readonly string[];
  /** Returns false when nothing is stored of the project. */
  stored(): boolean;
}

export function healthReport(facts: HealthFacts, names: readonly string[]): HealthReport {
  const { project, state, units, stale, leftOut, stored } = facts;
  const services: Record<string, ServiceHealth> = Object.create(null);
  for (const name of names) {
    const unit = units?.get(name);
    if (unit !== undefined) services[name] = { ...unit.health(), ...staleField(unit, stale) };
    else services[name] = isLeftOut(name, facts) ? leftOutHealth(name) : idleHealth(name, state, stored);
  }
  return {
    project,
    state,
    overall_healthy: overallHealthy(state),
    unchecked: uncheckedServices(Object.values(services)),
    services,
    ...(leftOut.length === 0 ? {} : { left_out: [...leftOut] }),
    timestamp: new Date().toISOString(),
  };
}

export interface StackFacts {
  project: string;
  folder: string;
  state: StackState;
  runtime: RuntimeName;
  /** Why this runtime was chosen; null before the choice. */
  reason: string | null;
  stack: Stack | null;
  stale: StaleServices;
  lease: Pick<IdleStop, "idleMs" | "stopsAt">;
  watch: Pick<Watch, "services" | "note">;
  /** Notes on ports and limits that calls set. */
  overrides: readonly string[];
  /** Services that a call stopped or named in `without`; empty when no stack is open. */
  leftOut: readonly string[];
  /** Reads the current definition, for a stack that this server never started. */
  peek(): Promise<StackDefinition>;
}

export async function stackReport({
  stack,
  reason,
  stale,
  lease,
  watch,
  overrides,
  leftOut,
  peek,
  ...facts
}: StackFacts): Promise<StackReport> {
  const open = stack?.phase === "open";
  const notes: string[] = [];
  const services: StackReport["services"] = Object.create(null);
  let source = stack?.definition.source ?? "";
  if (stack !== null) {
    // A closed stack publishes no ports.
    for (const [name, unit] of stack.units)
      services[name] = open ? { ...unit.report(), ...staleField(unit, stale) } : { ...unit.report(), endpoints: [] };
    notes.push(...stack.definition.notes, ...stale.notes, ...overrides);
    if (open) notes.push(...movedPorts(stack.definition, stack.runtimeStack.endpoints()).map(hasMoved));
  } else {
    try {
      const definition = await peek();
      source = definition.source;
      for (const service of Object.values(definition.services)) services[service.name] = idleService(service);
      notes.push(...definition.notes);
    } catch (error) {
      notes.push(`Its definition cannot be read: ${(error as Error).message}`);
    }
  }
  if (open && reason !== null) notes.push(reason);
  if (watch.note !== null) notes.push(watch.note);
  const startedAt = open && stack !== null ? new Date(stack.startedAt).toISOString() : null;
  const { idleMs, stopsAt } = lease;
  return {
    ...facts,
    ...(existsSync(facts.folder) ? {} : { folder_missing: true as const }),
    source,
    started_at: startedAt,
    ...(open && idleMs !== null
      ? { idle_stop: { seconds: idleMs / 1000, stops_at: stopsAt === null ? null : new Date(stopsAt).toISOString() } }
      : {}),
    ...(watch.services.length > 0 ? { watching: watch.services } : {}),
    services,
    ...(leftOut.length === 0 ? {} : { left_out: [...leftOut] }),
    notes,
  };
}
