import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endCgroup } from "../../../../src/runtimes/local/process/cgroup.js";
import { cgroupsOf, HostFixture, hasCgroups, NODE, thisMachine, until } from "./support.js";

let fixture: HostFixture;
beforeEach(() => {
  fixture = new HostFixture();
});
afterEach(() => fixture.close());

const enforced = { level: "enforced", reason: expect.stringMatching(/^cgroup v[12]$/) };

const values = async (reading: ReturnType<Awaited<ReturnType<HostFixture["spawn"]>>["readLimits"]>) => {
  const { cpus, memory_mb, pids } = await reading;
  return [cpus.value, memory_mb.value, pids.value];
};

describe.runIf(hasCgroups)("limits", () => {
  it("limits are in force when the service starts and are read back from the kernel", async () => {
    // The service prints the cgroups in which it started.
    const running = await fixture.shell("cat /proc/self/cgroup; sleep 60", {
      limits: { cpus: 0.5, memory_mb: 64, pids: 20 },
    });
    expect(await running.readLimits()).toEqual({
      cpus: { value: 0.5, enforcement: enforced },
      memory_mb: { value: 64, enforcement: enforced },
      pids: { value: 20, enforcement: enforced },
    });
    await until("the service prints", () => fixture.sink.all.includes("\n"));
    const [memory = ""] = cgroupsOf(process.pid).filter((path) => path.includes("/memory/"));
    if (memory !== "") {
      expect(fixture.sink.all).toContain(`/stackwarden-${process.pid}-1-demo-web-1`);
      expect(readFileSync(join(memory, "memory.limit_in_bytes"), "utf8")).toBe(`${64 * 1048576}\n`);
    }
  });

  it("limits of a running service can be raised, lowered and removed", async () => {
    const running = await fixture.shell("sleep 60", { limits: { memory_mb: 64 } });
    for (const [memory_mb, cpus, pids] of [
      [256, 0.25, 10],
      [32, 1.5, 50],
      [33, 0.01, 5],
    ] as const)
      expect(await values(running.setLimits({ memory_mb, cpus, pids }))).toEqual([cpus, memory_mb, pids]);
    // Without a limit in the definition, the default limit on processes applies.
    expect(await values(running.setLimits({}))).toEqual([null, null, 2048]);
    expect((await running.readLimits()).cpus.enforcement).toEqual({
      level: "none",
      reason: "no limit was requested",
    });
    expect(await values(running.setLimits({ memory_mb: 100 }))).toEqual([null, 100, 2048]);
  });

  it("a limit that the kernel refuses fails with LIMIT_REFUSED or SERVICE_START_FAILED", async () => {
    const running = await fixture.spawn([NODE, "-e", "setInterval(() => {}, 1000)", fixture.mark]);
    await expect(running.setLimits({ pids: -5 })).rejects.toMatchObject({ code: "LIMIT_REFUSED" });
    await expect(fixture.shell("true", { limits: { pids: -5 } })).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      hint: expect.stringContaining("limits"),
    });
    await running.stop({ graceMs: 0 });
  });

  it("a service that exceeds its memory limit is killed and reported as an OOM kill", async () => {
    const hog = "a = []; setInterval(() => a.push(Buffer.alloc(4e6, 1)), 1)";
    const running = await fixture.spawn([NODE, "-e", hog, fixture.mark], { limits: { memory_mb: 80 } });
    expect(await running.exited).toMatchObject({ exitCode: null, signal: "SIGKILL", oomKilled: true });
    const stats = await running.stats();
    expect(stats.oom_kills).toBeGreaterThan(0);
    expect(stats.memory_peak_mb).toBeGreaterThan(60);
    expect(await values(running.readLimits())).toEqual([null, null, null]);
  });

  it("a stop after an OOM kill of a child process is not reported as an OOM kill", async () => {
    const hog = "a = []; setInterval(() => a.push(Buffer.alloc(4e6, 1)), 1)";
    // The shell outlives the child that is killed, and ignores SIGTERM.
    const script = `trap : TERM; ${NODE} -e '${hog}' ${fixture.mark}; echo killed $?; while :; do sleep 1; done`;
    const running = await fixture.shell(script, { limits: { memory_mb: 80 } });
    await until("the child is killed", () => fixture.sink.all.includes("killed 137"));
    expect((await running.stats()).oom_kills).toBe(1);
    expect(await running.stop({ graceMs: 50 })).toMatchObject({ signal: "SIGKILL", oomKilled: false });
  });

  it("a CPU limit throttles the service, and the kernel counts the throttled periods", async () => {
    // So small that a busy machine still grants all of it.
    const running = await fixture.shell("while :; do :; done", { limits: { cpus: 0.05 } });
    const begun = Date.now();
    await running.stats();
    await until("it is throttled", async () => ((await running.stats()).throttled_periods ?? 0) > 15);
    const held = await running.stats();
    expect(held.throttled_seconds).toBeGreaterThan(0.3);
    expect((held.cpu_seconds_total ?? 0) / ((Date.now() - begun) / 1000)).toBeLessThan(0.1);
    const { cpus } = (await fixture.host()).capacity();
    await running.setLimits({ cpus });
    await sleep(500);
    const before = await running.stats();
    await sleep(500);
    // One loop cannot use more than one core.
    expect((await running.stats()).throttled_periods).toBe(before.throttled_periods);
    await running.stop({ graceMs: 0 });
  });

  it("a limit on processes stops a fork bomb", async () => {
    // The fork bomb is a subshell, which ends when it cannot fork. The service itself continues.
    const bomb = "(for i in 1 2 3 4 5 6 7 8 9; do sleep 60 & done; wait); exec sleep 60";
    const running = await fixture.shell(bomb, { limits: { pids: 5 } });
    await until("fork fails", () => /fork/i.test(fixture.sink.all));
    const { pids } = await running.stats();
    expect(pids).toBeGreaterThan(1);
    expect(pids).toBeLessThanOrEqual(5);
    await running.stop({ graceMs: 0 });
  });

  it("the limits of a service apply to commands that run inside it", async () => {
    const running = await fixture.shell("sleep 60", { limits: { memory_mb: 64 } });
    const inside = await fixture.run(["/bin/cat", "/proc/self/cgroup"], { inside: running });
    expect(inside.output).toContain(`stackwarden-${process.pid}-`);
    const name = (output: string) => /stackwarden-[^\n]*/.exec(output)?.[0];
    const limits = { memory_mb: 64 };
    const alone = await fixture.run(["/bin/cat", "/proc/self/cgroup"], { project: "demo", service: "web", limits });
    expect(name(alone.output)).toMatch(new RegExp(`^stackwarden-${process.pid}-\\d+-demo-web-run$`));
    expect(name(alone.output)).not.toBe(name(inside.output));
    const hog = "bytearray(200_000_000)";
    expect(await fixture.run(["/usr/bin/python3", "-c", hog], { inside: running })).toMatchObject({
      exitCode: null,
      signal: "SIGKILL",
      timedOut: false,
    });
    expect(await fixture.run(["/usr/bin/python3", "-c", hog], { limits })).toMatchObject({
      exitCode: null,
      signal: "SIGKILL",
      oomKilled: true,
    });
    await running.stop({ graceMs: 0 });
    await expect(fixture.run(["/bin/true"], { inside: running })).rejects.toMatchObject({
      code: "SERVICE_NOT_STARTED",
    });
  });

  it("a command inside a service that ends leaves no cgroup", async () => {
    const running = await fixture.shell("sleep 60");
    const commands = Array.from({ length: 6 }, () =>
      fixture.run(["/bin/sleep", "60"], { inside: running }).catch((error: { code: string }) => error.code),
    );
    await sleep(15);
    await running.stop({ graceMs: 0 });
    for (const end of await Promise.all(commands))
      expect(typeof end === "string" ? end : end.signal).toMatch(/^(SIGKILL|SERVICE_(NOT_STARTED|START_FAILED))$/);
    expect(fixture.warnings).toEqual([]);
  });

  it("the end of a cgroup removes a directory that a command makes in it meanwhile", async () => {
    const { factory } = (await thisMachine()).cgroups;
    const names = ["first", "last"].map((part) => `stackwarden-${process.pid}-ended-${part}`);
    const cgroups = await Promise.all(names.map((name) => factory?.create(name)));
    const directories = cgroups.flatMap((cgroup) => cgroup?.directories ?? []);
    const ending = endCgroup(directories, 500);
    // The directories are listed without a turn of the event loop, and the second one is removed a turn after the first.
    for (let turn = 0; turn < 1000; turn += 1) await null;
    mkdirSync(join(directories.at(-1) as string, "command"));
    await ending;
    expect(directories.filter((directory) => existsSync(directory))).toEqual([]);
  });

  it("stop ends the processes in nested cgroups and removes the cgroups", async () => {
    const running = await fixture.shell("sleep 60");
    const other = spawn("/bin/sh", ["-c", "sleep 60", fixture.mark], { stdio: "ignore" });
    for (const path of cgroupsOf(process.pid)) {
      mkdirSync(join(path, "below"));
      writeFileSync(join(path, "below", "cgroup.procs"), String(other.pid));
    }
    await running.stop({ graceMs: 1000 });
    expect(fixture.warnings).toEqual([]);
    expect(cgroupsOf(process.pid)).toEqual([]);
  });
});

describe("statistics", () => {
  it("a value that cannot be measured is null, with the reason", async () => {
    const running = await fixture.shell("echo begun; sleep 60 & wait");
    await until("the service prints", () => fixture.sink.all === "begun\n");
    const stats = await running.stats();
    expect(stats).toMatchObject({ network_rx_bytes: null, network_tx_bytes: null });
    expect(stats.reason).toContain("network");
    if (hasCgroups) {
      expect(stats.pids).toBeGreaterThanOrEqual(1);
      expect(stats.memory_mb).toBeGreaterThan(0);
      expect(stats.cpu_seconds_total).toBeGreaterThan(0);
      expect(stats.oom_kills).toBe(0);
    }
  });

  it("capacity() reports the CPUs and memory of the machine", async () => {
    const { cpus, memory_mb } = (await fixture.host()).capacity();
    expect(cpus).toBeGreaterThan(0);
    expect(memory_mb).toBeGreaterThan(100);
  });
});
