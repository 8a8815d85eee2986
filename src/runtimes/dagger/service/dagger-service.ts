/** One running instance on an engine, behind the domain's interface. */
import { StackwardenError } from "../../../errors.js";
import type { Healthcheck, Limits } from "../../../stack/definition/types.js";
import type { LogSink } from "../../../stack/logs/types.js";
import type {
  AppliedLimits,
  ExecRequest,
  ExecResult,
  FileCopy,
  ProbeResult,
  RuntimeService,
  ServiceExit,
  ServiceStats,
  SkippedCopy,
  WebProtocol,
} from "../../../stack/runtime.js";
import { type HookContext, PreStop } from "../../shared/hooks.js";
import { noTerminal } from "../../shared/no-terminal.js";
import { pauseRefused } from "../../shared/pause-refused.js";
import { webProtocol } from "../../shared/probes/web-protocol.js";
import type { EngineHost, Pause } from "../engine-host/types.js";
import { unknownLimits, unknownStats } from "../engine-host/unreachable-host.js";
import { copyFiles } from "./copy-files.js";
import type { Instance } from "./instance.js";
import { type ProbeContext, probeInstance } from "./probes.js";

const ENDED = "the instance has ended";

export interface DaggerServiceOptions {
  generation: number;
  startedAt: number;
  user: RuntimeService["user"];
  notes: string[];
  imageHealthcheck: Healthcheck | null;
  emptyVolumes: RuntimeService["emptyVolumes"];
  instance: Instance;
  /** Settles when it has ended and its ports no longer accept connections. */
  closed: Promise<unknown>;
  host: EngineHost;
  /** runc's id; null when it is not known, with the reason in `unseen`. */
  containerId: string | null;
  unseen: string;
  /** Files that are never copied to the engine. */
  privateFiles: readonly string[];
  probing: ProbeContext;
  sink: LogSink;
  /** Port of this machine that leads to a published port. */
  hostPort(containerPort: number): number | undefined;
  /** Called with every change of the limits, so that an exit can be explained. */
  limitsChanged(limits: Limits): void;
}

export class DaggerService implements RuntimeService {
  readonly service: string;
  readonly generation: number;
  readonly startedAt: number;
  /** The engine's process ids are not valid on this machine. */
  readonly pid = null;
  readonly user: RuntimeService["user"];
  readonly notes: string[];
  readonly imageHealthcheck?: Healthcheck;
  readonly emptyVolumes: RuntimeService["emptyVolumes"];
  readonly exited: Promise<ServiceExit>;
  readonly copyFiles?: (files: readonly FileCopy[]) => Promise<readonly SkippedCopy[]>;
  readonly hooks: HookContext;
  readonly #preStop: PreStop;
  #pause: Promise<Pause> | null = null;

  constructor(private readonly options: DaggerServiceOptions) {
    this.service = options.probing.service.name;
    this.generation = options.generation;
    this.startedAt = options.startedAt;
    this.user = options.user;
    this.notes = options.notes;
    if (options.imageHealthcheck !== null) this.imageHealthcheck = options.imageHealthcheck;
    this.emptyVolumes = options.emptyVolumes;
    const { service } = options.probing;
    this.hooks = { service, sink: options.sink, exec: (request) => this.exec(request) };
    this.#preStop = new PreStop(this.hooks);
    this.exited = options.closed.then(() => options.instance.exited);
    const target = {
      service: this.service,
      privateFiles: options.privateFiles,
      exec: (request: ExecRequest) => this.exec(request),
    };
    if (options.containerId !== null) this.copyFiles = (files) => copyFiles(target, files);
  }

  async stop({ graceMs, signal = "SIGTERM" }: { graceMs: number; signal?: string }): Promise<ServiceExit> {
    // A frozen process receives no signal.
    await this.resume();
    const { instance, containerId } = this.options;
    const remainingMs = this.#hasEnded() || containerId === null ? graceMs : await this.#preStop.run(graceMs);
    await instance.stop(remainingMs, signal);
    return this.exited;
  }

  probe(healthcheck: Healthcheck, signal: AbortSignal): Promise<ProbeResult> {
    return probeInstance(this.options.probing, healthcheck, signal);
  }

  /** Asks the published port: a tunnel publishes it without a gateway, which must not start for this question. */
  async webProtocol(containerPort: number, signal: AbortSignal): Promise<WebProtocol | null> {
    const port = this.options.hostPort(containerPort);
    return port === undefined ? null : webProtocol(port, signal);
  }

  async setLimits(limits: Limits): Promise<AppliedLimits> {
    const { containerId, host, limitsChanged } = this.options;
    if (containerId === null || this.#hasEnded()) return this.#none();
    const applied = await host.apply(containerId, limits).catch((error: unknown) => {
      // The container has ended meanwhile, and its process group with it.
      if (this.#hasEnded()) return this.#none();
      throw error;
    });
    limitsChanged(limits);
    return applied;
  }

  async readLimits(): Promise<AppliedLimits> {
    const { containerId, host } = this.options;
    if (containerId === null || this.#hasEnded()) return this.#none();
    return host.read(containerId).catch((error: unknown) => this.#none((error as Error).message));
  }

  async stats(): Promise<ServiceStats> {
    const { containerId, host, unseen } = this.options;
    if (this.#hasEnded()) return unknownStats(ENDED);
    if (containerId === null) return unknownStats(unseen);
    return host
      .stats(containerId)
      .catch((error: unknown) => unknownStats(this.#hasEnded() ? ENDED : (error as Error).message));
  }

  async exec(request: ExecRequest): Promise<ExecResult> {
    const { containerId, host, unseen } = this.options;
    if (request.terminal !== undefined) throw noTerminal("the Dagger runtime has none");
    if (this.#hasEnded())
      throw new StackwardenError("SERVICE_NOT_STARTED", `${this.service} does not run.`, {
        hint: "Start it, then call again.",
      });
    if (containerId === null)
      throw new StackwardenError("UNSUPPORTED", `No command can run in ${this.service}: ${unseen}.`, {
        hint: "Use an engine whose container or machine this server can enter, or the docker or local runtime.",
      });
    return host.stream(containerId, this.service, request);
  }

  async pause(): Promise<void> {
    const { containerId, host, unseen } = this.options;
    if (this.#pause !== null || this.#hasEnded()) return;
    if (containerId === null) throw pauseRefused(unseen);
    this.#pause = host.pause(containerId);
    try {
      await this.#pause;
    } catch (error) {
      this.#pause = null;
      throw error;
    }
  }

  async resume(): Promise<void> {
    const pause = this.#pause;
    this.#pause = null;
    await (await pause?.catch(() => null))?.release();
  }

  #hasEnded(): boolean {
    return this.options.instance.exit !== null;
  }

  #none(reason?: string): AppliedLimits {
    const { host, unseen } = this.options;
    const why = this.#hasEnded() ? ENDED : (reason ?? unseen);
    // When the host is reachable, limits apply to every instance; the exit of this one does not change the enforcement
    // level.
    return unknownLimits(why, this.#hasEnded() ? host.enforcement.level : "none");
  }
}
