/** What only reads: health, logs, stats and events of one project. */

import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import type { LogQuery } from "../logs/types.js";
import type {
  CallContext,
  EventPage,
  HealthOutcome,
  HealthRequest,
  LogReport,
  StackChange,
  StatsReport,
} from "../model.js";
import type { EventQuery } from "../storage/events.js";
import { pressure } from "./limits.js";
import type { Project } from "./project.js";
import { unknownService } from "./running-stack.js";
import { asSentence, wellSentence } from "./stack-state.js";

type Subscribe = (listener: (change: StackChange) => void) => () => void;

/** Null: not decided yet. */
function decide(project: Project, condition: "healthy" | "stopped"): HealthOutcome["wait"] {
  const { state } = project;
  const given = (met: boolean, reason: string): HealthOutcome["wait"] => ({ condition, met, reason });
  if (condition === "stopped") return state === "stopped" ? given(true, "The stack is stopped.") : null;
  const units = [...(project.supervisor.stack?.units.values() ?? [])];
  if (state === "running") {
    const services = units.map((unit) => ({ service: unit.name, status: unit.state }));
    return given(true, asSentence(wellSentence(services)));
  }
  if (state === "stopped" || state === "lost") return given(false, `The stack is ${state}.`);
  if (state !== "degraded") return null;
  const ended = units.filter((unit) => unit.ended);
  if (ended.length === 0) return null;
  return given(false, `${ended.map((unit) => `${unit.name} is ${unit.state}`).join(", ")} and nothing restarts it.`);
}

function waitFor(
  project: Project,
  condition: "healthy" | "stopped",
  timeoutMs: number,
  signal: AbortSignal,
  subscribe: Subscribe,
): Promise<HealthOutcome["wait"]> {
  return new Promise((resolve) => {
    const end = (result: HealthOutcome["wait"]): void => {
      clearTimeout(timer);
      unsubscribe();
      signal.removeEventListener("abort", abort);
      resolve(result);
    };
    const timeUp = (reason: string) => (): void => end({ condition, met: false, reason });
    const abort = timeUp("The call was cancelled.");
    const timer = setTimeout(timeUp(`Not within ${timeoutMs / 1000} s; it may still come.`), timeoutMs);
    const look = (): void => {
      const decision = decide(project, condition);
      if (decision !== null) end(decision);
    };
    const unsubscribe = subscribe((change) => {
      if (change.kind === "stack" && change.project === project.id) look();
    });
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    else look();
  });
}

export async function healthOf(
  project: Project,
  request: HealthRequest,
  call: Pick<CallContext, "signal">,
  subscribe: Subscribe,
): Promise<HealthOutcome> {
  const names = await project.names();
  let wait: HealthOutcome["wait"] = null;
  if (request.waitFor !== undefined)
    wait = await waitFor(project, request.waitFor, request.timeoutMs ?? 50_000, call.signal, subscribe);
  if (request.fresh === true)
    await Promise.all([...(project.supervisor.stack?.units.values() ?? [])].map((unit) => unit.check()));
  return { ...project.healthNow(project.services.length > 0 ? project.services : names), wait };
}

const notRunning = (project: Project, more = ""): StackwardenError =>
  new StackwardenError("STACK_NOT_RUNNING", `The stack of ${project.id} is not running${more}.`, {
    hint: hint`Start it with ${callTo("start_stack", { project: project.id })}.`,
  });

/** L1–L3: logs of stopped and crashed services are still there. */
export async function logsOf(project: Project, query: LogQuery): Promise<LogReport> {
  const asked = query.services ?? [];
  if (!project.recorded) {
    const names = await project.names();
    const unknown = asked.find((service) => !names.includes(service));
    throw unknown === undefined ? notRunning(project) : unknownService(unknown, names);
  }
  const { logs } = await project.records();
  const wrote = (service: string): boolean => logs.lastGeneration(service) > 0;
  // A definition that cannot be read now is no reason to hide what was printed.
  const names = await project.names().catch((error: unknown) => {
    if (asked.length > 0 && asked.every(wrote)) return asked;
    throw error;
  });
  const unknown = asked.find((service) => !names.includes(service) && !wrote(service));
  if (unknown !== undefined) throw unknownService(unknown, names);
  const services = asked.length > 0 ? asked : names;
  if (!services.some(wrote)) {
    if (project.state === "stopped" || project.state === "lost")
      throw notRunning(project, " and never printed anything");
    throw new StackwardenError("SERVICE_NOT_STARTED", `${services.join(", ")} has not started yet.`, {
      hint: hint`Its dependencies start first. Wait with ${callTo("health_status", { project: project.id, wait_for: "healthy" })}.`,
      details: { services },
    });
  }
  return { project: project.id, services, ...(await logs.query({ ...query, services })) };
}

export async function statsOf(project: Project, asked: string[] | undefined): Promise<StatsReport> {
  const { stack, open } = project.supervisor;
  const names = await project.names();
  const unknown = asked?.find((service) => !names.includes(service));
  if (unknown !== undefined) throw unknownService(unknown, names);
  if (!open || stack === null) throw notRunning(project);
  const services: StatsReport["services"] = Object.create(null);
  await Promise.all(
    (asked ?? names).map(async (name) => {
      const unit = stack.unit(name);
      services[name] = { state: unit.state, stats: null, limits: unit.applied, pressure: [] };
      const stats = (await unit.instance?.stats()) ?? null;
      if (stats === null) return;
      const limits = unit.applied;
      services[name] = { state: unit.state, stats, limits, pressure: limits === null ? [] : pressure(stats, limits) };
    }),
  );
  return { project: project.id, timestamp: new Date().toISOString(), services };
}

export async function eventsOf(project: Project, query: EventQuery): Promise<EventPage> {
  if (query.service !== undefined) {
    const names = await project.names();
    if (!names.includes(query.service)) throw unknownService(query.service, names);
  }
  if (!project.recorded) return { project: project.id, events: [], next_cursor: 0, omitted: 0 };
  const { events } = await project.records();
  return events.query(query);
}
