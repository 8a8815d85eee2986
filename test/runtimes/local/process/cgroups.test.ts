import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { endCgroup, killAll, limitValue } from "../../../../src/runtimes/local/process/cgroup.js";
import { detectCgroups } from "../../../../src/runtimes/local/process/detect-cgroups.js";
import { keyed } from "../../../../src/runtimes/shared/kernel-counters.js";
import { CgroupTree } from "./cgroup-fixture.js";
import { HostFixture, until } from "./support.js";

vi.mock("../../../../src/runtimes/local/process/cgroup.js", async (original) => ({
  ...(await original<object>()),
  write: (await import("./cgroup-fixture.js")).kernelWrite,
}));

const trees: CgroupTree[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) tree.close();
});
function tree(...groups: string[]): CgroupTree {
  const made = new CgroupTree(groups);
  trees.push(made);
  return made;
}
const find = ({ procRoot, cgroupRoot }: CgroupTree) => detectCgroups({ procRoot, cgroupRoot, pid: 4711 });
const V2 = { level: "enforced", reason: "cgroup v2" };
const ALL = { "cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.subtree_control": "" };

function v2(own: string, files: Record<string, string>): CgroupTree {
  const made = tree(`0::${own}`);
  made.mount("/sys/fs/cgroup", "cgroup2", "nsdelegate");
  made.group("sys/fs/cgroup", { ...ALL, "cgroup.subtree_control": "cpu memory pids\n" });
  made.group(`sys/fs/cgroup${own}`, files);
  return made;
}

describe("cgroup v2", () => {
  it("the server's own cgroup holds the services, with limits, usage and the bounds of its parents", async () => {
    const made = v2("/user.slice/app", { ...ALL, "cpu.max": "150000 100000\n", "memory.max": "max\n" });
    made.group("sys/fs/cgroup/user.slice", { "memory.max": `${512 * 1048576}\n`, "cpu.max": "max 100000\n" });
    const { factory } = await find(made);
    expect(factory?.enforcement).toEqual(V2);
    expect(await factory?.bounds()).toEqual({ cpus: 1.5, memory_mb: 512 });
    expect(made.text("sys/fs/cgroup/user.slice/app/cgroup.subtree_control").trim()).toBe("memory cpu pids");

    const folder = join(made.cgroupRoot, "sys/fs/cgroup/user.slice/app/one");
    expect(factory?.directories("one")).toEqual([folder]);
    const cgroup = await factory?.create("one");
    expect(cgroup?.directories).toEqual([folder]);
    expect(cgroup?.procsFiles).toEqual([join(folder, "cgroup.procs")]);
    made.group("sys/fs/cgroup/user.slice/app/one", { "memory.swap.max": "max\n" });
    expect(await cgroup?.setLimits({ cpus: 0.25, memory_mb: 64, pids: 30 })).toEqual({
      cpus: { value: 0.25, enforcement: V2 },
      memory_mb: { value: 64, enforcement: V2 },
      pids: { value: 30, enforcement: V2 },
    });
    const text = (name: string): string => made.text(`sys/fs/cgroup/user.slice/app/one/${name}`);
    expect([text("cpu.max"), text("memory.max"), text("memory.swap.max"), text("pids.max")]).toEqual([
      "25000 100000\n",
      "67108864\n",
      "0\n",
      "30\n",
    ]);
    const free = await cgroup?.setLimits({});
    expect([free?.cpus.value, free?.memory_mb.value, free?.pids.value]).toEqual([null, null, null]);
    expect([text("cpu.max"), text("memory.max"), text("memory.swap.max")]).toEqual(["max 100000\n", "max\n", "max\n"]);

    made.group("sys/fs/cgroup/user.slice/app/one", {
      "memory.current": "30000000",
      "memory.stat": "anon 1\ninactive_file 10000000\n",
      "memory.peak": "52428800",
      "memory.events": "low 0\noom 4\noom_kill 3\n",
      "cpu.stat": "usage_usec 2500000\nnr_periods 9\nnr_throttled 7\nthrottled_usec 500000\n",
      "pids.current": "5",
    });
    expect(await cgroup?.usage()).toEqual({
      cpu_seconds_total: 2.5,
      memory_mb: 20_000_000 / 1048576,
      memory_peak_mb: 50,
      pids: 5,
      throttled_periods: 7,
      throttled_seconds: 0.5,
      oom_kills: 3,
    });
    await expect(factory?.create("one")).rejects.toMatchObject({ code: "EEXIST" });
  });

  it("a server alone in its cgroup moves to the leaf stackwarden-server, once", async () => {
    const made = v2("/app", { ...ALL, "cgroup.type": "domain\n", "cgroup.procs": "4711\n" });
    // Another program manages the parent cgroup.
    made.group("sys/fs/cgroup", { "cgroup.procs": "1\n", "cgroup.type": "domain\n" });
    const { factory } = await find(made);
    expect(factory?.enforcement).toEqual(V2);
    expect(made.text("sys/fs/cgroup/app/stackwarden-server/cgroup.procs")).toBe("4711\n");
    expect(factory?.directories("x")).toEqual([join(made.cgroupRoot, "sys/fs/cgroup/app/x")]);

    const again = tree("0::/app/stackwarden-server");
    again.mount("/sys/fs/cgroup", "cgroup2", "rw");
    again.group("sys/fs/cgroup/app", { ...ALL, "cgroup.subtree_control": "cpu memory pids" });
    again.group("sys/fs/cgroup/app/stackwarden-server", { ...ALL, "cgroup.procs": "4711\n" });
    const second = await find(again);
    expect(second.factory?.directories("x")).toEqual([join(again.cgroupRoot, "sys/fs/cgroup/app/x")]);
    expect(readdirSync(join(again.cgroupRoot, "sys/fs/cgroup/app")).sort()).toEqual([
      "cgroup.controllers",
      "cgroup.procs",
      "cgroup.subtree_control",
      "stackwarden-server",
    ]);
  });

  it("a server that shares its cgroup with other programs uses the parent cgroup", async () => {
    const made = v2("/session", { ...ALL, "cgroup.procs": "1234\n4711\n" });
    const { factory } = await find(made);
    expect(factory?.directories("x")).toEqual([join(made.cgroupRoot, "sys/fs/cgroup/x")]);
    expect(made.text("sys/fs/cgroup/session/cgroup.procs")).toBe("1234\n4711\n");
  });

  it("a cgroup with processes of other programs gets no controllers", async () => {
    const made = v2("/session", { ...ALL, "cgroup.procs": "1\n4711\n" });
    made.group("sys/fs/cgroup", { "cgroup.procs": "1\n", "cgroup.type": "domain\n" });
    expect(await find(made)).toMatchObject({ factory: null, reason: expect.stringContaining("Delegate=yes") });
    for (const group of ["sys/fs/cgroup", "sys/fs/cgroup/session"])
      expect(made.text(`${group}/cgroup.subtree_control`)).not.toContain("+");
    expect(made.text("sys/fs/cgroup/session/cgroup.subtree_control")).toBe("");
    expect(made.text("sys/fs/cgroup/session/cgroup.procs")).toBe("1\n4711\n");
    expect(readdirSync(join(made.cgroupRoot, "sys/fs/cgroup/session"))).not.toContain("stackwarden-server");
  });

  it("other processes of the same program move to the leaf too", async () => {
    const script = readFileSync("/proc/self/cmdline", "utf8")
      .split("\0")
      .slice(1)
      .find((word) => !word.startsWith("-"));
    const other = spawn("/usr/bin/tail", ["-f", script as string], { stdio: "ignore" });
    await once(other, "spawn");
    const made = v2("/app", { ...ALL, "cgroup.type": "domain\n", "cgroup.procs": `${other.pid}\n${process.pid}\n` });
    made.group("sys/fs/cgroup", { "cgroup.procs": "1\n", "cgroup.type": "domain\n" });
    const { factory } = await detectCgroups({ ...made, pid: process.pid });
    other.kill("SIGKILL");
    expect(factory?.enforcement).toEqual(V2);
    expect(made.text("sys/fs/cgroup/app/cgroup.procs")).toBe("");
  });

  it("a limit without its controller is reported as not enforced, with the reason", async () => {
    const made = v2("/app", { "cgroup.controllers": "memory pids\n", "cgroup.subtree_control": "" });
    const { factory } = await find(made);
    expect(factory?.enforcement).toEqual({ level: "advisory", reason: "cgroup v2 without its cpu controller" });
    const limits = await (await factory?.create("one"))?.setLimits({ cpus: 1, memory_mb: 64, pids: 10 });
    expect(limits?.cpus).toEqual({
      value: null,
      enforcement: { level: "none", reason: "the cpu controller is not delegated to this server (cgroup v2)" },
    });
    expect(limits?.memory_mb.value).toBe(64);
  });

  it("a cgroup without usable controllers is not used", async () => {
    const made = tree("0::/");
    made.mount("/sys/fs/cgroup", "cgroup2", "rw");
    made.group("sys/fs/cgroup", { "cgroup.controllers": "hugetlb\n", "cgroup.subtree_control": "" });
    expect(await find(made)).toMatchObject({ factory: null, reason: expect.stringContaining("Delegate=yes") });
    expect(readdirSync(join(made.cgroupRoot, "sys/fs/cgroup"))).not.toContain("stackwarden-server");
  });
});

describe("cgroup v1", () => {
  function v1(controllers: string[], own = "/"): CgroupTree {
    const made = tree(...controllers.map((names, n) => `${n + 1}:${names}:${own}`), "0::/");
    for (const names of controllers) {
      made.mount(`/sys/fs/cgroup/${names}`, "cgroup", names);
      made.group(`sys/fs/cgroup/${names}`);
    }
    return made;
  }

  it("cpu and cpuacct in one hierarchy are used as one directory", async () => {
    const { factory } = await find(v1(["cpu,cpuacct", "memory", "pids"]));
    expect(factory?.enforcement).toEqual({ level: "enforced", reason: "cgroup v1" });
    expect(factory?.directories("x").length).toBe(3);
  });

  it("available controllers enforce their limits, and missing controllers are named", async () => {
    const made = v1(["memory"]);
    const { factory } = await find(made);
    expect(factory?.enforcement).toEqual({
      level: "advisory",
      reason: "cgroup v1 without its cpu and pids controller",
    });
    expect(await factory?.bounds()).toEqual({ cpus: null, memory_mb: null });
    const cgroup = await factory?.create("x");
    const group = "sys/fs/cgroup/memory/x";
    // A kernel with swap accounting: both limits are raised and lowered in the right order.
    made.group(group, { "memory.memsw.limit_in_bytes": "9223372036854771712\n" });
    for (const memory_mb of [64, 32, 128]) {
      expect((await cgroup?.setLimits({ memory_mb, cpus: 1, pids: 5 }))?.memory_mb.value).toBe(memory_mb);
      expect(made.text(`${group}/memory.memsw.limit_in_bytes`)).toBe(`${memory_mb * 1048576}\n`);
    }
    const limits = await cgroup?.setLimits({ cpus: 1 });
    expect(made.text(`${group}/memory.memsw.limit_in_bytes`)).toBe("-1\n");
    expect(limits?.memory_mb.value).toBeNull();
    expect(limits?.cpus).toEqual({
      value: null,
      enforcement: { level: "none", reason: "the cpu controller of cgroup v1 cannot be used here" },
    });
    expect(await cgroup?.usage()).toMatchObject({ cpu_seconds_total: null, memory_mb: null, throttled_seconds: null });
  });

  it("the cgroup is found in a container that mounts part of the hierarchy", async () => {
    const made = tree("1:memory:/docker/abc", "2:pids:/docker/abcdef/sub");
    made.mount("/sys/fs/cgroup/my memory", "cgroup", "memory", "/docker/abc");
    made.mount("/sys/fs/cgroup/pids", "cgroup", "pids", "/docker/abc");
    made.group("sys/fs/cgroup/my memory", { "memory.limit_in_bytes": `${100 * 1048576}\n` });
    made.group("sys/fs/cgroup/pids");
    // Not below the root of the mount, although its name has the same prefix.
    made.group("sys/fs/cgroup/pids/def/sub");
    const { factory } = await find(made);
    expect(factory?.directories("x")).toEqual([
      join(made.cgroupRoot, "sys/fs/cgroup/my memory/x"),
      join(made.cgroupRoot, "sys/fs/cgroup/pids/x"),
    ]);
    expect(await factory?.bounds()).toEqual({ cpus: null, memory_mb: 100 });
  });

  it("a failed creation leaves no directory in the other hierarchies", async () => {
    const made = v1(["memory", "pids"]);
    const { factory } = await find(made);
    mkdirSync(join(made.cgroupRoot, "sys/fs/cgroup/pids/x"));
    await expect(factory?.create("x")).rejects.toMatchObject({ code: "EEXIST" });
    expect(existsSync(join(made.cgroupRoot, "sys/fs/cgroup/memory/x"))).toBe(false);
  });

  it("a hierarchy with only cpuacct is not used", async () => {
    expect((await find(v1(["cpuacct"]))).factory).toBeNull();
  });
});

describe("a system without cgroups", () => {
  it("detectCgroups returns the reason when cgroups cannot be used", async () => {
    expect(await detectCgroups({ procRoot: "/nonexistent" })).toEqual({
      factory: null,
      reason: "this system has no cgroups",
    });
    expect(await find(tree("0::/"))).toEqual({ factory: null, reason: "no cgroup file system is mounted" });
    const gone = tree("0::/", "1:memory:/");
    gone.mount("/gone", "cgroup2", "rw");
    gone.mount("/gone-too", "cgroup", "memory");
    expect(await find(gone)).toMatchObject({
      factory: null,
      reason: expect.stringContaining("no cgroup of this user"),
    });
  });

  it("a host without cgroups runs, measures and stops a service and reports limits as not enforced", async () => {
    const fixture = new HostFixture();
    const host = await fixture.host({ procRoot: "/nonexistent" });
    const none = { level: "none", reason: "this system has no cgroups" };
    expect(await host.limitsEnforcement()).toEqual(none);
    expect(host.capacity().memory_mb).toBeGreaterThan(0);
    const running = await fixture.shell(`trap '' TERM; sh -c 'sleep 60; : ${fixture.mark}' & sleep 60; sleep 60`, {
      limits: { memory_mb: 10 },
    });
    const unlimited = { value: null, enforcement: none };
    expect(await running.setLimits({ cpus: 1 })).toEqual({ cpus: unlimited, memory_mb: unlimited, pids: unlimited });
    expect(await running.readLimits()).toMatchObject({ cpus: unlimited });
    const stats = await running.stats();
    expect(stats).toMatchObject({ oom_kills: null, throttled_seconds: null, memory_peak_mb: null });
    expect(stats.reason).toContain("this system has no cgroups");
    if (process.platform === "linux") {
      // Two shells and two sleeps.
      await until("its processes are counted", async () => (await running.stats()).pids === 4);
      expect(stats.memory_mb).toBeGreaterThan(0.5);
      const busy = await fixture.shell("while :; do :; done");
      await until("processor time is counted", async () => ((await busy.stats()).cpu_seconds_total ?? 0) > 0.1);
      await until("its rate is known", async () => ((await busy.stats()).cpu_cores ?? 0) > 0);
      await busy.stop({ graceMs: 0 });
    }
    expect(await fixture.run(["/bin/echo", "inside"], { inside: running })).toMatchObject({ output: "inside\n" });
    expect(await running.stop({ graceMs: 50 })).toMatchObject({ signal: "SIGKILL", oomKilled: false });
    await fixture.close();
  });
});

it("a host uses cgroup v2 and warns when it cannot remove a cgroup", async () => {
  const made = v2("/app", ALL);
  const fixture = new HostFixture();
  const host = await fixture.host({ procRoot: made.procRoot, cgroupRoot: made.cgroupRoot });
  expect(await host.limitsEnforcement()).toEqual(V2);
  const running = await fixture.shell("sleep 60", { limits: { memory_mb: 64 } });
  const group = `sys/fs/cgroup/app/stackwarden-${process.pid}-1-demo-web-1`;
  expect(made.text(`${group}/cgroup.procs`)).toBe(String(running.pid));
  expect(await running.readLimits()).toMatchObject({ memory_mb: { value: 64, enforcement: V2 } });
  // Without a kernel, ended processes stay in the list and files stay in the folder.
  made.group(group);
  await running.stop({ graceMs: 5000 });
  expect(fixture.warnings).toEqual([expect.stringContaining("ENOTEMPTY")]);
  await fixture.close();
});

it("limitValue and keyed read the values that kernels write", () => {
  expect(["max", null, "-1", "9223372036854771712", "x", "0", "67108864"].map(limitValue)).toEqual([
    ...[null, null, null, null, null, 0, 67_108_864],
  ]);
  expect(keyed("oom_kill_disable 0\nunder_oom 0\noom_kill 2", "oom_kill")).toBe(2);
  expect(keyed(null, "oom_kill")).toBeNull();
});

it("killAll and endCgroup fail after their deadline, and endCgroup ignores a missing cgroup", async () => {
  const made = tree("0::/");
  // Above the highest process id: it cannot be killed and stays in the list.
  const folder = made.group("x", { "cgroup.procs": "4194311\n" });
  expect(await killAll([folder], 30)).toBe(false);
  await endCgroup([join(made.cgroupRoot, "missing")]);
  const nested = made.group("y/below", { "cgroup.procs": "4194311\n" });
  expect(await killAll([join(nested, "..")], 30)).toBe(false);
  await expect(endCgroup([folder], 30)).rejects.toMatchObject({ code: "ENOTEMPTY" });
});
