/** `cpus`, `mem_limit`, `pids_limit` and `deploy.resources`: the same limits in Compose's two spellings. */
import { given, type NodeReader } from "./node-reader.js";
import type { Limits } from "./types.js";
import { parseBytes, toMegabytes } from "./units.js";

const MOST_CPUS = 4096;
const LEAST_MB = 6;

function memory(reader: NodeReader | undefined): number | undefined {
  if (!given(reader)) return undefined;
  const bytes = parseBytes(reader.string("a size") ?? "");
  if (bytes !== null && toMegabytes(bytes) >= LEAST_MB) return toMegabytes(bytes);
  return reader.invalid(`must be a size of at least ${LEAST_MB} MB`, "Write it as in 512m or 1g.");
}

const limits = (cpus: number | undefined, memory_mb: number | undefined, pids: number | undefined): Limits => ({
  ...(cpus === undefined ? {} : { cpus }),
  ...(memory_mb === undefined ? {} : { memory_mb }),
  ...(pids === undefined ? {} : { pids }),
});

const cpus = (reader: NodeReader | undefined): number | undefined =>
  given(reader) ? reader.number(0.01, MOST_CPUS, false) : undefined;

/** Compose's -1 means unlimited. */
function pids(reader: NodeReader | undefined): number | undefined {
  if (!given(reader) || reader.string() === "-1") return undefined;
  return reader.number(1, 4_194_304);
}

const resources = (reader: NodeReader | undefined): Limits => {
  if (!given(reader)) return {};
  const fields = reader.fields(["cpus", "memory", "pids"]);
  return limits(cpus(fields.cpus), memory(fields.memory), pids(fields.pids));
};

export function readLimits(
  own: { cpus?: NodeReader; mem_limit?: NodeReader; mem_reservation?: NodeReader; pids_limit?: NodeReader },
  deploy: NodeReader | undefined,
): { limits: Limits; reservations: Limits } {
  const direct = limits(cpus(own.cpus), memory(own.mem_limit), pids(own.pids_limit));
  const reserved = limits(undefined, memory(own.mem_reservation), undefined);
  if (!given(deploy)) return { limits: direct, reservations: reserved };
  const found = deploy.fields(["resources"], {
    replicas: "stackwarden runs one instance of each service. Remove it.",
    restart_policy: "Use the service's `restart` instead.",
  }).resources;
  const parts = given(found) ? found.fields(["limits", "reservations"]) : {};
  return {
    limits: { ...resources(parts.limits), ...direct },
    reservations: { ...resources(parts.reservations), ...reserved },
  };
}
