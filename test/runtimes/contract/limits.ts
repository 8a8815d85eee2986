/** Limits: in force from the first instruction, changed while running and read back, or reported as not enforced. */
import { describe, expect, it } from "vitest";
import type { Enforcement } from "../../../src/stack/runtime.js";
import { endedBy, until } from "./bench.js";
import { type Given, once, shared } from "./contract.js";

/** Returns the memory limit of the program's own cgroup in MB, for cgroup v1 and v2. */
const OWN_LIMIT = `
def own_limit():
    import os
    places = []
    for line in open("/proc/self/cgroup").read().split("\\n"):
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if "memory" in names.split(","):
            places += ["/sys/fs/cgroup/memory" + path + "/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        if number == "0":
            places += ["/sys/fs/cgroup" + path + "/memory.max", "/sys/fs/cgroup/memory.max"]
    for place in places:
        if os.path.exists(place):
            value = open(place).read().strip()
            if value.isdigit(): return int(value) // 1048576
    return None
`;

const LIMITS = { cpus: 0.5, memory_mb: 96, pids: 60 };

export function limitTests(given: Given): void {
  describe("limits", () => {
    const held = once(async (): Promise<Enforcement> => (await given.target().runtime.check()).isolation.limits);
    /** A service that prints its memory limit and process id again and again. */
    const app = shared(given, async (bench) => {
      const program = `${OWN_LIMIT}
import os, time
while True:
    print("limit", own_limit(), os.getpid(), flush=True); time.sleep(0.1)
`;
      const { running, sink } = await bench.run(bench.python("app", program), { limits: LIMITS });
      await sink.shows("limit ");
      return { running, sink };
    });
    /** A service that has as many processes as its limit allows, and uses the CPU. */
    const busy = shared(given, async (bench) => {
      const program = `
import os, time
held = bytearray(20 << 20)
made = 0
try:
    while made < 200:
        if os.fork() == 0:
            time.sleep(60); os._exit(0)
        made += 1
except OSError as error:
    print("refused", error.errno, "after", made, flush=True)
while True: pass
`;
      // Little enough that it is throttled on a busy machine too.
      const limits = { ...LIMITS, pids: 20, cpus: 0.05 };
      return bench.run(bench.python("app", program), { limits });
    });

    it("each limit is reported as enforced with its value, or as not enforced with the reason", async () => {
      const { running } = await app();
      const read = await running.readLimits();
      const { level } = await held();
      for (const name of ["cpus", "memory_mb", "pids"] as const) {
        expect(read[name].enforcement.level, name).toBe(level);
        expect(read[name].enforcement.reason).not.toBe("");
        if (level === "enforced") expect(read[name].value, name).toBeCloseTo(LIMITS[name], 1);
        else expect(read[name].value, name).toBeNull();
      }
    });

    it("limits are in force when the service's program starts", async (context) => {
      if ((await held()).level !== "enforced") context.skip("limits are not enforced here");
      const { sink } = await app();
      expect(sink.text()).toMatch(/^limit 96 \d+\n/);
    });

    it("limits change on a running instance, which observes the new values", async (context) => {
      if ((await held()).level !== "enforced") context.skip("limits are not enforced here");
      const { running, sink } = await app();
      await sink.shows("limit 96");
      const applied = await running.setLimits({ cpus: 0.75, memory_mb: 128, pids: 80 });
      expect(applied).toMatchObject({
        cpus: { enforcement: { level: "enforced" } },
        memory_mb: { value: 128 },
        pids: { value: 80 },
      });
      expect(applied.cpus.value).toBeCloseTo(0.75, 2);
      expect(await running.readLimits()).toEqual(applied);
      await sink.shows("limit 128");
      const pids = new Set([...sink.text().matchAll(/^limit \d+ (\d+)$/gm)].map(([, pid]) => pid));
      expect(pids.size).toBe(1);
      await running.setLimits({ cpus: 0.5, memory_mb: 64, pids: 60 });
      await sink.shows("limit 64");
    });

    it("a service that exceeds its memory limit is killed and reported as an OOM kill", async (context) => {
      if ((await held()).level !== "enforced") context.skip("limits are not enforced here");
      const bench = given();
      const program = "held = []\nwhile True: held.append(bytearray(4 << 20))";
      const { running } = await bench.run(bench.python("app", program), { limits: { ...LIMITS, memory_mb: 48 } });
      const exit = await running.exited;
      expect(exit.oomKilled, JSON.stringify(exit)).toBe(true);
      expect(endedBy(exit, "SIGKILL"), JSON.stringify(exit)).toBe(true);
      expect(await running.stats()).toHaveProperty("reason");
      await running.readLimits();
    });

    it("a service at its limit on processes cannot create more", async (context) => {
      if ((await held()).level !== "enforced") context.skip("limits are not enforced here");
      const { running, sink } = await busy();
      await sink.shows("refused 11 after");
      const stats = await running.stats();
      expect(stats.pids).toBeLessThanOrEqual(20);
      expect(stats.pids).toBeGreaterThan(5);
    });

    it("statistics report memory, processes, CPU time and throttling", async (context) => {
      if ((await held()).level !== "enforced") context.skip("usage is not counted here");
      const { running } = await busy();
      await running.stats();
      await until("it is throttled", async () => ((await running.stats()).throttled_periods ?? 0) > 2);
      const stats = await running.stats();
      expect(stats.memory_mb).toBeGreaterThan(15);
      expect(stats.memory_mb).toBeLessThan(97);
      expect(stats.pids).toBeGreaterThanOrEqual(1);
      expect(stats.cpu_seconds_total).toBeGreaterThan(0);
      expect(stats.cpu_cores).not.toBeNull();
      expect(stats.throttled_seconds).toBeGreaterThan(0);
      expect(stats.oom_kills).toBe(0);
    });

    it("statistics and limits of an ended instance can be read", async () => {
      const { running } = await app();
      await running.stop({ graceMs: 0 });
      const stats = await running.stats();
      expect(stats).toHaveProperty("reason");
      await running.readLimits();
    });
  });
}
