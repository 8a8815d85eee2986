/** One running stack on an engine: its session, its services, its gateway. */

import { randomBytes } from "node:crypto";
import { StackwardenError } from "../../../errors.js";
import { callTo, hint } from "../../../hint.js";
import type { StackDefinition } from "../../../stack/definition/types.js";
import {
  type Endpoint,
  type ExecResult,
  KILLED_RESULT,
  type OneOffRequest,
  type OpenStackRequest,
  type RuntimeService,
  type RuntimeStack,
  type StartServiceRequest,
} from "../../../stack/runtime.js";
import { KeyedMutex } from "../../../system/keyed-mutex.js";
import { raceAbort } from "../../../system/wait.js";
import { noTerminal } from "../../shared/no-terminal.js";
import { noOneOff, readyContainer } from "../container/container.js";
import { type Staging, withStaging } from "../container/staging.js";
import { startError } from "../engine/engine-errors.js";
import type { EngineHost } from "../engine-host/types.js";
import type { Gateway } from "../gateway/types.js";
import { launch } from "../service/launch.js";
import { runOneOff } from "../service/one-off.js";
import { progress } from "../service/progress.js";
import { newTrace } from "../session/trace.js";
import type { DaggerSession } from "../session/types.js";
import { cacheVolume } from "../volumes/records.js";
import { endFormerUsers, forgetVolumeUsers, recordVolumeUser } from "../volumes/users.js";
import type { PublishedPorts } from "./published-ports.js";

/** Milliseconds after which a pull or build is reported as an event. */
const NOTABLE_MS = 2000;
/** Milliseconds to open the connection of a health check; the check has its own time limit. */
const DIAL_MS = 10_000;

export interface StackParts {
  session: DaggerSession;
  host: EngineHost;
  /** Connection for health checks into the session. */
  gateway: Gateway;
  ports: PublishedPorts;
  runnerHost: string | null;
  env: NodeJS.ProcessEnv;
  retry: { maxRetries: number; baseDelayMs: number };
  onClose(stack: DaggerStack): void;
}

export class DaggerStack implements RuntimeStack {
  readonly runtime = "dagger";
  readonly lost: Promise<{ reason: string }>;
  readonly #running = new Map<string, RuntimeService>();
  readonly #starts = new KeyedMutex();
  readonly #instances = new Set<string>();
  readonly #openedAt = Date.now();
  #definition: StackDefinition;
  readonly #oneOffs = new Set<Promise<void>>();
  /** Ends one-off commands when the stack closes. */
  readonly #life = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(
    private readonly request: OpenStackRequest,
    private readonly parts: StackParts,
  ) {
    this.#definition = request.definition;
    this.lost = parts.session.died;
  }

  /** Instances that run or are being started. */
  get instances(): ReadonlySet<string> {
    return this.#instances;
  }

  endpoints(): Endpoint[] {
    return this.parts.ports.endpoints();
  }

  async update(definition: StackDefinition): Promise<Readonly<Record<string, string>>> {
    await this.parts.ports.reserve(definition);
    this.#definition = definition;
    return {};
  }

  /** Starts of one service run one at a time; each waits for the exit of the previous instance. */
  startService(request: StartServiceRequest): Promise<RuntimeService> {
    const { signal, service } = request;
    const staged = { stateDir: this.request.stateDir, name: `service-${service.name}`, signal };
    return this.#starts.run([service.name], () => withStaging(staged, (staging) => this.#start(request, staging)));
  }

  async runOneOff(request: OneOffRequest): Promise<ExecResult> {
    const { host } = this.parts;
    this.#refuseWhenOver();
    if (request.exec.terminal !== undefined) throw noTerminal("the Dagger runtime has none");
    if (host.enforcement.level !== "enforced") throw noOneOff(request.service.name, host.enforcement.reason);
    const { signal } = request;
    const staged = { stateDir: this.request.stateDir, name: `command-${randomBytes(8).toString("hex")}`, signal };
    const running = withStaging(staged, (staging) => this.#oneOff(request, staging));
    const settled = running.then(
      () => undefined,
      () => undefined,
    );
    this.#oneOffs.add(settled);
    try {
      return await running;
    } catch (error) {
      if (request.signal.aborted) return KILLED_RESULT;
      throw error;
    } finally {
      this.#oneOffs.delete(settled);
    }
  }

  async #oneOff(request: OneOffRequest, staging: Staging): Promise<ExecResult> {
    const { session, host } = this.parts;
    const signal = AbortSignal.any([request.signal, this.#life.signal]);
    const { exec, service } = request;
    const own = {
      ...request,
      signal,
      service: { ...service, environment: { ...service.environment, ...exec.environment } },
    };
    const ready = await this.#ready(own, staging, exec.command, request.definition);
    const claimed = await this.#claimVolumes(own, ready.instance);
    try {
      return await runOneOff({ session, host, request: own, ready });
    } finally {
      // An exit that the end of the session implies was not observed: the container can still run.
      if (claimed && !session.ended.aborted) this.#release(ready.instance);
      else this.#instances.delete(ready.instance);
    }
  }

  async #start(request: StartServiceRequest, staging: Staging): Promise<RuntimeService> {
    const { service, signal } = request;
    const { session, host, ports } = this.parts;
    this.#refuseWhenOver();
    signal.throwIfAborted();
    const former = this.#running.get(service.name);
    if (former !== undefined) await raceAbort(former.exited, signal);
    await ports.secure(service.name);
    const ready = await this.#ready(request, staging);
    const { instance } = ready;
    const claimed = await this.#claimVolumes(request, instance);
    // Runs concurrently with the service's start, so that published ports are reachable as soon as the service listens.
    const published = service.ports.length > 0 ? this.#startPorts(signal) : null;
    try {
      const started = await launch({
        session,
        host,
        request,
        ready,
        dial: this.#dial(service.name),
        hostPort: (port) => ports.hostPort(service.name, port),
        publish: (instance) => ports.open({ ...instance, service: service.name, signal }),
      });
      this.#running.set(service.name, started);
      void started.exited.then(() => {
        if (this.#running.get(service.name) === started) this.#running.delete(service.name);
        // An exit that the end of the session implies was not observed: the container can still run.
        if (claimed && !session.ended.aborted) this.#release(instance);
      });
      const failure = await published;
      if (failure !== null || this.#closing !== undefined) {
        await started.stop({ graceMs: 0 });
        this.#refuseWhenOver();
        throw failure;
      }
      return started;
    } catch (error) {
      // The exit was not necessarily observed: the record stays, and the next start looks for the container.
      this.#instances.delete(instance);
      await published;
      throw error;
    }
  }

  /**
   * Ends previous instances that mount the service's volumes, and records this one.
   * @returns whether there are volumes
   * @throws STOP_FAILED, STORAGE_FAILED, the signal's reason
   */
  async #claimVolumes({ service, signal, phase }: StartServiceRequest, instance: string): Promise<boolean> {
    const { host, runnerHost } = this.parts;
    const { stateDir } = this.request;
    const volumes = service.mounts.flatMap((mount) => (mount.type === "volume" ? [mount.source] : []));
    if (volumes.length === 0) return false;
    await endFormerUsers({
      stateDir,
      volumes,
      runnerHost,
      running: this.#instances,
      openedAt: this.#openedAt,
      host,
      signal,
      waiting: () => phase("ending the earlier instance that uses the same volume"),
    });
    this.#instances.add(instance);
    await recordVolumeUser(stateDir, instance, { volumes, runnerHost });
    return true;
  }

  #release(instance: string): void {
    this.#instances.delete(instance);
    // A stale record costs the next start one search for a container that is gone.
    void forgetVolumeUsers(this.request.stateDir, [instance]).catch(() => undefined);
  }

  /** Never rejects: a failure is reported after the service's start. */
  #startPorts(signal: AbortSignal): Promise<unknown> {
    return this.parts.ports.start(signal).then(
      () => null,
      (error: unknown) => error,
    );
  }

  #dial(service: string) {
    return (port: number, signal: AbortSignal) => this.parts.gateway.dial(service, port, DIAL_MS, signal);
  }

  async #ready(
    request: StartServiceRequest,
    staging: Staging,
    oneOff?: readonly string[],
    definition = this.#definition,
  ) {
    const { service, signal, phase, sink, limits } = request;
    const { session, host, ports, env, retry, runnerHost } = this.parts;
    const { projectId, folder, stateDir, notice } = this.request;
    const trace = newTrace();
    const reporter = progress(phase);
    const name = service.name;
    // Output of an installation belongs to the service's log.
    const forget = session.telemetry.listen(trace.traceId, {
      began: reporter,
      output: (stream, chunk, timeMs) => sink.write(stream, chunk, timeMs),
      behind: () => sink.behind?.() ?? null,
    });
    let doing = "preparing its container";
    const timer = setTimeout(
      () =>
        notice({
          type: doing.startsWith("installing") ? "installing" : "pulling",
          service: name,
          message: `${name}: ${doing}.`,
        }),
      NOTABLE_MS,
    );
    try {
      return await readyContainer({
        client: session.client({ trace, signal }),
        project: projectId,
        folder,
        stateDir,
        definition,
        service,
        limits,
        staging,
        ...(oneOff === undefined ? {} : { oneOff }),
        hostInReach: host.enforcement.level === "enforced",
        cacheVolume: (volume, owner) =>
          cacheVolume(stateDir, { project: projectId, volume, runnerHost }, async () => ({
            owner: await owner(),
            ...(service.image === undefined || service.build !== undefined ? {} : { image: service.image }),
          })),
        hostPort: (other, port) => ports.hostPort(other, port),
        env,
        signal,
        retry,
        phase: (message) => {
          doing = message;
          phase(message);
        },
        notice: (type, message) => notice({ type, service: name, message }),
      });
    } catch (error) {
      signal.throwIfAborted();
      session.ended.throwIfAborted();
      throw startError(error, name, doing);
    } finally {
      clearTimeout(timer);
      forget();
    }
  }

  #refuseWhenOver(): void {
    this.parts.session.ended.throwIfAborted();
    if (this.#closing !== undefined) throw this.#over();
  }

  #over(): StackwardenError {
    return new StackwardenError("STACK_NOT_RUNNING", "The stack was closed.", {
      hint: hint`Start it again with ${callTo("start_stack")}.`,
    });
  }

  /** Kills running services. The end of the session ends every other container. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      const { session, host, gateway, ports, onClose } = this.parts;
      const left = [...this.#running.values()];
      this.#life.abort(this.#over());
      await Promise.all(this.#oneOffs);
      if (!session.ended.aborted) await Promise.all(left.map((one) => one.stop({ graceMs: 0 }).catch(() => undefined)));
      await gateway.close().catch(() => undefined);
      await session.close();
      await Promise.all(left.map((one) => one.exited));
      await ports.close().catch(() => undefined);
      await host.close().catch(() => undefined);
      onClose(this);
    })();
    return this.#closing;
  }
}
