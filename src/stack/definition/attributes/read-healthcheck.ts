/** Reads Compose's healthcheck, and stackwarden's `x-probe`, which replaces checks that need an image's tools. */

import type { Healthcheck, HealthTest, HealthTimings } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { parseDuration } from "./units.js";

/** Compose's defaults. */
const DEFAULTS = { intervalMs: 30_000, timeoutMs: 30_000, retries: 3, startPeriodMs: 0, startIntervalMs: 5_000 };
/** Minimum interval: shorter ones would only load the machine. */
const SHORTEST_MS = 100;
const LONGEST_MS = 24 * 3_600_000;

export function readDuration(reader: NodeReader | undefined, least: number): number | undefined {
  if (!hasValue(reader)) return undefined;
  const text = reader.string("a duration");
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === null || ms < least || ms > LONGEST_MS)
    return reader.invalid(
      `must be a duration from ${least} ms to 24 h`,
      /^\d+(?:\.\d+)?$/.test(text) ? `Add the unit: ${text}s.` : "Write it as in 500ms, 10s or 1m30s.",
    );
  return ms;
}

function readTest(reader: NodeReader): HealthTest | undefined {
  if (!reader.isList) {
    const command = reader.string("a command");
    return command === undefined ? undefined : { kind: "cmd-shell", command };
  }
  const [kind, ...rest] = reader.strings();
  if (kind === undefined) return undefined;
  if (kind === "NONE" && rest.length === 0) return { kind: "none" };
  if (kind === "CMD" && rest.length > 0) return { kind: "cmd", argv: rest };
  if (kind === "CMD-SHELL" && rest.length === 1) return { kind: "cmd-shell", command: rest[0] as string };
  return reader.invalid(
    "is not a healthcheck test",
    'Write ["CMD", "program", "argument"], ["CMD-SHELL", "command"] or ["NONE"].',
  );
}

function readProbe(reader: NodeReader): HealthTest | undefined {
  const { type, port, path, status } = reader.fields(["type", "port", "path", "status"]);
  if (type === undefined) return reader.invalid("has no type", "Give `type`: http, tcp, postgres or redis.");
  const kind = type.oneOf(["http", "tcp", "postgres", "redis"]);
  if (kind === undefined) return undefined;
  if (kind === "postgres" || kind === "redis") return { kind };
  if (port === undefined) return reader.invalid("has no port", "Give `port`, the port inside the service.");
  const number = port.number(1, 65_535);
  if (number === undefined) return undefined;
  if (kind === "tcp") return { kind, port: number };
  const at = path === undefined ? "/" : path.string("a path");
  const expected = status === undefined ? 200 : status.number(100, 599);
  if (at === undefined || expected === undefined) return undefined;
  if (!/^\/[\x21-\x7e]*$/.test(at)) return path?.invalid("must be an absolute URL path", "Write it as in /health.");
  return { kind, port: number, path: at, status: expected };
}

/** The check that a file declares for a service. `timings` without a test apply to the image's own check. */
export interface ReadHealthcheck {
  healthcheck?: Healthcheck;
  timings?: HealthTimings;
}

export function readHealthcheck(reader: NodeReader): ReadHealthcheck {
  const fields = reader.fields([
    "test",
    "interval",
    "timeout",
    "retries",
    "start_period",
    "start_interval",
    "disable",
    "x-probe",
  ]);
  const probe = hasValue(fields["x-probe"]) ? readProbe(fields["x-probe"]) : undefined;
  const written = hasValue(fields.test) ? readTest(fields.test) : undefined;
  const disabled = hasValue(fields.disable) && fields.disable.boolean() === true;
  const test = disabled ? ({ kind: "none" } as const) : (probe ?? written);
  const retries = hasValue(fields.retries) ? fields.retries.number(0, 1000) : undefined;
  const timings: HealthTimings = {
    // Zero means the default, as in the container engine.
    intervalMs: readDuration(fields.interval, 0) || DEFAULTS.intervalMs,
    timeoutMs: readDuration(fields.timeout, 0) || DEFAULTS.timeoutMs,
    retries: retries || DEFAULTS.retries,
    startPeriodMs: readDuration(fields.start_period, 0) ?? DEFAULTS.startPeriodMs,
    startIntervalMs: readDuration(fields.start_interval, 0) || DEFAULTS.startIntervalMs,
  };
  for (const key of ["intervalMs", "startIntervalMs"] as const) timings[key] = Math.max(timings[key], SHORTEST_MS);
  if (test === undefined) return { timings };
  return {
    healthcheck: { test, ...(test === probe && written !== undefined ? { command: written } : {}), ...timings },
  };
}
