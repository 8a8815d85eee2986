/** One instance of a service: its process group in its cgroup, from the launch until no process is left. */

import { readFileSync } from "node:fs";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { StackwardenError } from "../../../errors.js";
import { callTo, hint } from "../../../hint.js";
import type { Limits } from "../../../stack/definition/types.js";
import type { LogSink } from "../../../stack/logs/types.js";
import type { AppliedLimits, Enforcement, ServiceExit, ServiceStats } from "../../../stack/runtime.js";
import { withinOrNull } from "../../../system/wait.js";
import { withDefaults } from "../../shared/default-limits.js";
import { drain } from "../../shared/drain.js";
import { NO_STATS } from "../../shared/no-stats.js";
import type { ManagedProcess } from "../types.js";
import { type Cgroup, endCgroup, killAll, type Usage } from "./cgroup.js";
import { killGroup, type Launched } from "./launch.js";
import { type PauseTarget, pauseProcesses, resumeProcesses } from "./pause.js";
import { procUsage } from "./proc-usage.js";

const SIGKILL_EXIT = 128 + 9;

export interface ManagedOptions {
  launched: Launched;
  cgroup: Cgroup | null;
  /** The enforcement to report when there is no cgroup. */
  unlimited: Enforcement;
  sink: LogSink;
  /** Called when the process group and the cgroup are gone: ends processes that are outside of both. */
  endRest(): Promise<void>;
  /** Called when no process is left, before `exited` settles. */
  onGone(): Promise<void>;
  warn(message: string): void;
}

/** Maximum pause for a slow disk: logging must not block a service. */
const PAUSE_MS = 250;

function intake(from: Readable, stream: "stdout" | "stderr", sink: LogSink): void {
  from.on("data", (chunk: Buffer) => {
    sink.write(stream, chunk);
    const behind = sink.behind?.() ?? null;
    if (behind === null) return;
    from.pause();
    void withinOrNull(behind, PAUSE_MS).finally(() => from.resume());
  });
}

const withoutCgroup = (usage: Usage, { reason }: Enforcement): string =>
  usage.memory_mb === null
    ? `Nothing else is measured: ${reason}.`
    : `Processor time, memory and processes are summed from /proc, and memory that processes share counts in each of them; nothing else is measured: ${reason}.`;

const SIGNALS = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/**
 * The process that waits for a command in its namespaces exits with 128 plus the number of the signal that ended the
 * command.
 */
export function endOf<T extends { exitCode: number | null; signal: string | null }>(launched: Launched, end: T): T {
  const signal = launched.inside === null ? undefined : SIGNALS.get((end.exitCode ?? 0) - 128);
  return signal === undefined ? end : { ...end, exitCode: null, signal };
}

export class CgroupProcess implements ManagedProcess {
  readonly pid: number;
  readonly startedAt = Date.now();
  readonly exited: Promise<ServiceExit>;
  #ended = false;
  /** The server killed it: this does not indicate a lack of memory. */
  #killed = false;
  #lastUsage: Usage = NO_STATS;
  #lastCpu: { at: number; seconds: number } = { at: Date.now(), seconds: 0 };

  constructor(private readonly options: ManagedOptions) {
    const { launched, sink } = options;
    this.pid = launched.command;
    intake(launched.stdout, "stdout", sink);
    intake(launched.stderr, "stderr", sink);
    const { child } = launched;
    this.exited = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null)
        resolve({ exitCode: child.exitCode, signal: child.signalCode });
      else child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
    }).then((end) => this.#finish(endOf(launched, end)));
  }

  async #finish({ exitCode, signal }: { exitCode: number | null; signal: string | null }): Promise<ServiceExit> {
    const { launched, cgroup, sink, endRest, onGone, warn } = this.options;
    const at = Date.now();
    this.#ended = true;
    this.#lastUsage = (await cgroup?.usage()) ?? NO_STATS;
    // The kernel may have killed a helper process of the service; its main process then usually continues.
    const killed = signal === "SIGKILL" || exitCode === SIGKILL_EXIT;
    const oomKilled = killed && !this.#killed && (this.#lastUsage.oom_kills ?? 0) > 0;
    killGroup(launched.pid);
    try {
      await endCgroup(cgroup?.directories ?? []);
    } catch (error) {
      warn(`A cgroup could not be removed: ${(error as Error).message}`);
    }
    await endRest();
    await drain(launched.stdout, launched.stderr);
    sink.end();
    await onGone();
    return { exitCode, signal, oomKilled, at };
  }

  effectiveUid(): number | null {
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
      const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1];
      return uid === undefined ? null : Number(uid);
    } catch {
      return null;
    }
  }

  async stop({ graceMs, signal = "SIGTERM" }: { graceMs: number; signal?: string }): Promise<ServiceExit> {
    if (!this.#ended && graceMs > 0) {
      this.#send(signal as NodeJS.Signals);
      await withinOrNull(this.exited, graceMs);
    }
    if (!this.#ended) {
      this.#killed = true;
      killGroup(this.options.launched.pid);
      if (this.options.cgroup !== null) await killAll(this.options.cgroup.directories);
    }
    return this.exited;
  }

  async pause(): Promise<void> {
    if (this.#ended)
      throw new StackwardenError("SERVICE_NOT_STARTED", "The instance has ended.", {
        hint: "Start the service again, then call again.",
      });
    await pauseProcesses(this.#pauseTarget());
  }

  async resume(): Promise<void> {
    if (!this.#ended) await resumeProcesses(this.#pauseTarget());
  }

  #pauseTarget(): PauseTarget {
    const { cgroup, launched } = this.options;
    return { pid: this.pid, directories: cgroup?.directories ?? [], inside: launched.inside };
  }

  #send(signal: NodeJS.Signals): void {
    try {
      process.kill(this.pid, signal);
    } catch (error) {
      // Otherwise the process has ended meanwhile.
      if ((error as NodeJS.ErrnoException).code === "ERR_UNKNOWN_SIGNAL") this.#send("SIGTERM");
    }
  }

  /**
   * @throws LIMIT_REFUSED when the kernel rejects a limit, for example memory below what is in use and cannot be
   * reclaimed
   */
  async setLimits(limits: Limits): Promise<AppliedLimits> {
    const { cgroup } = this.options;
    if (cgroup === null || this.#ended) return this.#unlimited();
    try {
      return await cgroup.setLimits(withDefaults(limits));
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const why =
        code === "EBUSY"
          ? "the service uses more memory than that, and the kernel cannot reclaim it"
          : (code ?? message);
      const { cpus, memory_mb: memory, pids } = await cgroup.readLimits();
      throw new StackwardenError("LIMIT_REFUSED", `The kernel refused the limits: ${why}.`, {
        hint: hint`Choose limits above current usage (${callTo("get_stats")}). In effect now: cpus ${cpus.value ?? "without a limit"}, memory_mb ${memory.value ?? "without a limit"}, pids ${pids.value ?? "without a limit"}.`,
        cause,
      });
    }
  }

  readLimits(): Promise<AppliedLimits> {
    const { cgroup } = this.options;
    return cgroup === null || this.#ended ? Promise.resolve(this.#unlimited()) : cgroup.readLimits();
  }

  #unlimited(): AppliedLimits {
    const none = { value: null, enforcement: this.options.unlimited };
    return { cpus: none, memory_mb: none, pids: none };
  }

  async stats(): Promise<ServiceStats> {
    const { cgroup, launched, unlimited } = this.options;
    const counted = cgroup === null ? await procUsage(this.pid, launched.inside?.init) : await cgroup.usage();
    const usage = this.#ended ? this.#lastUsage : (counted ?? NO_STATS);
    const now = Date.now();
    const seconds = usage.cpu_seconds_total;
    let cores: number | null = null;
    if (seconds !== null) {
      const elapsed = (now - this.#lastCpu.at) / 1000;
      cores = elapsed > 0 ? Math.max(0, seconds - this.#lastCpu.seconds) / elapsed : 0;
      this.#lastCpu = { at: now, seconds };
    }
    const short = (value: number | null): number | null => (value === null ? null : Math.round(value * 1000) / 1000);
    return {
      ...usage,
      cpu_seconds_total: short(seconds),
      memory_mb: short(usage.memory_mb),
      memory_peak_mb: short(usage.memory_peak_mb),
      throttled_seconds: short(usage.throttled_seconds),
      cpu_cores: short(cores),
      network_rx_bytes: null,
      network_tx_bytes: null,
      reason: `Services of the local runtime share the machine's network, which is not measured for each service.${
        cgroup === null ? ` ${withoutCgroup(usage, unlimited)}` : ""
      }`,
    };
  }
}
