/** What a diagnosis reports. */
import * as z from "zod";
import { stackEvent } from "./events.js";
import { logLine } from "./logs.js";
import { exitReport, serviceState } from "./service.js";
import { stackState } from "./stack.js";

const number = z.number();
const text = z.string();
/** ISO 8601, UTC. */
const time = z.string();

/** What can be wrong. `starting`, `stopped` and `never_started` are no faults. */
export const CAUSE_KINDS = [
  "bad_credentials",
  "check_failed",
  "check_program_missing",
  "connection_refused",
  "cpu_limit",
  "crashed",
  "definition_invalid",
  "dependency_down",
  "disk_full",
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
  "syntax_error",
  "volume_empty",
  "volume_mismatch",
] as const;
export type CauseKind = (typeof CAUSE_KINDS)[number];

/** `certain`: observed. `likely`: the observations have hardly another cause. `possible`: worth checking. */
export const CONFIDENCES = ["certain", "likely", "possible"] as const;
export type Confidence = (typeof CONFIDENCES)[number];

export const EVIDENCE_SOURCES = ["definition", "event", "exit", "health", "limits", "log", "stats"] as const;

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
  /** The operation to call then, or null when none helps before something else was done. */
  operation: text.nullable(),
  input: z.record(z.string(), z.unknown()),
});
export type NextStep = z.infer<typeof nextStep>;

export const cause = z
  .object({
    kind: z.enum(CAUSE_KINDS),
    service: text.nullable(),
    confidence: z.enum(CONFIDENCES),
    /** Written by stackwarden: no part of it comes from a service. */
    explanation: text,
    /** The failing service that explains this one, or null. */
    because_of: text.nullable(),
    /** How it is known; empty only for a stack that was never started. */
    evidence: z.array(evidence),
    next: nextStep,
  })
  .meta({ id: "cause" });
export type Cause = z.infer<typeof cause>;

const diagnosedService = z.object({
  state: serviceState,
  /** Null for a service that runs and that nothing checks. */
  healthy: z.boolean().nullable(),
  /** What the last check saw. Untrusted where it quotes a service. */
  message: text,
  restarts: number,
  /** Crashes in the period covered. */
  crashes: number,
  last_exit: exitReport.nullable(),
  depends_on: z.array(text),
  /** What is short, in sentences. */
  pressure: z.array(text),
  /** Its last lines that look like errors; for one that ended, its last lines too. Untrusted. */
  lines: z.array(logLine.pick({ seq: true, time: true, stream: true, generation: true, text: true })),
});
export type DiagnosedService = z.infer<typeof diagnosedService>;

export const diagnosisReport = z.object({
  project: text,
  state: stackState,
  overall_healthy: z.boolean(),
  timestamp: time,
  /** Where the period covered begins. */
  since: time,
  /** One sentence. */
  summary: text,
  /** The most likely one; null when nothing is wrong. */
  cause: cause.nullable(),
  /** Further causes, the likeliest first. */
  others: z.array(cause),
  services: z.record(z.string(), diagnosedService),
  /** The newest ones, oldest first. */
  recent_events: z.array(stackEvent),
  /** How many further causes and events were left out. */
  omitted: z.object({ causes: number, events: number }),
});
export type DiagnosisReport = z.infer<typeof diagnosisReport>;
