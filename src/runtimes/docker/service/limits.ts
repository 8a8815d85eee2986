/** Limits of a container: set at its creation, changed while it runs, and read back from the kernel or the engine. */
import type Docker from "dockerode";
import type { Limits } from "../../../stack/definition/types.js";
import type { AppliedLimits, Enforcement } from "../../../stack/runtime.js";
import { withDefaults } from "../../shared/default-limits.js";
import { NO_LIMIT } from "../../shared/no-limit.js";
import type { Engine, EngineInfo } from "../engine/engine.js";
import { isNotFound } from "../engine/errors.js";
import { kernelLimits } from "./kernel-view.js";

const MB = 1_048_576;
const NANO = 1_000_000_000;
/** The kernel accepts no quota below 1 ms in 100 ms. */
const LEAST_CPUS = 0.01;

/**
 * No swap in addition to the memory: a service that exceeds its limit is killed instead of slowing the machine down.
 */
export function limitFields({ cpus, memory_mb, pids }: Limits): {
  Memory?: number;
  MemorySwap?: number;
  NanoCpus?: number;
  PidsLimit?: number;
} {
  const memory = memory_mb === undefined ? undefined : Math.floor(memory_mb * MB);
  return {
    ...(memory === undefined ? {} : { Memory: memory, MemorySwap: memory }),
    ...(cpus === undefined ? {} : { NanoCpus: Math.round(Math.max(LEAST_CPUS, cpus) * NANO) }),
    ...(pids === undefined ? {} : { PidsLimit: pids }),
  };
}

/**
 * An update of the engine leaves omitted limits unchanged, so a limit is lifted by setting it to the machine's size.
 * @param present limits of the container now: one that it does not have and that is not requested stays as it is; null
 * when they cannot be read
 */
export function updateFields(
  limits: Limits,
  info: EngineInfo,
  present: AppliedLimits | null,
): ReturnType<typeof limitFields> {
  const { pids } = withDefaults(limits);
  const cpus = limits.cpus ?? (present?.cpus.value === null ? undefined : info.cpus);
  const memory_mb = limits.memory_mb ?? (present?.memory_mb.value === null ? undefined : info.memoryMb);
  return limitFields({
    ...(pids === undefined ? {} : { pids }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory_mb === undefined ? {} : { memory_mb }),
  });
}

/** @returns the limits without those that were lifted: the machine's size is the limit of every container */
export function withoutLifted(applied: AppliedLimits, requested: Limits, info: EngineInfo): AppliedLimits {
  const lifted = (name: "cpus" | "memory_mb", size: number): boolean =>
    requested[name] === undefined && (applied[name].value ?? 0) >= Math.floor(size);
  return {
    ...applied,
    ...(lifted("cpus", info.cpus) ? { cpus: { value: null, enforcement: NO_LIMIT } } : {}),
    ...(lifted("memory_mb", info.memoryMb) ? { memory_mb: { value: null, enforcement: NO_LIMIT } } : {}),
  };
}

const CPU_PERIOD = 100_000;

/** The same values in the format of Podman's own API. */
export function podmanResources({ Memory, MemorySwap, NanoCpus, PidsLimit }: ReturnType<typeof limitFields>): object {
  return {
    memory: { limit: Memory, swap: MemorySwap },
    cpu: { quota: Math.round(((NanoCpus ?? 0) * CPU_PERIOD) / NANO), period: CPU_PERIOD },
    pids: { limit: PidsLimit },
  };
}

type Dial = (options: object, callback: (error: unknown) => void) => void;

/**
 * Changes the limits of a running container. Podman 4 has no update in the Docker API.
 * @throws the engine's error
 */
export async function updateContainer(
  { docker, info }: Engine,
  container: string,
  limits: Limits,
  present: AppliedLimits | null,
): Promise<void> {
  const fields = updateFields(limits, info, present);
  try {
    await docker.getContainer(container).update(fields);
  } catch (error) {
    if (!info.podman || !isNotFound(error)) throw error;
    const { dial } = docker.modem as unknown as { dial: Dial };
    await new Promise<void>((resolve, reject) => {
      dial.call(
        docker.modem,
        {
          path: `/v4.0.0/libpod/containers/${container}/update`,
          method: "POST",
          options: podmanResources(fields),
          statusCodes: { 200: true, 201: true },
        },
        (fault) => (fault ? reject(fault) : resolve()),
      );
    });
  }
}

interface EffectiveLimits {
  memory: number | null;
  cpus: number | null;
  pids: number | null;
  by: string;
}

export interface LimitsOptions {
  docker: Docker;
  container: string;
  info: EngineInfo;
  /** Process id on the engine's machine. */
  pid: number;
}

async function effectiveLimits({ docker, container, info, pid }: LimitsOptions): Promise<EffectiveLimits> {
  const kernel = await kernelLimits(pid, container);
  if (kernel !== null)
    return {
      memory: kernel.memoryBytes === null ? null : kernel.memoryBytes / MB,
      cpus: kernel.cpus,
      pids: kernel.pids,
      by: `cgroup v${kernel.version}, read back from the kernel`,
    };
  const { HostConfig } = await docker.getContainer(container).inspect();
  const { Memory = 0, NanoCpus = 0, CpuQuota = 0, CpuPeriod = 0, PidsLimit = 0 } = HostConfig;
  return {
    memory: Memory > 0 ? Memory / MB : null,
    cpus: NanoCpus > 0 ? NanoCpus / NANO : CpuQuota > 0 ? CpuQuota / (CpuPeriod || 100_000) : null,
    pids: (PidsLimit ?? 0) > 0 ? (PidsLimit as number) : null,
    by: `cgroup v${info.cgroupVersion}, by the engine's inspection`,
  };
}

/** @throws the engine's error */
export async function readLimits(options: LimitsOptions): Promise<AppliedLimits> {
  const { info } = options;
  const { memory, cpus, pids, by } = await effectiveLimits(options);
  const one = (value: number | null, possible: boolean): { value: number | null; enforcement: Enforcement } => {
    if (!possible)
      return {
        value: null,
        enforcement: { level: "none", reason: "the engine's kernel or its set-up has no such limit" },
      };
    if (value === null) return { value: null, enforcement: NO_LIMIT };
    return { value, enforcement: { level: "enforced", reason: by } };
  };
  return {
    cpus: one(cpus, info.limits.cpus),
    memory_mb: one(memory, info.limits.memory),
    pids: one(pids, info.limits.pids),
  };
}

/** The limits of a container that has ended: none. */
export function endedLimits(reason: string, info: EngineInfo): AppliedLimits {
  const nothing = (possible: boolean) => ({
    value: null,
    enforcement: { level: possible ? ("enforced" as const) : ("none" as const), reason },
  });
  return {
    cpus: nothing(info.limits.cpus),
    memory_mb: nothing(info.limits.memory),
    pids: nothing(info.limits.pids),
  };
}

export function limitsEnforcement(info: EngineInfo): Enforcement {
  const unsupported = Object.entries(info.limits).flatMap(([name, possible]) => (possible ? [] : [name]));
  return unsupported.length === 0
    ? { level: "enforced", reason: `cgroup v${info.cgroupVersion}, by ${info.name}` }
    : { level: "advisory", reason: `${info.name} cannot limit ${unsupported.join(", ")} here` };
}
