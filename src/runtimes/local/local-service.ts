/** One running instance as the domain sees it. */
import type { Healthcheck, Limits } from "../../stack/definition/types.js";
import type {
  AppliedLimits,
  ExecResult,
  ProbeResult,
  RuntimeService,
  ServiceExit,
  ServiceStats,
} from "../../stack/runtime.js";
import { unsupported } from "../shared/unsupported.js";
import { type ProbeContext, probeService } from "./probes/probe.js";
import type { LaunchPlan } from "./providers/launch-plan.js";
import type { ManagedProcess, ServiceUser } from "./types.js";

export class LocalService implements RuntimeService {
  readonly startedAt: number;
  readonly pid: number;
  readonly user: RuntimeService["user"];
  readonly exited: Promise<ServiceExit>;
  #stopping: Promise<ServiceExit> | undefined;

  constructor(
    readonly service: string,
    readonly generation: number,
    readonly notes: string[],
    user: ServiceUser,
    private readonly process: ManagedProcess,
    private readonly plan: Pick<LaunchPlan, "stopSignal">,
    private readonly probing: ProbeContext,
    /** Once the instance ended: what it left is removed, its ports are held again. */
    private readonly ended: Promise<void>,
  ) {
    this.startedAt = process.startedAt;
    this.pid = process.pid;
    this.user = { uid: process.effectiveUid(), name: user.name, enforcement: user.enforcement };
    this.exited = process.exited;
  }

  stop({ graceMs, signal }: { graceMs: number; signal?: string }): Promise<ServiceExit> {
    this.#stopping ??= (async () => {
      const wanted = signal === undefined || signal === "SIGTERM" ? (this.plan.stopSignal ?? signal) : signal;
      const exit = await this.process.stop({ graceMs, ...(wanted === undefined ? {} : { signal: wanted }) });
      await this.ended;
      return exit;
    })();
    return this.#stopping;
  }

  probe(healthcheck: Healthcheck, signal: AbortSignal): Promise<ProbeResult> {
    return probeService(this.probing, healthcheck, signal);
  }

  setLimits(limits: Limits): Promise<AppliedLimits> {
    return this.process.setLimits(limits);
  }

  readLimits(): Promise<AppliedLimits> {
    return this.process.readLimits();
  }

  stats(): Promise<ServiceStats> {
    return this.process.stats();
  }

  async exec(): Promise<ExecResult> {
    throw unsupported("local", "run a command in a service");
  }

  async pause(): Promise<void> {
    throw unsupported("local", "pause a service");
  }

  async resume(): Promise<void> {}
}
