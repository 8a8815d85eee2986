/** A process host with real processes and users, without cgroups and watchdog, for tests of the layers above it. */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { withName } from "../../../../src/runtimes/local/process/named-user.js";
import type { ManagedProcess, ProcessHost, ProcessSpec, ServiceUser } from "../../../../src/runtimes/local/types.js";
import { NO_STATS } from "../../../../src/runtimes/shared/no-stats.js";
import type { Enforcement, ServiceExit } from "../../../../src/stack/runtime.js";

const none: Enforcement = { level: "none", reason: "test double" };
const applied = {
  cpus: { value: null, enforcement: none },
  memory_mb: { value: null, enforcement: none },
  pids: { value: null, enforcement: none },
};
const isRoot = process.getuid?.() === 0;

const identity = (user: ServiceUser) => (isRoot ? { uid: user.uid, gid: user.gid } : {});

const killGroup = (child: ChildProcess, signal: NodeJS.Signals) => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // The process has ended.
  }
};

export class DirectHost implements ProcessHost {
  readonly spawned: { spec: ProcessSpec; child: ChildProcess }[] = [];
  readonly ran: string[][] = [];
  #uids = new Map<string, number>();
  #next: number;

  constructor(firstUid = 510_000 + (process.pid % 4000) * 2) {
    this.#next = firstUid;
  }

  async userFor(projectId: string, service: string): Promise<ServiceUser> {
    const key = `${projectId}/${service}`;
    if (!this.#uids.has(key)) this.#uids.set(key, this.#next++);
    const uid = isRoot ? (this.#uids.get(key) ?? 0) : (process.getuid?.() ?? -1);
    return { uid, gid: isRoot ? uid : (process.getgid?.() ?? -1), name: service, enforcement: none };
  }

  groupFor = async (projectId: string, volume: string): Promise<number | null> =>
    isRoot ? (await this.userFor(projectId, `volume:${volume}`)).uid : null;

  mountPlace = async (): Promise<string | null> => null;

  hides = (): boolean => false;

  async spawn(spec: ProcessSpec): Promise<ManagedProcess> {
    const child = spawn(spec.argv[0] ?? "", spec.argv.slice(1), {
      cwd: spec.cwd,
      env: spec.env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      ...identity(spec.user),
    });
    this.spawned.push({ spec, child });
    child.stdout?.on("data", (chunk: Buffer) => spec.sink.write("stdout", chunk));
    child.stderr?.on("data", (chunk: Buffer) => spec.sink.write("stderr", chunk));
    const exited = new Promise<ServiceExit>((resolve) => {
      // As in the real host, the output precedes the exit unless other processes keep the output open.
      child.once("exit", (exitCode, signal) => {
        const exit = { exitCode, signal, oomKilled: false, at: Date.now() };
        const late = setTimeout(() => resolve(exit), 500);
        child.once("close", () => {
          clearTimeout(late);
          resolve(exit);
        });
      });
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    return {
      pid: child.pid ?? 0,
      startedAt: Date.now(),
      effectiveUid: () => {
        try {
          return Number(/^Uid:\s+\d+\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]);
        } catch {
          return null;
        }
      },
      exited,
      stop: async ({ graceMs, signal }) => {
        if (child.exitCode === null && child.signalCode === null && graceMs > 0) {
          child.kill((signal ?? "SIGTERM") as NodeJS.Signals);
          const timer = setTimeout(() => killGroup(child, "SIGKILL"), graceMs);
          await exited;
          clearTimeout(timer);
        }
        killGroup(child, "SIGKILL");
        return exited;
      },
      setLimits: async () => applied,
      readLimits: async () => applied,
      stats: async () => ({ ...NO_STATS, reason: "test double" }),
      pause: async () => void killGroup(child, "SIGSTOP"),
      resume: async () => void killGroup(child, "SIGCONT"),
    };
  }

  run: ProcessHost["run"] = (spec) =>
    spec.named === true ? withName(spec.user, () => this.#run(spec)) : this.#run(spec);

  #run: ProcessHost["run"] = (spec) => {
    this.ran.push(spec.argv);
    return new Promise((resolve) => {
      const child = spawn(spec.argv[0] ?? "", spec.argv.slice(1), {
        cwd: spec.cwd,
        env: spec.env,
        detached: true,
        stdio: ["pipe", "pipe", "pipe"],
        ...identity(spec.user),
      });
      let output = "";
      let timedOut = false;
      const take = (stream: "stdout" | "stderr") => (chunk: Buffer) => {
        output += chunk.toString();
        spec.sink?.write(stream, chunk);
      };
      child.stdout.on("data", take("stdout"));
      child.stderr.on("data", take("stderr"));
      const timer = setTimeout(() => {
        timedOut = true;
        killGroup(child, "SIGKILL");
      }, spec.timeoutMs);
      const cancel = () => killGroup(child, "SIGKILL");
      spec.signal.addEventListener("abort", cancel, { once: true });
      const done = (exitCode: number | null, signal: string | null) => {
        clearTimeout(timer);
        spec.signal.removeEventListener("abort", cancel);
        resolve({ exitCode, signal, timedOut, oomKilled: false, output });
      };
      child.once("error", (error) => {
        output += error.message;
        done(127, null);
      });
      child.once("close", done);
      child.stdin.on("error", () => {});
      child.stdin.end(spec.stdin ?? "");
    });
  };

  limitsEnforcement = async () => none;
  usersEnforcement = () => none;
  sandboxEnforcement = () => none;
  capacity = () => ({ cpus: 2, memory_mb: 4096 });

  async accessible(path: string, user: ServiceUser, mode: "read" | "execute"): Promise<boolean> {
    if (!isRoot) {
      try {
        accessSync(path, mode === "read" ? constants.R_OK : constants.X_OK);
        return true;
      } catch {
        return false;
      }
    }
    const allowed = (one: string, bit: number) => {
      const { uid, gid, mode: bits } = statSync(one);
      return ((uid === user.uid ? bits >> 6 : gid === user.gid ? bits >> 3 : bits) & bit) !== 0;
    };
    try {
      for (let dir = dirname(path); ; dir = dirname(dir)) {
        if (!allowed(dir, 1)) return false;
        if (dir === "/") break;
      }
      return allowed(path, mode === "read" ? 4 : 1);
    } catch {
      return false;
    }
  }

  async close(): Promise<void> {
    for (const { child } of this.spawned) killGroup(child, "SIGKILL");
  }
}
