/** `cpus`, `mem_limit`, `pids_limit` and `deploy.resources`: the same limits in Compose's two spellings. */

import type { Limits } from "../types.js";
import { hasValue, type NodeReader } from "./node-reader.js";
import { parseBytes, toMegabytes } from "./units.js";

const MOST_CPUS = 4096;
const LEAST_MB = 6;

/** 0 and -1 mean unlimited, as in the container engine. */
function memory(reader: NodeReader | undefined): number | undefined {
  if (!hasValue(reader)) return undefined;
  const text = reader.string("a size") ?? "";
  if (text === "0" || text === "-1") return undefined;
  const bytes = parseBytes(text);
  if (bytes !== null && toMegabytes(bytes) >= LEAST_MB) return toMegabytes(bytes);
  return reader.invalid(`must be a size of at least ${LEAST_MB} MB`, "Write it as in 512m or 1g.");
}

const limits = (cpus: number | undefined, memory_mb: number | undefined, pids: number | undefined): Limits => ({
  ...(cpus === undefined ? {} : { cpus }),
  ...(memory_mb === undefined ? {} : { memory_mb }),
  ...(pids === undefined ? {} : { pids }),
});

/** 0 means unlimited, as in the container engine. */
const cpus = (reader: NodeReader | undefined): number | undefined => {
  if (!hasValue(reader) || Number(reader.string()) === 0) return undefined;
  return reader.number(0.01, MOST_CPUS, false);
};

/** -1 and 0 mean unlimited. */
function pids(reader: NodeReader | undefined): number | undefined {
  if (!hasValue(reader) || /^(?:-1|0)$/.test(reader.string() ?? "")) return undefined;
  return reader.number(1, 4_194_304);
}

const PERIOD_US = 100_000;

/** `cpu_quota` microseconds in each `cpu_period`, as cores. */
function quota(written: NodeReader | undefined, period: NodeReader | undefined): number | undefined {
  if (!hasValue(written)) return undefined;
  const each = hasValue(period) ? period.number(1000, 1_000_000) : PERIOD_US;
  const text = written.string() ?? "";
  if (each === undefined || /^(?:-1|0)$/.test(text)) return undefined;
  const us = written.number(1000, MOST_CPUS * PERIOD_US * 10);
  return us === undefined ? undefined : us / each;
}

const resources = (reader: NodeReader | undefined): Limits => {
  if (!hasValue(reader)) return {};
  const fields = reader.fields(["cpus", "memory", "pids", "devices", "generic_resources"]);
  if (hasValue(fields.devices) && fields.devices.list().length > 0)
    fields.devices.policy(
      "gives the service the machine's devices",
      "Remove it, or start the other services without this one (`without`).",
    );
  return limits(cpus(fields.cpus), memory(fields.memory), pids(fields.pids));
};

export interface LimitFields {
  cpus?: NodeReader;
  cpu_quota?: NodeReader;
  cpu_period?: NodeReader;
  mem_limit?: NodeReader;
  mem_reservation?: NodeReader;
  pids_limit?: NodeReader;
}

/** Reads limits and reservations. `deployResources` is `deploy.resources`. */
export function readLimits(
  own: LimitFields,
  deployResources: NodeReader | undefined,
): { limits: Limits; reservations: Limits } {
  const direct = limits(
    cpus(own.cpus) ?? quota(own.cpu_quota, own.cpu_period),
    memory(own.mem_limit),
    pids(own.pids_limit),
  );
  const reserved = limits(undefined, memory(own.mem_reservation), undefined);
  const parts = hasValue(deployResources) ? deployResources.fields(["limits", "reservations"]) : {};
  return {
    limits: { ...resources(parts.limits), ...direct },
    reservations: { ...resources(parts.reservations), ...reserved },
  };
}
