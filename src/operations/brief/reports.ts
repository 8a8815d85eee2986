/** Compact answers of list_stacks, health_status, get_stats and get_events for agents. */
import * as z from "zod";
import { notesOf } from "../../stack/lifecycle/notes.js";
import type { EventPage, HealthOutcome, StackEvent, StackReport, StatsReport } from "../../stack/model.js";
import { DEFAULT_PIDS } from "../../stack/schemas/limits.js";
import { NOT_IN_STACK } from "../../stack/vocabulary.js";
import { limitLines, serviceLine, staleLine, withoutEmpty } from "./service-line.js";

const text = z.string();

export const briefStacks = {
  output: z.object({ stacks: z.array(z.record(z.string(), z.unknown())) }),
  of: ({ stacks }: { stacks: StackReport[] }) => ({ stacks: stacks.map(briefStack) }),
};

function briefStack(stack: StackReport): Record<string, unknown> {
  const { project, state, folder, folder_missing, runtime, services, left_out = [], idle_stop, watching } = stack;
  // The names that run_command takes, by service.
  const commands = Object.fromEntries(
    Object.entries(services).flatMap(([name, service]) =>
      service.commands === undefined ? [] : [[name, service.commands.join(", ")]],
    ),
  );
  // All services of a stopped stack are stopped: list only their names.
  if (state === "stopped")
    return withoutEmpty({ project, state, folder, folder_missing, services: Object.keys(services), commands });
  const lines = Object.entries(services).map(([name, service]) => {
    const limits = Object.entries(limitLines(service.limits) ?? {})
      // The default limit was not requested.
      .filter(([limit, value]) => limit !== "pids" || value !== DEFAULT_PIDS)
      .map(([limit, value]) => `${limit} ${value}`);
    return [name, [serviceLine(service), ...(limits.length === 0 ? [] : [`limits: ${limits.join(", ")}`])].join("; ")];
  });
  return withoutEmpty({
    project,
    state,
    folder,
    folder_missing,
    runtime,
    services: Object.fromEntries([...lines, ...left_out.map((name) => [name, NOT_IN_STACK])]),
    commands,
    watching,
    idle_stop: idle_stop === undefined ? null : `after ${idle_stop.seconds} s without a call`,
    notes: notesOf(stack),
  });
}

export const briefHealth = {
  output: z.object({
    project: text,
    state: text,
    overall_healthy: z.boolean(),
    unchecked: z.array(text).optional(),
    services: z.record(z.string(), z.unknown()),
    wait: z.unknown().optional(),
    timestamp: text,
  }),
  of: ({ project, state, overall_healthy, unchecked, services, left_out = [], wait, timestamp }: HealthOutcome) => ({
    project,
    state,
    overall_healthy,
    ...withoutEmpty({ unchecked }),
    services: Object.fromEntries([
      ...left_out.map((name) => [name, { status: "stopped", message: NOT_IN_STACK }]),
      ...Object.entries(services).map(([name, { healthy, status, message, error, stale, ...health }]) => [
        name,
        withoutEmpty({
          healthy,
          status,
          message,
          // Omit an error that repeats the message.
          error: error === message ? null : error,
          latency_ms: health.latency_ms,
          checked_at: health.checked_at,
          consecutive_failures: health.consecutive_failures === 0 ? null : health.consecutive_failures,
          stale: stale === undefined ? null : staleLine(stale),
        }),
      ]),
    ]),
    ...(wait === null ? {} : { wait }),
    timestamp,
  }),
};

/** Omits measurements that are null or zero, and limits without a value. */
/** Of the samples that a stack keeps, one each 15 s. */
const SAMPLES_PER_LINE = 4;

export const briefStats = {
  output: z.object({ project: text, services: z.record(z.string(), z.unknown()), timestamp: text }),
  of: ({ project, services, timestamp }: StatsReport) => ({
    project,
    services: Object.fromEntries(
      Object.entries(services).map(([name, { state, stats, limits, pressure, history = [] }]) => [
        name,
        withoutEmpty({
          state,
          ...Object.fromEntries(
            Object.entries(stats ?? {}).filter(
              ([field, value]) => value !== 0 && (field !== "reason" || stats?.memory_mb === null),
            ),
          ),
          limits: limitLines(limits),
          pressure,
          // One line for each minute: an agent looks for growth.
          history: history
            .filter((_sample, at) => at % SAMPLES_PER_LINE === 0)
            .map(({ time, cpus, memory_mb }) => `${time.slice(11, 16)} ${cpus ?? "?"} cpus, ${memory_mb ?? "?"} MB`),
        }),
      ]),
    ),
    timestamp,
  }),
};

/** Event types whose message repeats the type and the service. */
const SAYS_ITSELF = /^(service_(starting|started|healthy|stopping|restarting|restarted)|stack_(stopping|stopped))$/;

export const briefEvents = {
  output: z.object({
    project: text,
    /** Time of the first event. A line includes its time of day only where it differs from the line before. */
    from: text.optional(),
    events: z.array(text),
    next_cursor: z.number(),
    omitted: z.number().optional(),
    note: text.optional(),
  }),
  of: ({ project, events, next_cursor, omitted, note }: EventPage) => {
    const [first] = events;
    return {
      project,
      ...(first === undefined ? {} : { from: first.time }),
      events: events.map((event, at) => eventLine(event, events[at - 1])),
      next_cursor,
      ...(omitted === 0 ? {} : { omitted }),
      ...(note === undefined ? {} : { note }),
    };
  },
};

function eventLine(event: StackEvent, previous: StackEvent | undefined): string {
  const { time, type, service, message, actor, data } = event;
  const clock = time.slice(11, 19);
  const prefix = previous?.time.slice(11, 19) === clock ? "" : `${clock} `;
  const by = actor === "stackwarden" || actor === previous?.actor ? "" : ` (by ${actor})`;
  const what =
    SAYS_ITSELF.test(type) && data?.cause === undefined
      ? [type, ...(service === null ? [] : [service])].join(" ")
      : `${type}: ${message}`;
  return `${prefix}${what}${by}`;
}
