/** Failures between a stack manager and an engine: reports, retries and leftovers. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDaggerRuntime } from "../../../src/runtimes/dagger/dagger-runtime.js";
import { openEngineHost } from "../../../src/runtimes/dagger/engine-host/open.js";
import type { EngineHost, EngineHostOptions } from "../../../src/runtimes/dagger/engine-host/types.js";
import type { StackManager } from "../../../src/stack/model.js";
import type { StackSettings } from "../../../src/stack/settings.js";
import {
  containersOf,
  type Faults,
  runningSessions,
  type SimEngine,
  startSimEngine,
  whyNoContainers,
} from "../../support/dagger-sim/engine.js";
import { call, Domain, eventsOf, until } from "../../support/domain.js";
import { REMOTE, remoteHost, SETTINGS } from "./support/parts.js";

const why = whyNoContainers();
const PROJECT = "shop";
const LONG = 60_000;

/** A service that prints its name, runs `more` and waits. */
const program = (name: string, more = ""): string =>
  JSON.stringify(
    `import os, signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nprint("${name} is up")\n${more}\nwhile True: time.sleep(0.05)`,
  );

const service = (
  name: string,
  { more = "", image = "python:3.11-slim", fields = "", check = '[CMD, "true"]' } = {},
): string => `
  ${name}:
    image: ${image}
    user: "1000"
    command: ["python3", "-S", "-u", "-c", ${program(name, more)}]
    healthcheck: { test: ${check}, interval: 1s, timeout: 5s, retries: 3, start_interval: 100ms, start_period: 30s }
${fields}`;

describe.skipIf(why !== null)(`an engine that fails${why === null ? "" : `: skipped, ${why}`}`, () => {
  let engine: SimEngine;
  let domain: Domain;
  let manager: StackManager;

  beforeEach(async () => {
    engine = await startSimEngine();
    domain = new Domain();
    manager = managed();
  });
  afterEach(async () => {
    await domain.close();
    await engine.close();
  });

  function managed(
    settings: Partial<StackSettings> = {},
    env = engine.env,
    openHost?: typeof openEngineHost,
    gatewayImage = SETTINGS.gatewayImage,
  ): StackManager {
    const retry = { maxRetries: 2, baseDelayMs: 20 };
    const runtime = createDaggerRuntime({
      settings: { ...SETTINGS, retry, gatewayImage },
      env,
      warn: (message) => domain.logged.push(message),
      ...(openHost === undefined ? {} : { parts: { openEngineHost: openHost } }),
    });
    return domain.manager({ startTimeoutMs: LONG, retry, ...settings }, [runtime] as never);
  }

  const up = (...services: string[]) => {
    domain.project(PROJECT, `services:${services.join("")}`);
    return manager.start({ project: PROJECT }, call());
  };
  const refused = (...services: string[]) =>
    up(...services).then(
      (outcome) => {
        throw new Error(`it started: ${JSON.stringify(outcome)}`);
      },
      (error: Error & { code: string; hint: string }) => error,
    );
  const report = () => manager.report(PROJECT);
  const types = async (...wanted: Parameters<typeof eventsOf>[2][]) =>
    (await eventsOf(manager, PROJECT, ...(wanted as never[]))).map(({ message }) => message);
  const lines = async (name: string) =>
    (await manager.logs({ project: PROJECT, query: { services: [name], collapse: false } })).lines.map(
      ({ text }) => text,
    );
  const nothingRuns = () =>
    until(
      "nothing runs",
      () => runningSessions(engine.folder).length === 0 && containersOf(engine.folder).length === 0,
      20_000,
    );
  const faults = (next: Faults): void => engine.faults(next);

  it("every service is lost with the reason when its session or engine dies, and the stack starts again", async () => {
    expect((await up(service("a"), service("b"))).status).toBe("healthy");
    for (const [round, die] of [
      () => {
        for (const pid of runningSessions(engine.folder)) process.kill(pid, "SIGKILL");
      },
      () => faults({ dead: true }),
    ].entries()) {
      die();
      await until(
        "both are lost",
        async () => {
          const { services } = await report();
          return ["a", "b"].every((name) => services[name]?.state === "lost");
        },
        40_000,
      );
      expect((await report()).state).toBe("lost");
      await until("the event", async () => (await types("stack_lost")).length === round + 1);
      expect((await types("stack_lost")).at(-1)).toMatch(round === 0 ? /SIGKILL/ : /no longer responds/);
      // Their output is kept.
      expect(await lines("a")).toContain("a is up");
      const health = await manager.health({ project: PROJECT }, call());
      expect(health.overall_healthy).toBe(false);
      faults({});
      await nothingRuns();
      expect((await up(service("a"), service("b"))).status).toBe("healthy");
    }
    expect((await lines("b")).filter((line) => line === "b is up")).toHaveLength(3);
    await manager.stop({ project: PROJECT }, call());
    await nothingRuns();
  });

  it("the instance of a dead session is ended before a new one opens its volume", async () => {
    const ended: (readonly string[])[] = [];
    const watched = async (options: EngineHostOptions): Promise<EngineHost> =>
      new Proxy(await openEngineHost(options), {
        get: (target, key) => {
          const value = Reflect.get(target, key, target);
          if (typeof value !== "function") return value;
          if (key !== "end") return value.bind(target);
          return async (instances: readonly string[], signal: AbortSignal) => {
            ended.push(instances);
            await target.end(instances, signal);
          };
        },
      });
    manager = managed({}, engine.env, watched);
    const database = service("a", { fields: "    volumes: [data:/data]" });
    const records = () =>
      Object.keys(JSON.parse(readFileSync(join(domain.state, "projects", PROJECT, "dagger-instances.json"), "utf8")));
    const start = async () => {
      domain.project(PROJECT, `services:${database}\nvolumes: { data: {} }`);
      return manager.start({ project: PROJECT }, call());
    };
    await start();
    const [first] = records();
    for (const pid of runningSessions(engine.folder)) process.kill(pid, "SIGKILL");
    await until("it is lost", async () => (await report()).state === "lost");
    expect(records()).toEqual([first]);
    await start();
    expect(ended).toEqual([[first]]);
    expect(records()).toHaveLength(1);
    expect(records()).not.toContain(first);
    await manager.stop({ project: PROJECT }, call());
    await until("the end was recorded", () => records().length === 0);
  });

  it("a failed session and a busy registry are retried, and each attempt is reported", async () => {
    faults({
      open: { stderr: "start engine: dial tcp: connect: connection refused", times: 1 },
      images: {
        "python:3.11-slim": { error: "unexpected status from HEAD request: 503 Service Unavailable", times: 2 },
      },
    });
    expect((await up(service("a"))).status).toBe("healthy");
    const tries = await types("retrying");
    expect(tries).toHaveLength(3);
    expect(tries[0]).toContain("connection refused");
    expect(tries[1]).toContain("503");
  });

  it("a start with a wrong image is not retried and leaves no container", async () => {
    const error = await refused(service("a"), service("b", { image: "no/such-image:1" }));
    expect(error).toMatchObject({ code: "SERVICE_START_FAILED", message: expect.stringContaining("no/such-image:1") });
    expect(await types("retrying")).toEqual([]);
    await nothingRuns();
    expect((await report()).state).not.toBe("healthy");
  });

  it("a start fails with the CLI's message after its retries", async () => {
    faults({ open: { stderr: "start engine: no space left on device" } });
    const error = await refused(service("a"));
    expect(error).toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("no space left on device"),
    });
    expect(error.hint).not.toBe("");
    expect((await types("retrying")).length).toBe(2);
    await nothingRuns();
  });

  it("a start does not wait for the port that the gateway's image exposes", async () => {
    const published = service("a", { fields: '    ports: ["8080"]\n' });
    // The simulated image has node and exposes a port.
    manager = managed({}, engine.env, undefined, "redis:7-alpine");
    expect((await up(published)).status).toBe("healthy");
    await manager.stop({ project: PROJECT }, call());
    await nothingRuns();
  });

  it("a start that hangs ends at its timeout, and the stack starts again", async () => {
    manager = managed({ startTimeoutMs: 6000 });
    faults({ start: { b: { hangs: true } } });
    const outcome = await up(service("a"), service("b")).then(
      ({ status }) => status,
      ({ code }) => code,
    );
    expect(outcome).not.toBe("healthy");
    await until("it was given up", async () => (await report()).state !== "starting", 40_000);
    await nothingRuns();
    faults({});
    // A loaded machine may exceed the timeout of the first start.
    const again = async () => (await up(service("a"), service("b")).catch(({ code }) => ({ status: code }))).status;
    await until("the stack starts again", async () => (await again()) === "healthy", LONG);
  });

  it("broken streams lose no line of large output, and a crash has its last lines", async () => {
    manager = managed({ logs: { ringBytes: 1_048_576, spoolBytes: 64 * 1_048_576 } });
    faults({ streams: { breakEvery: 5, breakTimes: 20, pieces: 8191, batch: 40 } });
    const flood = 'sys.stdout.write("".join(f"line {i} of the flood\\n" for i in range(60000))); sys.stdout.flush()';
    expect(
      (
        await up(
          service("a", { more: flood }),
          service("b", {
            // The second check runs after the first one succeeded, so that the service was healthy.
            check: '[CMD-SHELL, "echo >> /tmp/checks"]',
            more: "while not os.path.exists('/tmp/checks') or os.path.getsize('/tmp/checks') < 2: time.sleep(0.05)\nos.write(2, b'last line\\n')\nos._exit(9)",
            fields: "    restart: on-failure:1\n",
          }),
        )
      ).status,
    ).toBe("healthy");
    await until("the end of the flood", async () => (await lines("a")).at(-1) === "line 59999 of the flood", 40_000);
    const tail = await manager.logs({
      project: PROJECT,
      query: { services: ["a"], tail: 10_000, collapse: false, maxBytes: 10_000_000 },
    });
    const numbers = tail.lines.map(({ text }) => Number(/^line (\d+) of/.exec(text)?.[1]));
    expect([numbers.length, numbers[0], numbers.at(-1)]).toEqual([10_000, 50_000, 59_999]);
    expect(numbers.filter((n, i) => n !== 50_000 + i)).toEqual([]);
    expect(tail.dropped).toEqual({});
    const { lines: counted } = (await manager.logTotals()).find(({ service: name }) => name === "a") ?? { lines: 0 };
    expect(counted).toBe(60_001);
    await until(
      "it crashed and was started again",
      async () => ((await report()).services.b?.restarts ?? 0) > 0,
      40_000,
    );
    const [crash] = await eventsOf(manager, PROJECT, "service_crashed");
    expect(crash).toMatchObject({
      service: "b",
      data: { exit_code: 9, last_lines: expect.arrayContaining(["last line"]) },
    });
  });

  it("limits on a host that cannot be entered are not enforced, or are refused where required", async () => {
    manager = managed({ requireEnforcedLimits: true }, engine.env, async () => remoteHost());
    const error = await refused(service("a", { fields: "    mem_limit: 64m\n" }));
    expect(error).toMatchObject({ code: "LIMITS_NOT_ENFORCEABLE", message: expect.stringContaining(REMOTE) });
    await nothingRuns();
    manager = managed({}, engine.env, async () => remoteHost());
    expect((await up(service("a", { fields: "    mem_limit: 64m\n" }))).status).toBe("healthy");
    expect((await report()).services.a?.limits?.memory_mb).toMatchObject({
      value: null,
      enforcement: { level: "none", reason: REMOTE },
    });
  });

  it("an old engine and a missing CLI fail the start with the cause", async () => {
    faults({ version: "v0.18.9" });
    expect(await refused(service("a"))).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("0.18.9"),
    });
    manager = managed({}, { PATH: "/nowhere", HOME: "/nowhere" });
    expect(await refused(service("a"))).toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringMatching(/dagger/i),
    });
    await nothingRuns();
  });
});
