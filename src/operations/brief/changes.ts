/** Compact answers of start, stop, restart and limits for agents: the change, then one line for each service. */
import * as z from "zod";
import type { LimitsOutcome, RestartOutcome, StackReport, StartOutcome, StopOutcome } from "../../stack/model.js";
import { limitLines, serviceLine, serviceLines, withoutEmpty } from "./service-line.js";

const text = z.string();
const lines = z.record(z.string(), text);
const limits = z.record(z.string(), z.union([z.number(), text]));
const next = z.object({ operation: text, input: z.record(z.string(), z.unknown()) });
const change = { verified: z.boolean(), took_ms: z.number() };

const idleText = ({ idle_stop: idle }: StackReport): string | null =>
  idle === undefined ? null : `after ${idle.seconds} s without a call`;

export const briefStart = {
  output: z.object({
    status: text,
    message: text,
    services: lines,
    missing: z.record(z.string(), text).optional(),
    next: next.optional(),
    notes: z.array(text).optional(),
    idle_stop: text.optional(),
    ...change,
  }),
  of: ({ status, message, missing, next: step, notes, before, after, verified, took_ms }: StartOutcome) => ({
    status,
    message,
    services: serviceLines(after, before),
    ...withoutEmpty({
      missing: Object.fromEntries(missing.map(({ service, reason }) => [service, reason])),
      next: step,
      notes,
      idle_stop: idleText(after) ?? (idleText(before) === null ? null : "off"),
    }),
    verified,
    took_ms,
  }),
};

export const briefStop = {
  output: z.object({
    status: text,
    message: text,
    services: lines.optional(),
    removed_volumes: z.array(text).optional(),
    snapshot: text.optional(),
    next: next.optional(),
    ...change,
  }),
  of: ({ status, message, removed_volumes, snapshot, next: step, before, after, verified, took_ms }: StopOutcome) => ({
    status,
    message,
    ...withoutEmpty({
      services: status === "already_stopped" ? null : serviceLines(after, before),
      removed_volumes,
      snapshot,
      next: step,
    }),
    verified,
    took_ms,
  }),
};

export const briefRestart = {
  output: z.object({
    service: text,
    status: text,
    message: text,
    after: text,
    dependents_restarted: z.array(text).optional(),
    next: next.optional(),
    ...change,
  }),
  of: ({
    service,
    status,
    message,
    before,
    after,
    dependents_restarted,
    next: step,
    verified,
    took_ms,
  }: RestartOutcome) => ({
    service,
    status,
    message,
    after: serviceLine(after, before),
    ...withoutEmpty({ dependents_restarted, next: step }),
    verified,
    took_ms,
  }),
};

export const briefLimits = {
  output: z.object({
    service: text,
    message: text,
    live: z.boolean(),
    before: limits.optional(),
    after: limits.optional(),
    ...change,
  }),
  of: ({ service, message, live, before, after, verified, took_ms }: LimitsOutcome) => ({
    service,
    message,
    live,
    ...withoutEmpty({ before: limitLines(before), after: limitLines(after) }),
    verified,
    took_ms,
  }),
};
