/** One running instance, behind the domain's interface. */
import type { Healthcheck, Limits, ServiceDefinition } from "../../stack/definition/types.js";
import type { LogSink } from "../../stack/logs/types.js";
import type {
  AppliedLimits,
  ExecRequest,
  ExecResult,
  ProbeResult,
  RuntimeService,
  ServiceExit,
  ServiceStats,
  WebProtocol,
} from "../../stack/runtime.js";
import { type HookContext, PreStop } from "../shared/hooks.js";
import { webProtocol } from "../shared/probes/web-protocol.js";
import { execInside } from "./commands/run.js";
import type { ListenWatch } from "./ports/listen-watch.js";
import { hostPort, type ProbeContext, probeService } from "./probes/probe.js";
import type { LaunchPlan } from "./providers/launch-plan.js";
import type { ManagedProcess, ServiceUser } from "./types.js";

export class LocalService implements RuntimeService {
  readonly service: string;
  readonly startedAt: number;
  readonly pid: number;
  readonly user: RuntimeService["user"];
  readonly command: readonly string[];
  readonly emptyVolumes: RuntimeService["emptyVolumes"];
  readonly hooks: HookContext;
  readonly #preStop: PreStop;
  #stopping: Promise<ServiceExit> | undefined;
  /** True once the listening sockets were examined after a successful check. */
  #examined = false;

  constructor(
    private readonly definition: ServiceDefinition,
    readonly generation: number,
    readonly notes: string[],
    user: ServiceUser,
    private readonly process: ManagedProcess,
    readonly exited: Promise<ServiceExit>,
    private readonly plan: LaunchPlan,
    private readonly probing: ProbeContext,
    private readonly listening: ListenWatch,
    /** Settles after the instance has ended, its remains are removed and its ports are held again. */
    private readonly ended: Promise<void>,
    sink: LogSink,
  ) {
    this.hooks = { service: definition, sink, exec: (request) => this.exec(request) };
    this.#preStop = new PreStop(this.hooks);
    this.service = definition.name;
    this.startedAt = process.startedAt;
    this.pid = process.pid;
    this.user = { uid: process.effectiveUid(), name: user.name, enforcement: user.enforcement };
    this.command = plan.argv;
    this.emptyVolumes = Promise.resolve(plan.emptyVolumes);
    void ended.finally(() => listening.end());
  }

  stop({ graceMs, signal }: { graceMs: number; signal?: string }): Promise<ServiceExit> {
    this.#stopping ??= (async () => {
      const stopSignal = signal === undefined || signal === "SIGTERM" ? (this.plan.stopSignal ?? signal) : signal;
      const remainingMs = await this.#preStop.run(graceMs);
      const exit = await this.process.stop({
        graceMs: remainingMs,
        ...(stopSignal === undefined ? {} : { signal: stopSignal }),
      });
      await this.ended;
      return exit;
    })();
    return this.#stopping;
  }

  async probe(healthcheck: Healthcheck, signal: AbortSignal): Promise<ProbeResult> {
    // A check of a database sends its password, which a program that took its port must not get.
    const before = this.plan.access === null ? null : await this.listening.stranger();
    if (before !== null) return { healthy: false, message: before, latencyMs: 0, check: "listening sockets" };
    const result = await probeService(this.probing, healthcheck, signal);
    const stranger = result.healthy ? await this.listening.stranger({ isRecent: true }) : null;
    if (result.healthy && !this.#examined) {
      // The answer of a start has the addresses on which the service listens, however late it began to listen.
      this.#examined = true;
      await this.listening.look({ isRecent: false });
    }
    return stranger === null ? result : { ...result, healthy: false, message: stranger };
  }

  webProtocol(containerPort: number, signal: AbortSignal): Promise<WebProtocol | null> {
    return webProtocol(hostPort(this.probing, containerPort), signal, this.probing.dial);
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

  exec(request: ExecRequest): Promise<ExecResult> {
    const { host, process, user } = this.probing;
    return execInside({ service: this.definition, user, plan: this.plan }, host, process, request);
  }

  pause(): Promise<void> {
    return this.process.pause();
  }

  resume(): Promise<void> {
    return this.process.resume();
  }
}
