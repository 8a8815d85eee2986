/** Renders a stack as a table, for `ps` and `up`. */

import type { ServiceReport, StackReport } from "../../stack/model.js";
import type { AppliedLimits } from "../../stack/runtime.js";
import { table } from "./table.js";
import { bold, dim, paintState } from "./terminal.js";

const limit = (name: string, entry: AppliedLimits["cpus"], unit = ""): string | null =>
  entry.value === null
    ? null
    : `${name} ${entry.value}${unit}${entry.enforcement.level === "enforced" ? "" : ` (${entry.enforcement.level})`}`;

export function limitsText(limits: AppliedLimits | null): string {
  if (limits === null) return "";
  const parts = [limit("cpu", limits.cpus), limit("memory", limits.memory_mb, " MB"), limit("pids", limits.pids)];
  return parts.filter((part) => part !== null).join(", ") || "none";
}

const since = (iso: string | null): string => {
  if (iso === null) return "";
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(iso)) / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
};

const row = (one: ServiceReport): string[] => [
  one.service,
  paintState(one.state),
  since(one.started_at),
  String(one.restarts),
  one.user === null ? "" : String(one.user.uid ?? one.user.name),
  limitsText(one.limits),
  one.endpoints.map((endpoint) => endpoint.url).join(" "),
];

/** For example `backend is stale: app/main.py changed after the instance started. Run: stackwarden restart backend`. */
export const staleNote = ({ service, stale }: Pick<ServiceReport, "service" | "stale">): string[] =>
  stale === undefined
    ? []
    : [
        `${service} is stale: ${stale.reason} Run: stackwarden ${stale.fix === "start_stack" ? "up -d" : `restart ${service}`}`,
      ];

/** For example `Not part of the running stack: cache. Run: stackwarden up -d cache`. */
export const leftOutNote = ({ left_out = [] }: Pick<StackReport, "left_out">): string[] =>
  left_out.length === 0
    ? []
    : [`Not part of the running stack: ${left_out.join(", ")}. Run: stackwarden up -d ${left_out.join(" ")}`];

export function stackTable(report: StackReport): string {
  const head = ["SERVICE", "STATE", "UP", "RESTARTS", "USER", "LIMITS", "PUBLISHED"].map(dim);
  const title = `${bold(report.project)}  ${paintState(report.state)}  ${dim(`${report.runtime} · ${report.folder}`)}`;
  const notes = [
    ...leftOutNote(report),
    ...Object.values(report.services).flatMap(staleNote),
    ...report.notes,
    ...Object.values(report.services).flatMap((one) => one.notes.map((note) => `${one.service}: ${note}`)),
  ];
  const rows = Object.values(report.services).map(row);
  return [title, ...(rows.length === 0 ? [] : [table(head, rows)]), ...notes.map((note) => dim(`  ${note}`))].join(
    "\n",
  );
}
