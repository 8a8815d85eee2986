/** One running instance on a container engine, behind the domain's interface. */
import type { Healthcheck, Limits } from "../../../stack/definition/types.js";
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
import { withRetry } from "../../../system/retry.js";
import { type HookContext, PreStop } from "../../shared/hooks.js";
import { NO_STATS } from "../../shared/no-stats.js";
import { webProtocol } from "../../shared/probes/web-protocol.js";
import type { UserIds } from "../container/user-ids.js";
import type { Engine } from "../engine/engine.js";
import { engineMessage, isNotFound, serviceError, statusOf } from "../engine/errors.js";
import type { ServiceVolume } from "../volumes/ensure.js";
import { removeNewVolumes } from "../volumes/remove.js";
import { copyFiles } from "./copy-files.js";
import { execInContainer } from "./exec.js";
import type { Instance } from "./instance.js";
import { endedLimits, readLimits, updateContainer, withoutLifted } from "./limits.js";
import { type ProbeContext, probeContainer } from "./probes.js";
import { dialOf } from "./reach.js";
import type { ContainerStats } from "./stats.js";

const ENDED = "the instance has ended";
/** The kernel may not freeze processes that are busy, which a moment later it does. */
const FREEZE_RETRY = {
  maxRetries: 3,
  baseDelayMs: 100,
  classify: (error: unknown): boolean => /unable to freeze/i.test(engineMessage(error)),
};

export interface DockerServiceOptions {
  generation: number;
  startedAt: number;
  /** Process id on this machine; null when the engine runs on another kernel. */
  pid: number | null;
  /** Process id on the engine's machine. */
  enginePid: number;
  user: RuntimeService["user"];
  /** The ids of the container's user; null when its image does not define them. */
  owner(): Promise<UserIds | null>;
  notes: string[];
  /** Volumes that were created for this start. */
  newVolumes: readonly Pick<ServiceVolume, "name" | "source" | "target">[];
  command: readonly string[];
  imageHealthcheck: Healthcheck | null;
  engine: Engine;
  container: string;
  instance: Instance;
  stats: ContainerStats;
  probing: ProbeContext;
  hooks: HookContext;
}

export class DockerService implements RuntimeService {
  readonly service: string;
  readonly generation: number;
  readonly startedAt: number;
  readonly pid: number | null;
  readonly user: RuntimeService["user"];
  readonly notes: string[];
  readonly command: readonly string[];
  readonly imageHealthcheck?: Healthcheck;
  readonly emptyVolumes: RuntimeService["emptyVolumes"];
  readonly exited: Promise<ServiceExit>;
  readonly #preStop: PreStop;
  /** The limits of the last change; null before the first one. */
  #changed: Limits | null = null;

  constructor(private readonly options: DockerServiceOptions) {
    this.service = options.probing.service.name;
    this.generation = options.generation;
    this.startedAt = options.startedAt;
    this.pid = options.pid;
    this.user = options.user;
    this.notes = options.notes;
    this.command = options.command;
    if (options.imageHealthcheck !== null) this.imageHealthcheck = options.imageHealthcheck;
    this.emptyVolumes = Promise.resolve(options.newVolumes.flatMap(({ source }) => source ?? []));
    this.exited = options.instance.exited;
    this.#preStop = new PreStop(options.hooks);
  }

  async stop({ graceMs, signal = "SIGTERM" }: { graceMs: number; signal?: string }): Promise<ServiceExit> {
    const { instance } = this.options;
    return instance.stop(this.#hasEnded() ? graceMs : await this.#preStop.run(graceMs), signal);
  }

  removeNewVolumes(): Promise<string[]> {
    return removeNewVolumes(this.options.engine.docker, this.options.newVolumes);
  }

  probe(healthcheck: Healthcheck, signal: AbortSignal): Promise<ProbeResult> {
    return probeContainer(this.options.probing, healthcheck, signal);
  }

  webProtocol(containerPort: number, signal: AbortSignal): Promise<WebProtocol | null> {
    return webProtocol(containerPort, signal, dialOf(this.options.probing.reach));
  }

  async setLimits(limits: Limits): Promise<AppliedLimits> {
    const { engine, container } = this.options;
    if (this.#hasEnded()) return endedLimits(ENDED, engine.info);
    try {
      await updateContainer(engine, container, limits, await this.#heldLimits().catch(() => null));
      this.#changed = limits;
    } catch (error) {
      // The container has ended meanwhile, and its limits with it.
      if (this.#hasEnded() || isNotFound(error) || statusOf(error) === 409) return endedLimits(ENDED, engine.info);
      throw serviceError(error, this.service, "changing its limits", engine.address.host);
    }
    return this.readLimits();
  }

  async readLimits(): Promise<AppliedLimits> {
    const { engine } = this.options;
    if (this.#hasEnded()) return endedLimits(ENDED, engine.info);
    try {
      const applied = await this.#heldLimits();
      return this.#changed === null ? applied : withoutLifted(applied, this.#changed, engine.info);
    } catch (error) {
      return endedLimits(this.#hasEnded() || isNotFound(error) ? ENDED : (error as Error).message, engine.info);
    }
  }

  #heldLimits(): Promise<AppliedLimits> {
    const { engine, container, enginePid } = this.options;
    return readLimits({ docker: engine.docker, container, info: engine.info, pid: enginePid });
  }

  async stats(): Promise<ServiceStats> {
    if (this.#hasEnded()) return { ...NO_STATS, reason: ENDED };
    return this.options.stats
      .sample()
      .catch((error: unknown) => ({ ...NO_STATS, reason: this.#hasEnded() ? ENDED : (error as Error).message }));
  }

  exec(request: ExecRequest): Promise<ExecResult> {
    return execInContainer(this.options.probing.target, request, true);
  }

  async copyFiles(files: readonly FileCopy[]): Promise<readonly SkippedCopy[]> {
    const { engine, probing, owner } = this.options;
    try {
      return await copyFiles(probing.target, files, await owner());
    } catch (error) {
      throw serviceError(error, this.service, "copying files into it", engine.address.host);
    }
  }

  async pause(): Promise<void> {
    const { engine, container } = this.options;
    const paused = withRetry(() => engine.docker.getContainer(container).pause(), FREEZE_RETRY);
    await paused.catch((error: unknown) => {
      throw serviceError(error, this.service, "pausing it", engine.address.host);
    });
  }

  async resume(): Promise<void> {
    const { engine, container } = this.options;
    await engine.docker
      .getContainer(container)
      .unpause()
      .catch((error: unknown) => {
        // The container is not paused, or has ended.
        if (isNotFound(error) || [409, 500].includes(statusOf(error) ?? 0)) return;
        throw serviceError(error, this.service, "resuming it", engine.address.host);
      });
  }

  #hasEnded(): boolean {
    return this.options.instance.exit !== null;
  }
}
