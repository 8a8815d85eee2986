/** Starts, reconciles and stops one project's stack. Holds the project's lock while the stack is open. */

import { StackwardenError, withHint } from "../../errors.js";
import { callTo, hint, setting } from "../../hint.js";
import { retryMessage, withRetry } from "../../system/retry.js";
import { allVolumes } from "../definition/all-volumes.js";
import { forRuntime } from "../definition/for-runtime.js";
import { currentPorts } from "../definition/override-ports.js";
import type { LimitChange, Limits, LoadStack, StackDefinition } from "../definition/types.js";
import type { CallContext, StartRequest } from "../model.js";
import type { RuntimeName, RuntimeStack, StackRuntime } from "../runtime.js";
import type { StackSettings } from "../settings.js";
import type { ProjectRecords } from "../storage/project-records.js";
import type { ProjectStorage } from "../storage/project-storage.js";
import { sanitizeError } from "../text/sanitize-error.js";
import { hiddenSecrets } from "../text/visible-values.js";
import { applyLimits } from "./apply-limits.js";
import { DefinitionReader, generatedIn, notGenerated } from "./definition-reader.js";
import { hasFailedServices, withLeftOut } from "./left-out.js";
import { checkLimits } from "./limits.js";
import { overrideNotes } from "./overrides.js";
import { hasMoved, movedPorts } from "./port-plan.js";
import { namedBefore, type ProjectSelection, selectionWithout } from "./project-selection.js";
import { chooseRuntime, type RuntimeChoice } from "./runtime-choice.js";
import type { Scope, StopScope } from "./scope.js";
import {
  type Attempt,
  dropOutdated,
  limitsOf,
  NO_OPTIONS,
  type StackOptions,
  withSelected,
} from "./selected-overrides.js";
import { requireChecks } from "./service-checks.js";
import type { ServiceContext } from "./service-context.js";
import { type Reconciled, type ReconcileOptions, Stack, unknownService } from "./stack.js";
import { asSentence, type Reached } from "./stack-state.js";
import { portsReassigned, serviceReplaced, stackStarted, startFailed, startRefused } from "./start-events.js";

export interface SupervisorOptions {
  storage: ProjectStorage;
  runtimes: readonly StackRuntime[];
  loadStack: LoadStack;
  changed(): void;
}

/** A completed start, and what it changed in a running stack: one phrase for each change. */
export interface Done {
  reached: Reached;
  changes: string[];
}

export interface StartSteps extends CallContext {
  /** Called when the stack is open and its services begin to start. */
  launched(): void;
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
  if (!hasFailedServices(error) || !source.startsWith("built-in:")) return error;
  const expected =
    "The folder has no compose.yaml, so the built-in stack ran: it expects HTTP 200 from GET /health of backend/ (uvicorn app.main:app) and from GET / of frontend/. Write compose.yaml where the project differs.";
  return withHint(error, [...error.hintParts, { text: ` ${expected}` }]);
}

/** A volume that was renamed or removed in the compose file: another one, which is empty, can be in its place. */
const dataUnused = (volume: string): string =>
  `the compose file no longer has the volume ${volume}; its data is kept, and the stack runs without it`;

function removedBecause(service: string, { without = [], files, profiles }: StartRequest): string {
  if (without.includes(service)) return "this call excludes it";
  return files === undefined && profiles === undefined
    ? "the definition no longer has it"
    : "the files and profiles of this call do not have it";
}

/** Adds the call that leaves an unhealthy service running, so that it can be inspected. */
function withInspection(error: unknown): unknown {
  if (!hasFailedServices(error)) return error;
  const { code, details } = error;
  if (code !== "START_TIMEOUT" && details?.state !== "unhealthy") return error;
  const call = hint` To inspect it while it runs, call ${callTo("start_stack", { wait: false })}: such a start keeps services running when one fails.`;
  return withHint(error, [...error.hintParts, ...call]);
}

function describeChanges({ replaced, started, removed }: Reconciled, limited: readonly string[]): string[] {
  const why = (reason: string): string => (reason === "" ? "" : ` (${reason})`);
  return [
    ...replaced.map(({ service, reason }) => `${service} replaced${why(reason)}`),
    ...started.map(({ service, reason }) => `${service} started${why(reason)}`),
    ...removed.map(({ service, reason }) => `${service} stopped${why(reason)}`),
    ...(limited.length === 0 ? [] : [`limits of ${limited.join(", ")} changed`]),
  ];
}

/** The names in an error about an unknown service of the files. */
const definedNames = ({ details }: StackwardenError): string[] =>
  Array.isArray(details?.valid) ? details.valid.map(String) : [];

export class Supervisor {
  #stack: Stack | null = null;
  #choice: (RuntimeChoice & { isNew: boolean }) | null = null;
  #options: StackOptions = NO_OPTIONS;
  #unlock: (() => Promise<void>) | null = null;
  #start: StartSteps | null = null;
  #attempt: Attempt | null = null;
  /** The last progress message, without differences of case and full stop. */
  #reported = "";
  /** The newest start failed. */
  #lastFailed = false;

  readonly #reader: DefinitionReader;

  constructor(private readonly parts: SupervisorOptions) {
    this.#reader = new DefinitionReader(parts);
  }

  /** The stack of the last start; kept after it stops, for reports. */
  get stack(): Stack | null {
    return this.#stack;
  }

  /** The stack while it is open; null otherwise. */
  get running(): Stack | null {
    return this.#stack?.phase === "open" ? this.#stack : null;
  }

  /**
   * The runtime of the last start, with the reason for its choice; `isNew` when the project did not run on it before.
   */
  get choice(): (RuntimeChoice & { isNew: boolean }) | null {
    return this.#choice;
  }

  /** Files, profiles and services of the open stack. */
  get selection(): ProjectSelection {
    return this.#current.selection;
  }

  /** Epoch milliseconds before the open stack's definition was read. */
  get definitionReadAt(): number {
    return this.#current.readAt;
  }

  get #current(): StackOptions {
    return this.running === null ? NO_OPTIONS : this.#options;
  }

  /** Reports an event message as progress of the start in progress, unless it repeats the message before it. */
  tell(text: string, service: string | null = null): void {
    const message = service === null || text.split(/[^\w.-]+/).includes(service) ? text : `${service}: ${text}`;
    const key = message.replace(/\.$/, "").toLowerCase();
    if (key === this.#reported) return;
    this.#reported = key;
    const units = [...(this.#stack?.units.values() ?? [])];
    const up = units.filter((unit) => unit.up).length;
    this.#start?.progress({ progress: up, total: units.length, message });
  }

  /** @param settings settings of the calling client; an open stack keeps those of its start */
  async bringUp(request: StartRequest, settings: StackSettings, steps: StartSteps): Promise<Done> {
    const { storage, runtimes } = this.parts;
    if (request.stop !== undefined) return this.#stopServices(request.stop, steps);
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(this.#tooLate(settings.startTimeoutMs)), settings.startTimeoutMs);
    const scope: Scope = {
      signal: AbortSignal.any([steps.signal, late.signal]),
      actor: steps.actor,
      progress: (service, message) => this.tell(`${service}: ${message}`),
    };
    this.#start = steps;
    let records: ProjectRecords | undefined;
    const before = this.running;
    const attempt: Attempt = {
      options: NO_OPTIONS,
      limits: request.limits ?? {},
      outdatedPorts: {},
      changed: false,
    };
    this.#attempt = attempt;
    try {
      await storage.prepare();
      if (this.#unlock === null) {
        this.#unlock = await storage.lock();
        records = await storage.records(true);
      } else records = await storage.records();
      // A new server detects the capabilities of the machine here. The definition is read at the same time.
      const target = before === null ? { runtime: chooseRuntime(settings, runtimes, storage.id) } : { running: before };
      target.runtime?.catch(() => undefined);
      const definition = await this.#reader.forStart(request, settings, { records, current: this.#current, attempt });
      await this.#checkLimits(attempt.limits, definition);
      scope.signal.throwIfAborted();
      const done =
        target.runtime !== undefined
          ? await this.#openStack(definition, await target.runtime, settings, records, {
              scope,
              launched: steps.launched,
              // The caller does not wait for health: it sees a service that fails, as after `docker compose up -d`.
              keepsRunning: (error) => request.wait === false && hasFailedServices(error),
            })
          : await this.#reconcile(target.running, definition, {
              restoreMs: settings.startTimeoutMs,
              namedBefore: namedBefore(this.selection, request),
              removedBecause: (name) => removedBecause(name, request),
              scope,
              launched: steps.launched,
            });
      this.#options = attempt.options;
      // A start of a running stack has an event of success only after one that failed, which it answers.
      if (before !== null && this.#lastFailed) records.events.add(stackStarted(before, steps.actor));
      this.#lastFailed = false;
      const outdated: string[] = [];
      const unstored = await this.#storeOrWarn("the limits of this start", records, async () => {
        for (const [service, limits] of Object.entries(attempt.limits))
          await storage.keepLimits(service, limits, definition.services[service]?.limits ?? {});
        outdated.push(...(await dropOutdated(definition, attempt, storage)));
      });
      return done.reached === "unchanged" ? done : { ...done, changes: [...done.changes, ...outdated, ...unstored] };
    } catch (error) {
      const explained = withLeftOut(
        explainBuiltIn(
          records === undefined ? error : sanitizeError(error, records.clean),
          this.#stack?.definition.source ?? "",
        ),
        attempt.options.selection.without,
      );
      const { actor } = steps;
      const refused = before !== null && !attempt.changed && this.running === before;
      if (!refused) this.#lastFailed = true;
      records?.events.add(refused ? startRefused(explained, actor) : startFailed(explained, actor, attempt.changed));
      if (before === null && !attempt.changed) this.#stack?.notStarted(explained);
      if (this.running === null) await this.#release();
      throw explained;
    } finally {
      clearTimeout(timer);
      this.#start = null;
      this.#attempt = null;
      this.parts.changed();
    }
  }

  /**
   * Stops the stack. Only its data remains.
   * @param cause why the server stops it, as a part of a sentence; null when a client requested it
   */
  async takeDown(scope: StopScope, cause: string | null = null): Promise<void> {
    const stack = this.running;
    if (stack === null) return;
    const { actor } = scope;
    const { events } = await this.parts.storage.records();
    events.add(
      cause === null
        ? { type: "stack_stopping", message: "The stack is stopping.", actor }
        : { type: "stack_stopping", message: `The stack is stopping: ${cause}.`, actor, data: { cause } },
    );
    await stack.stop(scope);
    await this.#release();
    events.add({ type: "stack_stopped", message: "The stack stopped; its data is kept.", actor });
  }

  /** Stops some services of the open stack. Does nothing when the stack has stopped meanwhile. */
  async #stopServices(names: readonly string[], { actor, launched }: StartSteps): Promise<Done> {
    const stack = this.running;
    if (stack === null) return { reached: "unchanged", changes: [] };
    const running = names.filter((name) => stack.units.has(name));
    launched();
    await stack.stopServices(running, { actor });
    const remaining = [...stack.units.values()].flatMap(({ name, definition }) =>
      definition.instanceOf === undefined ? [name] : [],
    );
    this.#options = { ...this.#options, selection: selectionWithout(this.selection, running, remaining) };
    return { reached: "reconciled", changes: running.map((name) => `${name} stopped`) };
  }

  /**
   * Limits of a service's next instance. See `limitsOf`.
   * @param change limits that a call would change
   */
  limits(
    service: string,
    {
      definition = this.#stack?.definition,
      change = {},
    }: { definition?: StackDefinition | undefined; change?: Record<string, LimitChange> } = {},
  ): Limits {
    const started = this.#attempt?.limits ?? {};
    const both = Object.entries(change).map(([name, limits]) => [name, { ...started[name], ...limits }] as const);
    const requested = { ...started, ...Object.fromEntries(both) };
    return limitsOf({ storage: this.parts.storage, requested, definition }, service);
  }

  /**
   * Notes on ports and limits of calls that apply in place of the compose file's.
   * @param written the definition as the files have it now; default: that of the running stack
   */
  notes(written?: StackDefinition): string[] {
    const { storage } = this.parts;
    const { ports } = this.#current;
    const definition = written ?? this.running?.definition;
    if (definition === undefined) return [];
    const applied = written === undefined ? ports : currentPorts(written, ports).current;
    return overrideNotes(definition, applied, (service) => storage.limits(service));
  }

  /** The definition as a start without options would use it: with the ports that earlier calls selected. */
  withSelected(written: StackDefinition): StackDefinition {
    return withSelected(written, this.#current, this.parts.storage.folder);
  }

  /**
   * Stores something of a stack that is up. A failure is a warning: the start has succeeded.
   * @returns a phrase for the failure; empty when everything is stored
   */
  async #storeOrWarn(what: string, { events, clean }: ProjectRecords, store: () => Promise<void>): Promise<string[]> {
    try {
      await store();
      return [];
    } catch (error) {
      const phrase = `${what} were not stored for later starts (${clean((error as Error).message).replace(/\.$/, "")})`;
      events.add({ type: "warning", message: `The stack is up, but ${phrase}.` });
      return [phrase];
    }
  }

  /**
   * The definition of the files with a service that the open stack, or a start without options, may leave out: its
   * profile is not active, or a call excluded it. Its secrets are redacted from now on.
   * @param records null: no secret is generated or redacted, for a caller that uses no value
   * @throws UNKNOWN_SERVICE when the files have no such service
   */
  async definitionWith(
    service: string,
    settings: StackSettings,
    records: ProjectRecords | null,
  ): Promise<StackDefinition> {
    const { selection } = this;
    let definition = await this.read(settings, records);
    if (!Object.hasOwn(definition.services, service)) {
      const { without = [], ...rest } = selection;
      const named = {
        ...rest,
        services: [...Object.keys(definition.services), service],
        without: without.filter((name) => name !== service),
      };
      definition = await this.read(settings, records, named).catch((error: unknown) => {
        if (!(error instanceof StackwardenError) || error.code !== "UNKNOWN_SERVICE") throw error;
        throw unknownService(service, definedNames(error));
      });
      if (!Object.hasOwn(definition.services, service)) throw unknownService(service, Object.keys(definition.services));
    }
    records?.redactor.add([...hiddenSecrets(definition, this.parts.storage.id), ...records.secrets.values()]);
    return definition;
  }

  /**
   * Runs work while the stack is not running. Locks the project and reads its definition, but starts nothing.
   * @param service a service that the definition must have, also when a start without options would leave it out
   */
  async withDefinition<T>(
    settings: StackSettings,
    work: (parts: {
      definition: StackDefinition;
      records: ProjectRecords;
      context: (stack: RuntimeStack) => ServiceContext;
    }) => Promise<T>,
    service?: string,
  ): Promise<T> {
    const { storage } = this.parts;
    await storage.prepare();
    const unlock = await storage.lock();
    try {
      const records = await storage.records(true);
      const definition =
        service === undefined
          ? await this.read(settings, records)
          : await this.definitionWith(service, settings, records);
      records.redactor.add([...definition.secretValues, ...records.secrets.values()]);
      await storage.readLimits();
      return await work({
        definition,
        records,
        context: (stack) => ({
          ...this.#context(stack, settings, records),
          limits: (service) => this.limits(service, { definition }),
        }),
      });
    } finally {
      await unlock();
    }
  }

  /** The definition that a start would use now for the open stack. Generates and stores no secret. */
  async presentDefinition(settings: StackSettings): Promise<StackDefinition> {
    const secrets = (await this.parts.storage.records()).secrets.all();
    const written = await this.#reader.read(settings, this.selection, notGenerated(secrets));
    const definition = this.withSelected(written);
    return this.#choice === null ? definition : forRuntime(definition, this.#choice.runtime.name);
  }

  /**
   * Reads the definition. Without records, no secret is generated or stored.
   * @param selection default: what the open stack was started with
   */
  read(settings: StackSettings, records: ProjectRecords | null, selection = this.selection): Promise<StackDefinition> {
    return this.#reader.read(settings, selection, records === null ? notGenerated() : generatedIn(records));
  }

  /** See `DefinitionReader.readKnown`. Generates and stores no secret. */
  readKnown(
    settings: StackSettings,
    selection: ProjectSelection,
    request: ProjectSelection,
  ): Promise<[StackDefinition, ProjectSelection]> {
    return this.#reader.readKnown(settings, selection, request, notGenerated());
  }

  /** @throws UNKNOWN_SERVICE, LIMIT_REFUSED */
  async #checkLimits(requested: Record<string, LimitChange>, definition: StackDefinition): Promise<void> {
    const capacity = this.capacity();
    for (const [service, limits] of Object.entries(requested)) {
      if (!Object.hasOwn(definition.services, service)) throw unknownService(service, Object.keys(definition.services));
      const stats = (await this.#stack?.units.get(service)?.instance?.stats()) ?? null;
      if (capacity !== null) checkLimits({ service, limits, capacity, stats });
    }
    await this.parts.storage.readLimits();
  }

  /** Size of the machine that runs the stack, or would run it; null when it is unknown. */
  capacity(): ReturnType<StackRuntime["capacity"]> | null {
    return (this.#choice?.runtime ?? this.parts.runtimes[0])?.capacity() ?? null;
  }

  async #openStack(
    read: StackDefinition,
    choice: RuntimeChoice,
    settings: StackSettings,
    records: ProjectRecords,
    how: { scope: Scope; launched(): void; keepsRunning(error: unknown): boolean },
  ): Promise<Done> {
    const { storage } = this.parts;
    const { scope, launched, keepsRunning } = how;
    const { signal, actor } = scope;
    const { events } = records;
    const { runtime } = choice;
    const definition = forRuntime(read, runtime.name);
    requireChecks(definition, runtime.name);
    await storage.keepServices(Object.keys(definition.services));
    const reason = choice.reason + elsewhere(storage.runtime, runtime.name, definition.volumes);
    this.#choice = { runtime, reason, isNew: storage.runtime !== runtime.name };
    events.add({ type: "stack_starting", message: `The stack is starting. ${reason}`, actor });
    const runtimeStack = await withRetry(
      () =>
        runtime.open({
          projectId: storage.id,
          folder: storage.folder,
          definition,
          stateDir: storage.directory,
          settings,
          signal,
          notice: ({ type, service, message }) =>
            events.add({ type, message, ...(service === undefined ? {} : { service }) }),
        }),
      {
        ...settings.retry,
        signal,
        onRetry: (again) =>
          events.add({
            type: "retrying",
            message: retryMessage("Opening the runtime failed", again, (again.error as Error).message),
          }),
      },
    );
    const stack = new Stack(definition, this.#context(runtimeStack, settings, records));
    this.#stack = stack;
    if (this.#attempt !== null) {
      this.#attempt.changed = true;
      this.#options = this.#attempt.options;
    }
    void runtimeStack.lost.then(({ reason: why }) => this.#lose(stack, records.clean(why)));
    launched();
    try {
      await storage.keepRuntime(runtime.name);
      await stack.bringUp(scope, keepsRunning);
    } catch (error) {
      const stays = keepsRunning(error) && [...stack.units.values()].some(({ running }) => running);
      if (stack.phase === "open" && !stays) await stack.stop({ actor });
      if (stack.phase !== "open") throw withInspection(error);
    }
    for (const event of [...portsReassigned(stack), stackStarted(stack, actor)]) events.add(event);
    return { reached: "started", changes: [] };
  }

  async #reconcile(
    stack: Stack,
    read: StackDefinition,
    options: Pick<ReconcileOptions, "restoreMs" | "namedBefore" | "removedBecause"> & {
      scope: Scope;
      launched(): void;
    },
  ): Promise<Done> {
    const { scope, launched, ...how } = options;
    const { runtime } = stack.runtimeStack;
    const definition = forRuntime(read, runtime);
    requireChecks(definition, runtime);
    launched();
    const former = movedPorts(stack.definition, stack.runtimeStack.endpoints()).map(hasMoved);
    const { declaredVolumes = [] } = stack.definition;
    const done = await stack.reconcile(definition, scope, {
      ...how,
      changing: () => {
        if (this.#attempt !== null) this.#attempt.changed = true;
      },
      restoring: () => {
        if (this.#attempt !== null) this.#attempt.limits = {};
      },
    });
    // Limits that are refused below do not undo this change.
    if (this.#attempt !== null) this.#options = this.#attempt.options;
    const { storage } = this.parts;
    const records = await storage.records();
    await this.#storeOrWarn("the service names", records, () => storage.keepServices(Object.keys(definition.services)));
    const limited = [...stack.units.values()]
      .map((unit) => ({ unit, limits: this.limits(unit.name) }))
      .filter(({ unit, limits }) => JSON.stringify(unit.requestedLimits) !== JSON.stringify(limits));
    await applyLimits(limited);
    const replaced = done.replaced.map((change) => serviceReplaced(change, scope.actor));
    for (const event of [...replaced, ...portsReassigned(stack, former)]) records.events.add(event);
    const names = limited.map(({ unit }) => unit.name);
    const { filled } = storage.volumes(runtime);
    const present = allVolumes(definition);
    const unused = declaredVolumes.filter((name) => filled.includes(name) && !present.includes(name));
    for (const name of unused) records.events.add({ type: "warning", message: asSentence(dataUnused(name)) });
    const changes = [...describeChanges(done, names), ...unused.map(dataUnused)];
    return { reached: changes.length > 0 ? "reconciled" : "unchanged", changes };
  }

  #context(runtimeStack: RuntimeStack, settings: StackSettings, records: ProjectRecords): ServiceContext {
    const { logs } = records;
    return {
      stack: runtimeStack,
      limits: (service) => this.limits(service),
      sink: (service, generation) => logs.sink(service, generation),
      lastGeneration: (service) => logs.lastGeneration(service),
      lastLines: (service, count, generation) => logs.lastLines(service, count, generation),
      clean: records.clean,
      event: (input) => records.events.add(input),
      volumes: this.parts.storage.volumes(runtimeStack.runtime),
      changed: this.parts.changed,
      retry: settings.retry,
      requireEnforcedLimits: settings.requireEnforcedLimits,
    };
  }

  async #lose(stack: Stack, reason: string): Promise<void> {
    if (this.running !== stack) return;
    await stack.lose(
      new StackwardenError("RUNTIME_LOST", `The runtime died while the stack was running: ${reason}.`, {
        hint: hint`Start it again with ${callTo("start_stack")}.`,
      }),
    );
    const { events } = await this.parts.storage.records();
    events.add({ type: "stack_lost", message: `The runtime died; every service is lost: ${reason}.` });
    await this.#release();
    this.parts.changed();
  }

  async #release(): Promise<void> {
    const unlock = this.#unlock;
    this.#unlock = null;
    await unlock?.();
  }

  #tooLate(timeoutMs: number): StackwardenError {
    const waiting = [...(this.#stack?.units.values() ?? [])].filter((unit) => !unit.up);
    const missing = waiting.map((unit) => `${unit.name} is ${unit.state} (${unit.health().message})`);
    const seconds = timeoutMs / 1000;
    const last = waiting.flatMap((unit) => unit.lastLines.map((line) => `${unit.name} | ${line}`));
    return new StackwardenError(
      "START_TIMEOUT",
      `The stack did not become healthy within ${seconds} s${missing.length > 0 ? `: ${missing.join("; ")}` : ""}.`,
      {
        hint: hint`The services that had started were stopped. Read the logs of the services named with ${callTo("get_logs", { services: waiting.map((unit) => unit.name) })}; the operator can raise ${setting("start_timeout_seconds")}.`,
        details: { missing: waiting.map((unit) => unit.name), last_lines: last },
      },
    );
  }
}
