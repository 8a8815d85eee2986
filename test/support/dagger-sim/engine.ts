/** A simulated engine for a test: its folder, its socket, its programs, its fault switches. README.md says what it simulates. */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { machinePython, PYTHON_VARIABLE } from "../machine-python.mjs";
import { withStubPrograms } from "../program-dirs.js";
import { removeEngineCgroups } from "./cgroups.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));

/** A fault, and how often it shows before it is gone; without `times` it stays. */
interface Times {
  times?: number;
}

export interface Faults {
  /** Version that the engine tells. Default v0.21.8. */
  version?: string;
  cliVersion?: string;
  /** `dagger session` is slow, fails with these words, never says its line, or says another one first. */
  open?: {
    slowMs?: number;
    stderr?: string;
    hangs?: boolean;
    line?: string;
    /** The process does not end with its stdin, or not by SIGTERM either. */
    stays?: "until SIGTERM" | "for good";
  } & Times;
  /** So many queries find their connection closed. */
  unanswered?: number;
  /** The engine behind the session is gone: no query is answered any more. */
  dead?: boolean;
  /** Requests are accepted and never answered. */
  hung?: boolean;
  /** Queries are answered with this status. */
  http?: { status: number; body?: string } & Times;
  /** By image as it is asked for: an error (`unexpected status …: 503`), or slow. */
  images?: Record<string, { error?: string; slowMs?: number } & Times>;
  /** By host name of the service: its start fails, is slow, or never comes to its end. */
  start?: Record<string, { error?: string; slowMs?: number; hangs?: boolean } & Times>;
  /** A tunnel is slow to begin. */
  tunnel?: { slowMs?: number } & Times;
  streams?: {
    /** Events are written in pieces of so many bytes. */
    pieces?: number;
    /** Every so many events a stream breaks off in the middle of one, so often. */
    breakEvery?: number;
    breakTimes?: number;
    /** So often a stream is answered with 502. */
    refuse?: number;
    /** Records in one event at most. Default 1000. */
    batch?: number;
  };
}

export interface SimEngine {
  readonly folder: string;
  readonly runnerHost: string;
  /** Absolute path of the stand-in `dagger`. */
  readonly cli: string;
  /** For PATH: `dagger` and `runc`, nothing else. */
  readonly bin: string;
  /** Environment of a server that finds this engine and its programs. */
  readonly env: NodeJS.ProcessEnv;
  faults(faults: Faults): void;
  /** Ends what is left of it and says if something was. */
  close(): Promise<void>;
}

/** Null, or why no container can be simulated here: sessions and streams work all the same. */
export function whyNoContainers(): string | null {
  if (process.platform !== "linux") return "containers are simulated on Linux only";
  if (process.getuid?.() !== 0) return "containers are simulated by root only";
  const script = "mount -t tmpfs t /mnt && ip link add br0 type bridge && ip link set lo up";
  const tried = spawnSync("unshare", ["--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "sh", "-ec", script], {
    encoding: "utf8",
  });
  if (tried.status !== 0)
    return `namespaces cannot be made here (${(tried.stderr ?? tried.error?.message ?? "").trim().slice(0, 120)})`;
  return null;
}

export async function startSimEngine(faults: Faults = {}): Promise<SimEngine> {
  const folder = mkdtempSync(join(tmpdir(), "dagger-sim-"));
  chmodSync(folder, 0o755);
  const engine = { folder };
  const set = (next: Faults): void => writeFileSync(join(folder, "faults.json"), JSON.stringify(next));
  set(faults);
  const bin = join(folder, "bin");
  mkdirSync(bin);
  const program = (name: string, ...words: string[]): void =>
    writeFileSync(
      join(bin, name),
      `#!/bin/sh\nexport DAGGER_SIM_ENGINE='${folder}' ${PYTHON_VARIABLE}='${JSON.stringify(machinePython())}'\nexec ${words.map((word) => `'${word}'`).join(" ")} "$@"\n`,
      { mode: 0o755 },
    );
  program("dagger", process.execPath, join(HERE, "dagger.mjs"));
  program("runc", machinePython()[1], "-I", "-S", join(HERE, "runc.py"));
  const socket = join(folder, "buildkitd.sock");
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const runnerHost = `unix://${socket}`;
  return {
    folder,
    runnerHost,
    cli: join(bin, "dagger"),
    bin,
    // Where tests have a real engine too, its own CLI must not be taken for this one's.
    env: {
      ...process.env,
      ...withStubPrograms(bin),
      _EXPERIMENTAL_DAGGER_CLI_BIN: undefined,
      _EXPERIMENTAL_DAGGER_RUNNER_HOST: runnerHost,
    },
    faults: set,
    close: async () => {
      await new Promise<void>((resolve) => server.close(() => resolve()));
      let left: number[] = [];
      // What is killed needs a moment to be gone.
      for (let tries = 0; tries < 50; tries += 1) {
        left = removeEngineCgroups(engine);
        if (left.length === 0 && livingSessions(folder).length === 0) break;
        await sleep(100);
      }
      for (const pid of left) spawnSync("kill", ["-KILL", String(pid)]);
      if (left.length > 0) removeEngineCgroups(engine);
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
      if (left.length > 0)
        throw new Error(`the simulated engine's containers outlived their sessions: ${left.join(", ")}`);
    },
  };
}

/** Processes of `dagger session` on this engine. */
export function livingSessions(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("dagger.mjs\0session") &&
          readFileSync(`/proc/${pid}/environ`, "utf8").includes(`DAGGER_SIM_ENGINE=${folder}`)
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Ids of the containers that run. */
export const containersOf = (folder: string): string[] => {
  const path = join(folder, "containers");
  const runs = (id: string): boolean => {
    try {
      const { pid } = JSON.parse(readFileSync(join(path, id, "state.json"), "utf8")) as { pid: number };
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };
  return existsSync(path) ? readdirSync(path).filter(runs) : [];
};
