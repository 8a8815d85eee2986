import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { getStats } from "../../../src/operations/get-stats.js";
import { UsageHistory } from "../../../src/stack/lifecycle/usage-history.js";
import type { ServiceStats } from "../../../src/stack/runtime.js";
import { call, compose, Domain, service } from "../../support/domain.js";
import { serviceStats } from "../../support/fake-runtime.js";

const HOUR_MS = 3_600_000;
const stats = (memory_mb: number): ServiceStats =>
  serviceStats({ cpu_cores: 0.5, memory_mb, memory_peak_mb: memory_mb, pids: 1 });

describe("UsageHistory", () => {
  it("the history has one hour of samples of each current service", async () => {
    let now = Date.parse("2026-11-29T12:00:00Z");
    let memory = 100;
    const instance = { stats: async () => stats(memory) };
    const sources = [
      { name: "app", instance },
      { name: "db", instance },
    ];
    const history = new UsageHistory(
      () => sources,
      () => now,
    );
    await history.measure();
    sources.pop();
    now += HOUR_MS - 1;
    memory = 200;
    await history.measure();
    expect(history.of("app").map((sample) => sample.memory_mb)).toEqual([100, 200]);
    expect(history.of("db")).toEqual([]);
    now += 1;
    await history.measure();
    expect(history.of("app")).toEqual([
      { time: "2026-11-29T12:59:59.999Z", cpus: 0.5, memory_mb: 200 },
      { time: "2026-11-29T13:00:00.000Z", cpus: 0.5, memory_mb: 200 },
    ]);
  });

  it("the history has no sample of a service that is down or ends during the measurement", async () => {
    const history = new UsageHistory(() => [
      { name: "down", instance: null },
      { name: "ending", instance: { stats: () => Promise.reject(new Error("it has ended")) } },
      { name: "up", instance: { stats: async () => stats(1) } },
    ]);
    await history.measure();
    expect(["down", "ending", "up"].map((name) => history.of(name).length)).toEqual([0, 0, 1]);
  });

  it("a measurement is skipped while the earlier one is pending", async () => {
    let answer: (value: ServiceStats) => void = () => undefined;
    let calls = 0;
    const instance = {
      stats: () => {
        calls += 1;
        return new Promise<ServiceStats>((resolve) => {
          answer = resolve;
        });
      },
    };
    const history = new UsageHistory(() => [{ name: "app", instance }]);
    const first = history.measure();
    await history.measure();
    expect(calls).toBe(1);
    answer(stats(7));
    await first;
    expect(history.of("app")).toHaveLength(1);
  });
});

describe("get_stats with history", () => {
  let domain: Domain;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    domain = new Domain();
  });
  afterEach(async () => {
    vi.useRealTimers();
    await domain.close();
  });

  it("get_stats returns the samples, and the brief result one line a minute", async () => {
    domain.project("shop", compose(service("app")));
    domain.runtime.scripts = { app: { stats: { cpu_cores: 0.25, memory_mb: 480 } } };
    const manager = domain.manager();
    await manager.start({ project: "shop", folder: "shop" }, call());
    for (let at = 0; at < 5; at += 1) await vi.advanceTimersByTimeAsync(15_000);
    const report = await manager.stats({ project: "shop", history: true });
    const { history } = report.services.app ?? {};
    expect(history).toHaveLength(5);
    expect(history?.[0]).toMatchObject({ cpus: 0.25, memory_mb: 480 });
    expect((await manager.stats({ project: "shop" })).services.app).not.toHaveProperty("history");
    expect(getStats.brief?.of(report)).toMatchObject({
      services: {
        app: { history: [0, 4].map((at) => `${history?.[at]?.time.slice(11, 16)} 0.25 cpus, 480 MB`) },
      },
    });
  });
});
