/**
 * One project. Concurrent calls share operations in progress, changes report the state observed before and after, and
 * queries are possible at any time.
 */

import { StackwardenError, toStackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import { allVolumes } from "../definition/all-volumes.js";
import { forRuntime } from "../definition/for-runtime.js";
import type { LimitChange, ServiceDefinition } from "../definition/types.js";
import type {
  CallContext,
  CheckRequest,
  CommandOutcome,
  CommandRequest,
  HealthReport,
  LimitsOutcome,
  RestartOutcome,
  ServiceReport,
  StackReport,
  StackState,
  StartOutcome,
  StartRequest,
  StopOutcome,
} from "../model.js";
import type { RuntimeName } from "../runtime.js";
import type { StackSettings } from "../settings.js";
import type { ProjectRecords } from "../storage/project-records.js";
import { ProjectStorage } from "../storage/project-storage.js";
import type { ProjectStore } from "../storage/project-store.js";
import { durationText } from "../text/duration.js";
import { DEFAULT_RUNTIME } from "../vocabulary.js";
import { checkStack } from "./check-stack.js";
import { DataTransfer } from "./data-transfer.js";
import { Exclusive } from "./exclusive.js";
import { IdleStop } from "./idle-stop.js";
import { notInStack } from "./left-out.js";
import { changeLimits } from "./limit-change.js";
import { argumentsOf, type EndedStart, PendingStart } from "./pending-start.js";
import { ProjectCommands } from "./project-commands.js";
import type { ProjectParts } from "./project-parts.js";
import { nextSelection } from "./project-selection.js";
import { ProjectSnapshots } from "./project-snapshots.js";
import { NOTHING, type Removal, Removals, type Removed, removes, removesAll } from "./removals.js";
import { ReportedDefinition } from "./reported-definition.js";
import { Restarts } from "./restarts.js";
import { restartOutcome, startOutcome, stopOutcome } from "./results.js";
import type { RuntimeChoice } from "./runtime-choice.js";
import type { ServiceController } from "./service-controller.js";
import { SingleFlight } from "./single-flight.js";
import { unknownService } from "./stack.js";
import { healthReport, isLeftOut, type StackFacts, stackReport, staleField } from "./stack-report.js";
import { type StackPhase, stackState } from "./stack-state.js";
import { StaleServices } from "./stale-services.js";
import { Supervisor, type SupervisorOptions } from "./supervisor.js";
import { Watch } from "./watch.js";

/** Milliseconds after which a call returns the current state while its operation continues. */
const PATIENCE_MS = 50_000;

export interface ProjectOptions extends Omit<SupervisorOptions, "storage"> {
  store: ProjectStore;
  /** Settings before the first start: those of the client that named the project. */
  settings: StackSettings;
  openRecords(
    directory: string,
    hooks: { tell(message: string, service: string | null): void },
  ): Promise<ProjectRecords>;
}

/** The actor of changes that no client requested. */
const ACTOR = "stackwarden";

export class Project {
  readonly supervisor: Supervisor;
  readonly storage: ProjectStorage;
  /** Settings of the client that started the stack. */
  #settings: StackSettings;
  #starting: PendingStart | null = null;
  #stopping: { call: SingleFlight<Removed>; removes: boolean } | null = null;
  readonly #restarts: Restarts;
  readonly #stale: StaleServices;
  readonly lease: IdleStop;
  readonly #watch: Watch;
  readonly #exclusive: Exclusive;
  readonly #commands: ProjectCommands;
  readonly snapshots: ProjectSnapshots;
  readonly #data: DataTransfer;
  readonly #removals: Removals;
  /** The present definition, for reports. */
  readonly #definition: ReportedDefinition;

  constructor(
    readonly id: string,
    folder: string,
    private readonly options: ProjectOptions,
  ) {
    const { runtimes, store } = options;
    this.#settings = options.settings;
    const storage = new ProjectStorage({
      id,
      folder,
      store,
      open: (directory) =>
        options.openRecords(directory, { tell: (message, service) => this.supervisor.tell(message, service) }),
    });
    this.storage = storage;
    this.supervisor = new Supervisor({ ...options, storage });
    this.#exclusive = new Exclusive({
      id,
      isOpen: () => this.open,
      changing: () => this.#stopping?.call ?? this.#starting?.call,
    });
    const parts: ProjectParts = {
      storage,
      supervisor: this.supervisor,
      exclusive: this.#exclusive,
      runtimes,
      settings: () => this.#settings,
    };
    this.#commands = new ProjectCommands(parts);
    this.snapshots = new ProjectSnapshots(parts);
    this.#data = new DataTransfer({ ...parts, snapshots: this.snapshots });
    this.#definition = new ReportedDefinition(() => this.supervisor.read(this.#settings, null));
    this.#removals = new Removals({
      ...parts,
      snapshots: this.snapshots,
      volumes: () => this.#allVolumes(),
    });
    this.lease = new IdleStop({ isOpen: () => this.open, stop: (idleMs) => this.#stopIdle(idleMs) });
    this.#stale = new StaleServices(parts);
    this.#restarts = new Restarts({ ...parts, stale: this.#stale });
    this.#watch = new Watch({ ...parts, restarts: this.#restarts, changed: options.changed });
  }

  get folder(): string {
    return this.storage.folder;
  }

  /** True while the stack is open: from the moment at which its services begin to start until it has stopped. */
  get open(): boolean {
    return this.supervisor.running !== null;
  }

  get state(): StackState {
    const units = [...(this.supervisor.running?.units.values() ?? [])];
    return stackState(
      this.#phase,
      units.map((unit) => unit.state),
      this.supervisor.running?.changing,
    );
  }

  /** True while another project's data is being copied to this one. */
  get takesData(): boolean {
    return this.#data.busy;
  }

  get #phase(): StackPhase {
    if (this.#stopping !== null) return "stopping";
    if (this.#starting !== null) return "starting";
    return this.supervisor.stack?.phase ?? "closed";
  }

  /** The names, each with those of its service's further instances. */
  withInstances(names: readonly string[]): string[] {
    const { stack } = this.supervisor;
    const instances = names.flatMap((name) => [name, ...(stack?.instancesOf(name) ?? []).map((unit) => unit.name)]);
    return [...new Set(instances)];
  }

  /** Names of the services of the last start, in definition order. */
  get services(): string[] {
    return [...(this.supervisor.stack?.units.keys() ?? this.storage.services)];
  }

  /** Services that a call stopped or named in `without`; empty when no stack is open. */
  get leftOut(): string[] {
    const { running, selection } = this.supervisor;
    return running === null ? [] : (selection.without ?? []).filter((name) => !running.units.has(name));
  }

  /** True for a service that is not part of the open stack and that nothing starts. */
  isLeftOut(service: string): boolean {
    const { state, leftOut } = this;
    return this.open && isLeftOut(service, { state, units: this.supervisor.stack?.units, leftOut });
  }

  /**
   * Requires that the stack or the project's files have these services: a call can have left one out of the stack.
   * @throws UNKNOWN_SERVICE that lists the valid names
   */
  async requireServices(services: readonly string[] = []): Promise<void> {
    const present = [...(await this.names()), ...this.leftOut];
    for (const service of services) if (!present.includes(service)) await this.#defined(service, present);
  }

  /**
   * A service as the files define it.
   * @param present names for the error when the files cannot be read
   */
  async #defined(service: string, present?: readonly string[]): Promise<ServiceDefinition> {
    const { services } = await this.supervisor.definitionWith(service, this.#settings, null).catch((error: unknown) => {
      const unknown = error instanceof StackwardenError && error.code === "UNKNOWN_SERVICE";
      throw unknown || present === undefined ? error : unknownService(service, present);
    });
    return services[service] as ServiceDefinition;
  }

  /**
   * @param settings settings of the calling client; they apply to the stack that this call starts
   * @param other another project that the calling client may access, for `dataFrom`; throws UNKNOWN_PROJECT,
   * FOLDER_NOT_ALLOWED
   */
  async start(
    request: StartRequest,
    call: CallContext,
    settings: StackSettings,
    other?: (id: string) => Project,
  ): Promise<StartOutcome> {
    const begun = Date.now();
    const patience = request.timeoutMs ?? PATIENCE_MS;
    const remainingMs = (): number => Math.max(0, begun + patience - Date.now());
    const before = await this.#reportBefore();
    const result = async (outcome: EndedStart | null, unapplied: string[] = []): Promise<StartOutcome> =>
      startOutcome({
        project: this.id,
        ...(outcome ?? (await this.#unfinished())),
        unapplied,
        leftOut: this.supervisor.selection.without ?? [],
        missingDependencies: this.supervisor.running?.definition.missingDependencies ?? {},
        known: this.supervisor.choice?.isNew === false ? [this.supervisor.choice.reason] : [],
        before: await before(),
        begun,
      });
    for (;;) {
      // A start waits for a stop in progress, and for a start with a different request.
      const otherStart = this.#starting?.serves(request) === false ? this.#starting.call : undefined;
      const first: SingleFlight<unknown> | undefined =
        this.#stopping?.call ?? otherStart ?? this.#exclusive.current ?? undefined;
      if (first === undefined) break;
      const passed = await first.join(call, { timeoutMs: remainingMs() }).catch((error: unknown) => {
        // A failure of the other operation is reported to its own callers.
        if (call.signal.aborted) throw error;
        return { done: true as const };
      });
      if (!passed.done) return result(null, otherStart === undefined ? [] : argumentsOf(request));
    }
    if (this.#starting === null) {
      const { running } = this.supervisor;
      if (running === null) this.#settings = settings;
      else if (settings.requireEnforcedLimits) running.requireEnforcedLimits();
      this.#starting = this.#beginStart(request, call.actor, other);
    }
    this.#starting.add(request);
    const { call: shared, launched } = this.#starting;
    const joined = await shared.join(call, {
      timeoutMs: remainingMs(),
      ...(request.wait === false ? { until: launched } : {}),
    });
    return result(joined.done ? joined.value : null);
  }

  #beginStart(request: StartRequest, actor: string, other?: (id: string) => Project): PendingStart {
    const pending = new PendingStart(request, actor, async (steps) => {
      try {
        const { dataFrom } = request;
        const data =
          dataFrom === undefined || other === undefined ? null : await this.#data.take(dataFrom, other, steps);
        const { reached, changes } = await this.supervisor.bringUp(request, this.#settings, steps);
        const { idleStopMs, watch } = pending.lasting;
        if (idleStopMs !== undefined || reached === "started")
          this.lease.set((idleStopMs ?? this.#settings.idleStopMs) || null);
        if (watch === true) this.#watch.start();
        else if (watch === false) this.#watch.stop();
        this.#starting = null;
        const health = this.healthNow();
        return { reached, changes, data, health, after: await this.report() };
      } finally {
        this.#starting = null;
        this.options.changed();
      }
    });
    return pending;
  }

  async #unfinished(): Promise<Omit<EndedStart, "reached"> & { reached: null }> {
    // The time can run out before the definition is read. Its services must be listed as missing anyway.
    const names = await this.names().catch((): string[] => []);
    const after = await this.report();
    return { reached: null, changes: [], data: null, health: this.healthNow(names), after };
  }

  async stop(
    request: Removal & { services?: string[]; timeoutMs?: number; cause?: string },
    call: CallContext,
    mostGraceMs?: number,
  ): Promise<StopOutcome> {
    const begun = Date.now();
    if (request.services !== undefined && removes(request)) throw removesAll(request, this.id);
    if (request.services !== undefined && this.open && (await this.#leavesSome(request.services)))
      return this.#stopServices(request.services, request, call, begun);
    const before = await this.#reportBefore();
    const result = async (
      status: StopOutcome["status"],
      removed = NOTHING,
      after = () => this.report(),
    ): Promise<StopOutcome> =>
      stopOutcome({ project: this.id, status, ...removed, before: await before(), after: await after(), begun });
    const patience = request.timeoutMs ?? PATIENCE_MS;
    const idle = this.#idle;
    const remove = removes(request);
    if (idle && !remove) return result("already_stopped", NOTHING, before);
    // Wait for a stop in progress that keeps the data, so that no start can run between that stop and the deletion.
    while (this.#stopping !== null && remove && !this.#stopping.removes) {
      const remainingMs = Math.max(0, begun + patience - Date.now());
      if (!(await this.#stopping.call.join(call, { timeoutMs: remainingMs })).done) return result("stopping");
    }
    this.#stopping ??= { removes: remove, call: this.#beginStop(call.actor, request, mostGraceMs) };
    const joined = await this.#stopping.call.join(call, { timeoutMs: Math.max(0, begun + patience - Date.now()) });
    if (!joined.done) return result("stopping");
    return result(idle ? "already_stopped" : "stopped", remove ? joined.value : NOTHING);
  }

  async #stopIdle(idleMs: number): Promise<void> {
    const { events } = await this.storage.records();
    const cause = `no call used it for ${durationText(idleMs)} (idle_stop)`;
    events.add({ type: "warning", message: `The stack is stopped: ${cause}.`, data: { idle_ms: idleMs } });
    await this.stop({ cause }, { signal: new AbortController().signal, actor: ACTOR, progress: () => undefined });
  }

  get #idle(): boolean {
    return !this.open && this.#starting === null && this.#stopping === null && this.#exclusive.current === null;
  }

  /** @throws UNKNOWN_SERVICE */
  async #leavesSome(services: readonly string[]): Promise<boolean> {
    await this.requireServices(services);
    const running = await this.names();
    for (const name of services) {
      const whole = this.supervisor.stack?.units.get(name)?.definition.instanceOf;
      if (whole !== undefined && !services.includes(whole))
        throw new StackwardenError("INVALID_INPUT", `${name} is one instance of ${whole} and cannot stop alone.`, {
          hint: `Stop ${whole} with all of its instances, or lower its \`scale\` in the compose file and start the stack again.`,
          details: { service: whole },
        });
    }
    const stopping = this.withInstances(services);
    return running.some((name) => !stopping.includes(name));
  }

  /** Stops these services. The others stay as they are: running, ended or never started. */
  async #stopServices(
    services: readonly string[],
    { timeoutMs }: { timeoutMs?: number },
    call: CallContext,
    begun: number,
  ): Promise<StopOutcome> {
    const { units } = this.supervisor.stack ?? {};
    const idle = services.filter((name) => units?.has(name) !== true);
    const whole = services.filter(
      (name) => units?.get(name)?.definition.instanceOf === undefined && !idle.includes(name),
    );
    const stopping = this.withInstances(whole);
    if (stopping.length === 0) {
      const report = await this.report();
      const unchanged = { project: this.id, ...NOTHING, before: report, after: report, begun, services: [], idle };
      return stopOutcome({ ...unchanged, status: "already_stopped" });
    }
    const request = {
      project: this.id,
      stop: whole,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
    const { status, before, after } = await this.start(request, call, this.#settings);
    return stopOutcome({
      project: this.id,
      status: status === "starting" ? "stopping" : "stopped",
      ...NOTHING,
      before,
      after,
      begun,
      services: stopping,
      idle,
    });
  }

  #beginStop(actor: string, removal: Removal & { cause?: string }, mostGraceMs?: number): SingleFlight<Removed> {
    return new SingleFlight<Removed>(
      async (signal, progress) => {
        try {
          const { call } = this.#starting ?? {};
          call?.cancel(
            new StackwardenError("OPERATION_CANCELLED", "A stop cancelled the start.", {
              hint: hint`Start it again with ${callTo("start_stack")}.`,
            }),
          );
          // The rollback of a cancelled start must not delay the stop.
          if (call !== undefined) this.supervisor.running?.interrupt();
          await call?.settled;
          await this.#exclusive.cancel();
          await this.supervisor.takeDown({ actor, mostGraceMs }, removal.cause);
          if (!removes(removal)) return NOTHING;
          if (removal.forget === true) return await this.#removals.forget();
          return await this.#removals.removeVolumes({ actor, signal, progress }, removal.snapshot !== false);
        } finally {
          this.#stopping = null;
          this.options.changed();
        }
      },
      { cancellable: false, what: `stop of ${this.id}` },
    );
  }

  async restart(
    request: { service: string; dependents?: boolean; timeoutMs?: number },
    call: CallContext,
  ): Promise<RestartOutcome> {
    const begun = Date.now();
    const { service } = request;
    const unit = await this.#runningUnit(service);
    if (!unit.running && this.#starting !== null)
      throw new StackwardenError("SERVICE_NOT_STARTED", `${service} has not started yet; the stack is starting.`, {
        hint: hint`Wait with ${callTo("health_status", { project: this.id, wait_for: "healthy" })}.`,
      });
    await this.#stale.refresh(true);
    const reported = (): ServiceReport => ({ ...unit.report(), ...staleField(unit, this.#stale) });
    const before = reported();
    const units = (): ServiceController[] => [...(this.supervisor.stack?.units.values() ?? [])];
    const upBefore = new Set(units().filter((one) => one.up && one !== unit));
    const shared = this.#restarts.of(unit, request.dependents === true, call.actor);
    const joined = await shared.join(call, { timeoutMs: request.timeoutMs ?? PATIENCE_MS });
    const followers = joined.done ? joined.value : null;
    // Another instance, and the same definition: what start_stack would change is still to be applied.
    await this.#stale.refresh(true);
    const fallen = units().filter((one) => upBefore.has(one) && !one.up);
    return restartOutcome({
      project: this.id,
      followers,
      fallen: fallen.map((one) => one.health()),
      health: unit.health(),
      before,
      after: reported(),
      begun,
    });
  }

  async setLimits(
    request: { service: string; limits: LimitChange; force?: boolean },
    actor: string,
  ): Promise<LimitsOutcome> {
    const begun = Date.now();
    const { service } = request;
    const unit = this.supervisor.running?.units.get(service) ?? null;
    const { limits: written } = unit?.definition ?? (await this.#defined(service));
    const change = async (): Promise<LimitsOutcome> =>
      changeLimits({
        ...request,
        written,
        unit,
        supervisor: this.supervisor,
        storage: this.storage,
        actor,
        begun,
      });
    return unit === null ? change() : unit.serial.run(change);
  }

  /** @param settings settings of the calling client; its command policy applies */
  runCommand(request: CommandRequest, call: CallContext, settings: StackSettings): Promise<CommandOutcome> {
    return this.#commands.run(request, call, settings);
  }

  /** Determines what a start with this request would do. Starts and stores nothing. */
  check(request: CheckRequest, config: StackSettings): ReturnType<typeof checkStack> {
    const { runtimes } = this.options;
    const { supervisor, storage } = this;
    let selection = nextSelection(supervisor.selection, request);
    return checkStack({
      project: this.id,
      folder: this.folder,
      config,
      runtimes,
      leftOut: () => selection.without ?? [],
      own: () => supervisor.running?.runtimeStack.endpoints() ?? [],
      starting: () => this.#starting !== null,
      read: async (without) => {
        if (without.length > 0)
          return supervisor.read(config, null, { ...selection, without: [...(selection.without ?? []), ...without] });
        const [definition, known] = await supervisor.readKnown(config, selection, request);
        selection = known;
        return definition;
      },
      selected: (written) => supervisor.withSelected(written),
      overrides: async (written) => {
        if (!this.open) await storage.readLimits();
        return supervisor.notes(written);
      },
    });
  }

  async report(): Promise<StackReport> {
    return stackReport(await this.#facts());
  }

  /**
   * The report of the state before a change. A project that this server has not started is reported from its
   * definition, which the change does not wait for: a first start reads it anyway.
   */
  async #reportBefore(): Promise<() => Promise<StackReport>> {
    if (this.supervisor.stack !== null) {
      const report = await this.report();
      return async () => report;
    }
    const facts = await this.#facts();
    let report: Promise<StackReport> | undefined;
    return () => {
      report ??= stackReport({ ...facts, peek: async () => this.supervisor.stack?.definition ?? facts.peek() });
      return report;
    };
  }

  async #facts(): Promise<StackFacts> {
    await this.#stale.refresh();
    const { stack, choice } = this.supervisor;
    return {
      project: this.id,
      folder: this.folder,
      state: this.state,
      runtime: this.#runtimeName(choice),
      reason: choice?.reason ?? null,
      stack,
      stale: this.#stale,
      lease: this.lease,
      watch: { services: this.#watch.services, note: this.#watch.note },
      overrides: this.supervisor.notes(),
      leftOut: this.leftOut,
      peek: () => this.#definition.read(),
    };
  }

  /**
   * See `RemovalParts.volumes`. The files can have changed since the last start, and services can have been left out of
   * it.
   */
  async #allVolumes(): Promise<string[]> {
    const last = this.supervisor.stack?.definition;
    const present = await this.#definition.read().catch((error: unknown) => {
      if (last === undefined) throw error;
      return null;
    });
    const definitions = [last, present === null ? undefined : forRuntime(present, this.#runtimeName(null))];
    return [...new Set(definitions.flatMap((one) => (one === undefined ? [] : allVolumes(one))))];
  }

  /** The runtime that runs the stack, or that a start would use. */
  #runtimeName(choice: RuntimeChoice | null): RuntimeName {
    if (choice !== null) return choice.runtime.name;
    const { runtime } = this.#settings;
    return runtime === "auto" ? (this.storage.runtime ?? this.options.runtimes[0]?.name ?? DEFAULT_RUNTIME) : runtime;
  }

  /** Compares running services with their sources, for the next reports. */
  compareSources(fresh = false): Promise<void> {
    return this.#stale.refresh(fresh);
  }

  /** The health report from the last checks. Runs no check. */
  healthNow(names: string[] = this.services): HealthReport {
    return healthReport(
      {
        project: this.id,
        state: this.state,
        units: this.supervisor.stack?.units,
        stale: this.#stale,
        leftOut: this.leftOut,
        stored: () => this.storage.exists,
      },
      names,
    );
  }

  /** Service names of the running stack, else of the current definition. */
  async names(): Promise<string[]> {
    const running = this.services;
    return running.length > 0 ? running : Object.keys((await this.#definition.read()).services);
  }

  /** Why the current definition cannot be used; null when it can. */
  async definitionProblem(): Promise<StackwardenError | null> {
    return this.#definition.read().then(
      () => null,
      (error: unknown) => toStackwardenError(error),
    );
  }

  /** @throws STACK_NOT_RUNNING, SERVICE_NOT_STARTED, UNKNOWN_SERVICE */
  async #runningUnit(service: string): Promise<ServiceController> {
    const { running } = this.supervisor;
    const unit = running?.units.get(service);
    if (unit !== undefined) return unit;
    await this.requireServices([service]).catch((error: unknown) => {
      // A definition that cannot be read does not hide that the stack does not run.
      if (running !== null || (error instanceof StackwardenError && error.code === "UNKNOWN_SERVICE")) throw error;
    });
    if (running !== null) throw notInStack(this.id, service);
    throw new StackwardenError("STACK_NOT_RUNNING", `The stack of ${this.id} is not running.`, {
      hint: hint`Start it with ${callTo("start_stack", { project: this.id })}.`,
    });
  }

  /** Stops everything in this project. Each service gets at most `mostGraceMs` milliseconds before it is killed. */
  async close(actor: string, mostGraceMs: number): Promise<void> {
    const call: CallContext = { signal: new AbortController().signal, actor, progress: () => undefined };
    try {
      if (!this.#idle) await this.stop({ timeoutMs: 2 ** 30 }, call, mostGraceMs);
    } finally {
      this.lease.close();
      this.#watch.stop();
      await this.storage.close();
    }
  }
}
