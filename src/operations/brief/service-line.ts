/** Describes one service in one line: its state, the reason for the state, and its URLs. */
import type { ServiceReport, StackReport } from "../../stack/model.js";
import type { AppliedLimits } from "../../stack/schemas/limits.js";
import type { Staleness } from "../../stack/schemas/service.js";

/** For example `healthy, http://127.0.0.1:8000` or `crashed (exit code 1), restarts: 3`. */
export function serviceLine(report: ServiceReport, before?: ServiceReport): string {
  const { state, endpoints, restarts, last_exit: exit, stale } = report;
  const changed = before !== undefined && before.state !== state ? `${before.state} → ` : "";
  // A service that starts again after a crash has the crash's exit; of another one it is outdated.
  const explains = state === "crashed" || state === "lost" || (state === "starting" && restarts > 0);
  const explainsExit = explains && exit !== null;
  const how = explainsExit ? ` (${exit.oom_killed ? "OOM kill" : (exit.signal ?? `exit code ${exit.exit_code}`)})` : "";
  const urls = endpoints.map(({ url }) => url);
  return [
    `${changed}${state}${how}`,
    ...(restarts > 0 ? [`restarts: ${restarts}`] : []),
    ...urls,
    ...(stale === undefined ? [] : [`stale: ${staleLine(stale)}`]),
  ].join(", ");
}

export const staleLine = ({ reason, fix }: Staleness): string => `${reason.replace(/\.$/, "")} (${fix})`;

export function serviceLines(after: StackReport, before?: StackReport): Record<string, string> {
  const entries = Object.entries(after.services).map(([name, report]) => [
    name,
    serviceLine(report, before?.services[name]),
  ]);
  return Object.fromEntries(entries) as Record<string, string>;
}

/**
 * Limits that have a value, for example `{cpus: 0.5, memory_mb: "512 (advisory: no cgroup)"}`; null when no limit has
 * one.
 */
export function limitLines(limits: AppliedLimits | null): Record<string, number | string> | null {
  if (limits === null) return null;
  const entries = Object.entries(limits)
    .filter(([, { value }]) => value !== null)
    .map(([name, { value, enforcement }]) => [
      name,
      enforcement.level === "enforced" ? value : `${value} (${enforcement.level}: ${enforcement.reason})`,
    ]);
  return entries.length === 0 ? null : (Object.fromEntries(entries) as Record<string, number | string>);
}

/** Drops members whose value is null, undefined, an empty list or an empty object. */
export function withoutEmpty(fields: Record<string, unknown>): Record<string, unknown> {
  const says = (value: unknown): boolean =>
    value !== null &&
    value !== undefined &&
    (typeof value !== "object" || (Array.isArray(value) ? value.length > 0 : Object.keys(value).length > 0));
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => says(value)));
}
