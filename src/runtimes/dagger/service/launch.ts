/**
 * Starts a prepared container: finds it on the engine's host, sets its limits, waits for its program, verifies its user.
 * Every step races against the exit of the instance, the end of the session, the caller's signal and a deadline.
 */

import { setTimeout as delay } from "node:timers/promises";
import type { Service } from "@dagger.io/dagger";
import { StackwardenError } from "../../../errors.js";
import type { Limits, ServiceDefinition } from "../../../stack/definition/types.js";
import type { Enforcement, RuntimeService, StartServiceRequest } from "../../../stack/runtime.js";
import { within, withinOrNull } from "../../../system/wait.js";
import { exitOf } from "../../shared/exit-codes.js";
import { runPostStart } from "../../shared/hooks.js";
import type { Dial } from "../../shared/probes/dial.js";
import { insideTest, LIMITS_WAIT_SECONDS, namedVolumes, type ReadyContainer } from "../container/container.js";
import { commandMissing, endedWell, execFailure, startError } from "../engine/engine-errors.js";
import type { EngineHost } from "../engine-host/types.js";
import { EngineError } from "../session/connection.js";
import { newTrace } from "../session/trace.js";
import type { DaggerSession } from "../session/types.js";
import type { Published } from "../stack/published-ports.js";
import { DaggerService } from "./dagger-service.js";
import { EntryLoop } from "./entry-loop.js";
import { Instance } from "./instance.js";
import { InstanceOutput } from "./instance-output.js";
import { never, type ObservedUser, observedUser, type StartReport, waitForProgramStart } from "./start-detection.js";

/** Milliseconds for the engine to start a container. */
const START_MS = 60_000;
/** Milliseconds from the engine's report that a container runs until the host must show it. The entry script waits longer. */
const SHOWN_MS = 15_000;
/** Milliseconds for the report of the entry script, which arrives with the telemetry. */
const WORD_MS = (LIMITS_WAIT_SECONDS + 10) * 1000;

export interface LaunchOptions {
  session: DaggerSession;
  host: EngineHost;
  request: StartServiceRequest;
  ready: ReadyContainer;
  dial: Dial;
  /** Port of this machine that leads to a published port. Default: none is published. */
  hostPort?(containerPort: number): number | undefined;
  /** Host name in the session. Default: the service's name. */
  hostname?: string;
  /** Called when the service runs with its user and limits: opens its ports. */
  publish?(instance: { id: string; exited: Promise<unknown> }): Promise<Published>;
}

/** Result of starting the container. */
type Begun = { kind: "runs" } | { kind: "ended"; exitCode: number } | { kind: "failed"; error: unknown };

async function begin(service: Service): Promise<Begun> {
  try {
    await service.start();
    return { kind: "runs" };
  } catch (error) {
    // The container exited before the engine checked its state: that is an exit, not a failed start.
    const failure = execFailure(error);
    if (failure !== null && !commandMissing(failure)) return { kind: "ended", exitCode: failure.exitCode };
    if (endedWell(error)) return { kind: "ended", exitCode: 0 };
    return { kind: "failed", error };
  }
}

const late = (service: string, what: string, ms: number): StackwardenError =>
  new StackwardenError("RUNTIME_UNAVAILABLE", `${service}: ${what} within ${ms / 1000} s.`, {
    hint: "The engine is overloaded or hangs. Check it with `stackwarden doctor`, then start again.",
  });

class Launch {
  readonly #output: InstanceOutput;
  readonly #loop: EntryLoop | null;
  readonly #trace = newTrace();
  readonly #forget: () => void;
  #limits: Limits;

  constructor(private readonly options: LaunchOptions) {
    const { session, request, ready, host } = options;
    const healthcheck = request.service.healthcheck ?? ready.imageHealthcheck;
    const test = host.enforcement.level === "enforced" || ready.token === null ? undefined : insideTest(healthcheck);
    this.#loop =
      test === undefined || healthcheck === null
        ? null
        : new EntryLoop(test, healthcheck.intervalMs + healthcheck.timeoutMs);
    this.#output = new InstanceOutput({
      sink: request.sink,
      token: ready.token,
      onHealth: (health) => this.#loop?.take(health),
    });
    this.#limits = request.limits;
    this.#forget = session.telemetry.listen(this.#trace.traceId, this.#output);
  }

  async run(): Promise<DaggerService> {
    const { session, request, ready, hostname = request.service.name } = this.options;
    const { signal } = request;
    let id: string;
    try {
      id = await session
        .client({ trace: this.#trace, signal })
        .loadContainerFromID(ready.id as never)
        .asService({ args: ready.args })
        .withHostname(hostname)
        .id();
    } catch (error) {
      this.#forget();
      await this.#output.close(0);
      throw error;
    }
    return this.#start(id, session.client({ trace: this.#trace }).loadServiceFromID(id as never));
  }

  async #start(id: string, started: Service): Promise<DaggerService> {
    const { session, host, request, ready } = this.options;
    const { service, signal } = request;
    // Ends the search for the container after its exit.
    const over = new AbortController();
    const container = this.#seek(AbortSignal.any([signal, over.signal]));
    const containerId = container.then(({ id }) => id);
    containerId.catch(() => undefined);
    const limitedContainer = this.#limit(container).catch((error: unknown) => {
      if (over.signal.aborted) return { id: null, why: "it has ended" };
      throw error;
    });
    // A start that is cancelled does not wait for it.
    limitedContainer.catch(() => undefined);
    const instance = new Instance({
      service: service.name,
      output: this.#output,
      host,
      containerId,
      stop: (kill) => started.stop(kill ? { kill } : {}),
      over: session.ended,
      memoryLimited: () => host.enforcement.level === "enforced" && this.#limits.memory_mb !== undefined,
      forget: () => {
        over.abort();
        this.#forget();
      },
    });
    try {
      const begun = await this.#within(begin(started), signal, "its container did not start");
      if (begun.kind === "failed") {
        // The engine reports that no process runs: do not wait.
        instance.reportExit(exitOf(null, Date.now()));
        throw begun.error;
      }
      if (begun.kind === "ended") {
        // The telemetry event with the exact code usually follows.
        void delay(1000, undefined, { ref: false }).then(() => instance.reportExit(exitOf(begun.exitCode, Date.now())));
      }
      const startedAt = Date.now();
      await this.#within(this.#untilVisible(instance, container), signal, "its container did not show");
      const startReport = await this.#within(
        this.#startReport(instance, container, limitedContainer),
        signal,
        "its program did not begin",
        WORD_MS,
      );
      const observed = await Promise.race([
        limitedContainer,
        instance.exited.then(() => ({ id: null, why: "it has ended" })),
      ]);
      // The engine reported a start before it knew that the process could not be created.
      if (this.#output.failure !== null) throw new EngineError(this.#output.failure);
      const user = await this.#user(observed.id, startReport);
      this.#refuseRoot(service, user.uid);
      signal.throwIfAborted();
      // Open no ports for an instance that has ended.
      const { exited } = instance;
      const published = instance.exit === null ? await this.options.publish?.({ id, exited }) : undefined;
      const hooks = [...(service.postStart ?? []), ...(service.preStop ?? [])].length > 0;
      const unhooked =
        hooks && observed.id === null ? [`Its post_start and pre_stop hooks do not run: ${observed.why}.`] : [];
      const running = new DaggerService({
        generation: request.generation,
        startedAt,
        user,
        imageHealthcheck: ready.imageHealthcheck,
        emptyVolumes: this.#emptyVolumes(exited),
        notes: [...ready.notes, ...this.#notes(startReport), ...(published?.notes ?? []), ...unhooked],
        closed: published?.closed ?? exited,
        instance,
        host,
        containerId: observed.id,
        unseen: observed.why,
        privateFiles: ready.privateFiles,
        sink: request.sink,
        hostPort: (containerPort) => this.options.hostPort?.(containerPort),
        probing: {
          service,
          host,
          containerId: observed.id,
          loop: this.#loop,
          dial: this.options.dial,
          hidden: ready.hidden,
          hasEnded: () => instance.exit !== null,
        },
        limitsChanged: (limits) => {
          this.#limits = limits;
        },
      });
      if (observed.id !== null) await runPostStart(running.hooks, signal);
      return running;
    } catch (error) {
      over.abort();
      // The engine continues a start whose request was aborted.
      await instance.stop(0, "SIGKILL").catch(() => undefined);
      instance.reportExit(exitOf(null, Date.now()));
      await instance.exited;
      signal.throwIfAborted();
      session.ended.throwIfAborted();
      throw startError(error, service.name, "starting its container");
    }
  }

  async #seek(signal: AbortSignal): Promise<ObservedUser> {
    const { host, ready } = this.options;
    if (host.enforcement.level !== "enforced") return { id: null, why: host.enforcement.reason };
    return { id: await host.find(ready.instance, signal), why: "" };
  }

  /** Waits until the host shows the container, unless the engine turns out to be on another machine. */
  async #untilVisible(instance: Instance, container: Promise<ObservedUser>): Promise<void> {
    const { host, request } = this.options;
    // A failed search is reported later.
    const visible = Promise.race([container.catch(() => undefined), instance.exited]).then(() => true);
    if ((await withinOrNull(visible, SHOWN_MS)) !== null || !host.elsewhere()) return;
    throw new StackwardenError(
      "RUNTIME_UNAVAILABLE",
      `${request.service.name}: the engine's containers do not show on ${host.description}, so nothing can enforce their limits.`,
      {
        hint: "It is started again without limits. To enforce limits, name the engine by its container (docker-container://name).",
      },
    );
  }

  /** Sets the limits, for which the entry script waits. */
  async #limit(container: Promise<ObservedUser>): Promise<ObservedUser> {
    const { host, request } = this.options;
    const { id, why } = await container;
    if (id === null || Object.values(request.limits).every((limit) => limit === undefined)) return { id, why };
    try {
      await host.apply(id, request.limits);
      return { id, why };
    } catch (error) {
      // The limits applied, and the service exited before they could be read back; telemetry reports the exit.
      // The host can still look up by its id whether it was killed because of its memory limit.
      if (error instanceof StackwardenError && error.code === "SERVICE_NOT_STARTED") return { id, why: "it has ended" };
      throw error;
    }
  }

  async #startReport(
    instance: Instance,
    container: Promise<ObservedUser>,
    limitedContainer: Promise<ObservedUser>,
  ): Promise<StartReport | null> {
    const { host, ready, request } = this.options;
    const enough = new AbortController();
    try {
      const entry = ready.token === null ? null : this.#output;
      const begun = waitForProgramStart({
        service: request.service.name,
        host,
        container,
        entry,
        signal: enough.signal,
      });
      // Report limits that cannot be set immediately, not when the entry script times out.
      return await Promise.race([begun, instance.exited.then(() => null), limitedContainer.then(() => never())]);
    } finally {
      enough.abort();
    }
  }

  /** As the entry script reports them, which can arrive later than the container's start is observed. */
  #emptyVolumes(exited: Promise<unknown>): RuntimeService["emptyVolumes"] {
    const { ready, request } = this.options;
    if (ready.token === null) return Promise.resolve(null);
    const volumes = namedVolumes(request.service);
    const reported = this.#output.started.then(({ empty }) => empty.flatMap((index) => volumes[index]?.source ?? []));
    return Promise.race([reported, exited.then(() => null)]);
  }

  async #user(containerId: string | null, startReport: StartReport | null): Promise<RuntimeService["user"]> {
    const { host, ready, request } = this.options;
    const requestedUser = ready.user.split(":")[0] ?? ready.user;
    const name = request.service.user?.split(":")[0] ?? requestedUser;
    const observedAs = (uid: number, reason: string): RuntimeService["user"] => ({
      uid,
      name,
      enforcement: { level: "enforced", reason },
    });
    if (startReport !== null) return observedAs(startReport.uid, startReport.source);
    const hostUser = containerId === null ? null : await host.user(containerId).catch(() => null);
    if (hostUser !== null) return observedAs(hostUser.uid, observedUser(host));
    const enforcement: Enforcement = {
      level: "advisory",
      reason: "requested from the engine, not verified: this server cannot look into the container",
    };
    return { uid: null, name, enforcement };
  }

  #notes(startReport: StartReport | null): string[] {
    if (startReport === null || startReport.noNewPrivileges || this.options.ready.token === null) return [];
    return ["Its image has no setpriv: set-uid programs in it are not disarmed (no_new_privs is off)."];
  }

  /** @throws POLICY_VIOLATION; the caller ends the service */
  #refuseRoot(service: ServiceDefinition, uid: number | null): void {
    if (uid !== 0 || service.allowRoot) return;
    throw new StackwardenError("POLICY_VIOLATION", `"${service.name}" ran as root and was ended.`, {
      hint: "Give it another user, such as 1000:1000. Only the server's own configuration (allow_root) can permit root.",
    });
  }

  #within<T>(task: Promise<T>, signal: AbortSignal, what: string, ms = START_MS): Promise<T> {
    const { session, request } = this.options;
    const together = AbortSignal.any([signal, session.ended]);
    return within(task, { ms, signal: together, late: () => late(request.service.name, what, ms) });
  }
}

/** @throws SERVICE_START_FAILED, POLICY_VIOLATION, RUNTIME_UNAVAILABLE, RUNTIME_LOST, the signal's reason; nothing is left then */
export const launch = (options: LaunchOptions): Promise<DaggerService> => new Launch(options).run();
