import { describe, expect, it } from "vitest";
import {
  cgroupVersion,
  parseLimits,
  parseSnapshot,
  parseUsage,
  parseUser,
} from "../../../../src/runtimes/dagger/engine-host/cgroup-files.js";
import { usageOfEvent } from "../../../../src/runtimes/dagger/engine-host/runc-events.js";
import { updateOptions } from "../../../../src/runtimes/dagger/engine-host/runc-host.js";

const NET = `net:Inter-|   Receive                                                |  Transmit
net: face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
net:    lo:    9999      10    0    0    0     0          0         0     9999      10    0    0    0     0       0          0
net:  eth0: 1500       12    0    0    0     0          0         0     700       8    0    0    0     0       0          0
net:  eth1:500       1    0    0    0     0          0         0     300       1    0    0    0     0       0          0`;

const V2 = `memory.max:536870912
memory.current:104857600
memory.peak:209715200
memory.stat:anon 52428800
memory.stat:inactive_file 10485760
memory.events:low 0
memory.events:oom 3
memory.events:oom_kill 2
cpu.max:50000 100000
cpu.stat:usage_usec 2500000
cpu.stat:nr_throttled 7
cpu.stat:throttled_usec 1500000
pids.max:100
pids.current:5
${NET}
status:Name:\tpostgres
status:Uid:\t70\t70\t70\t70
status:Gid:\t71\t71\t71\t71
status:CapInh:\t0000000000000000
status:CapPrm:\t0000000000000000
status:CapEff:\t0000000000000000
status:CapBnd:\t00000000a80425fb
status:CapAmb:\t0000000000000000
status:NoNewPrivs:\t1`;

const V1 = `memory/memory.limit_in_bytes:536870912
memory/memory.usage_in_bytes:104857600
memory/memory.max_usage_in_bytes:209715200
memory/memory.stat:inactive_file 1
memory/memory.stat:total_inactive_file 10485760
memory/memory.oom_control:oom_kill_disable 0
memory/memory.oom_control:under_oom 0
memory/memory.oom_control:oom_kill 2
cpu/cpu.cfs_quota_us:25000
cpu/cpu.cfs_period_us:50000
cpu/cpu.stat:nr_periods 10
cpu/cpu.stat:nr_throttled 7
cpu/cpu.stat:throttled_time 1500000000
cpuacct/cpuacct.usage:2500000000
pids/pids.max:100
pids/pids.current:5
${NET}
status:Uid:\t0\t0\t0\t0
status:Gid:\t0\t0\t0\t0
status:CapEff:\t00000000a80425fb
status:NoNewPrivs:\t0`;

const USAGE = {
  cpu_seconds_total: 2.5,
  memory_mb: 90,
  memory_peak_mb: 200,
  pids: 5,
  throttled_periods: 7,
  throttled_seconds: 1.5,
  oom_kills: 2,
  network_rx_bytes: 2000,
  network_tx_bytes: 1000,
};

describe.each([
  ["v1", V1],
  ["v2", V2],
])("a snapshot of cgroup %s files", (version, text) => {
  const seen = parseSnapshot(text);
  it("the snapshot gives the limits and the usage", () => {
    const enforcement = { level: "enforced", reason: `cgroup ${version}` };
    expect(cgroupVersion(seen)).toBe(version);
    expect(parseLimits(seen)).toEqual({
      cpus: { value: 0.5, enforcement },
      memory_mb: { value: 512, enforcement },
      pids: { value: 100, enforcement },
    });
    expect(parseUsage(seen)).toEqual(USAGE);
  });

  it("an unlimited value has no limit, and a missing controller has a reason", () => {
    const open = parseSnapshot(
      text.replace(/(max|limit_in_bytes|quota_us):(536870912|100$|50000|25000)/gm, (_all, file: string) =>
        file === "quota_us" ? "quota_us:-1" : file === "limit_in_bytes" ? `${file}:9223372036854771712` : `${file}:max`,
      ),
    );
    const nothing = { value: null, enforcement: { level: "none", reason: "no limit was requested" } };
    expect(parseLimits(open)).toEqual({ cpus: nothing, memory_mb: nothing, pids: nothing });
    const without = parseSnapshot(text.replace(/^memory.*\n/gm, ""));
    expect(parseLimits(without).memory_mb).toMatchObject({
      value: null,
      enforcement: { level: "none", reason: expect.stringMatching(/shows no memory/) },
    });
    expect(parseUsage(without)).toMatchObject({ memory_mb: null, memory_peak_mb: null, oom_kills: null, pids: 5 });
  });
});

describe("a snapshot of a process", () => {
  it("parseUser returns the uid, gid, capabilities and no_new_privs of the process", () => {
    expect(parseUser(parseSnapshot(V2))).toEqual({
      uid: 70,
      gid: 71,
      noNewPrivileges: true,
      withoutCapabilities: true,
    });
    expect(parseUser(parseSnapshot(V1))).toEqual({
      uid: 0,
      gid: 0,
      noNewPrivileges: false,
      withoutCapabilities: false,
    });
    expect(parseUser(parseSnapshot("memory.max:max"))).toBeNull();
  });

  it("an empty snapshot has no cgroup version, limits or usage", () => {
    const empty = parseSnapshot("no colon\n");
    expect(cgroupVersion(empty)).toBeNull();
    expect(parseLimits(empty).cpus).toMatchObject({ value: null, enforcement: { level: "none" } });
    expect(Object.values(parseUsage(empty))).toEqual(Array(9).fill(null));
  });
});

describe("usageOfEvent", () => {
  const event = (memory: object, interfaces: unknown = null) =>
    JSON.stringify({
      type: "stats",
      id: "x",
      data: {
        cpu: { usage: { total: 2.5e9, percpu: [1, 2] }, throttling: { throttledPeriods: 7, throttledTime: 1.5e9 } },
        memory,
        pids: { current: 5, limit: 100 },
        network_interfaces: interfaces,
      },
    });

  it("an event of cgroup v1 and one of v2 give the same usage", () => {
    const v1 = {
      usage: { limit: 1, usage: 104857600, max: 209715200 },
      raw: { total_inactive_file: 10485760, inactive_file: 1 },
    };
    expect(
      usageOfEvent(
        event(v1, [
          { Name: "lo", RxBytes: 9 },
          { Name: "eth0", RxBytes: 2000, TxBytes: 1000 },
        ]),
      ),
    ).toEqual({
      ...USAGE,
      oom_kills: null,
    });
    const v2 = { usage: { limit: 1, usage: 104857600, max: 0 }, raw: { inactive_file: 10485760 } };
    expect(usageOfEvent(event(v2))).toEqual({
      ...USAGE,
      memory_peak_mb: null,
      oom_kills: null,
      network_rx_bytes: null,
      network_tx_bytes: null,
    });
  });

  it("an invalid event gives null, and an empty one gives no values", () => {
    expect(usageOfEvent("container is not running")).toBeNull();
    expect(usageOfEvent("null")).toBeNull();
    expect(usageOfEvent("{}")).toBeNull();
    expect(Object.values(usageOfEvent('{"data":{}}') ?? {})).toEqual(Array(9).fill(null));
  });
});

describe("updateOptions", () => {
  it("every limit becomes an option in the kernel's units, and a missing limit becomes -1", () => {
    expect(updateOptions({ cpus: 0.5, memory_mb: 512, pids: 100 }, true)).toEqual([
      "--memory=536870912",
      "--memory-swap=536870912",
      "--cpu-period=100000",
      "--cpu-quota=50000",
      "--pids-limit=100",
    ]);
    expect(updateOptions({}, false)).toEqual([
      "--memory=-1",
      "--cpu-period=100000",
      "--cpu-quota=-1",
      "--pids-limit=-1",
    ]);
    // The kernel takes no quota below a millisecond.
    expect(updateOptions({ cpus: 0.001 }, true)).toContain("--cpu-quota=1000");
  });
});
