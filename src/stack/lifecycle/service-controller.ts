/** Controls one service of a running stack: its instance, its state, and its automatic restarts. */

import { StackwardenError } from "../../errors.js";
import { Mutex } from "../../system/mutex.js";
import { raceAbort } from "../../system/wait.js";
import type { Limits, ServiceDefinition } from "../definition/types.js";
import { foldSimilar } from "../logs/patterns.js";
import type { ServiceHealth, ServiceReport, ServiceState } from "../model.js";
import {
  type AppliedLimits,
  type ExecRequest,
  type ExecResult,
  KILLED_RESULT,
  type RuntimeService,
  type ServiceExit,
  type ServiceStats,
} from "../runtime.js";
import { type EventInput, SERVER_ACTOR } from "../storage/events.js";
import { HealthMonitor, type HealthView } from "./health-monitor.js";
import { notEnforceable, notEnforced } from "./limits.js";
import { OomKills } from "./oom-kills.js";
import { RestartPlan } from "./restart-plan.js";
import { wantsRestart } from "./restart-policy.js";
import type { Scope, StopScope } from "./scope.js";
import { checksOf, initialisesVolume } from "./service-checks.js";
import { prepareInstance, type ServiceContext, startInstance } from "./service-context.js";
import {
  describeExit,
  exitReport,
  notStarted,
  type ServiceFacts,
  serviceHealth,
  serviceReport,
  startFailure,
  startFault,
} from "./service-report.js";
import { STANDING, WatchedState } from "./service-state.js";
import { rememberData, watchVolumes } from "./volume-watch.js";
import { unidentifiedPorts } from "./web-ports.js";

/** Number of log lines in an error, and in a crash event. */
const ERROR_LINES = 20;
const CRASH_LINES = 5;
/** Milliseconds that a service without a check must live before a start or restart calls it running. */
const OBSERVED_MS = 1000;
/** Maximum restarts during a start for policies without a limit, so that a start that cannot succeed ends. */
const START_RESTARTS = 5;

/** What a service's preparation leaves for its start. */
export interface Preparation {
  /** Epoch milliseconds before sources were read. */
  begunAt: number;
  /** The runtime's result. */
  prepared: unknown;
}

export class ServiceController {
  readonly serial = new Mutex();
  restarts = 0;
  applied: AppliedLimits | null = null;
  /** The limits that were requested for `applied`. */
  requestedLimits: Limits = {};
  lastExit: ServiceExit | null = null;
  /** Generation of the instance that ended with `lastExit`. */
  #exitGeneration = 0;
  instance: RuntimeService | null = null;
  /** The last instance that was not refused because of its limits. */
  #accepted: RuntimeService | null = null;
  /** Epoch milliseconds at which the latest start began: its sources are read after it. */
  begunAt = 0;
  /** Absolute paths of sources that were copied into the present instance, with their modification time. */
  readonly copiedFiles = new Map<string, number>();
  #generation: number;
  #monitor: HealthMonitor | null = null;
  /** True from a start until its service is up: its restarts are limited. */
  #comingUp = false;
  readonly #oomKills = new OomKills();
  readonly #restarts: RestartPlan;
  readonly #state: WatchedState;
  /** Cancels the start in progress. */
  #starting = new AbortController();
  /** The instance for which a database's volumes were created, until the database has answered once. */
  #newDatabase: RuntimeService | null = null;
  /** Why the last start failed before an instance existed; null otherwise. */
  #refusal: StackwardenError | null = null;
  /** Settles when the present pause ends; null while the instance is not paused. */
  #pause: Promise<void> | null = null;
  /** What the runtime does for the next instance; null when nothing is in progress. */
  #phase: string | null = null;
  /** Why the service is stopped; null when a client stopped it. */
  #stopReason: string | null = null;

  constructor(
    public definition: ServiceDefinition,
    private readonly host: ServiceContext,
  ) {
    this.#generation = host.lastGeneration(definition.name);
    this.#state = new WatchedState(() => host.changed());
    this.#restarts = new RestartPlan((input) => this.#event(input));
  }

  get state(): ServiceState {
    return this.#state.current;
  }

  get name(): string {
    return this.definition.name;
  }

  get generation(): number {
    return this.#generation;
  }

  get running(): boolean {
    return this.instance !== null;
  }

  /** True when an instance runs whose limits are as enforced as required. */
  get started(): boolean {
    return this.running && this.instance === this.#accepted;
  }

  /** True when only a call can bring the service up again. */
  get ended(): boolean {
    return ["stopped", "lost"].includes(this.state) || (this.state === "crashed" && !this.restartPending);
  }

  get restartPending(): boolean {
    return this.#restarts.pending;
  }

  /** Resets a stale state to `pending`, so that dependents wait instead of failing. */
  announce(): void {
    if (this.running) return;
    this.#restarts.cancel();
    this.#to("pending");
  }

  /** Cancels a start in progress. Its call fails with OPERATION_CANCELLED. */
  interrupt(): void {
    this.#starting.abort(
      new StackwardenError("OPERATION_CANCELLED", `A stop cancelled the start of ${this.name}.`, {
        hint: "Start it again if it is needed.",
      }),
    );
  }

  /** True when the services that it depends on are prepared before. */
  get preparesInOrder(): boolean {
    return this.host.stack.preparesInOrder === true;
  }

  /**
   * Pulls or builds the service's image, or installs its dependencies, for a start that follows. The service stays
   * `pending`; a failure makes it `crashed`.
   */
  async prepare(scope: Scope): Promise<Preparation> {
    this.#starting = new AbortController();
    const signal = AbortSignal.any([scope.signal, this.#starting.signal]);
    const { host, name, definition } = this;
    const begunAt = Date.now();
    const generation = this.#generation + 1;
    try {
      const phase = this.#phaseOf(scope);
      const request = { service: definition, generation, limits: host.limits(name), signal, phase };
      const prepared = await prepareInstance(host, request, (message) => this.#event({ type: "retrying", message }));
      this.#phase = null;
      return { begunAt, prepared };
    } catch (error) {
      this.#phase = null;
      signal.throwIfAborted();
      this.#generation = generation;
      this.begunAt = begunAt;
      this.#refusal = error instanceof StackwardenError ? error : null;
      this.lastExit = null;
      this.#to("starting");
      this.#to("crashed");
      throw error;
    }
  }

  /** Starts an instance; resolves when its process runs. On failure, nothing of the instance remains. */
  async start(scope: Scope, preparation?: Preparation): Promise<void> {
    this.#restarts.reset();
    this.#comingUp = true;
    await this.#start(scope, { failing: () => undefined, started: () => undefined }, preparation);
  }

  #phaseOf(scope: Scope): (message: string) => void {
    return (message) => {
      this.#phase = message;
      scope.progress(this.name, message);
    };
  }

  /** @param on `failing` is called before the state becomes `crashed`, `started` when an instance runs */
  async #start(scope: Scope, on: { failing(): void; started(): void }, preparation?: Preparation): Promise<void> {
    const { actor } = scope;
    this.#restarts.cancel();
    this.#starting = new AbortController();
    this.#refusal = null;
    this.#stopReason = null;
    const signal = AbortSignal.any([scope.signal, this.#starting.signal]);
    const { host, name, definition } = this;
    this.#generation += 1;
    // The preparation has read sources, which may have changed since.
    this.begunAt = preparation?.begunAt ?? Date.now();
    this.copiedFiles.clear();
    const generation = this.#generation;
    this.#to("starting");
    this.#event({ type: "service_starting", message: `${name} is starting.`, actor, data: { generation } });
    const limits = host.limits(name);
    this.requestedLimits = limits;
    try {
      const phase = this.#phaseOf(scope);
      const { prepared } = preparation ?? {};
      const request = { service: definition, generation, limits, signal, phase, prepared };
      const instance = await startInstance(host, request, (message) => this.#event({ type: "retrying", message }));
      this.#phase = null;
      await this.#adopt(instance, limits, actor);
      // The instance may have ended meanwhile; events of its end must not precede that of its start.
      if (this.instance === instance) on.started();
    } catch (error) {
      this.#phase = null;
      this.instance = null;
      // Set before the state changes, because waiting calls continue as soon as it does.
      this.#refusal = error instanceof StackwardenError ? error : null;
      // Discard the exit of an earlier instance.
      if (this.state === "starting") this.lastExit = null;
      if (signal.aborted && this.state === "starting") {
        // The start was ended from outside, which is not a fault of this service.
        this.#refusal = null;
        this.#stopReason = notStarted(signal.reason);
        this.#to("stopping");
        this.#to("stopped");
        throw error;
      }
      on.failing();
      // The service may have become lost in the meantime.
      if (this.state === "starting") this.#to("crashed");
      throw error;
    }
  }

  async #adopt(instance: RuntimeService, limits: Limits, actor: string): Promise<void> {
    const { host, name } = this;
    this.instance = instance;
    void instance.exited.then((exit) => this.#onExit(instance, exit));
    this.applied = await instance.readLimits();
    const unenforced = notEnforced(limits, this.applied);
    if (host.requireEnforcedLimits && unenforced.length > 0) {
      this.instance = null;
      await instance.stop({ graceMs: 0 });
      throw notEnforceable(`The limits of ${name} cannot be enforced here`, unenforced, { service: name });
    }
    // The instance may have ended while its limits were read.
    if (this.instance !== instance) return;
    void this.#volumesAt(instance);
    if (initialisesVolume(this.definition, host.stack.runtime)) this.#newDatabase ??= instance;
    const data = { generation: instance.generation, pid: instance.pid };
    this.#event({ type: "service_started", message: `${name} runs.`, actor, data });
    // A dependent with `condition: service_started` waits for this; the state changes only with the first check.
    this.#accepted = instance;
    this.#state.evaluate();
    const monitor = new HealthMonitor({
      instance,
      checks: checksOf(this.definition, host.stack.runtime, instance.imageHealthcheck),
      unidentified: unidentifiedPorts(this.definition, instance.imageHealthcheck?.test),
      clean: host.clean,
      onCheck: (verdict, view) => this.#checked(verdict, view),
    });
    this.#monitor = monitor;
    monitor.start();
  }

  /**
   * Resolves when the service is up: healthy, running without a check, or completed. Waits for restarts by its policy.
   * A service without a check is observed for a moment; it may have ended by then, which its state shows.
   * @throws SERVICE_START_FAILED when the service ends, becomes unhealthy or is stopped
   */
  async ready(signal: AbortSignal): Promise<void> {
    await this.settled(signal);
    if (!this.up) throw this.failure();
    await this.#observe(signal);
  }

  /** Programs that cannot run end within their first second: a process that exists is no evidence that it works. */
  async #observe(signal: AbortSignal): Promise<void> {
    const { instance } = this;
    const rest = instance === null ? 0 : instance.startedAt + OBSERVED_MS - Date.now();
    if (this.state !== "running" || rest <= 0) return;
    const observed = new AbortController();
    const timer = setTimeout(() => observed.abort(), rest);
    const over = AbortSignal.any([signal, observed.signal]);
    await this.until(() => this.state !== "running", over).catch(() => undefined);
    clearTimeout(timer);
    signal.throwIfAborted();
  }

  /** Resolves when the service is up or has failed. */
  async settled(signal: AbortSignal): Promise<void> {
    await this.until(() => this.up || this.ended || this.state === "unhealthy", signal);
    if (this.up) this.#comingUp = false;
  }

  /** True when the service is healthy, running without a check, or completed. */
  get up(): boolean {
    return STANDING[this.state] === "up";
  }

  /** Why the service is not up, as a part of a sentence. */
  get fault(): string {
    return startFault(this.#facts);
  }

  /**
   * The error that describes why the service is not up, with its last log lines.
   * @param dependent a service that waits for this one; given when this one ran before the start
   */
  failure(dependent?: string): StackwardenError {
    if (this.#refusal !== null && this.state === "crashed") return this.#refusal;
    return startFailure(this.#facts, this.host.lastLines(this.name, ERROR_LINES, this.generation), dependent);
  }

  /** The running instance's last log lines. */
  get lastLines(): string[] {
    return this.running ? foldSimilar(this.host.lastLines(this.name, ERROR_LINES, this.generation)) : [];
  }

  /**
   * Checks an unhealthy service again. Resolves when it is healthy or has ended, or when as many further checks have failed
   * as make a service unhealthy.
   */
  async checkAgain(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const changed = this.until(() => this.state !== "unhealthy", AbortSignal.any([signal, over.signal]));
    const checked = this.#monitor?.checkAgain(AbortSignal.any([signal, over.signal]));
    await Promise.race([changed, checked]).finally(() => {
      over.abort();
      for (const one of [changed, checked]) one?.catch(() => undefined);
    });
  }

  /** Stops the instance, or cancels a scheduled restart. Idempotent. */
  async stop({ actor, mostGraceMs = Number.POSITIVE_INFINITY, reason }: StopScope): Promise<void> {
    this.#restarts.cancel();
    const { instance, name } = this;
    if (reason !== undefined || instance !== null) this.#stopReason = reason?.(name) ?? null;
    if (instance === null) {
      if (this.state !== "completed") this.#to("stopped");
      return;
    }
    this.#to("stopping");
    this.#event({ type: "service_stopping", message: `${name} is stopping.`, actor });
    this.#monitor?.stop();
    this.instance = null;
    const exit = await instance.stop({
      graceMs: Math.min(this.definition.stopGracePeriodMs, mostGraceMs),
      signal: this.definition.stopSignal,
    });
    this.#ended(instance, exit);
    this.#to("stopped");
    this.#event({ type: "service_stopped", message: `${name} stopped: ${describeExit(exit)}.`, actor });
  }

  /** Returns a stopped service to the result that it had before a change that was rolled back. */
  restoreCompleted(): void {
    if (this.state !== "completed") {
      this.#to("stopped");
      this.#to("completed");
    }
  }

  /** Schedules the restart again that was pending before a change that was rolled back. */
  restoreRestart(): void {
    if (this.running || this.restartPending || this.state === "lost") return;
    this.#comingUp = false;
    this.#stopReason = null;
    this.#refusal = null;
    if (this.state !== "crashed") this.#to("stopped");
    const report = this.#restarts.repeat(this.name, this.definition.restart, () => this.#restart());
    this.#to("crashed");
    report();
  }

  #ended(instance: RuntimeService, exit: ServiceExit): void {
    this.lastExit = exit;
    this.#exitGeneration = instance.generation;
    this.applied = null;
  }

  /**
   * Deletes the new volumes of a database that never answered: its server may not have finished their initialisation,
   * and would not repeat it. Call after a stop.
   */
  async removeNewData(): Promise<void> {
    const instance = this.#newDatabase;
    if (instance === null || this.instance !== null) return;
    this.#newDatabase = null;
    try {
      const removed = (await instance.removeNewVolumes?.()) ?? [];
      if (removed.length === 0) return;
      await this.host.volumes.keep({ filled: [], empty: removed });
      this.#event({
        type: "warning",
        message: `The new volume of ${this.name} (${removed.join(", ")}) was deleted: the start ended before its database was ready. The next start creates it again.`,
        data: { volumes: removed },
      });
    } catch (error) {
      this.#event({
        type: "warning",
        message: `The new volume of ${this.name} may be initialised in part, and could not be deleted: ${(error as Error).message}`,
      });
    }
  }

  /** Replaces the reason of a stopped service by a later start that failed before it reached the service. */
  notStarted(cause: unknown): void {
    if (this.state === "stopped") this.#stopReason = notStarted(cause);
  }

  /** Marks the service as lost after its runtime died. */
  lose(): void {
    this.#restarts.cancel();
    this.interrupt();
    this.#monitor?.stop();
    this.instance = null;
    this.applied = null;
    if (this.state !== "completed") this.#to("lost");
  }

  /**
   * Changes the running instance's limits.
   * @returns the limits read back; null when the service is not running
   * @throws LIMIT_REFUSED; the former limits are in effect
   */
  async setLimits(limits: Limits): Promise<AppliedLimits | null> {
    const { instance, requestedLimits: former } = this;
    if (instance === null) return null;
    try {
      this.applied = await instance.setLimits(limits);
      this.requestedLimits = limits;
      return this.applied;
    } catch (error) {
      // Of several limits, those before the refused one are in effect.
      this.applied = await instance.setLimits(former).catch(() => this.applied);
      throw error;
    } finally {
      this.host.changed();
    }
  }

  /** Runs `work` while all processes of the instance are paused. Health checks are suspended. */
  async whilePaused<T>(work: () => Promise<T>): Promise<T> {
    const { instance } = this;
    const monitor = this.#monitor;
    if (instance === null) return work();
    let resumed = (): void => undefined;
    this.#pause = new Promise<void>((resolve) => {
      resumed = resolve;
    });
    monitor?.hold();
    try {
      await instance.pause();
      return await work();
    } finally {
      await instance.resume().finally(() => {
        this.#pause = null;
        resumed();
      });
      monitor?.release();
    }
  }

  /**
   * Runs a command in an instance. In a paused one no command can begin: the command waits for the end of the pause, or
   * ends by its signal.
   */
  async exec(instance: RuntimeService, request: ExecRequest): Promise<ExecResult> {
    const { signal } = request;
    await raceAbort(this.resumed(), signal).catch(() => undefined);
    if (signal.aborted) return KILLED_RESULT;
    const result = await instance.exec(request);
    if (result.oomKilled || (result.signal === "SIGKILL" && !signal.aborted)) {
      const stats = await instance.stats().catch(() => null);
      if (stats !== null && this.instance === instance) this.#oomKills.attribute(instance, stats);
    }
    return result;
  }

  /** Processes of the present instance's commands that the kernel killed at the memory limit. */
  get commandKills(): number {
    return this.#oomKills.ofCommands(this.instance);
  }

  /** Reports processes of the present instance that the kernel has killed since the last report. */
  observeUsage(stats: ServiceStats): void {
    const { instance, name } = this;
    const kills = instance === null ? 0 : this.#oomKills.observe(instance, stats);
    if (kills === 0) return;
    const what = kills === 1 ? "a process" : `${kills} processes`;
    const memory = this.applied?.memory_mb.value ?? null;
    const limit = memory === null ? "its memory limit" : `its memory limit of ${Math.round(memory)} MB`;
    this.#event({
      type: "process_killed",
      message: `The kernel killed ${what} of ${name} at ${limit}; the service runs.`,
      data: { kills, oom_kills: stats.oom_kills },
    });
  }

  async #measure(): Promise<void> {
    const { instance } = this;
    const stats = (await instance?.stats().catch(() => null)) ?? null;
    if (stats !== null && this.instance === instance) this.observeUsage(stats);
  }

  /** Sanitises, redacts and bounds text that came from the instance. */
  clean(text: string): string {
    return this.host.clean(text);
  }

  /** Resolves when the instance is not paused. */
  async resumed(): Promise<void> {
    await this.#pause;
  }

  /** Milliseconds since the current health check began; null when no check is running. */
  get checkRunningMs(): number | null {
    return this.instance === null ? null : (this.#monitor?.runningMs ?? null);
  }

  async check(): Promise<void> {
    await this.#monitor?.check();
  }

  /** Resolves when the condition is true. Evaluated now, after every state change and when an instance runs. */
  until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    return this.#state.until(condition, signal);
  }

  health(): ServiceHealth {
    return serviceHealth(this.#facts);
  }

  report(): ServiceReport {
    return serviceReport(this.#facts, this.host.stack.endpoints());
  }

  get #facts(): ServiceFacts {
    const { name, state, definition, generation, restarts, instance, applied, lastExit, restartPending } = this;
    const view = this.#monitor?.view ?? null;
    const refusal = this.#refusal?.message.replace(/\.$/, "") ?? null;
    const stopReason = this.#stopReason === null ? null : this.host.clean(this.#stopReason);
    return {
      name,
      state,
      definition,
      generation,
      restarts,
      instance,
      applied,
      lastExit,
      restartPending,
      ownExit: this.#exitGeneration === generation ? lastExit : null,
      refusal,
      stopReason,
      phase: this.#phase === null ? null : this.host.clean(this.#phase),
      view,
    };
  }

  async #volumesAt(instance: RuntimeService): Promise<void> {
    const { host, definition } = this;
    const report = (input: EventInput): void => host.event(input);
    await watchVolumes(host.volumes, definition, instance, report).catch((error: Error) => this.#notKept(error));
  }

  #notKept({ message }: Error): void {
    this.#event({
      type: "warning",
      message: `What is known of the volumes of ${this.name} was not stored: ${message}`,
    });
  }

  #checked(verdict: "running" | "healthy" | "unhealthy" | null, view: HealthView): void {
    if (this.state === "stopping" || this.instance === null) return;
    // A service that stops to answer may have lost a process to its memory limit.
    if (view.consecutiveFailures === 1) void this.#measure();
    if (verdict === "running" || verdict === "healthy") this.#newDatabase = null;
    if (verdict === "running") this.#to(verdict);
    else if (verdict !== null && verdict !== this.state) {
      this.#to(verdict);
      this.#event({
        type: verdict === "healthy" ? "service_healthy" : "service_unhealthy",
        message: verdict === "healthy" ? `${this.name} is healthy.` : `${this.name} is unhealthy: ${view.message}`,
        data: { check: view.check },
      });
      const { host, definition } = this;
      if (verdict === "healthy")
        void rememberData(host.volumes, definition, host.stack.runtime).catch((error: Error) => this.#notKept(error));
    } else this.host.changed();
  }

  #onExit(instance: RuntimeService, exit: ServiceExit): void {
    if (this.instance !== instance) return;
    const { host, name, definition } = this;
    this.#monitor?.stop();
    this.instance = null;
    this.#ended(instance, exit);
    const again = wantsRestart(definition.restart, exit);
    const clean = exit.exitCode === 0 && exit.signal === null && !exit.oomKilled;
    if (clean && !again) {
      this.#to("completed");
      this.#event({ type: "service_completed", message: `${name} ended with exit code 0.` });
      return;
    }
    // Schedule the restart before the state changes, so that waiting calls see whether the service will restart.
    const plan = again ? this.#plan(exit.at - instance.startedAt) : null;
    this.#to("crashed");
    this.#event({
      type: "service_crashed",
      message: `${name} crashed: ${describeExit(exit)}.`,
      data: {
        ...exitReport(exit),
        generation: instance.generation,
        lived_ms: Math.max(0, exit.at - instance.startedAt),
        last_lines: host.lastLines(name, CRASH_LINES, instance.generation),
        ...(exit.reason === undefined ? {} : { reason: exit.reason }),
      },
    });
    plan?.();
  }

  /**
   * Schedules a restart.
   * @returns a function that emits the decision as an event
   */
  #plan(livedMs: number): () => void {
    const { restart } = this.definition;
    const policy =
      this.#comingUp && restart.maxRetries === undefined ? { ...restart, maxRetries: START_RESTARTS } : restart;
    return this.#restarts.schedule(this.name, policy, livedMs, () => this.#restart());
  }

  #restart(): void {
    void this.serial.run(() => this.#startAgain());
  }

  async #startAgain(): Promise<void> {
    // A stop or another start happened first.
    if (this.state !== "crashed") return;
    this.restarts += 1;
    const begun = Date.now();
    let report = (): void => undefined;
    try {
      const scope = { signal: new AbortController().signal, actor: SERVER_ACTOR, progress: () => undefined };
      await this.#start(scope, {
        failing: () => {
          report = this.#plan(Date.now() - begun);
        },
        started: () => this.#event({ type: "service_restarted", message: `${this.name} was started again.` }),
      });
    } catch (error) {
      this.#event({ type: "warning", message: `Starting ${this.name} again failed: ${(error as Error).message}` });
      report();
    }
  }

  #to(state: ServiceState): void {
    this.#state.to(state);
  }

  #event(input: Omit<EventInput, "service">): void {
    this.host.event({ ...input, service: this.name });
  }
}
