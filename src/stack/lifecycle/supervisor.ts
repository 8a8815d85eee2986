/** Starts, reconciles and stops one project's stack. Owns the project's lock, records and limits. */

import { StackwardenError, toStackwardenError, withHint } from "../../errors.js";
import { callTo, hint, setting } from "../../hint.js";
import { repositoryOfWorktree } from "../../system/git-worktree.js";
import { withRetry } from "../../system/retry.js";
import { forRuntime } from "../definition/for-runtime.js";
import { overridePorts } from "../definition/override-ports.js";
import { refuseLeftOut } from "../definition/own-program.js";
import type { Limits, LoadStack, StackDefinition } from "../definition/types.js";
import type { LogStore } from "../logs/types.js";
import type { Progress, StartRequest } from "../model.js";
import type { RuntimeName, RuntimeStack, StackRuntime } from "../runtime.js";
import type { StackSettings } from "../settings.js";
import type { EventInput } from "../storage/events.js";
import type { ProjectRecords } from "../storage/project-records.js";
import type { ProjectStore } from "../storage/project-store.js";
import { sanitizeError } from "../text/sanitize-error.js";
import { hiddenSecrets } from "../text/visible-values.js";
import { checkLimits } from "./limits.js";
import { nextSelection, type ProjectSelection } from "./project-selection.js";
import { RunningStack, unknownService } from "./running-stack.js";
import { chooseRuntime, type RuntimeChoice } from "./runtime-choice.js";
import { requireChecks } from "./service-checks.js";
import type { ServiceContext } from "./service-context.js";
import { asSentence, type Reached, wellSentence } from "./stack-state.js";

export interface SupervisorOptions {
  project: string;
  config: StackSettings;
  store: ProjectStore;
  runtimes: readonly StackRuntime[];
  loadStack: LoadStack;
  /**
   * Returns the project's records and opens them when necessary. `fresh` reloads records that another server has
   * changed.
   */
  records(fresh?: boolean): Promise<ProjectRecords>;
  changed(): void;
}

export interface StartSteps {
  signal: AbortSignal;
  actor: string;
  progress(progress: Progress): void;
  /** Called when the stack is open and its services begin to start. */
  launched(): void;
}

/** The event of a failed start. Includes the error code and the service for later diagnosis. */
function startFailed(error: unknown, actor: string): EventInput {
  const { code, details, message, hint } = toStackwardenError(error);
  const service = typeof details?.service === "string" ? { service: details.service } : {};
  return { type: "stack_start_failed", message, actor, data: { code, hint, ...service } };
}

/**
 * A note about volumes on another runtime. Each runtime has its own volumes, so a database can be empty after a change
 * of runtime.
 */
function elsewhere(before: RuntimeName | null, now: RuntimeName, volumes: string[]): string {
  if (before === null || before === now || volumes.length === 0) return "";
  return ` The project ran on ${before} before, and the data of its volumes (${volumes.join(", ")}) is there, not on this runtime. To use it, set \`runtime: ${before}\` in the configuration.`;
}

/** Explains failed checks of the built-in stack, which are not in any file of the project. */
function explainBuiltIn(error: unknown, source: string): unknown {
  const failed = error instanceof StackwardenError && ["SERVICE_START_FAILED", "START_TIMEOUT"].includes(error.code);
  if (!failed || !source.startsWith("built-in:")) return error;
  const expected =
    "The folder has no compose.yaml, so the built-in stack ran: it expects HTTP 200 from GET /health of backend/ (uvicorn app.main:app) and from GET / of frontend/. Write compose.yaml where the project differs.";
  return withHint(error, [...error.hintParts, { text: ` ${expected}` }]);
}

export class Supervisor {
  /** The stack; kept after it stops, for reports. */
  stack: RunningStack | null = null;
  open = false;
  lost = false;
  choice: RuntimeChoice | null = null;
  #unlock: (() => Promise<void>) | null = null;
  #kept: Record<string, Limits> = {};
  #ports: Record<string, number> = {};
  #autoPorts = false;
  /** Epoch milliseconds before the running stack's definition was read. */
  definitionReadAt = 0;
  /** Files, profiles and services of the running stack. */
  selection: ProjectSelection = {};
  #start: StartSteps | null = null;

  constructor(private readonly options: SupervisorOptions) {}

  /** Reports an event message as progress of the start in progress. */
  tell(message: string): void {
    const units = [...(this.stack?.units.values() ?? [])];
    const up = units.filter((unit) => unit.up).length;
    this.#start?.progress({ progress: up, total: units.length, message });
  }

  async bringUp(request: StartRequest, folder: string, steps: StartSteps): Promise<Reached> {
    const { project, store, config } = this.options;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(this.#tooLate()), config.startTimeoutMs);
    const signal = AbortSignal.any([steps.signal, late.signal]);
    this.#start = steps;
    let records: ProjectRecords | undefined;
    try {
      await store.prepare(project, folder);
      if (this.#unlock === null) {
        this.#unlock = await store.lock(project);
        records = await this.options.records(true);
      } else records = await this.options.records();
      const definition = await this.#load(request, folder, records);
      await this.#takeLimits(request, definition);
      signal.throwIfAborted();
      return this.open
        ? await this.#reconcile(definition, signal, steps)
        : await this.#openStack(definition, folder, signal, steps, records);
    } catch (error) {
      const explained = explainBuiltIn(
        records === undefined ? error : sanitizeError(error, records.clean),
        this.stack?.definition.source ?? "",
      );
      records?.events.add(startFailed(explained, steps.actor));
      if (!this.open) await this.#release();
      throw explained;
    } finally {
      clearTimeout(timer);
      this.#start = null;
      this.options.changed();
    }
  }

  /** Stops the stack. Only its data remains. */
  async takeDown(actor: string, mostGraceMs?: number): Promise<void> {
    const { stack } = this;
    if (!this.open || stack === null) return;
    const { events } = await this.options.records();
    events.add({ type: "stack_stopping", message: "The stack is stopping.", actor });
    await stack.stop(mostGraceMs, actor);
    this.open = false;
    await this.#release();
    events.add({ type: "stack_stopped", message: "The stack stopped; its data stays.", actor });
  }

  /** Limits of a service's next instance. Limits set by calls override those of the definition. */
  limits(service: string, definition = this.stack?.definition): Limits {
    return { ...definition?.services[service]?.limits, ...this.#kept[service] };
  }

  async keepLimits(service: string, limits: Limits): Promise<void> {
    const { store, project } = this.options;
    await store.keepLimits(project, service, limits);
    this.#kept = await store.limits(project);
  }

  /** @returns the names of the volumes deleted */
  async removeVolumes(definition: StackDefinition): Promise<string[]> {
    const { project, store, runtimes } = this.options;
    const unlock = await store.lock(project);
    try {
      // Delete the volumes of every runtime: the project may have run on another one before.
      for (const runtime of runtimes) await runtime.removeVolumes(project, store.folderOf(project), definition.volumes);
      return definition.volumes;
    } finally {
      await unlock();
    }
  }

  /** Runs work while the stack is not running. Locks the project and reads its definition, but starts nothing. */
  async withDefinition<T>(
    folder: string,
    work: (parts: {
      definition: StackDefinition;
      records: ProjectRecords;
      context: (stack: RuntimeStack) => ServiceContext;
    }) => Promise<T>,
  ): Promise<T> {
    const { project, store } = this.options;
    await store.prepare(project, folder);
    const unlock = await store.lock(project);
    try {
      const records = await this.options.records(true);
      const definition = await this.read(folder, records);
      records.redactor.add([...definition.secretValues, ...records.secrets.values()]);
      this.#kept = await store.limits(project);
      return await work({
        definition,
        records,
        context: (stack) => ({
          ...this.#unitHost(stack, records),
          limits: (service) => this.limits(service, definition),
        }),
      });
    } finally {
      await unlock();
    }
  }

  /** The definition that a start would use now for the running stack. Generates and stores no secret. */
  async presentDefinition(folder: string): Promise<StackDefinition> {
    const secrets = (await this.options.records()).secrets.all();
    const written = await this.read(folder, null, this.selection, secrets);
    const definition = overridePorts(written, this.#ports, this.#autoPorts);
    return this.choice === null ? definition : forRuntime(definition, this.choice.runtime.name);
  }

  /**
   * Reads the definition. Without records, no secret is generated or stored.
   * @param selection default: what the running stack was started with
   */
  async read(
    folder: string,
    records: ProjectRecords | null,
    selection: ProjectSelection = this.open ? this.selection : {},
    /** Generated secrets that exist already. */
    secrets: Record<string, string> = {},
  ): Promise<StackDefinition> {
    const { project, config, loadStack } = this.options;
    return loadStack({
      projectId: project,
      folder,
      ...selection,
      profiles: selection.profiles ?? [],
      allowRoot: config.allowRoot,
      allowBinds: config.allowBinds,
      generateSecret: async (name) =>
        records === null ? (secrets[name] ?? `not-generated-${name}`) : records.secrets.generate(name),
    });
  }

  async #load(request: StartRequest, folder: string, records: ProjectRecords): Promise<StackDefinition> {
    // Options of earlier calls stay in effect until the stack stops.
    const ports = { ...(this.open ? this.#ports : {}), ...request.ports };
    const selection = nextSelection(this.open ? this.selection : {}, request);
    const auto = request.autoPorts ?? (this.open ? this.#autoPorts : repositoryOfWorktree(folder) !== null);
    const readAt = Date.now();
    const written = await this.read(folder, records, selection);
    // A caller that names services of the built-in stack wants that stack.
    if (selection.services === undefined) refuseLeftOut(written, folder);
    const definition = overridePorts(written, ports, auto);
    records.redactor.add([...hiddenSecrets(definition, this.options.project), ...records.secrets.values()]);
    this.#ports = ports;
    this.#autoPorts = auto;
    this.selection = selection;
    this.definitionReadAt = readAt;
    await this.options.store.keepServices(this.options.project, Object.keys(definition.services));
    return definition;
  }

  async #takeLimits(request: StartRequest, definition: StackDefinition): Promise<void> {
    const { runtimes, store, project } = this.options;
    const requested = Object.entries(request.limits ?? {});
    const capacity = (this.choice?.runtime ?? runtimes[0])?.capacity();
    // Validate all limits before storing any.
    for (const [service, limits] of requested) {
      if (!Object.hasOwn(definition.services, service)) throw unknownService(service, Object.keys(definition.services));
      const stats = (await this.stack?.units.get(service)?.instance?.stats()) ?? null;
      if (capacity !== undefined) checkLimits({ service, limits, capacity, stats });
    }
    for (const [service, limits] of requested) await store.keepLimits(project, service, limits);
    this.#kept = await store.limits(project);
  }

  async #openStack(
    read: StackDefinition,
    folder: string,
    signal: AbortSignal,
    steps: StartSteps,
    records: ProjectRecords,
  ): Promise<Reached> {
    const { project, config, store, runtimes } = this.options;
    const { events } = records;
    const choice = await chooseRuntime(config, runtimes, project);
    const { runtime } = choice;
    const definition = forRuntime(read, runtime.name);
    requireChecks(definition, runtime.name);
    const reason = choice.reason + elsewhere(store.runtime(project), runtime.name, definition.volumes);
    this.choice = { runtime, reason };
    events.add({ type: "stack_starting", message: `The stack is starting. ${reason}`, actor: steps.actor });
    const runtimeStack = await withRetry(
      () =>
        runtime.open({
          projectId: project,
          folder,
          definition,
          stateDir: store.folderOf(project),
          settings: config,
          signal,
          notice: ({ type, service, message }) =>
            events.add({ type, message, ...(service === undefined ? {} : { service }) }),
        }),
      {
        ...config.retry,
        signal,
        onRetry: ({ attempt, delayMs, error }) =>
          events.add({
            type: "retrying",
            message: `Opening the runtime failed (try ${attempt}), again in ${delayMs} ms: ${(error as Error).message}`,
          }),
      },
    );
    const stack = new RunningStack(definition, this.#unitHost(runtimeStack, records));
    this.stack = stack;
    this.open = true;
    this.lost = false;
    void runtimeStack.lost.then(({ reason: why }) => this.#lose(stack, records.clean(why)));
    steps.launched();
    try {
      await store.keepRuntime(project, runtime.name);
      await stack.bringUp(signal, (service, message) => this.tell(`${service}: ${message}`), steps.actor);
    } catch (error) {
      if (this.open) {
        await stack.stop(undefined, steps.actor);
        this.open = false;
      }
      throw error;
    }
    this.#reportStart(stack, steps.actor, events);
    return "started";
  }

  /** Services may have ended between their own start and the last service's start. */
  #reportStart(stack: RunningStack, actor: string, events: ProjectRecords["events"]): void {
    const units = [...stack.units.values()];
    const down = units.filter((unit) => !unit.up);
    const services = units.map((unit) => ({ service: unit.name, status: unit.state }));
    const message =
      down.length === 0
        ? asSentence(wellSentence(services))
        : `The stack started, but not every service is up: ${down.map((unit) => `${unit.name} is ${unit.state}`).join(", ")}.`;
    events.add({ type: "stack_started", message, actor });
  }

  async #reconcile(read: StackDefinition, signal: AbortSignal, steps: StartSteps): Promise<Reached> {
    const { stack, choice } = this;
    if (stack === null || choice === null) throw new StackwardenError("INTERNAL", "An open stack has no units.");
    const definition = forRuntime(read, choice.runtime.name);
    requireChecks(definition, stack.runtimeStack.runtime);
    steps.launched();
    const tell = (service: string, message: string): void => this.tell(`${service}: ${message}`);
    const done = await stack.reconcile(definition, signal, tell, steps.actor);
    for (const unit of stack.units.values()) {
      const limits = this.limits(unit.name);
      if (JSON.stringify(unit.asked) !== JSON.stringify(limits)) await unit.serial.run(() => unit.setLimits(limits));
    }
    const { events } = await this.options.records();
    for (const service of done.replaced)
      events.add({
        type: "service_replaced",
        service,
        message: `${service} was replaced: its definition changed.`,
        actor: steps.actor,
      });
    return Object.values(done).some((names) => names.length > 0) ? "reconciled" : "unchanged";
  }

  #unitHost(runtimeStack: RuntimeStack, records: ProjectRecords): ServiceContext {
    const logs: LogStore = records.logs;
    const { config } = this.options;
    return {
      stack: runtimeStack,
      limits: (service) => this.limits(service),
      sink: (service, generation) => logs.sink(service, generation),
      lastGeneration: (service) => logs.lastGeneration(service),
      lastLines: (service, count, generation) => logs.lastLines(service, count, generation),
      clean: records.clean,
      event: (input) => records.events.add(input),
      changed: this.options.changed,
      retry: config.retry,
      requireEnforcedLimits: config.requireEnforcedLimits,
    };
  }

  async #lose(stack: RunningStack, reason: string): Promise<void> {
    if (this.stack !== stack || !this.open) return;
    this.open = false;
    this.lost = true;
    await stack.lose(
      new StackwardenError("RUNTIME_LOST", `The runtime died while the stack was running: ${reason}.`, {
        hint: hint`Start it again with ${callTo("start_stack")}.`,
      }),
    );
    const { events } = await this.options.records();
    events.add({ type: "stack_lost", message: `The runtime died; every service is lost: ${reason}.` });
    await this.#release();
    this.options.changed();
  }

  async #release(): Promise<void> {
    const unlock = this.#unlock;
    this.#unlock = null;
    await unlock?.();
  }

  #tooLate(): StackwardenError {
    const waiting = [...(this.stack?.units.values() ?? [])].filter((unit) => !unit.up);
    const missing = waiting.map((unit) => `${unit.name} is ${unit.state} (${unit.health().message})`);
    const seconds = this.options.config.startTimeoutMs / 1000;
    return new StackwardenError(
      "START_TIMEOUT",
      `The stack did not become healthy within ${seconds} s${missing.length > 0 ? `: ${missing.join("; ")}` : ""}.`,
      {
        hint: hint`The services that had started were stopped. Read the logs of the services named with ${callTo("get_logs", { services: waiting.map((unit) => unit.name) })}; the operator can raise ${setting("start_timeout_seconds")}.`,
        details: { missing: waiting.map((unit) => unit.name) },
      },
    );
  }
}
