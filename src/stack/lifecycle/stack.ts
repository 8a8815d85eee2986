/** A stack on its runtime: one controller for each service, and operations on several services. */

import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import { KeyedMutex } from "../../system/keyed-mutex.js";
import { compareDefinitions } from "../definition/changes.js";
import type { StackDefinition } from "../definition/types.js";
import type { RuntimeStack } from "../runtime.js";
import { dependentsOf } from "./dependents.js";
import { notEnforceable, notEnforced } from "./limits.js";
import type { Scope, StopScope } from "./scope.js";
import type { ServiceContext } from "./service-context.js";
import { ServiceController } from "./service-controller.js";
import { startServices, stopServices } from "./startup.js";
import { UsageHistory } from "./usage-history.js";

export interface Reconciled {
  started: string[];
  replaced: string[];
  removed: string[];
}

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
  readonly #changing = new KeyedMutex();

  #definition: StackDefinition;

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

  /** Starts all services. On failure, all of them are stopped again. */
  async bringUp(scope: Scope): Promise<void> {
    const { units } = this;
    const names = [...units.keys()];
    this.usage.start();
    await this.#changing.run(names, () => startServices({ units, names, scope: this.#within(scope) }));
  }

  /** Reconciles the running services with a definition. Unchanged services keep running. */
  reconcile(next: StackDefinition, scope: Scope): Promise<Reconciled> {
    const names = [...new Set([...this.units.keys(), ...Object.keys(next.services)])];
    return this.#changing.run(names, () => this.#reconcile(next, this.#within(scope)));
  }

  async #reconcile(next: StackDefinition, scope: Scope): Promise<Reconciled> {
    const { added, changed, removed } = compareDefinitions(this.definition, next);
    const following = changed.flatMap((name) => dependentsOf(name, Object.values(next.services), false));
    const replaced = [...new Set([...changed, ...following])].filter((name) => this.units.has(name));
    // Let the runtime refuse the definition before any service changes.
    await this.runtimeStack.update(next);
    await stopServices(
      [...removed, ...replaced].map((name) => this.unit(name)),
      { actor: scope.actor },
    );
    const units = new Map<string, ServiceController>();
    for (const service of Object.values(next.services)) {
      const unit = this.units.get(service.name) ?? new ServiceController(service, this.host);
      unit.definition = service;
      units.set(service.name, unit);
    }
    this.#units = units;
    this.#definition = next;
    const names = [...units.values()]
      .filter((unit) => idle(unit) || replaced.includes(unit.name))
      .map((unit) => unit.name);
    await startServices({ units, names, scope });
    for (const unit of units.values()) if (unit.state === "starting") await unit.ready(scope.signal);
    return { started: names.filter((name) => added.includes(name) || !replaced.includes(name)), replaced, removed };
  }

  /**
   * Restarts one service, then the dependents that must restart with it.
   * @returns the dependents that were restarted
   */
  restart(name: string, dependents: boolean, scope: Omit<Scope, "signal">): Promise<string[]> {
    const definitions = [...this.units.values()].map((unit) => unit.definition);
    const names = [name, ...dependentsOf(name, definitions, dependents)];
    return this.#changing.run(names, () => this.#restart(name, dependents, { ...scope, signal: this.#life.signal }));
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
    this.#life.abort(
      new StackwardenError("OPERATION_CANCELLED", "The stack was stopped meanwhile.", {
        hint: hint`Start it again with ${callTo("start_stack")}.`,
      }),
    );
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

export function unknownService(name: string, valid: readonly string[]): StackwardenError {
  return new StackwardenError("UNKNOWN_SERVICE", `The stack has no service ${JSON.stringify(name.slice(0, 64))}.`, {
    hint: `Valid names: ${valid.join(", ") || "none"}.`,
    details: { valid: [...valid] },
  });
}
