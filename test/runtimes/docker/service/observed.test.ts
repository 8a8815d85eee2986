/** What is read from an engine: usage, limits, listening sockets and the log of a container with a terminal. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import type Docker from "dockerode";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readInfo } from "../../../../src/runtimes/docker/engine/engine.js";
import { kernelUsage } from "../../../../src/runtimes/docker/service/kernel-usage.js";
import {
  containerPids,
  kernelLimits,
  kernelUser,
  parseCgroup,
} from "../../../../src/runtimes/docker/service/kernel-view.js";
import {
  endedLimits,
  limitFields,
  readLimits,
  updateFields,
  withoutLifted,
} from "../../../../src/runtimes/docker/service/limits.js";
import { LogFollower, sinceOf } from "../../../../src/runtimes/docker/service/log-follower.js";
import { dialOf, listenCheck, listeningPorts, type Reach } from "../../../../src/runtimes/docker/service/reach.js";
import { ContainerStats } from "../../../../src/runtimes/docker/service/stats.js";
import { RecordingSink } from "../../contract/bench.js";

/** An engine that returns these values for its only container. */
const answering = (methods: Record<string, () => unknown>): Docker =>
  ({ getContainer: () => methods }) as unknown as Docker;

describe("usage of a container", () => {
  const sample = (raw: object) => new ContainerStats(answering({ stats: async () => raw }), "c", () => 2).sample();

  it("usage is read from the engine's statistics", async () => {
    const stats = await sample({
      cpu_stats: {
        cpu_usage: { total_usage: 2_500_000_000 },
        throttling_data: { throttled_periods: 3, throttled_time: 1_000_000_000 },
      },
      memory_stats: { usage: 30 << 20, max_usage: 40 << 20, stats: { total_inactive_file: 10 << 20 } },
      pids_stats: { current: 4 },
      networks: { eth0: { rx_bytes: 5, tx_bytes: 6 }, eth1: { rx_bytes: 7 } },
    });
    expect(stats).toEqual({
      cpu_cores: null,
      cpu_seconds_total: 2.5,
      memory_mb: 20,
      memory_peak_mb: 40,
      pids: 4,
      throttled_periods: 3,
      throttled_seconds: 1,
      oom_kills: 2,
      network_rx_bytes: 12,
      network_tx_bytes: 6,
      reason: null,
    });
  });

  it("usage that the engine does not report is null, with the reason", async () => {
    expect(
      await sample({ cpu_stats: { cpu_usage: { total_usage: 1 } }, memory_stats: { usage: 1 << 20 } }),
    ).toMatchObject({
      pids: null,
      throttled_periods: null,
      throttled_seconds: null,
      network_rx_bytes: null,
      memory_peak_mb: null,
    });
    expect((await sample({})).reason).toContain("reports no usage");
    const stats = new ContainerStats(
      answering({ stats: async () => ({ cpu_stats: { cpu_usage: { total_usage: 1 } }, memory_stats: { usage: 1 } }) }),
      "c",
      () => 0,
    );
    await stats.sample();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await stats.sample()).cpu_cores).toBe(0);
  });
});

describe("usage of a container on this machine's kernel", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stackwarden-usage-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const write = (files: Record<string, string>): void => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(folder, dirname(path)), { recursive: true });
      writeFileSync(join(folder, path), `${text}\n`);
    }
  };
  const usage = () => kernelUsage(7, "c1", join(folder, "groups"), join(folder, "proc"));
  const DEV = `Inter-|   Receive    |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     900       9    0    0    0     0          0         0      900       9    0    0    0     0       0          0
  eth0:     120       2    0    0    0     0          0         0       80       1    0    0    0     0       0          0`;

  it("usage is read from control groups of version 1", async () => {
    write({
      "proc/7/cgroup": "4:memory:/docker/c1\n3:cpu,cpuacct:/docker/c1\n2:pids:/docker/c1",
      "proc/7/net/dev": DEV,
      "groups/cpu/docker/c1/cpu.stat": "nr_periods 9\nnr_throttled 3\nthrottled_time 1000000000",
      "groups/cpuacct/docker/c1/cpuacct.usage": "2500000000",
      "groups/memory/docker/c1/memory.usage_in_bytes": "3000",
      "groups/memory/docker/c1/memory.max_usage_in_bytes": "4000",
      "groups/memory/docker/c1/memory.stat": "inactive_file 1\ntotal_inactive_file 500",
      "groups/pids/docker/c1/pids.current": "4",
    });
    expect(await usage()).toEqual({
      cpu_stats: {
        cpu_usage: { total_usage: 2_500_000_000 },
        throttling_data: { throttled_periods: 3, throttled_time: 1_000_000_000 },
      },
      memory_stats: { usage: 3000, max_usage: 4000, stats: { inactive_file: 500 } },
      pids_stats: { current: 4 },
      networks: { eth0: { rx_bytes: 120, tx_bytes: 80 } },
    });
  });

  it("usage is read from the unified control group, and what it does not have is absent", async () => {
    write({
      "proc/7/cgroup": "0::/docker/c1",
      "groups/docker/c1/cpu.stat": "usage_usec 2500\nnr_throttled 3\nthrottled_usec 7",
      "groups/docker/c1/memory.current": "3000",
    });
    expect(await usage()).toEqual({
      cpu_stats: {
        cpu_usage: { total_usage: 2_500_000 },
        throttling_data: { throttled_periods: 3, throttled_time: 7000 },
      },
      memory_stats: { usage: 3000, stats: {} },
      pids_stats: {},
    });
  });

  it("the group of another container, or one without its files, has no usage", async () => {
    expect(await usage()).toBeNull();
    write({ "proc/7/cgroup": "0::/docker/c2", "groups/docker/c2/memory.current": "1" });
    expect(await usage()).toBeNull();
    write({ "proc/7/cgroup": "0::/docker/c1" });
    expect(await usage()).toBeNull();
    write({ "proc/7/cgroup": "1:name=systemd:/docker/c1\n0::/", "groups/memory.current": "1" });
    expect(await usage()).toBeNull();
  });
});

describe("limits", () => {
  const info = readInfo({ NCPU: 4, MemTotal: 8 * 1024 ** 3, CgroupVersion: "2" });
  const held = (HostConfig: object, of = info) =>
    readLimits({ docker: answering({ inspect: async () => ({ HostConfig }) }), container: "c", info: of, pid: 0 });

  it("limits are sent in the engine's units, and an update sets missing ones to the maximum", () => {
    expect(limitFields({ cpus: 0.001, memory_mb: 64, pids: 9 })).toEqual({
      Memory: 64 << 20,
      MemorySwap: 64 << 20,
      NanoCpus: 10_000_000,
      PidsLimit: 9,
    });
    expect(limitFields({})).toEqual({});
    expect(updateFields({}, info, null)).toMatchObject({ NanoCpus: 4e9, Memory: 8 * 1024 ** 3, PidsLimit: 2048 });
  });

  it("an update changes no limit that was not requested, and a lifted limit is none", async () => {
    const bare = await held({ PidsLimit: 2048 });
    const memory = { Memory: 160 << 20, MemorySwap: 160 << 20, PidsLimit: 2048 };
    expect(updateFields({ memory_mb: 160 }, info, bare)).toEqual(memory);
    const limited = await held({ ...memory, NanoCpus: 1e9 });
    expect(updateFields({ cpus: 1 }, info, limited)).toEqual({
      Memory: 8 * 1024 ** 3,
      MemorySwap: 8 * 1024 ** 3,
      NanoCpus: 1e9,
      PidsLimit: 2048,
    });
    const lifted = await held({ Memory: 8 * 1024 ** 3, NanoCpus: 4e9, PidsLimit: 2048 });
    expect(withoutLifted(lifted, {}, info)).toMatchObject({ memory_mb: { value: null }, cpus: { value: null } });
    const all = { cpus: 4, memory_mb: 8192 };
    expect(withoutLifted(lifted, all, info)).toMatchObject({ memory_mb: { value: 8192 }, cpus: { value: 4 } });
    expect(withoutLifted(limited, {}, info)).toMatchObject({ memory_mb: { value: 160 }, cpus: { value: 1 } });
  });

  it("limits are read from the inspection where the kernel's files cannot be read", async () => {
    const all = await held({ Memory: 64 << 20, NanoCpus: 5e8, PidsLimit: 9 });
    expect(all).toMatchObject({ cpus: { value: 0.5 }, memory_mb: { value: 64 }, pids: { value: 9 } });
    expect((await held({ CpuQuota: 150_000 })).cpus.value).toBe(1.5);
    expect((await held({ CpuQuota: 50_000, CpuPeriod: 25_000, PidsLimit: null })).cpus.value).toBe(2);
    expect((await held({})).pids.enforcement).toEqual({ level: "none", reason: "no limit was requested" });
  });

  it("an engine without a limit and an ended instance have no value", async () => {
    const bare = readInfo({ MemoryLimit: false, CpuCfsQuota: false, PidsLimit: false });
    expect((await held({ Memory: 1 << 20 }, bare)).memory_mb).toMatchObject({
      value: null,
      enforcement: { level: "none" },
    });
    expect(endedLimits("over", bare).cpus.enforcement).toEqual({ level: "none", reason: "over" });
    expect(endedLimits("over", info).cpus.enforcement.level).toBe("enforced");
  });

  it("parseCgroup finds the path of a controller in cgroup v1 and v2", () => {
    expect(parseCgroup("4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc", "memory")).toBe("/docker/abc");
    expect(parseCgroup("3:cpu,cpuacct:/a:b", "cpu")).toBe("/a:b");
    expect(parseCgroup("0::/system.slice/docker-abc.scope", "")).toBe("/system.slice/docker-abc.scope");
    expect(parseCgroup("0::/x", "memory")).toBeNull();
  });

  it("limits and users of a process outside of the container are not read", async () => {
    expect(await kernelLimits(process.pid, "no-such-container")).toBeNull();
    expect(await kernelUser(process.pid, "no-such-container")).toBeNull();
    expect(await kernelUser(0, "")).toBeNull();
    expect(await kernelLimits(process.pid, "", "/nowhere")).toBeNull();
    expect((await kernelUser(process.pid, ""))?.uid).toBe(process.getuid?.());
  });

  it("the processes of a container are those of its control group, unless it has groups below it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "stackwarden-groups-"));
    const write = (path: string, text: string): void => {
      mkdirSync(join(folder, dirname(path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    };
    const pids = () => containerPids(7, "c1", join(folder, "groups"), join(folder, "proc"));
    try {
      expect(await pids()).toBeNull();
      write("proc/7/cgroup", "5:pids:/docker/c1\n0::/other\n");
      expect(await pids()).toBeNull();
      write("groups/pids/docker/c1/cgroup.procs", "7\n80\n");
      expect(await pids()).toEqual([7, 80]);
      mkdirSync(join(folder, "groups/pids/docker/c1/below"));
      expect(await pids()).toBeNull();
      write("proc/7/cgroup", "0::/docker/c1\n");
      write("groups/docker/c1/cgroup.procs", "7\n");
      expect(await pids()).toEqual([7]);
      write("proc/7/cgroup", "0::/docker/c2\n");
      expect(await pids()).toBeNull();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("a port that cannot be dialled directly", () => {
  const TABLE = `  sl  local_address rem_address   st
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000
   1: 0100007F:0016 00000000:0000 01 00000000:00000000
`;
  const reach = (fields: Partial<Reach> = {}): Reach => ({
    address: null,
    hostPort: () => undefined,
    read: async (path) => (path.endsWith("6") ? Promise.reject(new Error("no IPv6")) : TABLE),
    ...fields,
  });
  const { signal } = new AbortController();

  it("listenCheck finds a listening port in the container's socket table", async () => {
    expect(listeningPorts(TABLE)).toEqual([8080]);
    expect(await listenCheck(reach(), 8080)(signal)).toContain("listens");
    await expect(listenCheck(reach(), 22)(signal)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    const blind = reach({ read: () => Promise.reject(new Error("no cat")) });
    await expect(listenCheck(blind, 8080)(signal)).rejects.toThrow("no cat");
  });

  it("dialOf connects through the published port once the service listens, else it fails", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.end("hello");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    try {
      const socket = await dialOf(reach({ hostPort: () => port }))(8080, signal);
      socket.destroy();
      await expect(dialOf(reach({ hostPort: () => port }))(9, signal)).rejects.toMatchObject({ code: "ECONNREFUSED" });
      await expect(dialOf(reach())(8080, signal)).rejects.toThrow("cannot be reached");
      const direct = await dialOf(reach({ address: "127.0.0.1" }))(port, signal);
      direct.destroy();
      await expect(dialOf(reach({ address: "127.0.0.1" }))(1, signal)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    } finally {
      server.close();
    }
  });
});

describe("the log of a container with a terminal", () => {
  it("the log is one stream of lines and is resumed after the last line", async () => {
    const lines = ["1", "2", "3"].map((n) => `2026-11-28T10:00:0${n}.123456789Z line ${n}\r\n`);
    let reads = 0;
    const requested: unknown[] = [];
    const docker = {
      getContainer: () => ({
        logs: async (options: { since?: string }) => {
          requested.push(options.since);
          reads += 1;
          const text =
            reads === 1 ? lines.slice(0, 2).join("") : `${lines.slice(1).join("")}2026-11-28T10:00:04.0Z rest`;
          return Readable.from([Buffer.from(text.slice(0, 10)), Buffer.from(text.slice(10))]);
        },
      }),
    } as unknown as Docker;
    const sink = new RecordingSink();
    const follower = new LogFollower({ docker, container: "c", tty: true, sink });
    await follower.read();
    await follower.read();
    expect(sink.all).toBe("line 1\r\nline 2\r\nline 3\r\nrest");
    expect(requested[0]).toBeUndefined();
    expect(requested[1]).toMatch(/^\d+\.123456789$/);
    expect(sinceOf("2026-11-28T10:00:04Z")).toMatch(/\.000000000$/);
    follower.stop();
    await follower.read();
    expect(reads).toBe(2);
  });
});
