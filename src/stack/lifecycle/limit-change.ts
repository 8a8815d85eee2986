/**
 * Changes a service's limits: validates them, applies them to a running instance, reads them back, and stores them for
 * the next start.
 */
import { keepChange, LIMIT_NAMES, overrideLimits } from "../definition/override-limits.js";
import type { LimitChange, Limits } from "../definition/types.js";
import type { LimitsOutcome } from "../model.js";
import type { ProjectStorage } from "../storage/project-storage.js";
import { applyLimits } from "./apply-limits.js";
import { checkLimits, limitsHold, notEnforced } from "./limits.js";
import type { ServiceController } from "./service-controller.js";
import type { Supervisor } from "./supervisor.js";

export interface LimitRequest {
  service: string;
  limits: LimitChange;
  /** The service's limits in the definition. */
  written: Limits;
  /** Allow limits below current usage. Default false. */
  force?: boolean;
  /** Null when the stack is not running. */
  unit: ServiceController | null;
  supervisor: Supervisor;
  storage: ProjectStorage;
  actor: string;
  /** Epoch milliseconds at which the call began. */
  begun: number;
}

/** @throws LIMIT_REFUSED; the service then has its former limits, now and at its next start */
export async function changeLimits(change: LimitRequest): Promise<LimitsOutcome> {
  const { service, limits, written, force = false, unit, supervisor, storage, actor, begun } = change;
  const capacity = supervisor.capacity();
  const instance = unit?.instance ?? null;
  const stats = (await instance?.stats()) ?? null;
  if (capacity !== null) checkLimits({ service, limits, capacity, stats, force });
  const before = (await instance?.readLimits()) ?? null;
  // Creates the project's directory, which does not exist before the first start.
  const { events } = await storage.records();
  const others = supervisor.running?.instancesOf(service).slice(1) ?? [];
  const changing = [...(unit === null ? [] : [unit]), ...others].map((one) => ({
    unit: one,
    limits: supervisor.limits(one.name, { change: { [service]: limits } }),
    held: one === unit,
  }));
  // Limits that the kernel refuses would end the service at its next start.
  const results = await applyLimits(changing, () => storage.keepLimits(service, limits, written));
  const [after, ...applied] = unit === null ? [null, ...results] : [results[0] ?? null, ...results.slice(1)];
  // A limit that returns to the compose file has the value that is there, or none.
  const requested = overrideLimits(written, keepChange({}, limits, written));
  const changed = LIMIT_NAMES.filter((name) => limits[name] !== undefined);
  const expected: Limits = Object.fromEntries(
    changed.flatMap((name) => (requested[name] === undefined ? [] : [[name, requested[name]]])),
  );
  const values = changed.map((name) =>
    limits[name] === null ? `${name} as in the compose file (${written[name] ?? "none"})` : `${name} ${limits[name]}`,
  );
  events.add({
    type: "limits_changed",
    service,
    message: `Limits of ${service}: ${values.join(", ")}.`,
    actor,
    data: { ...limits },
  });
  const observed = [after, ...applied].filter((one) => one !== null);
  const down = [service, ...others.map(({ name }) => name)].filter(
    (_name, index) => [after, ...applied][index] === null,
  );
  const unenforced = [...new Set(observed.flatMap((one) => notEnforced(expected, one)))];
  const kept = "kept for the next start";
  return {
    service,
    live: observed.length > 0,
    message:
      observed.length === 0
        ? `${service} does not run; the limits are ${kept}.`
        : unenforced.length > 0
          ? `Nothing enforces these limits (${unenforced.join("; ")}); they are ${kept}.`
          : `The limits are in force${down.length === 0 ? "" : `, except for ${down.join(", ")}, which ${down.length === 1 ? "does" : "do"} not run,`} and ${kept}.`,
    before,
    after,
    verified: after !== null && observed.every((one) => limitsHold(expected, one)),
    took_ms: Date.now() - begun,
  };
}
