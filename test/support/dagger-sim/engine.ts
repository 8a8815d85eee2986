/**
 * A simulated engine for a test: folder, socket, programs and fault switches. README.md describes what it simulates.
 */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { machinePython, PYTHON_VARIABLE } from "../machine-python.mjs";
import { perRun } from "../per-run.mjs";
import { withStubPrograms } from "../program-dirs.js";
import { removeEngineCgroups } from "./cgroups.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
/** Milliseconds for the end of sessions that a test has not closed. */
const SESSIONS_MS = 10_000;

/** A fault, and how often it occurs. Default: always. */
interface Times {
  times?: number;
}

export interface Faults {
  /** Version that the engine reports. Default v0.21.8. */
  version?: string;
  cliVersion?: string;
  /** `dagger session` is slow, fails with a message, never prints its line, or prints another one first. */
  open?: {
    slowMs?: number;
    stderr?: string;
    hangs?: boolean;
    line?: string;
    /** The process does not end when its standard input closes, or not by SIGTERM either. */
    stays?: "until SIGTERM" | "for good";
  } & Times;
  /** Number of queries whose connection is closed. */
  unanswered?: number;
  /** The engine of the session has ended: no query is answered. */
  dead?: boolean;
  /** Requests are accepted and never answered. */
  hung?: boolean;
  /** HTTP status of queries. */
  http?: { status: number; body?: string } & Times;
  /** By image: an error (`unexpected status …: 503`), or a delay. */
  images?: Record<string, { error?: string; slowMs?: number } & Times>;
  /** By host name of the service: its start fails, is slow, or never ends. */
  start?: Record<string, { error?: string; slowMs?: number; hangs?: boolean } & Times>;
  /** Delay of a tunnel's start. */
  tunnel?: { slowMs?: number } & Times;
  streams?: {
    /** Bytes in each piece in which events are written. */
    pieces?: number;
    /** A stream breaks off inside an event, after so many events and so often. */
    breakEvery?: number;
    breakTimes?: number;
    /** Number of streams that are answered with 502. */
    refuse?: number;
    /** Maximum number of records in one event. Default 1000. */
    batch?: number;
  };
}

export interface SimEngine {
  readonly folder: string;
  readonly runnerHost: string;
  /** Absolute path of the stand-in `dagger`. */
  readonly cli: string;
  /** Folder for PATH, with `dagger` and `runc` only. */
  readonly bin: string;
  /** Environment of a server that finds this engine and its programs. */
  readonly env: NodeJS.ProcessEnv;
  faults(faults: Faults): void;
  /** Ends what remains and reports it. */
  close(): Promise<void>;
}

/** Null, or why containers cannot be simulated here; sessions and streams work in any case. */
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

/** Path of the Perl that the stand-ins run on. */
const perl = (): string =>
  (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, "perl"))
    .find((path) => existsSync(path)) ?? "/usr/bin/perl";

/** The program of the engines' process as one file, which loads faster than its modules; null outside of a test run. */
const bundledProgram = (): Promise<string | null> =>
  perRun("dagger-sim", async (folder) => {
    const { build } = await import("esbuild");
    const program = join(HERE, "daemon.mjs");
    await build({
      entryPoints: [program],
      outfile: join(folder, "daemon.mjs"),
      bundle: true,
      platform: "node",
      format: "esm",
      // The programs that it starts stay where they are.
      define: { "import.meta.url": JSON.stringify(pathToFileURL(program).href) },
      logLevel: "error",
    });
  });

async function startDaemon(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "dagger-sims-"));
  const socket = join(folder, "sessions.sock");
  const child = spawn(process.execPath, [join((await bundledProgram()) ?? HERE, "daemon.mjs"), socket], {
    cwd: "/",
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, [PYTHON_VARIABLE]: JSON.stringify(machinePython()) },
  });
  child.once("exit", () => {
    daemon = undefined;
  });
  const [first] = (await Promise.race([once(child.stdout, "data"), once(child, "exit")])) as unknown[];
  if (!String(first).startsWith("ready")) throw new Error("the process of the simulated engines did not start");
  // It ends with this process, which does not wait for it.
  child.unref();
  for (const stream of [child.stdin, child.stdout]) (stream as unknown as { unref(): void }).unref();
  return socket;
}

/** Socket of the process that runs the sessions of all engines of this process: one start instead of one for each session. */
let daemon: Promise<string> | undefined;

export async function startSimEngine(faults: Faults = {}): Promise<SimEngine> {
  const folder = mkdtempSync(join(tmpdir(), "dagger-sim-"));
  chmodSync(folder, 0o755);
  const engine = { folder };
  daemon ??= startDaemon();
  const sessions = await daemon;
  const version = join(folder, "cli-version");
  const set = (next: Faults): void => {
    // Read by another process, which must not see half of it.
    writeFileSync(join(folder, "faults.new"), JSON.stringify(next));
    renameSync(join(folder, "faults.new"), join(folder, "faults.json"));
    writeFileSync(version, `${next.cliVersion ?? "v0.21.8"}\n`);
  };
  set(faults);
  const bin = join(folder, "bin");
  mkdirSync(bin);
  // The answer does not need the start of a program.
  const answer = "dagger %s (docker-image://registry.example/dagger/engine) linux/amd64";
  const versionCommand = `[ "$1" != version ] || { read -r version < '${version}'; printf '${answer}\\n' "$version"; exit; }\n`;
  writeFileSync(
    join(bin, "dagger"),
    `#!/bin/sh\n${versionCommand}exec '${perl()}' '${HERE}/dagger.pl' '${sessions}' '${folder}' "$@"\n`,
    { mode: 0o755 },
  );
  writeFileSync(
    join(bin, "runc"),
    `#!${perl()}\n$ENV{DAGGER_SIM_ENGINE} = '${folder}';\ndo '${HERE}/runc.pl';\ndie $@ if $@;\n`,
    {
      mode: 0o755,
    },
  );
  const socket = join(folder, "buildkitd.sock");
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const runnerHost = `unix://${socket}`;
  return {
    folder,
    runnerHost,
    cli: join(bin, "dagger"),
    bin,
    // The CLI of a real engine must not be used for this one.
    env: {
      ...process.env,
      // Node.js 20 reads these certificates at each start, and the simulated CLI connects to nothing.
      NODE_EXTRA_CA_CERTS: undefined,
      ...withStubPrograms(bin),
      _EXPERIMENTAL_DAGGER_CLI_BIN: undefined,
      _EXPERIMENTAL_DAGGER_RUNNER_HOST: runnerHost,
    },
    faults: set,
    close: async () => {
      await new Promise<void>((resolve) => server.close(() => resolve()));
      const asking = connect({ path: sessions }).on("error", () => {});
      asking.write(`${folder}\n`);
      await Promise.race([once(asking, "close"), sleep(SESSIONS_MS, undefined, { ref: false })]);
      let left: number[] = [];
      // Killed processes need a moment to end.
      for (let tries = 0; tries < 50; tries += 1) {
        left = removeEngineCgroups(engine);
        if (left.length === 0 && runningSessions(folder).length === 0) break;
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
export function runningSessions(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${folder}\0session`);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Ids of the running containers. */
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
