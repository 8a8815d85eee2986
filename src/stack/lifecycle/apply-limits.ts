/** Changes limits of running services. */
import type { Limits } from "../definition/types.js";
import type { AppliedLimits } from "../runtime.js";
import type { ServiceController } from "./service-controller.js";

export interface UnitLimits {
  unit: ServiceController;
  limits: Limits;
  /** True when the caller is already in `unit.serial`. */
  held?: boolean;
}

const apply = ({ unit, limits, held = false }: UnitLimits): Promise<AppliedLimits | null> =>
  held ? unit.setLimits(limits) : unit.serial.run(() => unit.setLimits(limits));

/**
 * Changes the limits of all these services, then stores the change. After a failure, every service has its former
 * limits, and nothing is stored.
 * @returns the limits read back in the same order; null for a service that does not run
 * @throws LIMIT_REFUSED, or the failure of `store`
 */
export async function applyLimits(
  changes: readonly UnitLimits[],
  store: () => Promise<void> = async () => undefined,
): Promise<(AppliedLimits | null)[]> {
  const former = changes.map(({ unit }) => unit.requestedLimits);
  const results = await Promise.allSettled(changes.map(apply));
  try {
    const refused = results.find((result) => result.status === "rejected");
    if (refused !== undefined) throw refused.reason;
    await store();
  } catch (error) {
    const applied = changes.filter((_change, index) => results[index]?.status === "fulfilled");
    await Promise.allSettled(
      applied.map((change) => apply({ ...change, limits: former[changes.indexOf(change)] ?? {} })),
    );
    throw error;
  }
  return results.map((result) => (result.status === "fulfilled" ? result.value : null));
}
