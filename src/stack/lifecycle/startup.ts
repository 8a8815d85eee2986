/**
 * Starts and stops services in dependency order; independent services in parallel. Images and dependencies are prepared
 * without waiting for other services, as Compose pulls and builds images before it starts containers.
 */

import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import type { Dependency } from "../definition/types.js";
import { dependentsOf } from "./dependents.js";
import type { Scope, StopScope } from "./scope.js";
import { uncheckedDependency } from "./service-checks.js";
import type { Preparation, ServiceController } from "./service-controller.js";
import { notStarted, stoppedWith } from "./service-report.js";

export interface Startup {
  units: ReadonlyMap<string, ServiceController>;
  /** Services to start. The others in `units` are dependencies that already run. */
  names: readonly string[];
  scope: Scope;
  /** After a failure, start the services that do not depend on the failed one. Default: stop all of them. */
  independent?: boolean;
  /** True for a failure after which running services stay as they are. Default: stop them. */
  keepsRunning?: (error: unknown) => boolean;
}

interface Awaited {
  dependent: string;
  unit: ServiceController;
  condition: Dependency["condition"];
  signal: AbortSignal;
  /** Checks a dependency again that ran before this start and is unhealthy. Undefined when this start starts it. */
  checkAgain?: (() => Promise<void>) | undefined;
}

/** Waits until a dependency meets its dependent's condition, including restarts by its policy. */
async function awaitDependency({ dependent, unit, condition, signal, checkAgain }: Awaited): Promise<void> {
  const met = (): boolean => {
    if (unit.state === "completed") return true;
    if (condition === "service_started") return unit.started;
    return condition === "service_healthy" && unit.state === "healthy";
  };
  const unchecked = (): boolean => condition === "service_healthy" && unit.state === "running";
  const hopeless = (): boolean =>
    unit.ended || unchecked() || (unit.state === "unhealthy" && condition !== "service_completed_successfully");
  const decided = (): Promise<void> => unit.until(() => met() || hopeless(), signal);
  await decided();
  if (unit.state === "unhealthy" && !met() && checkAgain !== undefined) {
    await checkAgain();
    await decided();
  }
  if (met()) return;
  if (unchecked()) throw uncheckedDependency(dependent, unit.name);
  throw unit.failure(checkAgain === undefined ? undefined : dependent);
}

/**
 * Returns a function that checks an unhealthy service again that ran before this start, once the services of this start
 * have come up that do not wait for an unhealthy one. Its last checks can have failed because one of them did not run.
 */
function repeatedChecks({ units, names }: Startup, signal: AbortSignal) {
  const begun = new Map<string, Promise<void>>();
  const isUnhealthy = (unit: ServiceController): boolean => unit.state === "unhealthy" && !names.includes(unit.name);
  const waitingForUnhealthy = (): Set<string> => {
    const definitions = [...units.values()].map(({ definition }) => definition);
    const all = [...units.values()].filter(isUnhealthy).flatMap(({ name }) => dependentsOf(name, definitions, true));
    return new Set(all);
  };
  return (unit: ServiceController): Promise<void> => {
    const check =
      begun.get(unit.name) ??
      (async () => {
        const waiting = waitingForUnhealthy();
        const others = names.filter((name) => !waiting.has(name)).map((name) => unitOf(units, name));
        await Promise.all(others.map((other) => other.settled(signal)));
        if (isUnhealthy(unit)) await unit.checkAgain(signal);
      })();
    begun.set(unit.name, check);
    return check;
  };
}

function unitOf(units: Startup["units"], name: string): ServiceController {
  const unit = units.get(name);
  if (unit === undefined) throw new StackwardenError("INTERNAL", `The service ${name} has no unit.`);
  return unit;
}

/** @returns a function that prepares a service once, and does nothing for one that its start prepares as early */
function preparations({ units, names, scope, independent }: Startup) {
  const begun = new Map<string, Promise<Preparation | undefined>>();
  const dependencies = (unit: ServiceController): string[] =>
    Object.keys(unit.definition.dependsOn).filter((name) => units.has(name));
  const bases = new Set(names.flatMap((name) => dependencies(unitOf(units, name))));
  const prepareNow = async (unit: ServiceController): Promise<Preparation | undefined> => {
    const needed = dependencies(unit);
    const comesFirst = unit.preparesInOrder && bases.has(unit.name);
    if (independent === true || (needed.length === 0 && !comesFirst)) return undefined;
    if (unit.preparesInOrder)
      await Promise.all(needed.filter((name) => names.includes(name)).map((name) => prepare(unitOf(units, name))));
    scope.signal.throwIfAborted();
    return unit.prepare(scope);
  };
  const prepare = (unit: ServiceController): Promise<Preparation | undefined> => {
    const preparation = begun.get(unit.name) ?? prepareNow(unit);
    begun.set(unit.name, preparation);
    return preparation;
  };
  return prepare;
}

/**
 * Starts the named services; resolves when all are up. After the first failure, the other starts are cancelled, and the
 * services started so far are stopped again, dependents first, unless `keepsRunning` says otherwise.
 * @throws the first failure, or the signal's reason
 */
export async function startServices(startup: Startup): Promise<void> {
  const { units, names, scope, independent = false, keepsRunning = () => false } = startup;
  const abort = new AbortController();
  const together = { ...scope, signal: AbortSignal.any([scope.signal, abort.signal]) };
  let failure: { error: unknown } | undefined;

  const fail = (error: unknown): void => {
    // Later failures only result from the abort after the first one.
    failure ??= { error };
    if (!independent) abort.abort(error);
  };
  const prepare = preparations({ units, names, scope: together, independent });
  const checkAgain = repeatedChecks({ units, names, scope }, together.signal);
  const awaitDependencies = async (unit: ServiceController): Promise<void> => {
    for (const [other, { condition }] of Object.entries(unit.definition.dependsOn)) {
      const needed = units.get(other);
      if (needed === undefined) continue;
      await awaitDependency({
        dependent: unit.name,
        unit: needed,
        condition,
        signal: together.signal,
        checkAgain: names.includes(other) ? undefined : () => checkAgain(needed),
      });
    }
  };

  const bringUp = async (name: string): Promise<void> => {
    const unit = unitOf(units, name);
    const both = [prepare(unit), awaitDependencies(unit)] as const;
    const [preparation] = await Promise.all(both).catch(async (error: unknown) => {
      fail(error);
      // Processes of a cancelled preparation must not outlive the start.
      await Promise.allSettled(both);
      throw error;
    });
    together.signal.throwIfAborted();
    await unit.serial.run(() => unit.start(together, preparation));
    await unit.ready(together.signal);
  };

  for (const name of names) units.get(name)?.announce();
  await Promise.all(names.map((name) => bringUp(name).catch(fail)));
  if (failure === undefined) return;
  const { error } = failure;
  const started = names.flatMap((name) => units.get(name) ?? []);
  // A service that ended on its own keeps its state, which shows the failure.
  const active = started.filter((unit) => unit.running || unit.restartPending || unit.state === "pending");
  const kept = keepsRunning(error);
  const stopping = active.filter((unit) => (kept ? unit.state === "pending" : !independent || !unit.up));
  const reasons = new Map(stopping.map((unit) => [unit.name, whyStopped(unit, error)]));
  await stopServices(stopping, { actor: scope.actor, reason: (name) => reasons.get(name) ?? stoppedWith(error) });
  await Promise.all(started.filter((unit) => !unit.up).map((unit) => unit.removeNewData()));
  throw error;
}

function whyStopped(unit: ServiceController, error: unknown): string {
  if (unit.state === "pending") return notStarted(error);
  return unit.state === "unhealthy" || unit.restartPending
    ? `The last start failed: ${unit.fault}.`
    : stoppedWith(error);
}

/**
 * Stops services, dependents before their dependencies.
 * @throws STOP_FAILED that names every service that could not be stopped; the others are stopped
 */
export async function stopServices(units: readonly ServiceController[], scope: StopScope): Promise<void> {
  const stopping = new Map<string, Promise<void>>();
  const failed: string[] = [];
  const stop = (unit: ServiceController): Promise<void> => {
    const inProgress = stopping.get(unit.name);
    if (inProgress !== undefined) return inProgress;
    const dependents = units.filter((other) => Object.hasOwn(other.definition.dependsOn, unit.name));
    const done = (async () => {
      // A start in progress would block the stop.
      unit.interrupt();
      await Promise.all(dependents.map(stop));
      await unit.serial.run(() => unit.stop(scope));
    })().catch(() => {
      failed.push(unit.name);
    });
    stopping.set(unit.name, done);
    return done;
  };
  await Promise.all(units.map(stop));
  if (failed.length > 0)
    throw new StackwardenError("STOP_FAILED", `These services could not be stopped: ${failed.join(", ")}.`, {
      hint: hint`Call ${callTo("stop_stack")} again; the server's log has the cause.`,
      details: { services: failed },
    });
}
