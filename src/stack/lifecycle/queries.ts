/** Read-only queries: health, logs, stats and events of one project. */

import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import { waitUntil } from "../../system/wait.js";
import type { LogQuery } from "../logs/types.js";
import type {
  CallContext,
  EventPage,
  EventQuery,
  HealthOutcome,
  HealthRequest,
  LogReport,
  StackChange,
  StatsReport,
  StatsRequest,
} from "../model.js";
import { NOT_IN_STACK } from "../vocabulary.js";
import { notInStack } from "./left-out.js";
import { pressure } from "./limits.js";
import type { Project } from "./project.js";
import { STANDING } from "./service-state.js";
import { asSentence, wellSentence } from "./stack-state.js";

type Subscribe = (listener: (change: StackChange) => void) => () => void;

/** Decides whether a wait has ended. Returns null while it continues. */
function decide(
  project: Project,
  condition: "healthy" | "stopped",
  services: string[] | undefined,
): HealthOutcome["wait"] {
  const { state } = project;
  const outcome = (met: boolean, reason: string): HealthOutcome["wait"] => ({ condition, met, reason });
  if (condition === "stopped") return state === "stopped" ? outcome(true, "The stack is stopped.") : null;
  const out = (services ?? []).filter((name) => state !== "starting" && project.isLeftOut(name));
  if (out.length > 0) return outcome(false, `${out.join(", ")}: ${NOT_IN_STACK}.`);
  const units = [...(project.supervisor.stack?.units.values() ?? [])];
  if (state === "running") {
    const services = units.map((unit) => ({ service: unit.name, status: unit.state }));
    return outcome(true, asSentence(wellSentence(services)));
  }
  if (state === "stopped" || state === "lost") return outcome(false, `The stack is ${state}.`);
  if (services !== undefined) {
    const chosen = units.filter((unit) => services.includes(unit.name));
    const up = chosen.length === services.length && chosen.every((unit) => STANDING[unit.state] === "up");
    if (up) return outcome(true, `${chosen.map((unit) => `${unit.name} is ${unit.state}`).join(", ")}.`);
    // A change in progress starts a stopped service again.
    const down = chosen.filter((unit) => unit.ended && (unit.state !== "stopped" || state !== "starting"));
    if (down.length === 0) return null;
    return outcome(false, `${down.map((unit) => `${unit.name} is ${unit.state}`).join(", ")} and nothing restarts it.`);
  }
  if (state !== "degraded") return null;
  const ended = units.filter((unit) => unit.ended);
  if (ended.length === 0) return null;
  return outcome(false, `${ended.map((unit) => `${unit.name} is ${unit.state}`).join(", ")} and nothing restarts it.`);
}

async function waitFor(
  project: Project,
  condition: "healthy" | "stopped",
  timeoutMs: number,
  signal: AbortSignal,
  subscribe: Subscribe,
  services: string[] | undefined,
): Promise<HealthOutcome["wait"]> {
  let decision: HealthOutcome["wait"] = null;
  const end = await waitUntil({
    check: () => {
      decision = decide(project, condition, services);
      return decision !== null;
    },
    subscribe: (notify) =>
      subscribe((change) => {
        if (change.kind === "stack" && change.project === project.id) notify();
      }),
    timeoutMs,
    signal,
  });
  if (end === "met") return decision;
  if (end === "aborted") return { condition, met: false, reason: "The call was cancelled." };
  const { state } = project;
  const still = state === "starting" || state === "stopping" ? "still " : "";
  const reason = `The condition was not met within ${timeoutMs / 1000} s: the stack is ${still}${state}.`;
  return { condition, met: false, reason };
}

export async function healthOf(
  project: Project,
  request: HealthRequest,
  call: Pick<CallContext, "signal">,
  subscribe: Subscribe,
): Promise<HealthOutcome> {
  await project.requireServices(request.services);
  const names = await project.names();
  const services = request.services === undefined ? undefined : project.withInstances(request.services);
  let wait: HealthOutcome["wait"] = null;
  if (request.waitFor !== undefined)
    wait = await waitFor(project, request.waitFor, request.timeoutMs ?? 50_000, call.signal, subscribe, services);
  if (request.fresh === true)
    await Promise.all([...(project.supervisor.stack?.units.values() ?? [])].map((unit) => unit.check()));
  await project.compareSources(request.fresh);
  return { ...project.healthNow(services ?? (project.services.length > 0 ? project.services : names)), wait };
}

const notRunning = (project: Project, more = ""): StackwardenError =>
  new StackwardenError("STACK_NOT_RUNNING", `The stack of ${project.id} is not running${more}.`, {
    hint: hint`Start it with ${callTo("start_stack", { project: project.id })}.`,
  });

/** Queries logs, including those of stopped and crashed services. */
export async function logsOf(project: Project, query: LogQuery, subscribe: Subscribe): Promise<LogReport> {
  const requested = query.services ?? [];
  if (!project.storage.exists) {
    await project.requireServices(requested);
    throw notRunning(project);
  }
  const { logs } = await project.storage.records();
  const wrote = (service: string): boolean => logs.lastGeneration(service) > 0;
  // Show existing log lines even when the definition cannot be read.
  const names = await project.names().catch((error: unknown) => {
    if (requested.length > 0 && requested.every(wrote)) return requested;
    throw error;
  });
  const silent = requested.filter((service) => !names.includes(service) && !wrote(service));
  if (silent.length > 0) await project.requireServices(silent);
  const services = requested.length > 0 ? project.withInstances(requested) : names;
  if (!services.some(wrote)) {
    if (project.state === "stopped" || project.state === "lost")
      throw notRunning(project, " and never printed anything");
    const [out] = services.filter((service) => project.isLeftOut(service));
    if (out !== undefined) throw notInStack(project.id, out);
    throw new StackwardenError("SERVICE_NOT_STARTED", `${services.join(", ")} has not started yet.`, {
      hint: hint`Its dependencies start first. Wait with ${callTo("health_status", { project: project.id, wait_for: "healthy" })}.`,
      details: { services },
    });
  }
  const wait = query.waitFor === undefined ? null : untilEnded(project, services, query.signal, subscribe);
  try {
    const page = await logs.query({ ...query, services, ...(wait === null ? {} : { signal: wait.signal }) });
    const reason = page.wait?.met === false ? wait?.reason() : undefined;
    return { project: project.id, services, ...page, ...(reason == null ? {} : { wait: { met: false, reason } }) };
  } finally {
    wait?.close();
  }
}

/** Milliseconds to wait for the last lines of a service after it has ended. */
const LAST_LINES_MS = 300;

/** A signal that ends a wait for a line when none of the services can print more lines, and the reason. */
function untilEnded(project: Project, services: string[], caller: AbortSignal | undefined, subscribe: Subscribe) {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let reason: string | null = null;
  const check = (): void => {
    const { stack, running } = project.supervisor;
    const units = services.flatMap((name) => stack?.units.get(name) ?? []);
    const ended = running === null || units.every((unit) => unit.ended || unit.state === "completed");
    // A start in progress may still open the stack.
    if (!ended || project.state === "starting" || timer !== undefined) return;
    reason =
      running !== null
        ? `${services.map((name) => `${name} is ${stack?.units.get(name)?.state ?? "stopped"}`).join(", ")}.`
        : "The stack is not running.";
    timer = setTimeout(() => over.abort(), LAST_LINES_MS);
  };
  const unsubscribe = subscribe((change) => {
    if (change.kind === "stack" && change.project === project.id) check();
  });
  check();
  return {
    signal: caller === undefined ? over.signal : AbortSignal.any([caller, over.signal]),
    reason: () => (over.signal.aborted ? reason : null),
    close: () => {
      clearTimeout(timer);
      unsubscribe();
    },
  };
}

export async function statsOf(
  project: Project,
  { services: requested, history = false }: Omit<StatsRequest, "project">,
): Promise<StatsReport> {
  const { running } = project.supervisor;
  await project.requireServices(requested);
  const names = await project.names();
  if (running === null) throw notRunning(project);
  const services: StatsReport["services"] = Object.create(null);
  await Promise.all(
    (requested === undefined ? names : project.withInstances(requested)).map(async (name) => {
      const unit = running.units.get(name);
      if (unit === undefined) {
        services[name] = { state: "stopped", stats: null, limits: null, pressure: [] };
        return;
      }
      const past = history ? { history: [...running.usage.of(name)] } : {};
      services[name] = { state: unit.state, stats: null, limits: unit.applied, pressure: [], ...past };
      const { instance } = unit;
      const stats = (await instance?.stats()) ?? null;
      if (stats === null) return;
      if (unit.instance === instance) unit.observeUsage(stats);
      const limits = unit.applied;
      const short = limits === null ? [] : pressure(stats, limits, unit.commandKills);
      services[name] = { state: unit.state, stats, limits, pressure: short, ...past };
    }),
  );
  return { project: project.id, timestamp: new Date().toISOString(), services };
}

export async function eventsOf(project: Project, query: EventQuery): Promise<EventPage> {
  if (query.service !== undefined) await project.requireServices([query.service]);
  if (!project.storage.exists) return { project: project.id, events: [], next_cursor: 0, omitted: 0 };
  const { events } = await project.storage.records();
  return events.query(query);
}
