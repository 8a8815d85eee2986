/** One started container: stops it and observes its exit. */

import { setTimeout as delay } from "node:timers/promises";
import { StackwardenError } from "../../../errors.js";
import type { ServiceExit } from "../../../stack/runtime.js";
import { withinOrNull } from "../../../system/wait.js";
import { exitOf, KILLED } from "../../shared/exit-codes.js";
import type { EngineHost } from "../engine-host/types.js";
import type { InstanceOutput } from "./instance-output.js";

/**
 * Milliseconds. `kill`: a kill that is not confirmed by then has failed. `notice`: time between the engine's report of
 * the stop and the notice of the exit.
 */
const TIMES = { kill: 20_000, notice: 5000 };

export interface InstanceOptions {
  service: string;
  output: InstanceOutput;
  host: EngineHost;
  /** runc's id as soon as it is known; null when the host is not reachable. */
  containerId: Promise<string | null>;
  /** Stops it through the engine's API; resolves when it has ended. */
  stop(kill: boolean): Promise<unknown>;
  /** Aborted when the session is over. */
  over: AbortSignal;
  /** True when a memory limit applies, so that a kill may come from the kernel. */
  memoryLimited(): boolean;
  /** Called when no further events will arrive for it. */
  forget(): void;
  /** Other timeouts, for tests. */
  times?: typeof TIMES;
}

const never = (): Promise<never> => new Promise(() => {});

export class Instance {
  readonly exited: Promise<ServiceExit>;
  /** The exit; null while it runs. */
  exit: ServiceExit | null = null;
  readonly #times: typeof TIMES;
  #killed = false;
  #resolveExit: (exit: ServiceExit) => void = () => {};
  #stopping: Promise<ServiceExit> | undefined;

  constructor(private readonly options: InstanceOptions) {
    const reported = new Promise<ServiceExit>((resolve) => {
      this.#resolveExit = resolve;
    });
    this.#times = options.times ?? TIMES;
    this.exited = this.#follow(reported);
  }

  async #follow(reported: Promise<ServiceExit>): Promise<ServiceExit> {
    const { output, over, forget } = this.options;
    // A session has many instances, one after the other: none leaves a listener.
    const ended = new AbortController();
    const lost = new Promise<ServiceExit>((resolve) => {
      const tell = () => resolve(exitOf(null, Date.now()));
      if (over.aborted) tell();
      else over.addEventListener("abort", tell, { once: true, signal: ended.signal });
    });
    const printed = output.ended.then(async ({ exitCode, at }) => exitOf(exitCode, at, await this.#byMemory(exitCode)));
    const exit = await Promise.race([printed, reported, lost]);
    ended.abort();
    // A session that is over delivers nothing more.
    await output.close(over.aborted ? 0 : undefined);
    this.exit = exit;
    forget();
    return exit;
  }

  /**
   * Whether the kernel killed it because of its memory limit: a limit applied, and the server did not send the signal.
   */
  async #byMemory(exitCode: number | null): Promise<boolean> {
    if (exitCode !== KILLED || this.#killed || !this.options.memoryLimited()) return false;
    const id = await withinOrNull(
      this.options.containerId.catch(() => null),
      1000,
    );
    if (id === null) return false;
    const stats = await this.options.host.stats(id).catch(() => null);
    return (stats?.oom_kills ?? 0) > 0;
  }

  /** The engine never started it, or reported its exit in another way. */
  reportExit(exit: ServiceExit): void {
    this.#resolveExit(exit);
  }

  /**
   * Sends the signal, waits for the grace period (milliseconds), then kills. Idempotent.
   * @throws STOP_FAILED when the kill is not confirmed either; another call tries again
   */
  stop(graceMs: number, signal: string): Promise<ServiceExit> {
    this.#stopping ??= this.#stop(graceMs, signal).catch((error: unknown) => {
      this.#stopping = undefined;
      throw error;
    });
    return this.#stopping;
  }

  async #stop(graceMs: number, signal: string): Promise<ServiceExit> {
    if (this.exit !== null) return this.exit;
    if (graceMs > 0) {
      const signalled = this.#ask(signal);
      const exit = await withinOrNull(Promise.race([this.exited, this.#stopped(signalled)]), graceMs);
      if (exit !== null) return exit;
    }
    this.#killed = true;
    // In both ways: the engine's own kill waits for a start that hangs, and its host may not be reachable.
    const killed = this.options.stop(true);
    const direct = this.options.containerId
      .then((id) => (id === null ? undefined : this.options.host.kill(id, "SIGKILL")))
      .catch(() => undefined);
    const exit = await withinOrNull(Promise.race([this.exited, this.#stopped(killed)]), this.#times.kill);
    void direct;
    if (exit !== null) return exit;
    throw new StackwardenError("STOP_FAILED", `${this.options.service} did not end although it was killed.`, {
      hint: "The engine does not answer. Check it with `stackwarden doctor`, then stop the stack again.",
    });
  }

  /** Sends the stop signal: the engine's API supports only SIGTERM. */
  async #ask(signal: string): Promise<unknown> {
    if (signal !== "SIGTERM") {
      const id = await this.options.containerId.catch(() => null);
      if (id !== null) {
        await this.options.host.kill(id, signal);
        return never();
      }
    }
    return this.options.stop(false);
  }

  /** The engine reports that it has ended: either the notice follows, or the exit code stays unknown. */
  async #stopped(stopped: Promise<unknown>): Promise<ServiceExit> {
    try {
      await stopped;
    } catch {
      return never();
    }
    await delay(this.#times.notice, undefined, { ref: false });
    this.reportExit(exitOf(null, Date.now()));
    return this.exited;
  }
}
