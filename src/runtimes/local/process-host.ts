/** The processes of this machine that stackwarden runs: users, cgroups, launch, watchdog. */
import { execFile } from "node:child_process";
import { availableParallelism, totalmem } from "node:os";
import { promisify } from "node:util";
import { StackwardenError } from "../../errors.js";
import type { Enforcement } from "../../stack/runtime.js";
import { removeUnfinished } from "../../system/atomic-write.js";
import { startTime } from "../../system/process-identity.js";
import { accessible } from "./process/access.js";
import { type Cgroup, type CgroupFactory, endCgroup, MB } from "./process/cgroup.js";
import { type CommandGroup, openCommandGroup } from "./process/command-group.js";
import { detectCgroups } from "./process/detect-cgroups.js";
import { type Launched, launch } from "./process/launch.js";
import { CgroupProcess } from "./process/managed-process.js";
import { followCommand } from "./process/run-command.js";
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

const execute = promisify(execFile);

/** Null where it is missing or too simple (BusyBox). */
async function findSetpriv(): Promise<string | null> {
  for (const path of ["/usr/bin/setpriv", "/bin/setpriv"]) {
    const works = await execute(path, ["--no-new-privs", "--", "/bin/sh", "-c", ":"], { env: {}, timeout: 2000 }).then(
      () => true,
      () => false,
    );
    if (works) return path;
  }
  return null;
}

const notStarted = ({ service }: ProcessSpec, error: unknown): StackwardenError =>
  error instanceof StackwardenError
    ? error
    : new StackwardenError("SERVICE_START_FAILED", `${service} cannot be started: ${(error as Error).message}.`, {
        hint: "Its cgroup cannot be made or its limits cannot be set; `stackwarden doctor` says what this machine can do.",
        cause: error,
      });

const SIGKILL_EXIT = 128 + 9;
/** Longest of the parts of a cgroup's name. */
const NAME_PART = 40;

class LocalProcessHost implements ProcessHost {
  readonly #users: ServiceUsers;
  readonly #watchdog: Watchdog;
  readonly #processes = new Set<ManagedProcess>();
  readonly #commands = new Set<AbortController>();
  readonly #cgroups = new Map<ManagedProcess, Cgroup>();
  readonly #starting = new Set<Promise<unknown>>();
  #closing = false;
  #count = 0;

  constructor(
    private readonly options: ProcessHostOptions,
    private readonly factory: CgroupFactory | null,
    private readonly limits: Enforcement,
    private readonly setpriv: string | null,
    private readonly size: { cpus: number; memory_mb: number },
  ) {
    this.#users = new ServiceUsers(options.stateDir);
    this.#watchdog = new Watchdog(options);
  }

  /** For tests: the process to be killed. */
  get watchdogPid(): number | null {
    return this.#watchdog.pid;
  }

  sweep(): Promise<void> {
    return this.#watchdog.sweep();
  }

  userFor(projectId: string, service: string): Promise<ServiceUser> {
    return this.#users.of(projectId, service);
  }

  usersEnforcement(): Enforcement {
    return this.#users.enforcement();
  }

  async limitsEnforcement(): Promise<Enforcement> {
    return this.limits;
  }

  capacity(): { cpus: number; memory_mb: number } {
    return this.size;
  }

  accessible(path: string, user: ServiceUser, mode: "read" | "execute"): Promise<boolean> {
    return accessible(path, user, mode);
  }

  spawn(spec: ProcessSpec): Promise<ManagedProcess> {
    return this.#counted(this.#spawn(spec));
  }

  /** The watchdog knows of everything before it exists: at whatever moment the server dies, nothing is left. */
  async #spawn(spec: ProcessSpec): Promise<ManagedProcess> {
    const name = this.#name(spec);
    const directories = this.factory?.directories(name) ?? [];
    const launched = await launch({
      ...spec,
      setpriv: this.setpriv,
      stdin: spec.stdin === undefined ? "ignore" : "pipe",
    });
    // It may not read, or end before it did.
    launched.child.stdin?.on("error", () => undefined);
    launched.child.stdin?.end(spec.stdin);
    let cgroup: Cgroup | null = null;
    try {
      await this.#watch(launched.pid, directories);
      cgroup = (await this.factory?.create(name)) ?? null;
      await cgroup?.setLimits(spec.limits);
      await launched.enter(cgroup?.procsFiles ?? []);
      this.#refuseWhenClosing();
    } catch (error) {
      launched.child.kill("SIGKILL");
      await endCgroup(directories).catch(() => undefined);
      await this.#watchdog.remove(launched.pid);
      throw notStarted(spec, error);
    }
    const process = new CgroupProcess({
      launched,
      cgroup,
      unlimited: this.limits,
      sink: spec.sink,
      warn: this.options.warn,
      onGone: async () => {
        this.#processes.delete(process);
        this.#cgroups.delete(process);
        await this.#watchdog.remove(process.pid);
      },
    });
    this.#processes.add(process);
    if (cgroup !== null) this.#cgroups.set(process, cgroup);
    launched.begin();
    return process;
  }

  run(spec: RunSpec): Promise<RunResult> {
    return this.#counted(this.#run(spec));
  }

  async #run(spec: RunSpec): Promise<RunResult> {
    const end = new AbortController();
    this.#commands.add(end);
    try {
      const launched = await launch({ ...spec, setpriv: this.setpriv, stdin: "pipe" });
      let group: CommandGroup | null = null;
      try {
        await this.#watch(launched.pid, []);
        if (spec.inside !== undefined) group = await this.#join(launched, spec.inside);
        this.#refuseWhenClosing();
        const kills = (): Promise<number> => this.#oomKills(spec.inside);
        const before = await kills();
        const result = await followCommand(launched, {
          ...spec,
          signal: AbortSignal.any([spec.signal, end.signal]),
        });
        if (spec.inside === undefined) return result;
        const killed = result.signal === "SIGKILL" || result.exitCode === SIGKILL_EXIT;
        const ours = spec.signal.aborted || end.signal.aborted || result.timedOut;
        return { ...result, oomKilled: killed && !ours && (await kills()) > before };
      } finally {
        launched.child.kill("SIGKILL");
        // What left its process group is ended too.
        await group
          ?.end()
          .catch((error: Error) => this.options.warn(`A cgroup could not be removed: ${error.message}`));
        await this.#watchdog.remove(launched.pid);
      }
    } finally {
      this.#commands.delete(end);
    }
  }

  /** @throws SERVICE_NOT_STARTED: a command must not run without the limits of the instance that it belongs to */
  async #join(launched: Launched, instance: ManagedProcess): Promise<CommandGroup | null> {
    if (!this.#processes.has(instance))
      throw new StackwardenError("SERVICE_NOT_STARTED", "The instance that the command belongs to has ended.", {
        hint: "Wait until the service runs again, then call again.",
      });
    const cgroup = this.#cgroups.get(instance);
    if (cgroup === undefined) return null;
    const group = await openCommandGroup(cgroup, `command-${launched.pid}`);
    try {
      await launched.enter(group.procsFiles);
      return group;
    } catch (error) {
      await group.end().catch(() => undefined);
      throw error;
    }
  }

  async #oomKills(instance: ManagedProcess | undefined): Promise<number> {
    const cgroup = instance === undefined ? undefined : this.#cgroups.get(instance);
    return (await cgroup?.usage())?.oom_kills ?? 0;
  }

  /** Also ends what is only just being started. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const command of this.#commands) command.abort();
    await Promise.all([...this.#processes].map((process) => process.stop({ graceMs: 0 })));
    await Promise.allSettled(this.#starting);
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
      throw new StackwardenError("OPERATION_CANCELLED", "The server is ending and starts nothing any more.", {
        hint: "Start the server again, then call again.",
      });
  }

  #watch(pid: number, directories: string[]): Promise<void> {
    return this.#watchdog.add({ pid, started: startTime(pid), directories });
  }

  /** Unique on this machine: the server's process id and a number of its own are in it. */
  #name({ projectId, service, generation }: ProcessSpec): string {
    this.#count += 1;
    const part = (text: string): string => text.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, NAME_PART);
    return `stackwarden-${process.pid}-${this.#count}-${part(projectId)}-${part(service)}-${generation}`;
  }
}

/** Looks what this machine has, and ends what an earlier server left behind. */
export async function createProcessHost(options: ProcessHostOptions): Promise<LocalProcessHost> {
  const { cgroupRoot, procRoot } = options;
  const [found, setpriv] = await Promise.all([
    detectCgroups({
      ...(cgroupRoot === undefined ? {} : { cgroupRoot }),
      ...(procRoot === undefined ? {} : { procRoot }),
    }),
    findSetpriv(),
  ]);
  const { factory } = found;
  const limits: Enforcement = factory?.enforcement ?? { level: "none", reason: found.reason ?? "unknown" };
  const bounds = (await factory?.bounds()) ?? { cpus: null, memory_mb: null };
  const host = new LocalProcessHost(options, factory, limits, setpriv, {
    cpus: Math.min(availableParallelism(), bounds.cpus ?? Number.POSITIVE_INFINITY),
    memory_mb: Math.min(Math.floor(totalmem() / MB), bounds.memory_mb ?? Number.POSITIVE_INFINITY),
  });
  await host.sweep();
  await removeUnfinished(options.stateDir);
  return host;
}
