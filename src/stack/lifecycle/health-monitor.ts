/** Continuous health checks of one running instance, as Compose defines them; checks never overlap. */

import { pause, raceAbort } from "../../system/wait.js";
import type { Healthcheck } from "../definition/types.js";
import type { ProbeResult, RuntimeService, WebProtocol } from "../runtime.js";
import { boundText } from "../text/sanitize-text.js";

/** Maximum bytes of a check's result and description. Text is cut after secrets are removed. */
const LONGEST_MESSAGE = 500;
const LONGEST_CHECK = 250;
/** How often a port is asked for its protocol. */
const IDENTIFICATIONS = 3;

export interface HealthView {
  /** Null: no check has completed, or the service has none. */
  healthy: boolean | null;
  message: string;
  latencyMs: number | null;
  /** Epoch milliseconds. */
  checkedAt: number | null;
  check: string | null;
  consecutiveFailures: number;
  /** Container ports that were observed to speak HTTP. */
  web: ReadonlyMap<number, WebProtocol>;
}

export interface HealthMonitorOptions {
  instance: RuntimeService;
  /**
   * All checks must succeed; they share the timing of the first. Empty: the service counts as running without a check.
   */
  checks: readonly Healthcheck[];
  /** Published container ports whose protocol is unknown. */
  unidentified: readonly number[];
  /** Sanitises and redacts the result of a check. */
  clean(text: string): string;
  /**
   * Called after every check. `verdict` is null while undecided: during the start period, with fewer failures than
   * `retries`, or while a service that was never healthy answers that it is starting.
   */
  onCheck(verdict: "running" | "healthy" | "unhealthy" | null, view: HealthView): void;
}

export class HealthMonitor {
  readonly #stop = new AbortController();
  readonly #web = new Map<number, WebProtocol>();
  #identifications = 0;
  #view: HealthView = {
    healthy: null,
    message: "No check was made yet.",
    latencyMs: null,
    checkedAt: null,
    check: null,
    consecutiveFailures: 0,
    web: this.#web,
  };
  #everHealthy = false;
  #held = false;
  #running: Promise<HealthView> | null = null;
  #begun = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The checks, without commands whose program does not exist in the service. */
  #checks: readonly Healthcheck[];

  constructor(private readonly options: HealthMonitorOptions) {
    this.#checks = options.checks;
  }

  get view(): HealthView {
    return this.#view;
  }

  /** Milliseconds since the current check began; null when no check is running. */
  get runningMs(): number | null {
    return this.#running === null ? null : Date.now() - this.#begun;
  }

  start(): void {
    const [first] = this.#checks;
    if (first !== undefined) {
      void this.#loop(first);
      return;
    }
    this.#view = {
      healthy: null,
      message: "Running. Nothing checks it: it has no healthcheck and publishes no port.",
      latencyMs: null,
      checkedAt: null,
      check: null,
      consecutiveFailures: 0,
      web: this.#web,
    };
    this.options.onCheck("running", this.#view);
  }

  /** Runs a check now, or joins the check in progress. */
  check(): Promise<HealthView> {
    const [first] = this.#checks;
    if (first === undefined || this.#stop.signal.aborted) return Promise.resolve(this.#view);
    if (this.#held) return Promise.resolve(this.#view);
    if (this.#running === null) this.#begun = Date.now();
    this.#running ??= this.#check(first).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /**
   * Checks until a check succeeds or as many have failed as make a service unhealthy. A check that is already in progress
   * does not count: it can have begun before the service's dependencies came up.
   * @throws the signal's reason
   */
  async checkAgain(signal: AbortSignal): Promise<void> {
    const [timing] = this.#checks;
    if (timing === undefined) return;
    const { intervalMs, startIntervalMs } = timing;
    if (this.#running !== null) await raceAbort(this.#running, signal);
    for (let left = Math.max(1, timing.retries); left > 0 && !this.#stop.signal.aborted; left -= 1) {
      if ((await raceAbort(this.check(), signal)).healthy === true) return;
      if (left > 1) await pause(Math.min(intervalMs, startIntervalMs), AbortSignal.any([signal, this.#stop.signal]));
      signal.throwIfAborted();
    }
  }

  /** Suspends checks until `release` and discards the result of a check in progress. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stop.abort();
  }

  async #loop(timing: Healthcheck): Promise<void> {
    await this.check();
    if (this.#stop.signal.aborted) return;
    const wait = this.#inStartPeriod(timing) ? timing.startIntervalMs : timing.intervalMs;
    this.#timer = setTimeout(() => void this.#loop(timing), wait);
  }

  /** True while failures do not count: before the first success and within the start period. */
  #inStartPeriod(timing: Healthcheck): boolean {
    return !this.#everHealthy && Date.now() - this.options.instance.startedAt < timing.startPeriodMs;
  }

  async #check(timing: Healthcheck): Promise<HealthView> {
    const { clean, onCheck } = this.options;
    const counts = !this.#inStartPeriod(timing);
    const result = await this.#probeAll();
    if (result.healthy) await this.#identify();
    // Ignore a check that was interrupted by the end of the instance or by `hold`.
    if (this.#stop.signal.aborted || this.#held) return this.#view;
    if (result.healthy) this.#everHealthy = true;
    const missing = result.programMissing === true;
    // Crash recovery takes longer with more data. The time limit of the start ends the wait.
    const starting = result.starting === true && !this.#everHealthy;
    this.#view = {
      healthy: result.healthy,
      message: boundText(clean(result.message), LONGEST_MESSAGE),
      latencyMs: Math.round(result.latencyMs),
      checkedAt: Date.now(),
      check: boundText(clean(result.check), LONGEST_CHECK),
      consecutiveFailures: result.healthy
        ? 0
        : this.#view.consecutiveFailures + ((counts && !starting) || missing ? 1 : 0),
      web: this.#web,
    };
    // A missing program does not appear later, so do not wait for retries.
    const failed = missing || this.#view.consecutiveFailures >= timing.retries;
    onCheck(result.healthy ? "healthy" : failed ? "unhealthy" : null, this.#view);
    return this.#view;
  }

  /** Runs all checks. Returns the first failure, else the first result with the descriptions of all checks. */
  async #probeAll(): Promise<ProbeResult> {
    const results = await Promise.all(this.#checks.map((check) => this.#probe(check)));
    const [first] = results as [ProbeResult];
    const failure = results.find(({ healthy }) => !healthy);
    if (failure !== undefined || results.length === 1) return failure ?? first;
    return {
      ...first,
      latencyMs: Math.max(...results.map(({ latencyMs }) => latencyMs)),
      check: results.map(({ check }) => check).join(", "),
    };
  }

  /** A service can answer late at first, so the next checks ask again. */
  async #identify(): Promise<void> {
    if (this.#identifications >= IDENTIFICATIONS) return;
    this.#identifications += 1;
    const { instance, unidentified } = this.options;
    const ports = unidentified.filter((port) => !this.#web.has(port));
    await Promise.all(
      ports.map(async (port) => {
        const protocol = await instance.webProtocol(port, this.#stop.signal);
        if (protocol !== null) this.#web.set(port, protocol);
      }),
    );
  }

  async #probe(healthcheck: Healthcheck): Promise<ProbeResult> {
    const begun = Date.now();
    let result: ProbeResult;
    try {
      result = await this.options.instance.probe(healthcheck, this.#stop.signal);
    } catch (error) {
      return {
        healthy: false,
        message: `the check itself failed: ${(error as Error).message}`,
        latencyMs: Date.now() - begun,
        check: healthcheck.test.kind,
      };
    }
    if (result.programMissing !== true || healthcheck.command === undefined) return result;
    // The program of the file's command does not exist in the service. Use `x-probe` or the port check instead.
    const { command: _lacking, ...other } = healthcheck;
    this.#checks = this.#checks.map((check) => (check === healthcheck ? other : check));
    return this.#probe(other);
  }
}
