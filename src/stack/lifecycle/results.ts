/** Answers of changes: the progress reached, and the states observed before and after. */
import type {
  HealthReport,
  RestartOutcome,
  ServiceHealth,
  ServiceReport,
  StackReport,
  StartOutcome,
  StopOutcome,
} from "../model.js";
import { startNotes } from "./notes.js";
import { missingServices, type Reached, restartStatus, startVerdict } from "./stack-state.js";

const say = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));

interface Observed<T> {
  project: string;
  before: T;
  after: T;
  /** Epoch milliseconds at which the call began. */
  begun: number;
}

const nextCall = (operation: string, input: Record<string, unknown>) => ({ operation, input });

/** Names the services that are left out, the call that includes them, and the services that depend on them. */
function leftOutSentence(leftOut: readonly string[], missingDependencies: Record<string, string[]>): string {
  if (leftOut.length === 0) return "";
  const them = leftOut.length === 1 ? "it" : "them";
  const lacking = Object.entries(missingDependencies)
    .filter(([, missing]) => missing.some((name) => leftOut.includes(name)))
    .map(([name]) => name);
  const depend = lacking.length === 1 ? "depends" : "depend";
  const dependents = lacking.length === 0 ? "" : ` ${say(lacking)} ${depend} on ${them}.`;
  return ` Left out: ${say(leftOut)}; start_stack with services ${JSON.stringify(leftOut)} includes ${them}.${dependents}`;
}

/** A sentence for a start that begins or ends the watch of files. */
function watchSentence(before: StackReport, after: StackReport): string {
  const [watched = [], watching = []] = [before.watching, after.watching];
  if (watched.length === 0 && watching.length > 0)
    return ` File changes are applied from now on (watch): ${say(watching)}.`;
  return watched.length > 0 && watching.length === 0 && after.state !== "stopped"
    ? " File changes are no longer applied (watch)."
    : "";
}

/** @param outcome `reached` is null when the caller's time ran out and the start continues */
export function startOutcome(
  outcome: Observed<StackReport> & {
    reached: Reached | null;
    changes: readonly string[];
    /** What `data_from` did, in a sentence. */
    data: string | null;
    health: HealthReport;
    /** Arguments of the call that were not applied, because another start continues. */
    unapplied: readonly string[];
    /** The reason for the runtime, when the project ran on it before this start. */
    known: readonly string[];
    /** Services that this call or an earlier one excluded or stopped. */
    leftOut: readonly string[];
    /** Dependencies that are left out, by the service that runs without them. */
    missingDependencies: Record<string, string[]>;
  },
): StartOutcome {
  const {
    project,
    reached,
    changes,
    data,
    health,
    unapplied,
    known,
    leftOut,
    missingDependencies,
    before,
    after,
    begun,
  } = outcome;
  const services = Object.values(health.services);
  const copied = data === null ? "" : ` ${data}`;
  const { status, message, verified } = startVerdict(reached, health.state, services, changes);
  const others =
    unapplied.length === 0
      ? ""
      : ` Another call's start continues; of this call ${unapplied.join(", ")} ${unapplied.length === 1 ? "was" : "were"} not applied. Repeat this call after that start.`;
  const without = leftOutSentence(leftOut, missingDependencies);
  const watch = watchSentence(before, after);
  const missing = missingServices(services);
  const next =
    status === "starting"
      ? nextCall("health_status", { project, wait_for: health.state === "stopping" ? "stopped" : "healthy" })
      : status === "degraded"
        ? nextCall("diagnose", { project })
        : null;
  return {
    status,
    message: `${message}${copied}${watch}${without}${others}`,
    missing,
    next,
    notes: startNotes(before, after, known),
    before,
    after,
    verified,
    took_ms: Date.now() - begun,
  };
}

const STOPPED = {
  stopped: "The stack is stopped.",
  already_stopped: "The stack was not running.",
  stopping: "The stack is stopping.",
};

const FORGOTTEN = " Its data, snapshots, dependencies, logs and records are deleted.";

const sayForgotten = (kept: readonly string[]): string =>
  kept.length === 0 ? FORGOTTEN : ` Its snapshots, dependencies, logs and records are deleted. ${kept.join(" ")}`;

export function stopOutcome(
  outcome: Observed<StackReport> & {
    status: StopOutcome["status"];
    removed: readonly string[];
    /** True when volumes were to be deleted. */
    deleted?: true;
    /** Name of the snapshot with the deleted data; null when none was saved. */
    snapshot: string | null;
    forgotten?: true;
    /** Sentences about data of the forgotten project that was not deleted. */
    kept?: readonly string[];
    /** The stopped services, when the others keep running. */
    services?: readonly string[];
    /** Services that were to stop and did not run. */
    idle?: readonly string[];
  },
): StopOutcome {
  const { project, status, removed, deleted, snapshot, forgotten, kept = [], before, after, begun } = outcome;
  const { services, idle = [] } = outcome;
  const absent = idle.length === 0 ? "" : `Not running before: ${say(idle)}. `;
  const stopped = services === undefined || services.length === 0 ? "Nothing was stopped" : `Stopped: ${say(services)}`;
  const alone =
    services !== undefined && status !== "stopping" ? `${absent}${stopped}. The other services keep running.` : null;
  const deletion =
    removed.length > 0
      ? ` Deleted volumes: ${say(removed)}.`
      : deleted === true
        ? " The project has no volume, so none was deleted."
        : "";
  const saved = snapshot === null ? "" : ` The data of these volumes is in the snapshot ${snapshot}.`;
  return {
    status,
    message: `${alone ?? STOPPED[status]}${deletion}${saved}${forgotten === true ? sayForgotten(kept) : ""}`,
    ...(forgotten === true ? { forgotten } : {}),
    ...(kept.length === 0 ? {} : { not_deleted: [...kept] }),
    ...(snapshot === null ? {} : { snapshot }),
    removed_volumes: [...removed],
    next: status === "stopping" ? nextCall("health_status", { project, wait_for: "stopped" }) : null,
    before,
    after,
    verified:
      services === undefined
        ? after.state === "stopped" || after.state === "lost"
        : services.every((name) => after.services[name] === undefined || after.services[name].state === "stopped"),
    took_ms: Date.now() - begun,
  };
}

/**
 * @param outcome `followers` are the dependents restarted with the service; null when the caller's time ran out and the
 * restart continues
 */
export function restartOutcome(
  outcome: Observed<ServiceReport> & {
    followers: string[] | null;
    /** Other services that were up before the restart and are not up after it. */
    fallen: readonly ServiceHealth[];
    health: ServiceHealth;
  },
): RestartOutcome {
  const { project, followers, fallen, health, before, after, begun } = outcome;
  const { service } = after;
  const over = followers !== null;
  const status = restartStatus(over, health.status);
  const how = ["healthy", "running", "completed"].includes(status);
  const instance = `${service} runs as a fresh instance (generation ${after.generation})`;
  const messages = {
    healthy: `${instance} and is healthy.`,
    running: `${instance}; nothing checks it.`,
    completed: `${service} ran again (generation ${after.generation}) and ended with exit code 0.`,
    starting: `${service} is still ${health.status}: ${health.message}`,
    degraded: `${service} was restarted (generation ${after.generation}), but is ${health.status}: ${health.message}`,
  };
  const outdated =
    after.stale?.fix === "start_stack"
      ? ` It runs with its former definition: ${after.stale.reason.replace(/\.$/, "")}. start_stack applies it.`
      : "";
  const down = fallen.map(
    (one) => ` ${one.service} was up before and is ${one.status} now: ${one.message.replace(/\.$/, "")}.`,
  );
  const next = {
    starting: nextCall("health_status", { project, wait_for: "healthy" }),
    degraded: nextCall("diagnose", { project, service }),
  };
  const remaining =
    outdated !== "" ? nextCall("start_stack", { project }) : down.length > 0 ? nextCall("diagnose", { project }) : null;
  return {
    service,
    status,
    message: `${messages[status]}${outdated}${down.join("")}`,
    health,
    dependents_restarted: followers ?? [],
    next: status === "starting" || status === "degraded" ? next[status] : remaining,
    before,
    after,
    verified: how && after.generation > before.generation,
    took_ms: Date.now() - begun,
  };
}
