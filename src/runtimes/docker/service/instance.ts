/** One started container: stops it, observes its exit, and removes it. */

import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { StackwardenError } from "../../../errors.js";
import type { LogSink } from "../../../stack/logs/types.js";
import type { ServiceExit } from "../../../stack/runtime.js";
import { raceAbort, withinOrNull } from "../../../system/wait.js";
import { exitOf, KILLED } from "../../shared/exit-codes.js";
import { engineMessage, isConnectionError, isNotFound, statusOf } from "../engine/errors.js";
import { removeContainer } from "../leftovers/remove.js";
import type { EngineWatch } from "../stack/engine-watch.js";
import { LogFollower } from "./log-follower.js";

/** Message of Podman's init for a program that cannot be run; its exit code is 1. */
export const CATATONIT_FAILED = /^ERROR \(catatonit:\d+\): failed to exec pid1: /m;
/** Exit code of shells for a program that does not exist. */
const NOT_FOUND = 127;

export interface InstanceOptions {
  service: string;
  docker: Docker;
  container: string;
  tty: boolean;
  /** The engine is Podman. */
  podman: boolean;
  sink: LogSink;
  watch: EngineWatch;
  /** Runs after the exit and removes resources beside the container. Never rejects. */
  release(): Promise<void>;
  /** Milliseconds that an end may take after the kill. Default 20,000. */
  killMs?: number;
}

/** Milliseconds. The log ends after the container; a kill without effect by then has failed. */
const TIMES = { log: 3000, kill: 20_000 };
const AGAIN_MS = 100;
/** Attempts, AGAIN_MS apart, to learn of an OOM kill after an exit by SIGKILL. */
const OOM_ATTEMPTS = 10;

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

  /** True once its container was started. */
  constructor(private readonly options: InstanceOptions) {
    const { docker, container, tty, sink } = options;
    this.#log = new LogFollower({ docker, container, tty, sink });
    this.exited = this.#follow();
  }

  async #follow(): Promise<ServiceExit> {
    const { docker, container, sink, watch, release } = this.options;
    const logged = this.#readLog();
    const exit = await this.#end();
    // Processes that outlive the container's main process can hold the log open, and a lost engine never closes it.
    await withinOrNull(logged, watch.over.signal.aborted ? 0 : TIMES.log);
    this.#log.stop();
    await logged;
    sink.end();
    this.exit = exit;
    await removeContainer(docker, container).catch(() => undefined);
    watch.forget(container);
    await release();
    return exit;
  }

  /** Follows the log to its end and reconnects after broken connections. Never rejects. */
  async #readLog(): Promise<void> {
    const { watch, docker, container } = this.options;
    for (;;) {
      try {
        await this.#log.read();
        // The engine also ends the stream when it shuts down, so the state of the container decides.
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

  /** Waits for the exit of the container. Never rejects. */
  async #end(): Promise<ServiceExit> {
    const { docker, container, watch } = this.options;
    for (;;) {
      try {
        const waiting = docker.getContainer(container).wait() as Promise<{ StatusCode: number }>;
        const { StatusCode } = await raceAbort(waiting, watch.over.signal);
        const state = await this.#state();
        const at = Date.parse(state?.FinishedAt ?? "");
        const code = await this.#ownCode(state?.ExitCode ?? StatusCode);
        const oom = state?.OOMKilled === true || (code === KILLED && (await this.#oomReported()));
        return exitOf(code, Number.isNaN(at) ? Date.now() : at, oom);
      } catch (error) {
        if (watch.over.signal.aborted || isNotFound(error)) return exitOf(null, Date.now());
        if (!(await watch.recovered())) return exitOf(null, Date.now());
      }
    }
  }

  /** The exit code that a shell would give where Podman's init could not run the program. */
  async #ownCode(code: number): Promise<number> {
    if (!this.options.podman || code !== 1) return code;
    const { docker, container } = this.options;
    const last = await docker
      .getContainer(container)
      .logs({ stdout: true, stderr: true, tail: 1 })
      .catch(() => Buffer.alloc(0));
    // A frame header stands before the line.
    return CATATONIT_FAILED.test(last.toString("latin1").replace(/^[\s\S]{8}/, "")) ? NOT_FOUND : code;
  }

  /**
   * Whether the engine reports an OOM kill after the exit: the two events of the kernel can arrive in either order. Does
   * not wait for an instance that this server kills.
   */
  async #oomReported(): Promise<boolean> {
    const { container, watch } = this.options;
    for (let attempt = 0; attempt < OOM_ATTEMPTS && this.#stopping === undefined; attempt += 1) {
      if (watch.oomKills(container) > 0 || (await this.#state())?.OOMKilled === true) return true;
      await delay(AGAIN_MS);
    }
    return false;
  }

  /**
   * @returns null when the container was removed by another client
   * @throws the connection's error
   */
  async #state(): Promise<EndState | null> {
    try {
      return (await this.options.docker.getContainer(this.options.container).inspect()).State;
    } catch (error) {
      if (isConnectionError(error)) throw error;
      return null;
    }
  }

  /**
   * Sends the signal, waits for the grace period (milliseconds), then kills. Idempotent.
   * @throws STOP_FAILED when the kill has no effect either; another call tries again
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
      const exit = await withinOrNull(this.exited, graceMs);
      if (exit !== null) return exit;
    }
    const fault = await this.#signal("SIGKILL");
    const exit = await withinOrNull(this.exited, this.options.killMs ?? TIMES.kill);
    if (exit !== null) return exit;
    throw new StackwardenError(
      "STOP_FAILED",
      `${this.options.service} did not end although it was killed${fault === null ? "" : `: ${fault}`}.`,
      { hint: "Run `stackwarden doctor` to see whether the container engine answers, then stop the stack again." },
    );
  }

  /** @returns why the signal was not delivered; null when it was, or the container has ended */
  async #signal(signal: string): Promise<string | null> {
    const { docker, container, podman } = this.options;
    try {
      // Podman waits for the end of a paused container, which does not come.
      if (podman && signal === "SIGKILL")
        await docker
          .getContainer(container)
          .unpause()
          .catch(() => undefined);
      await docker.getContainer(container).kill({ signal });
      return null;
    } catch (error) {
      // 409: the container no longer runs.
      if (isNotFound(error) || statusOf(error) === 409) return null;
      // A paused container accepts no other signal than SIGKILL.
      return engineMessage(error);
    }
  }
}
