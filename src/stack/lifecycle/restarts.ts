/**
 * Restarts requested by callers: one at a time for each service, joined by concurrent calls, and limited by a budget.
 */

import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import { withLeftOut } from "./left-out.js";
import type { ProjectParts } from "./project-parts.js";
import { RestartBudget } from "./restart-policy.js";
import type { ServiceController } from "./service-controller.js";
import { SingleFlight } from "./single-flight.js";
import type { StaleServices } from "./stale-services.js";

export class Restarts {
  readonly #underWay = new Map<string, SingleFlight<string[]>>();
  readonly #budgets = new Map<string, RestartBudget>();

  constructor(
    private readonly parts: Pick<ProjectParts, "supervisor" | "storage" | "settings"> & { stale: StaleServices },
  ) {}

  /**
   * The restart of this service in progress, else a new one. It resolves to the dependents that were restarted too.
   * @param change what changed, for a restart that applies it; such a restart does not count towards the budget
   * @throws RESTART_BUDGET_EXCEEDED with the known facts about the cause
   */
  of(unit: ServiceController, dependents: boolean, actor: string, change?: string): SingleFlight<string[]> {
    const { name } = unit;
    let call = this.#underWay.get(name);
    if (call === undefined) {
      // A restart that runs new code is not a repetition.
      const isNew = change !== undefined || this.parts.stale.hasNewCode(unit);
      const giveBack = isNew ? () => undefined : this.#spend(unit);
      call = this.#begin(unit, { dependents, actor, change }, giveBack);
      this.#underWay.set(name, call);
    }
    return call;
  }

  #begin(
    unit: ServiceController,
    { dependents, actor, change }: { dependents: boolean; actor: string; change: string | undefined },
    giveBack: () => void,
  ): SingleFlight<string[]> {
    const service = unit.name;
    const why = change === undefined ? "." : `: ${change}.`;
    return new SingleFlight<string[]>(
      async (_signal, progress) => {
        try {
          const { events } = await this.parts.storage.records();
          events.add({ type: "service_restarting", service, message: `${service} is being restarted${why}`, actor });
          const following = await this.parts.supervisor.stack?.restart(service, dependents, {
            actor,
            progress: (name, message) => progress({ progress: 0, total: 1, message: `${name}: ${message}` }),
          });
          if (unit.up) giveBack();
          events.add({ type: "service_restarted", service, message: `${service} was restarted.`, actor });
          return following ?? [];
        } catch (error) {
          throw withLeftOut(error, this.parts.supervisor.selection.without);
        } finally {
          this.#underWay.delete(service);
        }
      },
      // Cancelling a restart would leave the service down.
      { cancellable: false, what: `restart of ${service}` },
    );
  }

  #spend(unit: ServiceController): () => void {
    const now = Date.now();
    const most = this.parts.settings().restartBudget;
    const budget = this.#budgets.get(unit.name) ?? new RestartBudget(most);
    this.#budgets.set(unit.name, budget);
    const wait = budget.wait(now);
    if (wait === 0) return budget.spend(now);
    const seconds = Math.ceil(wait / 1000);
    const { details } = unit.failure();
    throw new StackwardenError(
      "RESTART_BUDGET_EXCEEDED",
      `${most} restarts of ${unit.name} in five minutes did not bring it up; the next one is allowed in ${seconds} s.`,
      {
        hint: hint`Restarting did not help: find the cause in details.last_lines or with ${callTo("diagnose", { service: unit.name })}, and correct it.`,
        details: { ...details, health: unit.health().message, retry_after_seconds: seconds },
      },
    );
  }
}
