/** Limits: there from the first instruction, changed live, read back; where nothing can hold them, said so. */
import { describe, expect, it } from "vitest";
import type { Enforcement } from "../../../src/stack/runtime.js";
import { endedBy, until, WAITS } from "./bench.js";
import type { Given } from "./contract.js";

/** Prints the memory limit of the program's own group in MB, whichever way this machine shows it. */
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

export function limitSentences(given: Given): void {
  describe("limits", () => {
    const held = async (): Promise<Enforcement> => (await given().target.runtime.check()).isolation.limits;

    it("what is reported is what holds: enforced and read back, or not and why", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", WAITS), { limits: LIMITS });
      await sink.shows("up");
      const read = await running.readLimits();
      const { level } = await held();
      for (const name of ["cpus", "memory_mb", "pids"] as const) {
        expect(read[name].enforcement.level, name).toBe(level);
        expect(read[name].enforcement.reason).not.toBe("");
        if (level === "enforced") expect(read[name].value, name).toBeCloseTo(LIMITS[name], 1);
        else expect(read[name].value, name).toBeNull();
      }
    });

    it("they hold before the service's first instruction", async (context) => {
      if ((await held()).level !== "enforced") context.skip("nothing enforces limits here");
      const bench = given();
      const program = `${OWN_LIMIT}\nprint("limit", own_limit(), flush=True)`;
      const { running, sink } = await bench.run(bench.python("app", program), { limits: LIMITS });
      await running.exited;
      expect(sink.text()).toBe("limit 96\n");
    });

    it("they are changed on the running instance, which sees it", async (context) => {
      if ((await held()).level !== "enforced") context.skip("nothing enforces limits here");
      const bench = given();
      const program = `${OWN_LIMIT}
import time, os
while True:
    print("limit", own_limit(), os.getpid(), flush=True); time.sleep(0.1)
`;
      const { running, sink } = await bench.run(bench.python("app", program), { limits: LIMITS });
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

    it("a service that exceeds its memory limit is killed, and reported as an OOM kill", async (context) => {
      if ((await held()).level !== "enforced") context.skip("nothing enforces limits here");
      const bench = given();
      const program = "held = []\nwhile True: held.append(bytearray(4 << 20))";
      const { running } = await bench.run(bench.python("app", program), { limits: { ...LIMITS, memory_mb: 48 } });
      const exit = await running.exited;
      expect(exit.oomKilled, JSON.stringify(exit)).toBe(true);
      expect(endedBy(exit, "SIGKILL"), JSON.stringify(exit)).toBe(true);
    });

    it("a service beyond its number of processes gets no more of them", async (context) => {
      if ((await held()).level !== "enforced") context.skip("nothing enforces limits here");
      const bench = given();
      const program = `
import os, time
made = 0
try:
    while made < 200:
        if os.fork() == 0:
            time.sleep(60); os._exit(0)
        made += 1
except OSError as error:
    print("refused", error.errno, "after", made, flush=True)
time.sleep(60)
`;
      const { running, sink } = await bench.run(bench.python("app", program), { limits: { ...LIMITS, pids: 20 } });
      await sink.shows("refused 11 after");
      const stats = await running.stats();
      expect(stats.pids).toBeLessThanOrEqual(20);
      expect(stats.pids).toBeGreaterThan(5);
    });

    it("use is counted: memory, processes, processor time, and how often it was held back", async (context) => {
      if ((await held()).level !== "enforced") context.skip("nothing counts use here");
      const bench = given();
      const program = "held = bytearray(20 << 20)\nprint('up', flush=True)\nwhile True: pass";
      const { running, sink } = await bench.run(bench.python("app", program), { limits: { ...LIMITS, cpus: 0.2 } });
      await sink.shows("up");
      await running.stats();
      await until("it is held back", async () => ((await running.stats()).throttled_periods ?? 0) > 2);
      const stats = await running.stats();
      expect(stats.memory_mb).toBeGreaterThan(15);
      expect(stats.memory_mb).toBeLessThan(97);
      expect(stats.pids).toBeGreaterThanOrEqual(1);
      expect(stats.cpu_seconds_total).toBeGreaterThan(0);
      expect(stats.cpu_cores).not.toBeNull();
      expect(stats.throttled_seconds).toBeGreaterThan(0);
      expect(stats.oom_kills).toBe(0);
    });

    it("reading the usage of an ended instance is not an error", async () => {
      const bench = given();
      const { running } = await bench.run(bench.python("app", "print('done')"), { limits: LIMITS });
      await running.exited;
      const stats = await running.stats();
      expect(stats).toHaveProperty("reason");
      await running.readLimits();
    });
  });
}
