import { describe, expect, it } from "vitest";
import type { StackwardenError } from "../../../src/errors.js";
import { checkLimits, limitsHold, notEnforced, pressure } from "../../../src/stack/lifecycle/limits.js";
import type { AppliedLimits, EnforcementLevel, ServiceStats } from "../../../src/stack/runtime.js";
import { serviceStats } from "../../support/fake-runtime.js";

const capacity = { cpus: 2, memory_mb: 1000 };
const stats = (more: Partial<ServiceStats> = {}): ServiceStats =>
  serviceStats({ memory_mb: 100, memory_peak_mb: 100, pids: 4, ...more });
const applied = (
  cpus: number | null,
  memory_mb: number | null,
  pids: number | null,
  level: EnforcementLevel = "enforced",
): AppliedLimits => {
  const enforcement = { level, reason: level === "enforced" ? "cgroup v1" : "no cgroups here" };
  return {
    cpus: { value: cpus, enforcement },
    memory_mb: { value: memory_mb, enforcement },
    pids: { value: pids, enforcement },
  };
};

describe("checkLimits", () => {
  it.each([
    [{ cpus: 0 }, /cpus must be a number from 0\.01 to 2/],
    [{ cpus: 2.01 }, /machine's cores/],
    [{ cpus: Number.NaN }, /not NaN/],
    [{ cpus: "1" as unknown as number }, /cpus must be/],
    [{ memory_mb: 5.9 }, /from 6 to 1000/],
    [{ memory_mb: 1001 }, /machine's memory/],
    [{ memory_mb: Number.POSITIVE_INFINITY }, /not Infinity/],
    [{ memory_mb: 99 }, /below the 100 MB in use now/],
    [{ pids: 1.5 }, /whole number/],
    [{ pids: 0 }, /from 1/],
    [{ pids: 3 }, /below the 4 processes/],
  ])("the limits %o are refused with the reason", (limits, message) => {
    expect(() => checkLimits({ service: "db", limits, capacity, stats: stats() })).toThrow(message);
  });

  it("a refusal has every reason", () => {
    try {
      checkLimits({ service: "db", limits: { cpus: 9, memory_mb: 1, pids: 0 }, capacity, stats: null });
      expect.unreachable();
    } catch (error) {
      expect((error as StackwardenError).code).toBe("LIMIT_REFUSED");
      expect((error as StackwardenError).details?.reasons).toHaveLength(3);
    }
  });

  it.each([
    [{}, false],
    [{ cpus: 2, memory_mb: 1000, pids: 4 }, false],
    [{ memory_mb: 50, pids: 1 }, true],
  ])("the limits %o are accepted (force: %s)", (limits, force) => {
    expect(() => checkLimits({ service: "db", limits, capacity, stats: stats(), force })).not.toThrow();
  });

  it("a limit of a service that does not run is not compared with its usage", () => {
    expect(() =>
      checkLimits({ service: "db", limits: { memory_mb: 6, pids: 1 }, capacity, stats: null }),
    ).not.toThrow();
  });
});

describe("limitsHold, notEnforced and pressure", () => {
  it("limits hold within the kernel's rounding, and only when they are enforced", () => {
    expect(limitsHold({ cpus: 0.5, memory_mb: 512, pids: 10 }, applied(0.5, 511.99, 10))).toBe(true);
    expect(limitsHold({}, applied(null, null, null, "none"))).toBe(true);
    expect(limitsHold({ cpus: 0.5 }, applied(1, null, null))).toBe(false);
    expect(limitsHold({ cpus: 0.5 }, applied(null, null, null))).toBe(false);
    expect(limitsHold({ cpus: 0.5 }, applied(0.5, null, null, "advisory"))).toBe(false);
  });

  it("notEnforced gives the reason for each limit that is not enforced", () => {
    expect(notEnforced({ cpus: 1, pids: 3 }, applied(null, null, null, "none"))).toEqual([
      "cpus: no cgroups here",
      "pids: no cgroups here",
    ]);
    expect(notEnforced({ cpus: 1 }, applied(1, 1, 1))).toEqual([]);
  });

  it("pressure describes each resource close to its limit", () => {
    expect(pressure(stats(), applied(1, 512, 100))).toEqual([]);
    expect(
      pressure(
        stats({ memory_mb: 500, cpu_cores: 0.99, pids: 95, throttled_seconds: 2.345, oom_kills: 1 }),
        applied(1, 512, 100),
      ),
    ).toEqual([
      expect.stringMatching(/^memory: 500 of 512 MB/),
      expect.stringMatching(/1 process\(es\) were killed/),
      expect.stringMatching(/^cpu: 0\.99 of 1 cores/),
      "cpu: throttled for 2.35 s in total",
      "pids: 95 of 100 in use",
    ]);
    const unknown = stats({ memory_mb: null, cpu_cores: null, pids: null, throttled_seconds: null, oom_kills: null });
    expect(pressure(unknown, applied(1, 512, 100))).toEqual([]);
    expect(pressure(stats({ memory_mb: 9999 }), applied(null, null, null))).toEqual([]);
  });
});
