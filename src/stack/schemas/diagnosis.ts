/** Report of a diagnosis. */
import * as z from "zod";
import { stackEvent } from "./events.js";
import { logLine } from "./logs.js";
import { exitReport, serviceState } from "./service.js";
import { stackState } from "./stack.js";

const number = z.number();
const text = z.string();
/** ISO 8601, UTC. */
const time = z.string();

/** Kinds of causes. `idle_stop`, `starting`, `stopped` and `never_started` are not faults. */
const CAUSE_KINDS = [
  "bad_credentials",
  "check_failed",
  "check_program_missing",
  "connection_refused",
  "cpu_limit",
  "crashed",
  "definition_invalid",
  "dependency_down",
  "disk_full",
  "idle_stop",
  "install_failed",
  "killed_from_outside",
  "logged_errors",
  "memory_limit",
  "missing_database",
  "missing_module",
  "missing_setting",
  "missing_table",
  "name_not_found",
  "no_answer",
  "not_listening",
  "open_files",
  "permission_denied",
  "pids_limit",
  "port_overridden",
  "port_taken",
  "recovered",
  "runtime_lost",
  "start_failed",
  "starting",
  "stopped",
  "never_started",
  "stale_code",
  "syntax_error",
  "volume_empty",
  "volume_mismatch",
] as const;
export type CauseKind = (typeof CAUSE_KINDS)[number];

/** `certain`: observed. `likely`: other causes of the observations are improbable. `possible`: worth checking. */
const CONFIDENCES = ["certain", "likely", "possible"] as const;
export type Confidence = (typeof CONFIDENCES)[number];

const EVIDENCE_SOURCES = ["definition", "event", "exit", "health", "limits", "log", "stats"] as const;

/** One observation. */
export const evidence = z.object({
  source: z.enum(EVIDENCE_SOURCES),
  service: text.nullable(),
  /** Null where it is unknown. */
  time: time.nullable(),
  /** Untrusted: may quote a service. */
  text,
});
export type Evidence = z.infer<typeof evidence>;

const nextStep = z.object({
  /** Written by stackwarden. */
  do: text,
  /** The operation to call next; null when another step is needed first. */
  operation: text.nullable(),
  input: z.record(z.string(), z.unknown()),
});
export type NextStep = z.infer<typeof nextStep>;

export const cause = z
  .object({
    kind: z.enum(CAUSE_KINDS),
    service: text.nullable(),
    confidence: z.enum(CONFIDENCES),
    /** Written by stackwarden; contains no text of a service. */
    explanation: text,
    /** The failing service that causes this problem, or null. */
    because_of: text.nullable(),
    /** Observations that support the cause; empty only for a stack that was never started. */
    evidence: z.array(evidence),
    next: nextStep,
  })
  .meta({ id: "cause" });
export type Cause = z.infer<typeof cause>;

const diagnosedService = z.object({
  state: serviceState,
  /** Null for a running service without a health check. */
  healthy: z.boolean().nullable(),
  /** Result of the last check. Untrusted where it quotes a service. */
  message: text,
  restarts: number,
  /** Crashes in the period covered. */
  crashes: number,
  last_exit: exitReport.nullable(),
  depends_on: z.array(text),
  /** Resources that are short, in sentences. */
  pressure: z.array(text),
  /** The service's last lines that look like errors, and also its last lines when it has ended. Untrusted. */
  lines: z.array(logLine.pick({ seq: true, time: true, stream: true, generation: true, text: true })),
});
export type DiagnosedService = z.infer<typeof diagnosedService>;

export const diagnosisReport = z.object({
  project: text,
  state: stackState,
  overall_healthy: z.boolean(),
  timestamp: time,
  /** Start of the period covered. */
  since: time,
  /** One sentence. */
  summary: text,
  /** The most probable cause; null when no problem was found. */
  cause: cause.nullable(),
  /** Other causes, most probable first. */
  others: z.array(cause),
  services: z.record(z.string(), diagnosedService),
  /** The newest events, oldest first. */
  recent_events: z.array(stackEvent),
  /** Number of further causes and events that were omitted. */
  omitted: z.object({ causes: number, events: number }),
});
export type DiagnosisReport = z.infer<typeof diagnosisReport>;
