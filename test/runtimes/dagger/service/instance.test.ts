/** An instance with a simulated engine: its output, the entry script's messages, its end and its stop. */
import { getEventListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import type { EngineHost } from "../../../../src/runtimes/dagger/engine-host/types.js";
import { EntryLoop } from "../../../../src/runtimes/dagger/service/entry-loop.js";
import { Instance, type InstanceOptions } from "../../../../src/runtimes/dagger/service/instance.js";
import { type EntryHealth, InstanceOutput } from "../../../../src/runtimes/dagger/service/instance-output.js";
import { RecordingSink } from "../../contract/bench.js";

const TOKEN = "0123456789abcdef0123456789abcdef";
const line = (message: object): Buffer => Buffer.from(`\u001e${TOKEN}${JSON.stringify(message)}\n`);
const health = (exitCode: number): EntryHealth => ({ type: "health", exitCode, timedOut: false, output: "seen" });

let sink: RecordingSink;
let healths: EntryHealth[];
let output: InstanceOutput;
let calls: string[];
let over: AbortController;

const make = (token: string | null) => new InstanceOutput({ sink, token, onHealth: (one) => healths.push(one) });

beforeEach(() => {
  sink = new RecordingSink();
  healths = [];
  calls = [];
  over = new AbortController();
  output = make(TOKEN);
});

describe("the output of an instance", () => {
  it("entry lines are removed from stderr for every chunking, and stdout stays unchanged", async () => {
    const start = {
      type: "start",
      uid: 70,
      gid: 70,
      noNewPrivileges: true,
      capabilities: "0",
      seccomp: true,
      cgroup: "v2",
      empty: [],
    };
    const whole = Buffer.concat([
      Buffer.from("before\n"),
      line(start),
      line({ type: "health", exitCode: 0, timedOut: false, output: Buffer.from("ok ä").toString("hex") }),
      Buffer.from("after"),
    ]);
    for (let at = 0; at < whole.length; at += 7) output.output("stderr", whole.subarray(at, at + 7), 1);
    output.output("stdout", line(start), 2);
    expect(await output.started).toEqual(start);
    expect(healths).toEqual([{ type: "health", exitCode: 0, timedOut: false, output: "ok ä" }]);
    output.drained();
    await output.close();
    expect(sink.text("stderr")).toBe("before\nafter");
    expect(sink.text("stdout")).toContain(TOKEN);
    expect(sink.ends).toBe(1);
  });

  it("limits that were never applied are reported", async () => {
    output.output("stderr", line({ type: "unlimited", waitedSeconds: 25 }), 1);
    expect(await output.unlimited).toMatchObject({ waitedSeconds: 25 });
  });

  it("close() waits for the last output up to a limit and ends the sink once", async () => {
    output.output("stderr", Buffer.from("\u001e"), 1);
    const closing = output.close(10_000);
    await sleep(20);
    expect(sink.ends).toBe(0);
    output.output("stdout", Buffer.from("last line"), 1);
    output.drained();
    await closing;
    output.output("stdout", Buffer.from("too late"), 1);
    await output.close();
    expect(sink.all).toBe("last line\u001e");
    expect([sink.ends, sink.writesAfterEnd]).toEqual([1, 0]);
    const silent = make(null);
    await Promise.all([silent.close(5), silent.close(5)]);
    expect(sink.ends).toBe(2);
  });

  it("the log holds the engine's reason when no process started", async () => {
    output.exited({ exitCode: null, at: 5, failure: "get user: unable to find user nosuch" });
    await output.close(60_000);
    expect(sink.text("stderr")).toBe("The engine could not start it: get user: unable to find user nosuch\n");
    expect(await output.ended).toMatchObject({ exitCode: null, at: 5 });
  });

  it("without an entry script stderr stays unchanged, and a slow sink delays the stream", () => {
    const plain = make(null);
    plain.output("stderr", line({ type: "start" }), 1);
    expect(sink.text("stderr")).toContain(TOKEN);
    expect(plain.behind()).toBeNull();
    const wait = Promise.resolve();
    expect(
      new InstanceOutput({
        sink: Object.assign(sink, { behind: () => wait }),
        token: null,
        onHealth: () => {},
      }).behind(),
    ).toBe(wait);
  });
});

const host = (more: Partial<EngineHost> = {}): EngineHost =>
  ({
    kill: async (id: string, signal: string) => void calls.push(`host ${id} ${signal}`),
    stats: async () => ({ oom_kills: 0 }),
    ...more,
  }) as unknown as EngineHost;

function instance(more: Partial<InstanceOptions> = {}): Instance {
  return new Instance({
    service: "app",
    output,
    host: host(),
    containerId: Promise.resolve("c1"),
    stop: async (kill) => {
      calls.push(kill ? "kill" : "stop");
      output.exited({ exitCode: kill ? 137 : 0, at: 9 });
      output.drained();
    },
    over: over.signal,
    memoryLimited: () => false,
    forget: () => void calls.push("forgotten"),
    ...more,
  });
}

describe("the end of an instance", () => {
  it("an end without a stop is reported with its exit code and removes the listener once", async () => {
    const running = instance();
    expect(running.exit).toBeNull();
    output.exited({ exitCode: 7, at: 5 });
    output.drained();
    expect(await running.exited).toEqual({ exitCode: 7, signal: null, oomKilled: false, at: 5 });
    expect(running.exit).toBe(await running.exited);
    expect(await running.stop(1000, "SIGTERM")).toBe(await running.exited);
    expect(calls).toEqual(["forgotten"]);
    // A session has any number of instances.
    expect(getEventListeners(over.signal, "abort")).toEqual([]);
  });

  it("SIGKILL is an OOM kill only with a memory limit and an OOM kill counted by the kernel", async () => {
    const cases: [Partial<InstanceOptions>, number, boolean][] = [
      [{ memoryLimited: () => true, host: host({ stats: async () => ({ oom_kills: 1 }) as never }) }, 137, true],
      [{ memoryLimited: () => true }, 137, false],
      [{ memoryLimited: () => true, host: host({ stats: () => Promise.reject(new Error("gone")) }) }, 137, false],
      [{ memoryLimited: () => true, containerId: Promise.reject(new Error("never seen")) }, 137, false],
      [{ memoryLimited: () => true, containerId: Promise.resolve(null) }, 137, false],
      [{ memoryLimited: () => true, host: host({ stats: async () => ({ oom_kills: 1 }) as never }) }, 1, false],
      [{ host: host({ stats: async () => ({ oom_kills: 1 }) as never }) }, 137, false],
    ];
    for (const [more, exitCode, oomKilled] of cases) {
      output = make(null);
      const running = instance(more);
      output.exited({ exitCode, at: 5 });
      output.drained();
      expect(await running.exited).toMatchObject({ exitCode, oomKilled });
    }
  });

  it("the end of the session ends every instance, also one that is created afterwards", async () => {
    const running = instance();
    over.abort();
    expect(await running.exited).toMatchObject({ exitCode: null, signal: null, oomKilled: false });
    expect(sink.ends).toBe(1);
    output = make(null);
    expect(await instance().exited).toMatchObject({ exitCode: null });
  });
});

describe("stop", () => {
  it("SIGTERM is sent by the engine, and another signal by the host if there is one", async () => {
    await instance().stop(5000, "SIGTERM");
    output = make(null);
    const ended = output;
    await instance({
      host: host({
        kill: async (id, signal) => {
          calls.push(`host ${id} ${signal}`);
          ended.exited({ exitCode: 42, at: 1 });
          ended.drained();
        },
      }),
    }).stop(5000, "SIGINT");
    output = make(null);
    await instance({ containerId: Promise.resolve(null) }).stop(5000, "SIGINT");
    expect(calls.filter((call) => call !== "forgotten")).toEqual(["stop", "host c1 SIGINT", "stop"]);
  });

  it("a service that exceeds its grace period is killed by the engine and the host, without an OOM kill", async () => {
    const running = instance({
      stop: (kill) => {
        calls.push(kill ? "kill" : "stop");
        if (!kill) return new Promise(() => {});
        output.exited({ exitCode: 137, at: 9 });
        output.drained();
        return Promise.resolve();
      },
      memoryLimited: () => true,
      host: host({
        stats: async () => ({ oom_kills: 1 }) as never,
        kill: async (id, signal) => {
          calls.push(`host ${id} ${signal}`);
          throw new Error("it is gone");
        },
      }),
    });
    const both = await Promise.all([running.stop(30, "SIGTERM"), running.stop(30, "SIGTERM")]);
    expect(both[0]).toBe(both[1]);
    expect(both[0]).toMatchObject({ signal: "SIGKILL", oomKilled: false });
    expect(calls).toEqual(["stop", "kill", "host c1 SIGKILL", "forgotten"]);
  });

  it("a signal that cannot be sent is followed by SIGKILL after the grace period", async () => {
    const running = instance({
      host: host({ kill: () => Promise.reject(new Error("no such container")) }),
    });
    expect(await running.stop(30, "SIGINT")).toMatchObject({ exitCode: 137 });
  });

  it("an end without a report has no exit code, or fails the stop, which can be repeated", async () => {
    const times = { kill: 40, notice: 20 };
    const unreported = instance({ stop: () => Promise.resolve(), times: { ...times, kill: 10_000 } });
    expect(await unreported.stop(0, "SIGTERM")).toMatchObject({ exitCode: null });
    output = make(null);
    const unstoppable = instance({ stop: () => new Promise(() => {}), times });
    await expect(unstoppable.stop(0, "SIGTERM")).rejects.toMatchObject({ code: "STOP_FAILED" });
    const again = unstoppable.stop(0, "SIGTERM");
    output.exited({ exitCode: 137, at: 1 });
    output.drained();
    expect(await again).toMatchObject({ exitCode: 137 });
  });
});

describe("health checks of the entry script", () => {
  it("a fresh result is returned at once, and a stale one waits for the next result", async () => {
    let now = 0;
    const test = { kind: "cmd", argv: ["true"] } as const;
    const loop = new EntryLoop({ kind: "cmd", argv: ["true"] }, 100, () => now);
    expect(loop.runs({ ...test, argv: ["true"] })).toBe(true);
    expect(loop.runs({ kind: "cmd", argv: ["false"] })).toBe(false);
    const end = new AbortController();
    const first = loop.result(end.signal);
    loop.take(health(0));
    expect((await first).exitCode).toBe(0);
    now = 100;
    expect((await loop.result(end.signal)).exitCode).toBe(0);
    now = 101;
    const next = loop.result(end.signal);
    const cut = loop.result(end.signal);
    loop.take(health(3));
    expect([(await next).exitCode, (await cut).exitCode]).toEqual([3, 3]);
    now = 500;
    const waiting = loop.result(end.signal);
    end.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(loop.result(end.signal)).rejects.toThrow("enough");
  });
});
