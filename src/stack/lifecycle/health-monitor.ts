/** Continuous health checks of one running instance, as Compose defines them; checks never overlap. */
import type { Healthcheck } from "../definition/types.js";
import type { ProbeResult, RuntimeService } from "../runtime.js";
import { boundText } from "../text/sanitize-text.js";

/** Shown of a check's result and of its description, in bytes; cut after secrets are removed. */
const LONGEST_MESSAGE = 500;
const LONGEST_CHECK = 250;

export interface HealthView {
  /** Null: no check was made yet. */
  healthy: boolean | null;
  message: string;
  latencyMs: number | null;
  /** Epoch milliseconds. */
  checkedAt: number | null;
  check: string | null;
  consecutiveFailures: number;
}

export interface HealthMonitorOptions {
  instance: RuntimeService;
  /** Undefined or `none`: healthy as long as it runs. */
  healthcheck: Healthcheck | undefined;
  /** Sanitises and redacts what a check saw. */
  clean(text: string): string;
  /** Told after every check. `verdict` is null while nothing is decided: starting, or failing but not often enough. */
  onCheck(verdict: "healthy" | "unhealthy" | null, view: HealthView): void;
}

export class HealthMonitor {
  readonly #stop = new AbortController();
  #view: HealthView = {
    healthy: null,
    message: "No check was made yet.",
    latencyMs: null,
    checkedAt: null,
    check: null,
    consecutiveFailures: 0,
  };
  #everHealthy = false;
  #running: Promise<HealthView> | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: HealthMonitorOptions) {}

  get view(): HealthView {
    return this.#view;
  }

  start(): void {
    const { healthcheck, instance } = this.options;
    if (healthcheck === undefined || healthcheck.test.kind === "none") {
      this.#view = {
        healthy: true,
        message: "Running; the service defines no healthcheck.",
        latencyMs: 0,
        checkedAt: instance.startedAt,
        check: "process is running",
        consecutiveFailures: 0,
      };
      this.options.onCheck("healthy", this.#view);
      return;
    }
    void this.#loop(healthcheck);
  }

  /** Checks now, or joins the check that is under way. */
  check(): Promise<HealthView> {
    const { healthcheck } = this.options;
    if (healthcheck === undefined || healthcheck.test.kind === "none" || this.#stop.signal.aborted)
      return Promise.resolve(this.#view);
    this.#running ??= this.#probe(healthcheck).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stop.abort();
  }

  async #loop(healthcheck: Healthcheck): Promise<void> {
    await this.check();
    if (this.#stop.signal.aborted) return;
    const wait = this.#inStartPeriod(healthcheck) ? healthcheck.startIntervalMs : healthcheck.intervalMs;
    this.#timer = setTimeout(() => void this.#loop(healthcheck), wait);
  }

  /** Failures do not count before the first success, for so long. */
  #inStartPeriod(healthcheck: Healthcheck): boolean {
    return !this.#everHealthy && Date.now() - this.options.instance.startedAt < healthcheck.startPeriodMs;
  }

  async #probe(healthcheck: Healthcheck): Promise<HealthView> {
    const { instance, clean, onCheck } = this.options;
    const counts = !this.#inStartPeriod(healthcheck);
    const begun = Date.now();
    let result: ProbeResult;
    try {
      result = await instance.probe(healthcheck, this.#stop.signal);
    } catch (error) {
      result = {
        healthy: false,
        message: `the check itself failed: ${(error as Error).message}`,
        latencyMs: Date.now() - begun,
        check: healthcheck.test.kind,
      };
    }
    // A check that was cut short by the end of the instance says nothing about it.
    if (this.#stop.signal.aborted) return this.#view;
    if (result.healthy) this.#everHealthy = true;
    this.#view = {
      healthy: result.healthy,
      message: boundText(clean(result.message), LONGEST_MESSAGE),
      latencyMs: Math.round(result.latencyMs),
      checkedAt: Date.now(),
      check: boundText(clean(result.check), LONGEST_CHECK),
      consecutiveFailures: result.healthy ? 0 : this.#view.consecutiveFailures + (counts ? 1 : 0),
    };
    const failed = this.#view.consecutiveFailures >= healthcheck.retries;
    onCheck(result.healthy ? "healthy" : failed ? "unhealthy" : null, this.#view);
    return this.#view;
  }
}
