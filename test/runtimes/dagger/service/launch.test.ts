/** The start of a container with a simulated engine, host and entry script. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { StackwardenError } from "../../../../src/errors.js";
import type { ReadyContainer } from "../../../../src/runtimes/dagger/container/container.js";
import { checkEngines } from "../../../../src/runtimes/dagger/engine/check.js";
import type { EngineHost } from "../../../../src/runtimes/dagger/engine-host/types.js";
import { SecretArgs } from "../../../../src/runtimes/dagger/entry/secret-args.js";
import { launch } from "../../../../src/runtimes/dagger/service/launch.js";
import { probeInstance } from "../../../../src/runtimes/dagger/service/probes.js";
import { EngineError } from "../../../../src/runtimes/dagger/session/connection.js";
import type { DaggerSession } from "../../../../src/runtimes/dagger/session/types.js";
import type { TraceListener } from "../../../../src/runtimes/dagger/telemetry/types.js";
import type { ServiceDefinition } from "../../../../src/stack/definition/types.js";
import { isTransient } from "../../../../src/system/retry.js";
import { healthcheck, RecordingSink } from "../../contract/bench.js";
import { remoteHost, SETTINGS } from "../support/parts.js";

const TOKEN = "0123456789abcdef0123456789abcdef";
const held = { value: 1, enforcement: { level: "enforced", reason: "cgroup v2" } } as const;
const applied = { cpus: held, memory_mb: held, pids: held };

let listener: TraceListener | null;
let calls: string[];
let over: AbortController;
let sink: RecordingSink;

beforeEach(() => {
  listener = null;
  calls = [];
  over = new AbortController();
  sink = new RecordingSink();
});

const say = (message: object): void =>
  listener?.output?.("stderr", Buffer.from(`\u001e${TOKEN}${JSON.stringify(message)}\n`), 1);
const entryStart = (more: object = {}): void =>
  say({
    type: "start",
    uid: 1000,
    gid: 1000,
    noNewPrivileges: true,
    capabilities: "0",
    seccomp: true,
    cgroup: "v2",
    empty: [],
    ...more,
  });
const end = (exitCode: number | null, more: object = {}): void => {
  listener?.exited?.({ exitCode, at: 5, ...more }, "exec x");
  listener?.drained?.();
};

/** @param started replaces the engine's start of the service */
function session(started: () => unknown, id: () => unknown = () => "service"): DaggerSession {
  const service = {
    start: async () => started(),
    stop: async ({ kill = false } = {}) => {
      calls.push(kill ? "kill" : "stop");
      end(kill ? 137 : 0);
    },
  };
  const chain = { asService: () => chain, withHostname: () => chain, id: async () => id() };
  return {
    engineVersion: "v0.21.8",
    telemetry: {
      faults: { resumed: 0, unreadable: 0 },
      listen: (_trace, one) => {
        listener = one;
        return () => void calls.push("forgotten");
      },
    },
    client: () => ({ loadContainerFromID: () => chain, loadServiceFromID: () => service }) as never,
    died: new Promise(() => {}),
    ended: over.signal,
    close: async () => {},
  };
}

const host = (more: Partial<EngineHost> = {}): EngineHost =>
  remoteHost({
    description: "the test's host",
    enforcement: { level: "enforced", reason: "cgroup v2" },
    find: async () => "c1",
    apply: async () => applied,
    read: async () => applied,
    kill: async (id, signal) => void calls.push(`host ${id} ${signal}`),
    ...more,
  });

const service = (more: Partial<ServiceDefinition> = {}): ServiceDefinition =>
  ({ name: "app", environment: {}, ports: [], expose: [], mounts: [], allowRoot: false, ...more }) as ServiceDefinition;

function start(
  on: DaggerSession,
  from: EngineHost,
  more: {
    service?: Partial<ServiceDefinition>;
    ready?: Partial<ReadyContainer>;
    signal?: AbortSignal;
    limits?: object;
  } = {},
) {
  return launch({
    session: on,
    host: from,
    dial: () => Promise.reject(new Error("no gateway")),
    ready: {
      id: "ready",
      args: ["x"],
      instance: "i",
      token: TOKEN,
      hidden: new SecretArgs(TOKEN, []),
      imageHealthcheck: null,
      user: "1000:1000",
      oneOff: [],
      privateFiles: [],
      notes: ["a note"],
      ...more.ready,
    },
    request: {
      service: service(more.service),
      generation: 3,
      limits: more.limits ?? { memory_mb: 64 },
      sink,
      signal: more.signal ?? new AbortController().signal,
      phase: () => {},
    },
  });
}

describe("launch", () => {
  it("a start resolves with the user that the entry script reports, and limits go through the host", async () => {
    const running = await start(
      session(() => entryStart({ noNewPrivileges: false })),
      host(),
    );
    expect(running).toMatchObject({ service: "app", generation: 3, pid: null, user: { uid: 1000, name: "1000" } });
    expect(running.notes).toEqual(["a note", expect.stringContaining("no_new_privs")]);
    expect(await running.setLimits({ memory_mb: 32 })).toBe(applied);
    expect(await running.readLimits()).toBe(applied);
    end(137);
    expect(await running.exited).toMatchObject({ exitCode: 137, oomKilled: false });
    expect((await running.setLimits({})).cpus).toEqual({
      value: null,
      enforcement: { level: "enforced", reason: "the instance has ended" },
    });
    expect(calls).toEqual(["forgotten"]);
  });

  it("usage and limits that cannot be read have a reason, and a refused limit is an error", async () => {
    const broken = host({
      read: () => Promise.reject(new Error("no answer")),
      stats: () => Promise.reject(new Error("no answer")),
      apply: async (_id, { memory_mb }) => {
        if (memory_mb === 1) throw new StackwardenError("LIMIT_REFUSED", "too small");
        return applied;
      },
    });
    const running = await start(
      session(() => entryStart()),
      broken,
    );
    expect((await running.readLimits()).cpus.enforcement).toEqual({ level: "none", reason: "no answer" });
    expect((await running.stats()).reason).toBe("no answer");
    await expect(running.setLimits({ memory_mb: 1 })).rejects.toMatchObject({ code: "LIMIT_REFUSED" });
    await running.stop({ graceMs: 1000 });
    expect(calls).toContain("stop");
  });

  it("without an entry script the user comes from the kernel, else it is the requested one", async () => {
    const bare = { ready: { token: null } };
    const seen = { uid: 70, gid: 70, noNewPrivileges: false, withoutCapabilities: true };
    const known = await start(
      session(() => null),
      host({ user: async () => seen }),
      bare,
    );
    expect(known.user).toMatchObject({
      uid: 70,
      enforcement: { level: "enforced", reason: expect.stringContaining("the test's host") },
    });
    for (const user of [async () => null, () => Promise.reject(new Error("gone"))]) {
      const unknown = await start(
        session(() => null),
        host({ user }),
        { ...bare, service: { user: "app:staff" } },
      );
      expect(unknown.user).toMatchObject({ uid: null, name: "app", enforcement: { level: "advisory" } });
    }
  });

  it("a start resolves when the host sees the program, without a message of the entry script", async () => {
    const seen = { uid: 70, gid: 70, noNewPrivileges: false, withoutCapabilities: true };
    const running = await start(
      session(() => null),
      host({ begun: async () => seen }),
    );
    expect(running).toMatchObject({ user: { uid: 70, enforcement: { level: "enforced" } } });
    expect(running.notes.at(-1)).toContain("no_new_privs");
    await expect(
      start(
        session(() => null),
        host({ begun: async () => ({ ...seen, uid: 0 }) }),
      ),
    ).rejects.toMatchObject({ code: "POLICY_VIOLATION" });
  });

  it("a container that its host never shows fails the start with a retryable error", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const looking = (_instance: string, signal: AbortSignal) =>
        new Promise<never>((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      const starting = start(
        session(() => null),
        host({ find: looking, elsewhere: () => true }),
      );
      const failed = starting.then(
        () => null,
        (error: unknown) => error,
      );
      await vi.advanceTimersByTimeAsync(16_000);
      const error = await failed;
      expect(error).toMatchObject({
        code: "RUNTIME_UNAVAILABLE",
        message: expect.stringContaining("do not show on the test's host"),
      });
      expect(isTransient(error)).toBe(true);
      expect(calls).toContain("kill");
    } finally {
      vi.useRealTimers();
    }
  });

  it("without an entry script, a program that cannot start is reported as an exit", async () => {
    const gone = new StackwardenError("SERVICE_NOT_STARTED", "it is gone");
    const running = await start(
      session(() => setTimeout(end, 20, 1)),
      host({ begun: () => Promise.reject(gone) }),
      { ready: { token: null } },
    );
    expect((await running.exited).exitCode).toBe(1);
    expect(running.user.uid).toBeNull();
  });

  it("a service that runs as root is killed unless the server's configuration allows root", async () => {
    await expect(
      start(
        session(() => entryStart({ uid: 0 })),
        host(),
      ),
    ).rejects.toMatchObject({ code: "POLICY_VIOLATION" });
    expect(calls).toContain("kill");
    const allowed = await start(
      session(() => entryStart({ uid: 0 })),
      host(),
      { service: { allowRoot: true } },
    );
    expect(allowed.user.uid).toBe(0);
  });

  it("a start without its limits in force fails and kills the container", async () => {
    const late = start(
      session(() => say({ type: "unlimited", waitedSeconds: 25 })),
      host(),
    );
    await expect(late).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: expect.stringContaining("after 25 s"),
    });
    const refusal = new StackwardenError("LIMIT_REFUSED", "the kernel refused");
    await expect(
      start(
        session(() => null),
        host({ apply: () => Promise.reject(refusal) }),
      ),
    ).rejects.toBe(refusal);
    expect(calls.filter((call) => call === "kill")).toHaveLength(2);
    expect(sink.ends).toBe(2);
  });

  it("a service that ends before its limits are read back is reported with its exit code", async () => {
    const gone = new StackwardenError("SERVICE_NOT_STARTED", "it is gone");
    const fast = host({
      apply: async () => {
        entryStart();
        end(0);
        throw gone;
      },
    });
    const running = await start(
      session(() => null),
      fast,
    );
    expect((await running.exited).exitCode).toBe(0);
    expect((await running.readLimits()).cpus.value).toBeNull();
  });

  it("a service that ends during its start has its exit code, with or without telemetry", async () => {
    const failed = new EngineError("exit code: 7", { _type: "EXEC_ERROR", exitCode: 7, stdout: "", stderr: "" });
    const searching = host({
      find: (_instance, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    });
    for (const [error, code] of [
      [failed, 7],
      [new EngineError("service exited before healthcheck"), 0],
    ] as const) {
      const running = await start(
        session(() => Promise.reject(error)),
        searching,
      );
      expect((await running.exited).exitCode).toBe(code);
    }
  });

  it("a start without a process fails with the engine's message", async () => {
    const reason = { failure: "get user: unable to find user ghost: no matching entries" };
    await expect(
      start(
        session(() => end(null, reason)),
        host(),
      ),
    ).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: expect.stringContaining("no user ghost"),
    });
  });

  it("a refused start, a cancelled start and a lost session fail at once with their own error", async () => {
    const broken = session(
      () => null,
      () => Promise.reject(new EngineError("no such container")),
    );
    await expect(start(broken, host())).rejects.toThrow("no such container");
    expect(sink.ends).toBe(1);
    const abort = new AbortController();
    const hanging = start(
      session(() => new Promise(() => {})),
      host(),
      { signal: abort.signal },
    );
    setTimeout(() => abort.abort(new Error("changed my mind")), 20);
    await expect(hanging).rejects.toThrow("changed my mind");
    const lost = start(
      session(() => new Promise(() => {})),
      host(),
    );
    setTimeout(() => over.abort(new StackwardenError("RUNTIME_LOST", "gone")), 20);
    await expect(lost).rejects.toMatchObject({ code: "RUNTIME_LOST" });
  });
});

describe("probeInstance", () => {
  const probe = (
    test: Parameters<typeof healthcheck>[0],
    more: Partial<ServiceDefinition>,
    exec?: EngineHost["exec"],
  ) =>
    probeInstance(
      {
        service: service(more),
        host: host(exec === undefined ? {} : { exec }),
        containerId: exec === undefined ? null : "c1",
        loop: null,
        dial: (port) => Promise.reject(new Error(`dialled ${port}`)),
        hidden: new SecretArgs(TOKEN, ["hidden-password"]),
        hasEnded: () => false,
      },
      healthcheck(test),
      new AbortController().signal,
    );

  it("a database check uses the port, user and database of the definition, else the defaults", async () => {
    const own = { POSTGRES_USER: "shop", POSTGRES_PASSWORD: "x" };
    expect(await probe({ kind: "postgres" }, { environment: own, expose: [5555] })).toMatchObject({
      healthy: false,
      message: "dialled 5555",
      check: "postgres select 1 on app:5555/shop",
    });
    expect((await probe({ kind: "postgres" }, {})).check).toBe("postgres select 1 on app:5432/postgres");
    const ports = [{ containerPort: 7000, protocol: "tcp" as const }];
    expect((await probe({ kind: "redis" }, { ports })).check).toBe("redis PING on app:7000");
    expect(await probe({ kind: "redis" }, { environment: { REDIS_PASSWORD: "x" } })).toMatchObject({
      message: "dialled 6379",
    });
    expect((await probe({ kind: "http", port: 80, path: "/x", status: 200 }, {})).check).toBe("http GET app:80/x");
  });

  it("the exit code of a command decides its verdict, also without output", async () => {
    const answers = async (exitCode: number | null, output = "") =>
      probe({ kind: "cmd", argv: ["true"] }, {}, async () => ({ exitCode, output }));
    expect(await answers(0)).toMatchObject({ healthy: true, message: "exit code 0" });
    expect(await answers(1)).toMatchObject({ healthy: false, message: "exit code 1" });
    expect(await answers(null, "first\nlast\n")).toMatchObject({ healthy: false, message: "exit code unknown: last" });
  });
});

describe("checkEngines", () => {
  const check = (more: object, openEngineHost: () => Promise<EngineHost>) =>
    checkEngines({ settings: { ...SETTINGS, ...more }, env: { PATH: "/nowhere" }, warn: () => {}, openEngineHost });

  it("the check names every configured engine and reports errors as findings", async () => {
    const engines = { one: "unix:///nowhere/one.sock", two: "unix:///nowhere/two.sock" };
    const status = await check({ engines, engine: "one" }, () => Promise.reject(new Error("no host")));
    expect(status).toMatchObject({ available: false, isolation: { limits: { level: "none" } } });
    expect(status.findings.map(({ message }) => message).join("\n")).toMatch(/one\.sock[\s\S]*two\.sock/);
    const wrong = await check({ engine: "gone" }, async () => host());
    expect(wrong).toMatchObject({
      available: false,
      findings: [{ ok: false, message: expect.stringContaining("gone") }],
    });
  });

  it("the check does not wait for a host that never answers", async () => {
    const before = performance.now();
    await check({}, () => new Promise(() => {}));
    expect(performance.now() - before).toBeLessThan(5000);
  });
});
