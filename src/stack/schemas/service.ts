/** Reports of one service. */
import * as z from "zod";
import { SERVICE_STATES } from "../vocabulary.js";
import { appliedLimits, enforcement } from "./limits.js";

const number = z.number();
const text = z.string();
const nullableNumber = z.number().nullable();
/** ISO 8601, UTC. */
const time = z.string();

export const serviceState = z.enum(SERVICE_STATES);

/** Why a running instance is older than its sources. */
export const staleness = z.object({
  /** One sentence. Quotes names of files. */
  reason: text,
  /** The operation that replaces the instance by one with the present sources. */
  fix: z.enum(["restart_service", "start_stack"]),
  /** Up to five changed files, relative to the project's folder, the newest first. */
  files: z.array(text),
  /** Time of the newest change. */
  changed_at: time,
});
export type Staleness = z.infer<typeof staleness>;

export const serviceHealth = z
  .object({
    service: text,
    /** Null for a running service without a health check. */
    healthy: z.boolean().nullable(),
    status: serviceState,
    /** Result of the last check, or why there is none. Untrusted where it quotes a service. */
    message: text,
    /** The observed problem; absent when there is none. */
    error: text.exactOptional(),
    latency_ms: nullableNumber,
    /** Null before the first check. */
    checked_at: time.nullable(),
    /** The check that ran; null for a service without a health check. */
    check: text.nullable(),
    consecutive_failures: number,
    /** Absent while the instance is as new as its sources. */
    stale: staleness.exactOptional(),
  })
  .meta({ id: "service_health" });
export type ServiceHealth = z.infer<typeof serviceHealth>;

export const exitReport = z.object({
  exit_code: nullableNumber,
  signal: text.nullable(),
  oom_killed: z.boolean(),
  at: time,
});
export type ExitReport = z.infer<typeof exitReport>;

export const serviceReport = z
  .object({
    service: text,
    state: serviceState,
    image: text.nullable(),
    /** Counts the instances of this service, from 1; 0: never started. */
    generation: number,
    restarts: number,
    started_at: time.nullable(),
    pid: nullableNumber,
    /** The user as seen from inside the running service. */
    user: z.object({ uid: nullableNumber, name: text, enforcement }).nullable(),
    endpoints: z.array(z.object({ host: text, host_port: number, container_port: number, url: text })),
    limits: appliedLimits.nullable(),
    last_exit: exitReport.nullable(),
    depends_on: z.array(text),
    /** Names of the environment variables that the definition sets; absent when it sets none. */
    environment: z.array(text).exactOptional(),
    /** Absent while the instance is as new as its sources. */
    stale: staleness.exactOptional(),
    /** Names of the commands that the compose file declares for the service. */
    commands: z.array(text).exactOptional(),
    notes: z.array(text),
  })
  .meta({ id: "service" });
export type ServiceReport = z.infer<typeof serviceReport>;
