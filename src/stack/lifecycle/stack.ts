/** A stack on its runtime: one controller for each service, and operations on several services. */

import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import { KeyedMutex } from "../../system/keyed-mutex.js";
import { timeoutSignal } from "../../system/wait.js";
import { compareDefinitions } from "../definition/changes.js";
import type { StackDefinition } from "../definition/types.js";
import { withoutServices } from "../definition/without-services.js";
import type { RuntimeStack } from "../runtime.js";
import { dependentsOf } from "./dependents.js";
import { notEnforceable, notEnforced } from "./limits.js";
import { type Change, type Former, formerOf, type RolledBack, rolledBack, startFormer } from "./rollback.js";
import type { Scope, StopScope } from "./scope.js";
import type { ServiceContext } from "./service-context.js";
import { ServiceController } from "./service-controller.js";
import { startServices, stopServices } from "./startup.js";
import { UsageHistory } from "./usage-history.js";

/** What a start changed in a running stack: names of services with the reason for each. */
export interface Reconciled {
  started: Change[];
  replaced: Change[];
  removed: Change[];
}

export interface ReconcileOptions {
  /** Called before the first service changes, after the runtime has accepted the definition. */
  changing(): void;
  /** Called before former instances are started again after a failure. */
  restoring(): void;
  /** Longest time, in milliseconds, in which former instances become healthy again after a failure. */
  restoreMs: number;
  /** Why the next definition lacks a service of the running stack. */
  removedBecause(service: string): string;
  /** Services that only earlier calls named. One that completed its work then does not run again. */
  namedBefore: readonly string[];
}

/** Milliseconds for which a start waits for further checks of services that it did not start. */
const CHECK_AGAIN_MS = 30_000;

/** True for a service that a start must bring up: it has ended or never started. */
const idle = (unit: ServiceController): boolean =>
  !unit.running && ["pending", "stopped", "crashed", "lost"].includes(unit.state);

export class Stack {
  readonly startedAt = Date.now();
  readonly usage = new UsageHistory(() => this.#units.values());
  #units: ReadonlyMap<string, ServiceController>;
  #phase: "open" | "closed" | "lost" = "open";
  /** Aborts waits for this stack's services when the stack ends. */
  readonly #life = new AbortController();
  /** Serialises starts, reconciliations and restarts of the same service by several clients. */
  readonly #serial = new KeyedMutex();
  /** Number of changes in progress. */
  #changes = 0;

  #definition: StackDefinition;
  /** Definitions with which completed services ran whose present definition has not run yet. */
  #ranWith: ReadonlyMap<string, StackDefinition> = new Map();

  constructor(
    definition: StackDefinition,
    private readonly host: ServiceContext,
  ) {
    this.#definition = definition;
    this.#units = new Map(
      Object.values(definition.services).map((service) => [service.name, new ServiceController(service, host)]),
    );
  }

  get definition(): StackDefinition {
    return this.#definition;
  }

  /** The controllers by service name, in definition order. */
  get units(): ReadonlyMap<string, ServiceController> {
    return this.#units;
  }

  get runtimeStack(): RuntimeStack {
    return this.host.stack;
  }

  /** `closed` after a stop, `lost` when the runtime died. */
  get phase(): "open" | "closed" | "lost" {
    return this.#phase;
  }

  /** True while services are started, replaced or restarted by a call. */
  get changing(): boolean {
    return this.#changes > 0;
  }

  async #change<T>(names: readonly string[], change: () => Promise<T>): Promise<T> {
    return this.#serial.run(names, async () => {
      this.#changes += 1;
      try {
        return await change();
      } finally {
        this.#changes -= 1;
        this.host.changed();
      }
    });
  }

  /** @throws UNKNOWN_SERVICE that lists the valid names */
  unit(name: string): ServiceController {
    const unit = this.units.get(name);
    if (unit !== undefined) return unit;
    throw unknownService(name, [...this.units.keys()]);
  }

  /** A service and its further instances, by its name; only the instance itself by the name of one of these. */
  instancesOf(name: string): ServiceController[] {
    return [...this.units.values()].filter((unit) => unit.name === name || unit.definition.instanceOf === name);
  }

  /** Starts all services. On failure, all of them are stopped again, unless `keepsRunning` is true for the failure. */
  async bringUp(scope: Scope, keepsRunning = (_error: unknown): boolean => false): Promise<void> {
    const { units } = this;
    const names = [...units.keys()];
    this.usage.start();
    await this.#change(names, () => startServices({ units, names, scope: this.#within(scope), keepsRunning }));
  }

  /**
   * Reconciles the running services with a definition. Unchanged services keep running. On failure the former
   * definition is in effect again, and the replaced services run as it describes them.
   * @throws the failure; once services have changed, with `rolled_back` and `down` in its details
   */
  reconcile(next: StackDefinition, scope: Scope, options: ReconcileOptions): Promise<Reconciled> {
    const names = [...new Set([...this.units.keys(), ...Object.keys(next.services)])];
    return this.#change(names, () => this.#reconcile(next, this.#within(scope), options));
  }

  async #reconcile(next: StackDefinition, scope: Scope, options: ReconcileOptions): Promise<Reconciled> {
    const { added, changed: latest, removed } = compareDefinitions(this.definition, next);
    const changed = [...this.units.keys()].filter((name) => {
      const ranWith = this.#ranWith.get(name);
      return (ranWith === undefined ? latest : compareDefinitions(ranWith, next).changed).includes(name);
    });
    // A service that does not run again now does so when a later start names it.
    const completed = new Set(options.namedBefore.filter((name) => this.units.get(name)?.state === "completed"));
    // Let the runtime refuse the definition before any service changes.
    const affected = await this.runtimeStack.update(next);
    const replaced = new Map<string, string>();
    const replace = (name: string, reason: string): void => {
      if (this.units.has(name) && !completed.has(name) && !replaced.has(name)) replaced.set(name, reason);
    };
    for (const name of changed) replace(name, "its definition changed");
    for (const [name, reason] of Object.entries(affected)) replace(name, reason);
    for (const name of [...replaced.keys()])
      for (const follower of dependentsOf(name, Object.values(next.services), false))
        replace(follower, `it follows ${name}`);
    options.changing();
    const again = [...this.units.values()].filter(idle).map(({ name }) => name);
    const former = formerOf(this, new Set([...removed, ...replaced.keys(), ...again]));
    const formerlyRanWith = this.#ranWith;
    try {
      const { actor } = scope;
      const reason = (): string => "Stopped by a start that changes it.";
      await stopServices(
        [...removed, ...replaced.keys()].map((name) => this.unit(name)),
        { actor, reason },
      );
      const units = new Map<string, ServiceController>();
      for (const service of Object.values(next.services)) {
        const unit = this.units.get(service.name) ?? new ServiceController(service, this.host);
        unit.definition = service;
        units.set(service.name, unit);
      }
      this.#units = units;
      this.#ranWith = new Map(
        changed
          .filter((name) => completed.has(name))
          .map((name) => [name, this.#ranWith.get(name) ?? former.definition]),
      );
      this.#definition = next;
      const starts = (unit: ServiceController): boolean => replaced.has(unit.name) || idle(unit);
      const names = [...units.values()].filter(starts).map(({ name }) => name);
      await startServices({ units, names, scope });
      for (const unit of units.values()) if (unit.state === "starting") await unit.settled(scope.signal);
      await this.#checkDependents(names, scope);
      return {
        started: names
          .filter((name) => !replaced.has(name))
          .map((service) => ({
            service,
            reason: added.includes(service) ? "" : `it was ${former.states.get(service)}`,
          })),
        replaced: [...replaced].map(([service, why]) => ({ service, reason: why })),
        removed: removed.map((service) => ({ service, reason: options.removedBecause(service) })),
      };
    } catch (error) {
      // A stop ended the change: nothing comes back.
      if (this.#life.signal.aborted) throw error;
      options.restoring();
      this.#ranWith = formerlyRanWith;
      throw rolledBack(error, await this.#restore(former, scope, options.restoreMs));
    }
  }

  /** Checks unhealthy dependents of started services again: their last checks can have failed without these services. */
  async #checkDependents(started: readonly string[], { signal }: Scope): Promise<void> {
    const late = timeoutSignal(CHECK_AGAIN_MS);
    const either = AbortSignal.any([signal, late]);
    const definitions = [...this.#units.values()].map(({ definition }) => definition);
    const dependents = new Set(started.flatMap((name) => dependentsOf(name, definitions, true)));
    await Promise.all(
      [...this.#units.values()]
        .filter(({ name, state }) => state === "unhealthy" && dependents.has(name))
        .map((unit) => unit.checkAgain(either)),
    ).catch(() => signal.throwIfAborted());
  }

  /**
   * Stops services with all of their instances, and removes them from the stack. Every other service stays as it is.
   * @throws INVALID_INPUT when another service uses a published address of one of them
   */
  stopServices(names: readonly string[], scope: StopScope): Promise<void> {
    const leaving = names.flatMap((name) => this.instancesOf(name));
    return this.#change([...this.units.keys()], async () => {
      const next = withoutServices(
        this.definition,
        leaving.map(({ name }) => name),
      );
      await this.runtimeStack.update(next);
      await stopServices(leaving, scope);
      this.#units = new Map([...this.units].filter(([, unit]) => !leaving.includes(unit)));
      for (const unit of this.units.values()) unit.definition = next.services[unit.name] ?? unit.definition;
      this.#definition = next;
    });
  }

  /** Returns to the former definition, and starts the services again that ran before a change that failed. */
  async #restore(former: Former, scope: Scope, restoreMs: number): Promise<RolledBack> {
    const { actor } = scope;
    const present = [...this.#units.values()];
    const reason = (): string => "Stopped, because the start failed.";
    const changed = new Set([...former.ran, ...former.restarting]);
    // The failed start stopped only what it had started itself. Other instances of the new definition and their
    // scheduled restarts end here.
    const active = (unit: ServiceController): boolean =>
      unit.running || unit.restartPending || unit.state === "starting";
    const fresh = present.filter((unit) => active(unit) && (changed.has(unit.name) || !former.units.has(unit.name)));
    await stopServices(fresh, { actor, reason }).catch(() => undefined);
    for (const [name, unit] of former.units) {
      const service = former.definition.services[name];
      if (service !== undefined) unit.definition = service;
      if (former.states.get(name) === "completed" && !unit.running) unit.restoreCompleted();
    }
    this.#units = former.units;
    this.#definition = former.definition;
    const signal = AbortSignal.any([this.#life.signal, timeoutSignal(restoreMs)]);
    return startFormer(former, this.runtimeStack, { ...scope, signal });
  }

  /** Reports a later start that failed before its services existed as the reason why the services are stopped. */
  notStarted(cause: unknown): void {
    for (const unit of this.units.values()) unit.notStarted(cause);
  }

  /** Ends changes in progress, for a stop that follows. */
  interrupt(): void {
    this.#life.abort(stoppedMeanwhile());
  }

  /**
   * Restarts one service, then the dependents that must restart with it.
   * @returns the dependents that were restarted
   */
  restart(name: string, dependents: boolean, scope: Omit<Scope, "signal">): Promise<string[]> {
    const definitions = [...this.units.values()].map((unit) => unit.definition);
    const names = [name, ...dependentsOf(name, definitions, dependents)];
    return this.#change(names, () => this.#restart(name, dependents, { ...scope, signal: this.#life.signal }));
  }

  async #restart(name: string, dependents: boolean, scope: Scope): Promise<string[]> {
    scope.signal.throwIfAborted();
    const definitions = [...this.units.values()].map((unit) => unit.definition);
    const following = dependentsOf(name, definitions, dependents).filter((other) => {
      const unit = this.unit(other);
      return unit.running || unit.definition.instanceOf === name;
    });
    const chosen = new Map([name, ...following].map((one) => [one, this.unit(one)]));
    await stopServices([...chosen.values()], { actor: scope.actor });
    for (const unit of chosen.values()) unit.restarts += 1;
    this.#ranWith = new Map([...this.#ranWith].filter(([one]) => !chosen.has(one)));
    // Wait only for these services: an unhealthy dependency outside the restart must not keep this service down.
    await startServices({ units: chosen, names: [...chosen.keys()], scope });
    return following;
  }

  /**
   * Checks enforcement for a client that requires enforced limits. Another client may have started the stack without
   * that requirement.
   * @throws LIMITS_NOT_ENFORCEABLE
   */
  requireEnforcedLimits(): void {
    const reasons = [...this.units.values()].flatMap((unit) =>
      unit.applied === null ? [] : notEnforced(unit.requestedLimits, unit.applied).map((why) => `${unit.name}: ${why}`),
    );
    if (reasons.length === 0) return;
    const note = "It was started without require_enforced_limits. ";
    throw notEnforceable("Limits of the running stack are not enforced", reasons, { note });
  }

  /** Stops every service, dependents first, then releases the runtime's resources. */
  async stop(scope: StopScope): Promise<void> {
    this.usage.close();
    this.interrupt();
    let failure: unknown;
    await stopServices([...this.units.values()], scope).catch((error: unknown) => {
      failure = error;
    });
    // `close` kills services that did not stop. Something remains only when that fails too.
    try {
      await this.runtimeStack.close();
    } catch (error) {
      throw failure ?? error;
    }
    this.#phase = "closed";
  }

  /** Marks all services as lost after the runtime died. Nothing remains to be stopped. */
  async lose(error: StackwardenError): Promise<void> {
    this.#phase = "lost";
    this.usage.close();
    for (const unit of this.units.values()) unit.lose();
    this.#life.abort(error);
    await this.runtimeStack.close().catch(() => undefined);
  }

  #within(scope: Scope): Scope {
    return { ...scope, signal: AbortSignal.any([scope.signal, this.#life.signal]) };
  }
}

const stoppedMeanwhile = (): StackwardenError =>
  new StackwardenError("OPERATION_CANCELLED", "The stack was stopped meanwhile.", {
    hint: hint`Start it again with ${callTo("start_stack")}.`,
  });

export function unknownService(name: string, valid: readonly string[]): StackwardenError {
  return new StackwardenError("UNKNOWN_SERVICE", `The stack has no service ${JSON.stringify(name.slice(0, 64))}.`, {
    hint: `Valid names: ${valid.join(", ") || "none"}.`,
    details: { valid: [...valid] },
  });
}
