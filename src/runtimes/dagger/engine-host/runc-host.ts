/** An engine whose host is reachable: limits, usage, commands and signals through the host's runc. */

import { constants } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { StackwardenError } from "../../../errors.js";
import { callTo, hint } from "../../../hint.js";
import type { Limits } from "../../../stack/definition/types.js";
import { limitsHold } from "../../../stack/lifecycle/limits.js";
import type { AppliedLimits, Enforcement, ExecRequest, ExecResult, ServiceStats } from "../../../stack/runtime.js";
import { lastLine } from "../../shared/last-line.js";
import { NO_LIMIT } from "../../shared/no-limit.js";
import { ENTRY_PATH } from "../entry/types.js";
import {
  cgroupVersion,
  type HostSnapshot,
  parseLimits,
  parseSnapshot,
  parseUsage,
  parseUser,
  type Usage,
} from "./cgroup-files.js";
import { Containers, cancelled, ID } from "./containers.js";
import type { Answer, Helper } from "./helper.js";
import { CPU_PERIOD_US, kernelLimits } from "./limit-values.js";
import { PAUSE, pauseContainer } from "./pause.js";
import { GONE, NOT_YET, type Script, script } from "./remote-scripts.js";
import { usageOfEvent } from "./runc-events.js";
import { streamedExec } from "./streamed-exec.js";
import type { EngineHost, HostExec, HostExecResult, HostUser, Pause } from "./types.js";
import { unknownLimits, unknownStats } from "./unreachable-host.js";

const FIND_MS = 30_000;
/**
 * Number of listings without a container of this server after which the engine is assumed to run on another machine.
 */
const ENOUGH_LOOKS = 10;
/** Milliseconds for limits to become visible. */
const APPLY_MS = 10_000;
const PAUSE_MS = 50;
/** Milliseconds for killed containers to end. */
const END_MS = 20_000;
const MOST_OUTPUT = 65_536;

export interface ContainerLookup {
  description: string;
  enforcement: Enforcement;
  capacity: EngineHost["capacity"];
}

const text = ({ output }: Answer): string => output.toString().trim();

/** Sets every limit: a missing one becomes unlimited. */
export function updateOptions(limits: Limits, withSwap: boolean): string[] {
  const { memoryBytes = -1, cpuQuotaUs = -1, pids = -1 } = kernelLimits(limits);
  return [
    `--memory=${memoryBytes}`,
    // The same as the memory limit: no additional swap.
    ...(withSwap ? [`--memory-swap=${memoryBytes}`] : []),
    `--cpu-period=${CPU_PERIOD_US}`,
    `--cpu-quota=${cpuQuotaUs}`,
    `--pids-limit=${pids}`,
  ];
}

const NAMES = ["cpus", "memory_mb", "pids"] as const;

/** Limits that differ from the requested ones, including limits that were not requested. */
const wrong = (limits: Limits, applied: AppliedLimits): (typeof NAMES)[number][] =>
  NAMES.filter((name) => {
    const requestedLimit = limits[name];
    return requestedLimit === undefined
      ? applied[name].value !== null
      : !limitsHold({ [name]: requestedLimit }, applied);
  });

/** The limit is not visible for the service, so it cannot be verified. */
const unseen = ({ value, enforcement }: AppliedLimits["cpus"]): boolean =>
  value === null && enforcement.reason !== NO_LIMIT.reason;

export class RuncHost implements EngineHost {
  readonly #containers: Containers;
  readonly #samples = new Map<string, { at: number; seconds: number }>();
  readonly #lookup: ContainerLookup;
  /** False when the host's kernel does not account for swap. */
  #swap = true;
  #lost: string | null = null;
  /** True when the host has listed a container of this server. */
  #shows = false;
  #elsewhere: string | null = null;

  constructor(
    private readonly helper: Helper,
    lookup: ContainerLookup,
  ) {
    this.#lookup = lookup;
    this.#containers = new Containers(helper);
  }

  get description(): string {
    return this.#lookup.description;
  }

  get enforcement(): Enforcement {
    const reason = this.#elsewhere ?? this.#lost;
    return reason === null ? this.#lookup.enforcement : { level: "none", reason };
  }

  get capacity(): EngineHost["capacity"] {
    return this.#lookup.capacity;
  }

  async find(instance: string, signal: AbortSignal): Promise<string> {
    const id = await this.#reached(() => this.#containers.find(instance, signal, FIND_MS));
    this.#shows = true;
    return id;
  }

  elsewhere(): boolean {
    if (this.#shows || this.#containers.looks < ENOUGH_LOOKS) return false;
    this.#elsewhere = `the engine's containers do not show on ${this.description}`;
    return true;
  }

  async apply(id: string, limits: Limits): Promise<AppliedLimits> {
    const end = Date.now() + APPLY_MS;
    let held = 0;
    for (;;) {
      const answer = await this.#sh("host_apply", [checked(id), ...updateOptions(limits, this.#swap)]);
      if (answer.exitCode === GONE) throw notFound(answer);
      if (answer.exitCode !== 0 && this.#swap && /memsw|swap/i.test(text(answer))) {
        this.#swap = false;
        continue;
      }
      const appliedLimits = parseLimits(parseSnapshot(text(answer)));
      const off = wrong(limits, appliedLimits);
      held = answer.exitCode === 0 && off.length === 0 ? held + 1 : 0;
      // Verified twice: values that are written while runc still creates the container are overwritten shortly after.
      if (held === 2) return appliedLimits;
      if (Date.now() > end) {
        if (answer.exitCode === 0 && off.every((name) => limits[name] === undefined || unseen(appliedLimits[name])))
          return appliedLimits;
        const why =
          answer.exitCode === 0
            ? `after ${APPLY_MS / 1000} s the service shows ${off.map((name) => `${name} ${appliedLimits[name].value ?? "unlimited"}`).join(", ")}`
            : lastLine(text(answer));
        throw new StackwardenError("LIMIT_REFUSED", `The kernel refused the limits: ${why}.`, {
          hint: "The kernel refuses a limit below current usage: choose a higher limit, or stop the service first.",
          details: { asked: limits },
        });
      }
      await delay(PAUSE_MS);
    }
  }

  async read(id: string): Promise<AppliedLimits> {
    const snapshot = await this.#inspect(id);
    if (typeof snapshot === "string") return unknownLimits(snapshot);
    // Gives the first usage sample a value to compare with.
    if (!this.#samples.has(id)) this.#cores(id, performance.now(), parseUsage(snapshot).cpu_seconds_total);
    return parseLimits(snapshot);
  }

  async stats(id: string): Promise<ServiceStats> {
    const snapshot = await this.#inspect(id);
    const at = performance.now();
    if (typeof snapshot === "string")
      return { ...unknownStats(snapshot), oom_kills: await this.#oomKillsOfTheGone(id) };
    let usage: Usage = parseUsage(snapshot);
    if (cgroupVersion(snapshot) === null) {
      const event = usageOfEvent(text(await this.#run(["runc", "events", "--stats", checked(id)])));
      usage = {
        ...usage,
        ...(event ?? {}),
        network_rx_bytes: usage.network_rx_bytes,
        network_tx_bytes: usage.network_tx_bytes,
      };
    }
    const missing = Object.entries(usage).flatMap(([name, value]) => (value === null ? [name] : []));
    return {
      cpu_cores: this.#cores(id, at, usage.cpu_seconds_total),
      ...usage,
      reason: missing.length === 0 ? null : `the engine's host does not measure ${missing.join(", ")}`,
    };
  }

  async user(id: string): Promise<HostUser | null> {
    const snapshot = await this.#inspect(id);
    return typeof snapshot === "string" ? null : parseUser(snapshot);
  }

  async begun(id: string, signal: AbortSignal): Promise<HostUser | null> {
    for (;;) {
      if (signal.aborted) throw cancelled(signal);
      const answer = await this.#sh("host_begun", [checked(id), ENTRY_PATH]);
      if (answer.exitCode === GONE) throw notFound(answer);
      if (answer.exitCode !== NOT_YET) return answer.exitCode === 0 ? parseUser(parseSnapshot(text(answer))) : null;
    }
  }

  async exec(id: string, { argv, user, timeoutMs, signal }: HostExec): Promise<HostExecResult> {
    if (argv.length === 0) throw new TypeError("The command is empty.");
    if (user !== undefined && !/^\d+(:\d+)?$/.test(user)) throw new TypeError("Expected a user as uid or uid:gid.");
    if (signal.aborted) return { exitCode: null, output: "" };
    const words = (pidFile: string): string[] => [
      ...["runc", "exec", "--no-new-privs", "--pid-file", pidFile],
      ...(user === undefined ? [] : ["--user", user]),
      ...[checked(id), ...argv],
    ];
    return this.#reached(async () => {
      const request = (pidFile: string) => ({ words: words(pidFile), most: MOST_OUTPUT });
      const answer = await this.helper.runToEnd(request, { timeoutMs, signal });
      return { exitCode: answer.exitCode, output: answer.output.toString() };
    });
  }

  stream(id: string, service: string, request: ExecRequest): Promise<ExecResult> {
    return this.#reached(() =>
      streamedExec({
        service,
        id: checked(id),
        request,
        spawn: (text, args) => this.helper.spawn(text, args),
        kill: async (mark) => void (await this.#sh("host_kill_marked", [mark])),
      }),
    );
  }

  pause(id: string): Promise<Pause> {
    return this.#reached(async () => pauseContainer(this.helper.spawn(PAUSE, [checked(id)])));
  }

  async end(instances: readonly string[], signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + END_MS;
    for (;;) {
      if (signal.aborted) throw cancelled(signal);
      const ids = await this.#reached(() => this.#containers.of(instances));
      if (ids.length === 0) return;
      if (Date.now() > deadline)
        throw new StackwardenError("STOP_FAILED", `An earlier instance still runs after ${END_MS / 1000} s.`, {
          hint: "It uses the same volume. Restart the Dagger engine, then start the stack again.",
          details: { containers: ids },
        });
      for (const id of ids) await this.kill(id, "SIGKILL");
      await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async kill(id: string, signal: string): Promise<void> {
    if (!(signal in constants.signals)) throw new TypeError(`"${signal}" is not a signal.`);
    const answer = await this.#run(["runc", "kill", checked(id), signal], false);
    // A container that has already ended satisfies the caller.
    if (
      answer.exitCode !== 0 &&
      !/not running|does not exist|process already finished|no such process/i.test(text(answer))
    )
      throw new StackwardenError("STOP_FAILED", `${signal} could not be sent: ${lastLine(text(answer))}.`);
  }

  close(): Promise<void> {
    return this.helper.close();
  }

  /** Cores in use since the last sample. */
  #cores(id: string, at: number, seconds: number | null): number | null {
    const before = this.#samples.get(id);
    if (seconds === null) return null;
    this.#samples.set(id, { at, seconds });
    if (before === undefined || at <= before.at) return null;
    return Math.max(0, ((seconds - before.seconds) * 1000) / (at - before.at));
  }

  /** Null when the kernel log has no entry: the log is bounded, so a missing entry is no evidence. */
  async #oomKillsOfTheGone(id: string): Promise<number | null> {
    if (this.#lost !== null) return null;
    const answer = await this.#sh("host_oom_kills", [id]).catch(() => null);
    const kills = answer === null ? Number.NaN : Number.parseInt(text(answer), 10);
    return kills > 0 ? kills : null;
  }

  /** The usage, or the reason why it cannot be read. */
  async #inspect(id: string): Promise<HostSnapshot | string> {
    try {
      const answer = await this.#sh("host_inspect", [checked(id)]);
      if (answer.exitCode === 0) return parseSnapshot(text(answer));
      this.#samples.delete(id);
      return `the container is gone (${lastLine(text(answer))})`;
    } catch (error) {
      if (error instanceof StackwardenError) return error.message;
      throw error;
    }
  }

  #sh(name: Script, args: string[]): Promise<Answer> {
    return this.#run(script(name, ...args));
  }

  #run(words: string[], again = true): Promise<Answer> {
    return this.#reached(() => this.helper.run({ words }, again));
  }

  /** Records whether the host is reachable, for the next report. */
  async #reached<T>(run: () => Promise<T>): Promise<T> {
    try {
      const result = await run();
      this.#lost = null;
      return result;
    } catch (error) {
      if (error instanceof StackwardenError && error.code === "RUNTIME_UNAVAILABLE") this.#lost = error.message;
      throw error;
    }
  }
}

function checked(id: string): string {
  if (!ID.test(id)) throw new TypeError("Invalid container id.");
  return id;
}

const notFound = (answer: Answer): StackwardenError =>
  new StackwardenError("SERVICE_NOT_STARTED", `The service's container is gone: ${lastLine(text(answer))}.`, {
    hint: hint`Check its state with ${callTo("health_status")}.`,
  });
