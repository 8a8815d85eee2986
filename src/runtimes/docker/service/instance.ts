/** One started container: how it is ended, how its end is observed, and that nothing of it is left. */
import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import type { LogSink } from "../../../stack/logs/types.js";
import type { ServiceExit } from "../../../stack/runtime.js";
import { raceAbort } from "../../../system/abortable.js";
import { exitOf } from "../../shared/exit-codes.js";
import { engineMessage, isConnectionError, isNotFound, statusOf } from "../engine/errors.js";
import { removeContainer } from "../leftovers/remove.js";
import type { EngineWatch } from "../stack/engine-watch.js";
import { LogFollower } from "./log-follower.js";

export interface InstanceOptions {
  service: string;
  docker: Docker;
  container: string;
  tty: boolean;
  sink: LogSink;
  watch: EngineWatch;
  /** After its end: what it had beside its container. Never rejects. */
  release(): Promise<void>;
}

/** Milliseconds: the log's end follows the container's; a kill that is not answered by then did not work. */
const TIMES = { log: 3000, kill: 20_000 };
const AGAIN_MS = 100;

interface EndState {
  ExitCode: number;
  OOMKilled: boolean;
  FinishedAt: string;
}

export class Instance {
  readonly exited: Promise<ServiceExit>;
  exit: ServiceExit | null = null;
  readonly #log: LogFollower;
  #stopping: Promise<ServiceExit> | undefined;

  /** Its container was started. */
  constructor(private readonly options: InstanceOptions) {
    const { docker, container, tty, sink } = options;
    this.#log = new LogFollower({ docker, container, tty, sink });
    this.exited = this.#follow();
  }

  async #follow(): Promise<ServiceExit> {
    const { docker, container, sink, watch, release } = this.options;
    const logged = this.#readLog();
    const exit = await this.#end();
    // A program that left the container's main process behind may hold the log open; an engine that is lost ends nothing.
    const ended = await Promise.race([
      logged.then(() => true),
      delay(watch.over.signal.aborted ? 0 : TIMES.log, false, { ref: false }),
    ]);
    this.#log.stop();
    if (!ended) await logged;
    sink.end();
    this.exit = exit;
    await removeContainer(docker, container).catch(() => undefined);
    watch.forget(container);
    await release();
    return exit;
  }

  /** Follows the log to its end, over broken connections. Never rejects. */
  async #readLog(): Promise<void> {
    const { watch, docker, container } = this.options;
    for (;;) {
      try {
        await this.#log.read();
        // The engine also ends the stream when it shuts down: the container decides.
        const state = await docker.getContainer(container).inspect();
        if (!state.State.Running && !state.State.Paused) {
          await this.#log.read();
          return;
        }
        await delay(AGAIN_MS);
      } catch (error) {
        if (isNotFound(error) || !(await watch.recovered())) return;
      }
    }
  }

  /** How the container ended. Never rejects. */
  async #end(): Promise<ServiceExit> {
    const { docker, container, watch } = this.options;
    for (;;) {
      try {
        const waiting = docker.getContainer(container).wait() as Promise<{ StatusCode: number }>;
        const { StatusCode } = await raceAbort(waiting, watch.over.signal);
        const state = await this.#state();
        const at = Date.parse(state?.FinishedAt ?? "");
        const oom = state?.OOMKilled === true;
        return exitOf(state?.ExitCode ?? StatusCode, Number.isNaN(at) ? Date.now() : at, oom);
      } catch (error) {
        if (watch.over.signal.aborted || isNotFound(error)) return exitOf(null, Date.now());
        if (!(await watch.recovered())) return exitOf(null, Date.now());
      }
    }
  }

  /** @throws the connection's error; null when the container was removed by somebody else */
  async #state(): Promise<EndState | null> {
    try {
      return (await this.options.docker.getContainer(this.options.container).inspect()).State;
    } catch (error) {
      if (isConnectionError(error)) throw error;
      return null;
    }
  }

  /**
   * Signal, grace (milliseconds), then kill. Idempotent.
   * @throws STOP_FAILED when even the kill is not answered; another call tries again
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
      await this.#signal(signal);
      const exit = await Promise.race([this.exited, delay(graceMs, null, { ref: false })]);
      if (exit !== null) return exit;
    }
    const fault = await this.#signal("SIGKILL");
    const exit = await Promise.race([this.exited, delay(TIMES.kill, null, { ref: false })]);
    if (exit !== null) return exit;
    throw new StackwardenError(
      "STOP_FAILED",
      `${this.options.service} did not end although it was killed${fault === null ? "" : `: ${fault}`}.`,
      { hint: "The container engine does not answer. Run `stackwarden doctor`, then stop the stack again." },
    );
  }

  /** @returns why it was not delivered, null when it was or the container has ended */
  async #signal(signal: string): Promise<string | null> {
    const { docker, container } = this.options;
    try {
      await docker.getContainer(container).kill({ signal });
      return null;
    } catch (error) {
      // 409: it does not run any more.
      if (isNotFound(error) || statusOf(error) === 409) return null;
      // A paused container takes no signal but this one.
      return engineMessage(error);
    }
  }
}
