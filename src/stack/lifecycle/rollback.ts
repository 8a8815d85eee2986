/** The rollback of a change of a running stack that failed. */
import { changedError, type StackwardenError, toStackwardenError } from "../../errors.js";
import type { StackDefinition } from "../definition/types.js";
import type { ServiceState } from "../model.js";
import type { RuntimeStack } from "../runtime.js";
import type { Scope } from "./scope.js";
import type { ServiceController } from "./service-controller.js";
import { startServices } from "./startup.js";

/** A service with the reason for its change. */
export interface Change {
  service: string;
  reason: string;
}

/** A stack before a change. */
export interface Former {
  definition: StackDefinition;
  units: ReadonlyMap<string, ServiceController>;
  states: ReadonlyMap<string, ServiceState>;
  /** Services with an instance that the change replaces or removes. */
  ran: string[];
  /** Services that were up and that the change neither stops nor starts. */
  untouched: string[];
  /** Services without an instance that the change stops or starts, and that were about to start by their restart policy. */
  restarting: string[];
}

/** @param affected names of the services that the change stops or starts */
export function formerOf(
  { definition, units }: Pick<Former, "definition" | "units">,
  affected: ReadonlySet<string>,
): Former {
  const changing = [...units.values()].filter(({ name }) => affected.has(name));
  const names = (which: (unit: ServiceController) => boolean): string[] =>
    changing.filter(which).map(({ name }) => name);
  return {
    definition,
    units,
    states: new Map([...units.values()].map(({ name, state }) => [name, state])),
    ran: names(({ running }) => running),
    untouched: [...units.values()].filter(({ name, up }) => up && !affected.has(name)).map(({ name }) => name),
    restarting: names(({ running, restartPending, state }) => !running && (restartPending || state === "starting")),
  };
}

/** The services that a failed change had replaced. */
export interface RolledBack {
  /** Up again as the former definition describes them. */
  restored: string[];
  /** Not up after the rollback, including services that the change did not stop and that crashed meanwhile. */
  stillDown: Change[];
}

/** Starts the services again that ran before a change that failed. */
export async function startFormer(former: Former, runtimeStack: RuntimeStack, scope: Scope): Promise<RolledBack> {
  const { ran, untouched, restarting } = former;
  let refusal: string | null = null;
  try {
    await runtimeStack.update(former.definition).finally(() => {
      for (const name of restarting) former.units.get(name)?.restoreRestart();
    });
    await startServices({
      units: former.units,
      names: ran,
      scope,
      independent: true,
    }).catch(() => undefined);
  } catch (error) {
    refusal = toStackwardenError(error).message;
  }
  const up = (name: string): boolean => former.units.get(name)?.up === true;
  return {
    restored: ran.filter(up),
    stillDown: [...former.units.keys()]
      .filter((name) => (ran.includes(name) || untouched.includes(name)) && !up(name))
      .map((service) => {
        const refused = ran.includes(service) ? refusal : null;
        return { service, reason: refused ?? former.units.get(service)?.health().message ?? "" };
      }),
  };
}

const list = (names: readonly string[]): string => names.join(", ");

/** The failure of a change, with what its rollback reached. */
export function rolledBack(error: unknown, { restored, stillDown }: RolledBack): StackwardenError {
  const cause = toStackwardenError(error);
  const was = restored.length === 1 ? "was" : "were";
  const back =
    stillDown.length === 0
      ? `The former definition is in effect again; ${list(restored)} ${was} restarted with it.`
      : `${list(restored)} ${was} restarted with the former definition.`;
  const reasons = stillDown.map(({ service, reason }) => `${service} (${reason.replace(/\.$/, "")})`);
  const downSentence = `${stillDown.length === 1 ? "This service is" : "These services are"} down: ${list(reasons)}.`;
  const parts = [
    cause.message,
    ...(restored.length === 0 ? [] : [back]),
    ...(stillDown.length === 0 ? [] : [downSentence]),
    ...(restored.length + stillDown.length === 0 ? ["The services that ran before keep running."] : []),
  ];
  return changedError(cause, {
    message: parts.join(" "),
    details: { ...cause.details, rolled_back: restored, down: stillDown.map(({ service }) => service) },
  });
}
