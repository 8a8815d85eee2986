/** The machine's runc with real containers. Skipped where no container can run. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openEngineHost } from "../../../../src/runtimes/dagger/engine-host/open.js";
import { PAUSE, pauseContainer } from "../../../../src/runtimes/dagger/engine-host/pause.js";
import type { EngineHost } from "../../../../src/runtimes/dagger/engine-host/types.js";
import { EntryLines } from "../../../../src/runtimes/dagger/entry/entry-lines.js";
import { ENTRY_SCRIPT, entryArgs } from "../../../../src/runtimes/dagger/entry/entry-script.js";
import type { EntryMessage } from "../../../../src/runtimes/dagger/entry/types.js";
import { until } from "../../contract/bench.js";
import { SYSTEM_PATH } from "./stub-programs.js";

const TOKEN = "realTokenRealTok";
const HOST_FOLDERS = ["bin", "lib", "lib64", "usr", "sbin"];

class Containers {
  readonly dir = mkdtempSync(join(tmpdir(), "stackwarden-runc-"));
  readonly #ids: string[] = [];
  readonly #children: ChildProcess[] = [];

  bundle(name: string, args: string[], { uid = 12345, env = [] as string[] } = {}): { id: string; bundle: string } {
    const bundle = join(this.dir, name);
    const rootfs = join(bundle, "rootfs");
    for (const folder of [...HOST_FOLDERS, "proc", "sys", "dev", "tmp"])
      mkdirSync(join(rootfs, folder), { recursive: true });
    for (const file of [".entry", ".init"]) writeFileSync(join(rootfs, file), "");
    // The engine starts services with its init; this init executes the program.
    writeFileSync(join(bundle, "init"), '#!/bin/sh\nexec "$@"\n', { mode: 0o555 });
    writeFileSync(join(bundle, "entry"), ENTRY_SCRIPT, { mode: 0o555 });
    const bind = (source: string, destination: string) => ({
      source,
      destination,
      type: "bind",
      options: ["rbind", "ro"],
    });
    const config = {
      ociVersion: "1.0.2",
      process: {
        user: { uid, gid: uid },
        args: ["/.init", ...args],
        env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", ...env],
        cwd: "/",
        capabilities: {
          bounding: ["CAP_CHOWN"],
          effective: uid === 0 ? ["CAP_CHOWN"] : [],
          permitted: uid === 0 ? ["CAP_CHOWN"] : [],
        },
      },
      root: { path: "rootfs", readonly: true },
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
        { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
        {
          destination: "/sys/fs/cgroup",
          type: "cgroup",
          source: "cgroup",
          options: ["nosuid", "noexec", "nodev", "ro"],
        },
        ...HOST_FOLDERS.map((folder) => bind(`/${folder}`, `/${folder}`)),
        bind(join(bundle, "entry"), "/.entry"),
        bind(join(bundle, "init"), "/.init"),
      ],
      linux: { namespaces: ["pid", "ipc", "uts", "mount", "network", "cgroup"].map((type) => ({ type })) },
    };
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
    return { id: `stackwarden-test-${process.pid}-${name}`, bundle };
  }

  run({ id, bundle }: { id: string; bundle: string }): ChildProcess {
    this.#ids.push(id);
    const child = spawn("runc", ["run", "--bundle", bundle, id], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PATH: SYSTEM_PATH },
    });
    this.#children.push(child);
    return child;
  }

  async end(): Promise<void> {
    for (const id of this.#ids.splice(0)) spawnSync("runc", ["delete", "--force", id], { env: { PATH: SYSTEM_PATH } });
    await Promise.all(
      this.#children
        .splice(0)
        .map((child) =>
          child.exitCode !== null || child.signalCode !== null
            ? undefined
            : new Promise((resolve) => child.once("exit", resolve)),
        ),
    );
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function possible(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const trial = new Containers();
  try {
    const { id, bundle } = trial.bundle("trial", ["true"], { uid: 0 });
    const options = { env: { PATH: SYSTEM_PATH }, timeout: 20_000 };
    const { status } = spawnSync("runc", ["run", "--bundle", bundle, id], options);
    spawnSync("runc", ["delete", "--force", id], options);
    return status === 0;
  } finally {
    trial.remove();
  }
}

const runs = possible();
if (!runs) process.stderr.write("real-runc.test.ts: skipped, runc cannot run a container here\n");

describe.skipIf(!runs)("an engine host with the real runc", () => {
  const containers = new Containers();
  let host: EngineHost;
  const warnings: string[] = [];
  const signal = () => new AbortController().signal;

  beforeAll(async () => {
    host = await openEngineHost({
      runnerHost: "unix:///run/engine.sock",
      signal: signal(),
      env: { PATH: SYSTEM_PATH },
      warn: (message) => warnings.push(message),
    });
    expect(host.enforcement.level).toBe("enforced");
  });
  afterEach(() => containers.end());
  afterAll(async () => {
    await host.close();
    containers.remove();
    expect(warnings).toEqual([]);
  });

  it("the service starts after its limits are in force, and limits of a running service change", async () => {
    const limits = { cpus: 0.5, memory_mb: 64, pids: 20 };
    const { args } = entryArgs({
      token: TOKEN,
      limits,
      waitSeconds: 60,
      stopSignal: "SIGTERM",
      command: [
        "sh",
        "-c",
        "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; trap 'echo got int; exit 0' INT; while :; do sleep 0.05; done",
      ],
    });
    const command = ["sh", "/.entry", ...args.slice(1)];
    const child = containers.run(containers.bundle("limits", command, { env: ["STACKWARDEN_INSTANCE=i-limits"] }));
    const messages: EntryMessage[] = [];
    const lines = new EntryLines(TOKEN, (message) => messages.push(message));
    child.stderr?.on("data", (chunk: Buffer) => lines.take(chunk));
    let stdout = "";
    const printed = (text: string) =>
      new Promise<void>((resolve) => {
        child.stdout?.on("data", (chunk: Buffer) => {
          stdout += chunk;
          if (stdout.includes(text)) resolve();
        });
      });
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    const begun = printed(`${64 * 1024 * 1024}\n`);
    const id = await host.find("i-limits", signal());
    expect(messages).toEqual([]);
    const applied = await host.apply(id, limits);
    const level = { level: "enforced", reason: host.enforcement.reason };
    expect(applied).toEqual({
      cpus: { value: 0.5, enforcement: level },
      memory_mb: { value: 64, enforcement: level },
      pids: { value: 20, enforcement: level },
    });
    await begun;
    expect(messages).toMatchObject([{ type: "start", uid: 12345, gid: 12345, capabilities: "0000000000000000" }]);
    expect(await host.user(id)).toMatchObject({ uid: 12345, gid: 12345, withoutCapabilities: true });

    // Limits are lowered and raised while the service runs; a missing limit is removed.
    expect((await host.apply(id, { memory_mb: 32, pids: 10 })).memory_mb.value).toBe(32);
    expect(await host.apply(id, { memory_mb: 128 })).toMatchObject({
      cpus: { value: null },
      memory_mb: { value: 128 },
      pids: { value: null },
    });
    expect(await host.read(id)).toMatchObject({ memory_mb: { value: 128, enforcement: level } });

    const stats = await host.stats(id);
    expect(stats.pids).toBeGreaterThan(0);
    expect(stats.cpu_seconds_total).toBeGreaterThan(0);
    // Reclaimable memory is not counted, which can be all memory of a small service.
    expect(stats.memory_mb).toBeGreaterThanOrEqual(0);
    expect(stats.memory_peak_mb ?? 1).toBeGreaterThan(0);
    expect(stats.oom_kills).toBe(0);

    const interrupted = printed("got int\n");
    await host.kill(id, "SIGINT");
    await interrupted;
    expect(await ended).toBe(0);
    await host.kill(id, "SIGINT");
    expect(await host.user(id)).toBeNull();
  });

  it("a command runs with the service's user and environment, and a timeout kills its processes", async () => {
    const env = ["STACKWARDEN_INSTANCE=i-exec", "SECRET=s3cret"];
    containers.run(containers.bundle("exec", ["sh", "-c", "while :; do sleep 0.05; done"], { env }));
    const id = await host.find("i-exec", signal());
    const show = 'id -u; echo "$SECRET"; grep NoNewPrivs /proc/self/status; echo complaint >&2; exit 3';
    // runc copies both streams; their order is not defined.
    const shown = await host.exec(id, { argv: ["sh", "-c", show], timeoutMs: 30_000, signal: signal() });
    expect(shown.exitCode).toBe(3);
    expect(shown.output.split("\n").sort()).toEqual(["", "12345", "NoNewPrivs:\t1", "complaint", "s3cret"]);
    const other = { argv: ["id", "-u"], user: "777:778", timeoutMs: 30_000, signal: signal() };
    expect((await host.exec(id, other)).output).toBe("777\n");
    const missing = await host.exec(id, { argv: ["/no/such/program"], timeoutMs: 30_000, signal: signal() });
    expect(missing.exitCode).not.toBe(0);
    expect(missing.output).toMatch(/no such file/);

    const late = { argv: ["sh", "-c", "echo begun; sleep 4321 & wait"], timeoutMs: 8000, signal: signal() };
    expect(await host.exec(id, late)).toEqual({ exitCode: null, output: "begun\n" });
    const seen = await host.exec(id, {
      argv: ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"],
      timeoutMs: 30_000,
      signal: signal(),
    });
    expect(seen.output).not.toContain("sleep 4321");
    expect(seen.output).toContain("sleep 0.05");
  });

  it("a paused container continues after release() or after the end of this server", async () => {
    const env = ["STACKWARDEN_INSTANCE=i-pause"];
    const child = containers.run(
      containers.bundle("pause", ["sh", "-c", "while :; do echo tick; sleep 0.01; done"], { env }),
    );
    let ticks = 0;
    child.stdout?.on("data", () => {
      ticks += 1;
    });
    const id = await host.find("i-pause", signal());
    const state = () => spawnSync("runc", ["state", id], { encoding: "utf8", env: { PATH: SYSTEM_PATH } }).stdout;
    const continues = async () => {
      const before = ticks;
      await until("it continues", () => ticks > before);
    };
    await continues();
    const pause = await host.pause(id);
    expect(state()).toContain('"status": "paused"');
    await expect(host.pause(id)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringMatching(/^The service's processes cannot be paused: .+/),
    });
    await pause.release();
    await pause.release();
    await continues();

    // The end of the server closes its pipes.
    const holder = spawn("sh", ["-c", PAUSE, "sh", id], { env: { PATH: SYSTEM_PATH } });
    await pauseContainer(holder);
    expect(state()).toContain('"status": "paused"');
    holder.stdin.destroy();
    await continues();
    await expect(host.pause("nosuchcontainer")).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  it("a container whose bundle was deleted is found and ended", async () => {
    const { id, bundle } = containers.bundle("orphan", ["sh", "-c", "while :; do sleep 0.05; done"], {
      env: ["STACKWARDEN_INSTANCE=i-orphan"],
    });
    const child = containers.run({ id, bundle });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const state = () => spawnSync("runc", ["state", id], { encoding: "utf8", env: { PATH: SYSTEM_PATH } }).stdout;
    await until("it runs", () => state().includes('"status": "running"'));
    // The host caches earlier containers by id and looks up this one.
    rmSync(join(bundle, "config.json"));
    await host.end(["i-other"], signal());
    expect(state()).toContain('"status": "running"');
    await host.end(["i-orphan"], signal());
    await ended;
  });

  it("an OOM kill and throttled periods are counted", async () => {
    // A child exceeds the memory limit and is killed; the service continues and uses CPU.
    const eat = "dd if=/dev/zero of=/dev/null bs=200M count=1; while :; do :; done";
    const hog = containers.bundle(
      "hog",
      [
        "sh",
        "-c",
        `until [ "$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null)" = 33554432 ]; do sleep 0.05; done; ${eat}`,
      ],
      {
        env: ["STACKWARDEN_INSTANCE=i-hog"],
      },
    );
    containers.run(hog);
    const id = await host.find("i-hog", signal());
    await host.apply(id, { cpus: 0.1, memory_mb: 32 });
    let stats = await host.stats(id);
    // The kernel adds the time of a throttled period at its end.
    while (stats.oom_kills === 0 || stats.throttled_periods === 0 || stats.throttled_seconds === 0)
      stats = await host.stats(id);
    expect(stats.oom_kills).toBeGreaterThanOrEqual(1);
    expect(stats.throttled_periods).toBeGreaterThan(0);
    expect(stats.throttled_seconds).toBeGreaterThan(0);
    expect(stats.memory_peak_mb ?? 32).toBeLessThanOrEqual(32);
  });
});
