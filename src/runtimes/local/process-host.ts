/** The processes that the local runtime starts on this machine: users, cgroups, launch, and the watchdog. */

import { availableParallelism, totalmem } from "node:os";
import { StackwardenError } from "../../errors.js";
import type { Limits } from "../../stack/definition/types.js";
import type { Enforcement } from "../../stack/runtime.js";
import { removeUnfinished } from "../../system/atomic-write.js";
import { startTime } from "../../system/process-identity.js";
import { isRootServer } from "../../system/root-server.js";
import { withDefaults } from "../shared/default-limits.js";
import type { NetworkNamespace } from "./network/namespace.js";
import { Networks } from "./network/networks.js";
import { accessible } from "./process/access.js";
import { type Cgroup, type CgroupFactory, endCgroup, MB } from "./process/cgroup.js";
import { type CommandGroup, openCommandGroup } from "./process/command-group.js";
import { detectCgroups } from "./process/detect-cgroups.js";
import { findSandboxTools } from "./process/find-sandbox.js";
import { findGateTools, type GateTools } from "./process/gate.js";
import { endLaunched, type Inside, type Launched, type LaunchSpec, launch, retryMounts } from "./process/launch.js";
import { CgroupProcess, endOf } from "./process/managed-process.js";
import { withName } from "./process/named-user.js";
import { feed, followCommand } from "./process/run-command.js";
import type { SandboxTools, SandboxView } from "./process/sandbox.js";
import { Sandbox } from "./process/sandbox-host.js";
import { UserLeases } from "./process/user-leases.js";
import { ServiceUsers } from "./process/users.js";
import { Watchdog } from "./process/watchdog.js";
import type {
  ManagedProcess,
  ProcessHost,
  ProcessHostOptions,
  ProcessSpec,
  RunResult,
  RunSpec,
  ServiceUser,
} from "./types.js";

const notStarted = (service: string, error: unknown): StackwardenError =>
  error instanceof StackwardenError
    ? error
    : new StackwardenError("SERVICE_START_FAILED", `${service} cannot be started: ${(error as Error).message}.`, {
        hint: "Its cgroup cannot be made or its limits cannot be set; `stackwarden doctor` shows what this machine can do.",
        cause: error,
      });

const SIGKILL_EXIT = 128 + 9;
const instanceEnded = (): StackwardenError =>
  new StackwardenError("SERVICE_NOT_STARTED", "The instance that the command belongs to has ended.", {
    hint: "Wait until the service runs again, then call again.",
  });

/** Whether a cgroup's directory was removed before or while it was used. */
function isRemoved(error: unknown): boolean {
  const { code } = (error instanceof StackwardenError ? error.cause : error) as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENODEV";
}

/** Maximum length of each part of a cgroup's name. */
const NAME_PART = 40;

interface Begun {
  launched: Launched;
  cgroup: Cgroup | null;
}

class LocalProcessHost implements ProcessHost {
  readonly #users: ServiceUsers;
  readonly #leases: UserLeases;
  readonly #watchdog: Watchdog;
  readonly #networks: Networks;
  readonly #processes = new Set<ManagedProcess>();
  readonly #commands = new Set<AbortController>();
  readonly #cgroups = new Map<ManagedProcess, Cgroup>();
  readonly #insides = new Map<ManagedProcess, Inside>();
  readonly #starting = new Set<Promise<unknown>>();
  #closing = false;
  #count = 0;

  constructor(
    private readonly options: ProcessHostOptions,
    private readonly factory: CgroupFactory | null,
    private readonly limits: Enforcement,
    private readonly tools: GateTools,
    private readonly sandbox: Sandbox,
    private readonly size: { cpus: number; memory_mb: number },
  ) {
    this.#users = new ServiceUsers(options.stateDir);
    this.#leases = new UserLeases(options.warn);
    this.#watchdog = new Watchdog(options);
    this.#networks = new Networks(options.network ?? "auto", this.sandbox, options.warn, {
      watch: (pid) => this.#watch(pid, [], null),
      unwatch: (pid) => this.#watchdog.remove(pid),
    });
  }

  /** The watchdog's process id. Tests kill that process. */
  get watchdogPid(): number | null {
    return this.#watchdog.pid;
  }

  sweep(): Promise<void> {
    return this.#watchdog.sweep();
  }

  userFor(projectId: string, service: string): Promise<ServiceUser> {
    return this.#users.of(projectId, service);
  }

  groupFor(projectId: string, volume: string): Promise<number | null> {
    return this.#users.groupOf(projectId, volume);
  }

  mountPlace(target: string, needed: readonly string[]): Promise<string | null> {
    return this.sandbox.mountPlace(target, needed);
  }

  hides(path: string, view: SandboxView): boolean {
    return this.sandbox.hides(path, view);
  }

  usersEnforcement(): Enforcement {
    return this.#users.enforcement();
  }

  sandboxEnforcement(): Enforcement {
    return this.sandbox.enforcement;
  }

  async limitsEnforcement(): Promise<Enforcement> {
    return this.limits;
  }

  capacity(): { cpus: number; memory_mb: number } {
    return this.size;
  }

  accessible(path: string, user: ServiceUser, mode: "read" | "execute", shown?: string): Promise<boolean> {
    return accessible(path, user, mode, shown !== undefined && this.sandbox.isBelowHidden(shown) ? shown : undefined);
  }

  openNetwork(): Promise<NetworkNamespace | null> {
    this.#watchdog.begin();
    return this.#networks.open();
  }

  networkEnforcement(): Promise<Enforcement> {
    return this.#networks.enforcement();
  }

  spawn(spec: ProcessSpec): Promise<ManagedProcess> {
    return this.#counted(this.#spawn(spec));
  }

  async #spawn(spec: ProcessSpec): Promise<ManagedProcess> {
    const { user, service, projectId, generation } = spec;
    await this.#leases.take(user.uid);
    let begun: Begun;
    try {
      const name = this.#name(projectId, service, String(generation));
      const stdin = spec.stdin === undefined ? "ignore" : "pipe";
      const namespaces = await this.sandbox.own({ ...spec, programs: spec.programs ?? [] });
      begun = await this.#begin({ ...spec, ...namespaces, tools: this.tools, stdin }, name, spec.limits);
    } catch (error) {
      await this.#leases.release(user.uid);
      throw notStarted(service, error);
    }
    const { launched, cgroup } = begun;
    if (spec.stdin !== undefined) feed(launched.child.stdin, spec.stdin);
    const process = new CgroupProcess({
      launched,
      cgroup,
      unlimited: this.limits,
      sink: spec.sink,
      warn: this.options.warn,
      endRest: () => this.#release(user.uid, launched.inside),
      onGone: async () => {
        this.#processes.delete(process);
        this.#cgroups.delete(process);
        this.#insides.delete(process);
        await this.#watchdog.remove(launched.pid);
      },
    });
    this.#processes.add(process);
    if (cgroup !== null) this.#cgroups.set(process, cgroup);
    if (launched.inside !== null) this.#insides.set(process, launched.inside);
    return process;
  }

  /**
   * Starts a command in its own cgroup. Everything is registered with the watchdog before it exists, so that nothing
   * remains whenever the server dies.
   */
  #begin(spec: LaunchSpec, name: string, limits: Limits): Promise<Begun> {
    return retryMounts(() => this.#beginOnce(spec, name, limits));
  }

  async #beginOnce(spec: LaunchSpec, name: string, limits: Limits): Promise<Begun> {
    const directories = this.factory?.directories(name) ?? [];
    const launched = await launch(spec);
    try {
      await this.#watch(launched.pid, directories, spec.user);
      const cgroup = (await this.factory?.create(name)) ?? null;
      await cgroup?.setLimits(withDefaults(limits));
      await launched.enter(cgroup?.procsFiles ?? []);
      this.#refuseWhenClosing();
      await launched.begin();
      return { launched, cgroup };
    } catch (error) {
      await endLaunched(launched);
      await endCgroup(directories).catch(() => undefined);
      await this.#watchdog.remove(launched.pid);
      throw error;
    }
  }

  run(spec: RunSpec): Promise<RunResult> {
    return this.#counted(this.#run(spec));
  }

  async #run(spec: RunSpec): Promise<RunResult> {
    const end = new AbortController();
    this.#commands.add(end);
    const following = { ...spec, signal: AbortSignal.any([spec.signal, end.signal]) };
    try {
      const named = spec.named === true && this.sandbox.enforcement.level === "none";
      return spec.inside === undefined
        ? await (named ? withName(spec.user, () => this.#runAlone(following)) : this.#runAlone(following))
        : await this.#runInside(following, spec.inside);
    } finally {
      this.#commands.delete(end);
    }
  }

  async #runAlone(spec: RunSpec): Promise<RunResult> {
    const { uid } = spec.user;
    const name = this.#name(spec.project ?? "none", spec.service ?? "command", "run");
    await this.#leases.take(uid);
    let inside: Inside | null = null;
    try {
      const launching = { ...spec, ...(await this.sandbox.own(spec)), tools: this.tools, stdin: "pipe" } as const;
      const { launched, cgroup } = await this.#begin(launching, name, spec.limits ?? {});
      inside = launched.inside;
      try {
        const result = endOf(launched, await followCommand(launched, spec));
        const killed = result.signal === "SIGKILL" || result.exitCode === SIGKILL_EXIT;
        const ours = spec.signal.aborted || result.timedOut;
        const oomKilled = killed && !ours && ((await cgroup?.usage())?.oom_kills ?? 0) > 0;
        return { ...result, oomKilled };
      } finally {
        await endLaunched(launched);
        await endCgroup(cgroup?.directories ?? []).catch((error: Error) =>
          this.options.warn(`A cgroup could not be removed: ${error.message}`),
        );
        await this.#watchdog.remove(launched.pid);
      }
    } finally {
      // Background processes of an installation step must not outlive it.
      await this.#release(uid, inside);
    }
  }

  #release(uid: number, inside: Inside | null): Promise<void> {
    return inside === null ? this.#leases.release(uid) : this.#leases.releaseInside(uid, inside);
  }

  async #runInside(spec: RunSpec, instance: ManagedProcess): Promise<RunResult> {
    const launched = await launch({ ...spec, ...this.#joined(instance), tools: this.tools, stdin: "pipe" });
    let group: CommandGroup | null = null;
    try {
      await this.#watch(launched.pid, [], null);
      group = await this.#join(launched, instance);
      this.#refuseWhenClosing();
      const kills = (): Promise<number> => this.#oomKills(instance);
      const before = await kills();
      await launched.begin();
      const result = await followCommand(launched, spec);
      const killed = result.signal === "SIGKILL" || result.exitCode === SIGKILL_EXIT;
      const ours = spec.signal.aborted || result.timedOut;
      return { ...result, oomKilled: killed && !ours && (await kills()) > before };
    } finally {
      await endLaunched(launched);
      // End processes that left the process group, too.
      await group?.end().catch((error: Error) => this.options.warn(`A cgroup could not be removed: ${error.message}`));
      await this.#watchdog.remove(launched.pid);
    }
  }

  /** @throws SERVICE_NOT_STARTED */
  #joined(instance: ManagedProcess): Pick<LaunchSpec, "namespaces"> {
    const inside = this.#insides.get(instance);
    if (inside === undefined) return {};
    try {
      return this.sandbox.joined(inside);
    } catch {
      // The first process has no namespaces any more: it ends before the host forgets the instance.
      throw instanceEnded();
    }
  }

  /** @throws SERVICE_NOT_STARTED: a command must not run without the limits of the instance that it belongs to */
  async #join(launched: Launched, instance: ManagedProcess): Promise<CommandGroup | null> {
    if (!this.#processes.has(instance)) throw instanceEnded();
    const cgroup = this.#cgroups.get(instance);
    if (cgroup === undefined) return null;
    let group: CommandGroup | null = null;
    try {
      group = await openCommandGroup(cgroup, `command-${launched.pid}`);
      await launched.enter(group.procsFiles);
      return group;
    } catch (error) {
      await group?.end().catch(() => undefined);
      // The cgroup is removed, with the command's directory, before the host forgets the instance.
      throw isRemoved(error) ? instanceEnded() : error;
    }
  }

  async #oomKills(instance: ManagedProcess): Promise<number> {
    return (await this.#cgroups.get(instance)?.usage())?.oom_kills ?? 0;
  }

  /** Also ends processes that are just being started. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const command of this.#commands) command.abort();
    await Promise.all([...this.#processes].map((process) => process.stop({ graceMs: 0 })));
    await Promise.allSettled(this.#starting);
    await this.#networks.close();
    await this.#watchdog.close();
  }

  async #counted<T>(starting: Promise<T>): Promise<T> {
    this.#starting.add(starting);
    try {
      return await starting;
    } finally {
      this.#starting.delete(starting);
    }
  }

  #refuseWhenClosing(): void {
    if (this.#closing)
      throw new StackwardenError("OPERATION_CANCELLED", "The server is shutting down and starts no more processes.", {
        hint: "Start the server again, then call again.",
      });
  }

  #watch(pid: number, directories: string[], user: ServiceUser | null): Promise<void> {
    const uid = user?.enforcement.level === "enforced" ? user.uid : null;
    return this.#watchdog.add({ pid, started: startTime(pid), directories, uid });
  }

  /** A name that is unique on this machine: it contains the server's process id and a counter. */
  #name(...parts: string[]): string {
    this.#count += 1;
    const part = (text: string): string => text.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, NAME_PART);
    return [`stackwarden-${process.pid}-${this.#count}`, ...parts.map(part)].join("-");
  }
}

/** The capabilities of this machine, detected by running programs and creating a cgroup. */
export interface Machine {
  cgroups: Awaited<ReturnType<typeof detectCgroups>>;
  tools: GateTools;
  sandbox: SandboxTools | { reason: string };
}

export async function detectMachine(
  options: Pick<ProcessHostOptions, "cgroupRoot" | "procRoot" | "namespaces">,
): Promise<Machine> {
  const { cgroupRoot, procRoot, namespaces = true } = options;
  // Detect cgroups before anything else starts: programs that run meanwhile would be in the cgroup that is examined.
  const cgroups = await detectCgroups({
    ...(cgroupRoot === undefined ? {} : { cgroupRoot }),
    ...(procRoot === undefined ? {} : { procRoot }),
  });
  const tools = await findGateTools(isRootServer());
  const sandbox = namespaces ? await findSandboxTools(tools.setpriv) : { reason: "they are turned off" };
  return { cgroups, tools, sandbox };
}

/** Ends processes that an earlier server left behind. */
export async function createProcessHost(options: ProcessHostOptions, detected?: Machine): Promise<LocalProcessHost> {
  const { cgroups, tools, sandbox: sandboxTools } = detected ?? (await detectMachine(options));
  const sandbox = await Sandbox.create(options.stateDir, sandboxTools);
  const { factory } = cgroups;
  const limits: Enforcement = factory?.enforcement ?? { level: "none", reason: cgroups.reason ?? "unknown" };
  const bounds = (await factory?.bounds()) ?? { cpus: null, memory_mb: null };
  const host = new LocalProcessHost(options, factory, limits, tools, sandbox, {
    cpus: Math.min(availableParallelism(), bounds.cpus ?? Number.POSITIVE_INFINITY),
    memory_mb: Math.min(Math.floor(totalmem() / MB), bounds.memory_mb ?? Number.POSITIVE_INFINITY),
  });
  await host.sweep();
  await removeUnfinished(options.stateDir);
  return host;
}
