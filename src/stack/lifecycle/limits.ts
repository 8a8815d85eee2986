/** Validates limits and compares requested with applied limits. */

import { StackwardenError } from "../../errors.js";
import { callTo, hint, setting } from "../../hint.js";
import type { LimitChange, Limits } from "../definition/types.js";
import type { AppliedLimits, ServiceStats } from "../runtime.js";

/** Docker's minimum memory limit, in MB. */
const LEAST_MEMORY_MB = 6;
const LEAST_CPUS = 0.01;
const MOST_PIDS = 4_194_304;

export interface LimitCheck {
  service: string;
  limits: LimitChange;
  capacity: { cpus: number; memory_mb: number };
  /** Current use; null when the service is not running. */
  stats: ServiceStats | null;
  /** Allow limits below current usage; the kernel can then kill the service. Default false. */
  force?: boolean;
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** @throws LIMIT_REFUSED that names every reason and the valid range */
export function checkLimits({ service, limits, capacity, stats, force }: LimitCheck): void {
  const reasons: string[] = [];
  let belowUsage = false;
  const range = (name: keyof Limits, unit: string, least: number, most: number, whole: boolean): boolean => {
    const value = limits[name];
    if (value === undefined || value === null) return false;
    const good = typeof value === "number" && value >= least && value <= most && (!whole || Number.isInteger(value));
    if (!good)
      reasons.push(
        `${name} must be a ${whole ? "whole " : ""}number from ${least} to ${round(most)}${unit}, not ${String(value)}`,
      );
    return good;
  };
  range("cpus", " (this machine's cores)", LEAST_CPUS, capacity.cpus, false);
  if (range("memory_mb", " (this machine's memory)", LEAST_MEMORY_MB, capacity.memory_mb, false)) {
    const used = stats?.memory_mb ?? 0;
    if (!force && (limits.memory_mb as number) < used) {
      belowUsage = true;
      reasons.push(
        `memory_mb ${limits.memory_mb} is below the ${round(used)} MB in use now; the service would be killed`,
      );
    }
  }
  if (range("pids", "", 1, MOST_PIDS, true)) {
    const used = stats?.pids ?? 0;
    if (!force && (limits.pids as number) < used) {
      belowUsage = true;
      reasons.push(`pids ${limits.pids} is below the ${used} processes and threads it has now`);
    }
  }
  if (reasons.length === 0) return;
  throw new StackwardenError("LIMIT_REFUSED", `The limits of ${service} were not changed: ${reasons.join("; ")}.`, {
    hint: belowUsage
      ? hint`Choose a limit above current usage. To try a lower one, which the kernel can refuse: ${callTo("set_limits", { service, ...limits, force: true })}.`
      : "Choose values in the ranges that the message names.",
    details: { service, reasons, capacity: { cpus: capacity.cpus, memory_mb: Math.floor(capacity.memory_mb) } },
  });
}

const NAMES = ["cpus", "memory_mb", "pids"] as const;

/**
 * True when every requested limit equals the value read back, within the kernel's rounding to pages and microseconds.
 */
export function limitsHold(requestedLimits: Limits, applied: AppliedLimits): boolean {
  return NAMES.every((name) => {
    const requested = requestedLimits[name];
    if (requested === undefined) return true;
    const { value, enforcement } = applied[name];
    return (
      enforcement.level === "enforced" &&
      value !== null &&
      Math.abs(value - requested) <= Math.max(0.01, requested * 0.01)
    );
  });
}

/** Requested limits that are not enforced, with the reason for each. */
export function notEnforced(requestedLimits: Limits, applied: AppliedLimits): string[] {
  return NAMES.filter(
    (name) => requestedLimits[name] !== undefined && applied[name].enforcement.level !== "enforced",
  ).map((name) => `${name}: ${applied[name].enforcement.reason}`);
}

/**
 * The error for operators who require enforced limits.
 * @param what names the limits that are not enforced, and the service or stack
 */
export function notEnforceable(what: string, reasons: string[], how: { service?: string; note?: string } = {}) {
  const { service, note = "" } = how;
  return new StackwardenError("LIMITS_NOT_ENFORCEABLE", `${what}: ${reasons.join("; ")}.`, {
    hint: hint`${note}Run where cgroups can be used (see \`stackwarden doctor\`), or have the operator set ${setting("require_enforced_limits")} to false.`,
    details: { ...(service === undefined ? {} : { service }), reasons },
  });
}

/**
 * Sentences about limits that throttle a service or are nearly reached.
 * @param commandKills processes of commands among those that the kernel killed
 */
export function pressure(stats: ServiceStats, limits: AppliedLimits, commandKills = 0): string[] {
  const sentences: string[] = [];
  const { value: memory } = limits.memory_mb;
  if (memory !== null && stats.memory_mb !== null && stats.memory_mb > memory * 0.9)
    sentences.push(`memory: ${round(stats.memory_mb)} of ${round(memory)} MB in use; at the limit the kernel kills it`);
  const kills = (stats.oom_kills ?? 0) - commandKills;
  if (kills > 0) sentences.push(`memory: ${kills} process(es) were killed for exceeding the limit`);
  const { value: cpus } = limits.cpus;
  if (cpus !== null && stats.cpu_cores !== null && stats.cpu_cores > cpus * 0.9)
    sentences.push(`cpu: ${round(stats.cpu_cores)} of ${cpus} cores in use`);
  if ((stats.throttled_seconds ?? 0) >= 1)
    sentences.push(`cpu: throttled for ${round(stats.throttled_seconds ?? 0)} s in total`);
  const { value: pids } = limits.pids;
  if (pids !== null && stats.pids !== null && stats.pids > pids * 0.9)
    sentences.push(`pids: ${stats.pids} of ${pids} in use`);
  return sentences;
}
