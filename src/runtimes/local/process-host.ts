/** The processes of this machine that stackwarden runs: users, cgroups, launch, watchdog. */
import { execFile } from "node:child_process";
import { availableParallelism, totalmem } from "node:os";
import { promisify } from "node:util";
import { startTime } from "../../stack/process-identity.js";
import type { Enforcement } from "../../stack/runtime.js";
import { accessible } from "./process/access.js";
import { type Cgroup, type CgroupFactory, MB, removeDirectories } from "./process/cgroup.js";
import { findCgroups } from "./process/cgroups-find.js";
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

/** Longest of the parts of a cgroup's name. */
const NAME_PART = 40;

class LocalProcessHost implements ProcessHost {
  readonly #users: ServiceUsers;
  readonly #watchdog: Watchdog;
  readonly #processes = new Set<ManagedProcess>();
  readonly #commands = new Set<AbortController>();
  readonly #cgroups = new Map<ManagedProcess, Cgroup>();
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

  async spawn(spec: ProcessSpec): Promise<ManagedProcess> {
    const cgroup = (await this.factory?.create(this.#name(spec))) ?? null;
    let launched: Launched | undefined;
    try {
      await cgroup?.setLimits(spec.limits);
      launched = await launch({
        ...spec,
        procsFiles: cgroup?.procsFiles ?? [],
        setpriv: this.setpriv,
        stdin: "ignore",
      });
      await this.#watch(launched.pid, cgroup?.directories ?? []);
    } catch (error) {
      launched?.child.kill("SIGKILL");
      if (cgroup !== null) await removeDirectories(cgroup.directories).catch(() => undefined);
      throw error;
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

  async run(spec: RunSpec): Promise<RunResult> {
    const end = new AbortController();
    this.#commands.add(end);
    const inside = spec.inside === undefined ? undefined : this.#cgroups.get(spec.inside);
    try {
      const launched = await launch({
        ...spec,
        procsFiles: inside?.procsFiles ?? [],
        setpriv: this.setpriv,
        stdin: "pipe",
      });
      try {
        await this.#watch(launched.pid, []);
        return await followCommand(launched, { ...spec, signal: AbortSignal.any([spec.signal, end.signal]) });
      } finally {
        launched.child.kill("SIGKILL");
        await this.#watchdog.remove(launched.pid);
      }
    } finally {
      this.#commands.delete(end);
    }
  }

  async close(): Promise<void> {
    for (const command of this.#commands) command.abort();
    await Promise.all([...this.#processes].map((process) => process.stop({ graceMs: 0 })));
    await this.#watchdog.close();
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
    findCgroups({
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
  return host;
}
