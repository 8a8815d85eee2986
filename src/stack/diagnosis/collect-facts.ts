/** Collects the input of a diagnosis. Every part is bounded, and no health check is run. */

import type { Project } from "../lifecycle/project.js";
import { statsOf } from "../lifecycle/queries.js";
import { STANDING } from "../lifecycle/service-state.js";
import { isCommandLine } from "../logs/command-lines.js";
import type { LogLine } from "../logs/types.js";
import type { DiagnosisRequest, StackEvent, StatsReport } from "../model.js";
import { sanitizeError } from "../text/sanitize-error.js";
import { diagnose } from "./diagnose.js";
import { hostsIn } from "./hosts.js";
import { installAdvice, listedModule } from "./missing-module.js";
import { presentEvents, presentFailure } from "./present-events.js";
import { lastStartFailed, startedAfter } from "./stack-rules.js";
import type { DiagnosisReport, Facts, ServiceEvidence } from "./types.js";

const HOUR_MS = 3_600_000;
/** Maximum newest lines read of each service, and their total bytes. */
const READ_LINES = 400;
const READ_BYTES = 200_000;
const READ_EVENTS = 1000;

/** @throws UNKNOWN_SERVICE, UNKNOWN_PROJECT */
export async function diagnosisOf(
  project: Project,
  request: Omit<DiagnosisRequest, "project">,
  capacityMb: number | null,
): Promise<DiagnosisReport> {
  const nowMs = Date.now();
  const sinceMs = request.sinceMs ?? nowMs - HOUR_MS;
  const definition = await unusable(project);
  const stack = await project.report();
  const names = Object.keys(stack.services).length > 0 ? Object.keys(stack.services) : project.services;
  const { service } = request;
  if (service !== undefined && !names.includes(service)) await project.requireServices([service]);
  const health = project.healthNow(names);
  const stats = await useOf(project);
  const { events, lines } = await recorded(project, names, sinceMs, request.signal);
  const services = new Map<string, ServiceEvidence>();
  const failed = lastStartFailed(events);
  const culprit = failed?.data?.service;
  const since = startedAfter(events);
  for (const name of names) {
    const report = stack.services[name];
    const state = health.services[name];
    if (report === undefined || state === undefined) continue;
    const own = events.filter((event) => event.service === name);
    services.set(name, {
      report,
      health: state,
      stats: stats?.services[name] ?? null,
      checkRunningMs: project.supervisor.stack?.units.get(name)?.checkRunningMs ?? null,
      lines: lines.get(name) ?? [],
      events: own,
      failedStart:
        failed !== undefined &&
        STANDING[report.state] !== "up" &&
        // A start that fails before it reaches the service says nothing about the service's earlier run.
        (presentEvents(own)[0]?.seq ?? Number.POSITIVE_INFINITY) > since &&
        (culprit === name || presentFailure(own) !== undefined),
      ...definedOf(project, name),
      installOf: (line) => installOf(project, name, line, own),
    });
  }
  const facts: Facts = {
    project: project.id,
    sinceMs,
    nowMs,
    stack,
    health,
    services,
    installer: await installerLines(project, failed, request.signal),
    leftOut: [...new Set([...project.leftOut, ...(service === undefined || services.has(service) ? [] : [service])])],
    events,
    definition,
    capacityMb,
  };
  return diagnose(facts, service);
}

/**
 * Why the current compose file cannot be used; null when it can. The error may quote the file, which may contain a
 * secret, so it is sanitised.
 */
async function unusable(project: Project): Promise<Facts["definition"]> {
  const problem = await project.definitionProblem();
  if (problem === null) return null;
  const error = project.storage.exists ? sanitizeError(problem, (await project.storage.records()).clean) : problem;
  return error.report();
}

/** What the definition of the open stack says about a service. */
function definedOf(project: Project, name: string): Pick<ServiceEvidence, "startedWithout" | "hosts" | "isAwaited"> {
  const definition = project.supervisor.stack?.definition;
  const service = definition?.services[name];
  if (definition === undefined || service === undefined)
    return { startedWithout: [], hosts: new Map(), isAwaited: false };
  return {
    startedWithout: definition.missingDependencies?.[name] ?? [],
    hosts: hostsIn(service.environment),
    isAwaited: Object.values(definition.services).some(
      ({ dependsOn }) => dependsOn[name]?.condition === "service_completed_successfully",
    ),
  };
}

function installOf(project: Project, name: string, line: string, events: readonly StackEvent[]): string | null {
  const { stack, choice } = project.supervisor;
  const definition = stack?.definition.services[name];
  if (definition === undefined || choice === null) return null;
  const { folder } = project.storage;
  const listed = listedModule(line, definition, { folder, runtime: choice.runtime.name });
  if (listed === null) return null;
  const installs = definition.local?.install !== undefined || events.some(({ type }) => type === "installing");
  return installAdvice(listed, name, installs);
}

/** Resource use of the services; null when the stack is not running. */
const useOf = (project: Project): Promise<StatsReport | null> =>
  project.supervisor.running === null ? Promise.resolve(null) : statsOf(project, {});

async function installerLines(
  project: Project,
  failed: StackEvent | undefined,
  signal: AbortSignal | undefined,
): Promise<LogLine[]> {
  const service = failed?.data?.service;
  if (failed?.data?.code !== "DEPENDENCY_INSTALL_FAILED" || typeof service !== "string") return [];
  const { logs } = await project.storage.records();
  if (logs.lastGeneration(service) === 0) return [];
  const { lines } = await logs.query({
    services: [service],
    stream: "install",
    tail: READ_LINES,
    maxBytes: READ_BYTES,
    ...(signal === undefined ? {} : { signal }),
  });
  return lines.filter(({ generation }) => generation === lines.at(-1)?.generation);
}

async function recorded(
  project: Project,
  names: readonly string[],
  sinceMs: number,
  signal: AbortSignal | undefined,
): Promise<{ events: StackEvent[]; lines: Map<string, LogLine[]> }> {
  const lines = new Map<string, LogLine[]>();
  if (!project.storage.exists) return { events: [], lines };
  const { events, logs } = await project.storage.records();
  const page = await events.query({ limit: READ_EVENTS });
  for (const name of names) {
    if (logs.lastGeneration(name) === 0) continue;
    const read = await logs.query({
      services: [name],
      tail: READ_LINES,
      maxBytes: READ_BYTES,
      sinceMs,
      ...(signal === undefined ? {} : { signal }),
    });
    lines.set(
      name,
      read.lines.filter(({ text }) => !isCommandLine(text)),
    );
  }
  return { events: page.events.filter(({ time }) => Date.parse(time) >= sinceMs), lines };
}
