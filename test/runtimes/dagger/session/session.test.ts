/** Sessions of the simulated CLI: their start, failed starts and the detection of their end. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { StackwardenError } from "../../../../src/errors.js";
import { judgeVersion, parseVersion, SDK_VERSION } from "../../../../src/runtimes/dagger/engine/versions.js";
import { cliEnvironment, startCli } from "../../../../src/runtimes/dagger/session/cli-process.js";
import { Connections } from "../../../../src/runtimes/dagger/session/connection.js";
import { openSession } from "../../../../src/runtimes/dagger/session/session.js";
import { newTrace, traceparent } from "../../../../src/runtimes/dagger/session/trace.js";
import type { DaggerSession, SessionOptions } from "../../../../src/runtimes/dagger/session/types.js";
import { type Faults, runningSessions, type SimEngine, startSimEngine } from "../../../support/dagger-sim/engine.js";
import { until } from "../../contract/bench.js";

let engine: SimEngine;
const sessions: DaggerSession[] = [];
const warnings: string[] = [];

afterEach(async () => {
  await Promise.all(sessions.splice(0).map((one) => one.close()));
  warnings.length = 0;
  await engine.close();
});

const options = (fields: Partial<SessionOptions> = {}): SessionOptions => ({
  cli: engine.cli,
  runnerHost: engine.runnerHost,
  workdir: engine.folder,
  signal: new AbortController().signal,
  env: engine.env,
  warn: (message) => warnings.push(message),
  ...fields,
});

async function open(fields: Partial<SessionOptions> = {}): Promise<DaggerSession> {
  const session = await openSession(options(fields));
  sessions.push(session);
  return session;
}

async function given(faults: Faults = {}, fields: Partial<SessionOptions> = {}): Promise<DaggerSession> {
  engine = await startSimEngine(faults);
  return open(fields);
}

const refused = (fields: Partial<SessionOptions> = {}): Promise<StackwardenError> =>
  open(fields).then(
    () => {
      throw new Error("it opened");
    },
    (error: StackwardenError) => error,
  );

/** Ends the session's process as a crash would. */
const crash = (): void => {
  for (const pid of runningSessions(engine.folder)) process.kill(pid, "SIGKILL");
};

const nothingLeft = (): Promise<void> => until("no session is left", () => runningSessions(engine.folder).length === 0);

describe("openSession", () => {
  it("clients of a session share no connection with other sessions, and close() leaves no process", async () => {
    const session = await given();
    expect(session.engineVersion).toBe("v0.21.8");
    expect(warnings).toEqual([]);
    const [first, second] = await Promise.all([session.client().version(), session.client().defaultPlatform()]);
    expect([first, second]).toEqual(["v0.21.8", "linux/amd64"]);
    const other = await open();
    await session.close();
    await session.close();
    expect(session.ended.aborted).toBe(true);
    expect(runningSessions(engine.folder)).toHaveLength(1);
    expect(await other.client().version()).toBe("v0.21.8");
    await expect(session.client().version()).rejects.toThrow();
    expect(await Promise.race([session.died, sleep(50, "asked to end: no death")])).toBe("asked to end: no death");
    await other.close();
    await nothingLeft();
  });

  it("without an address the CLI's own engine is used", async () => {
    engine = await startSimEngine();
    expect((await open({ runnerHost: null })).engineVersion).toBe("v0.21.8");
  });

  it("spans reach only the listener of their trace", async () => {
    const session = await given();
    const [mine, other] = [newTrace(), newTrace()];
    const spans = { mine: [] as string[], other: [] as string[] };
    session.telemetry.listen(mine.traceId, { began: (name) => spans.mine.push(name) });
    session.telemetry.listen(other.traceId, { began: (name) => spans.other.push(name) });
    await session.client({ trace: mine }).defaultPlatform();
    await session.client({ trace: other }).version();
    await until("both spans", () => spans.mine.length > 0 && spans.other.length > 0);
    expect(spans).toEqual({ mine: ["defaultPlatform"], other: ["version"] });
    expect(traceparent(mine)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  });

  it("cliEnvironment passes PATH and proxies on, and omits tokens, traces and other sessions", () => {
    const env = {
      PATH: "/bin",
      HTTPS_PROXY: "http://proxy",
      DAGGER_SESSION_PORT: "1",
      DAGGER_SESSION_TOKEN: "t",
      TRACEPARENT: "00-a-b-01",
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector",
      _EXPERIMENTAL_DAGGER_RUNNER_HOST: "unix:///other",
      STACKWARDEN_TOKEN: "secret",
    };
    expect(cliEnvironment(env, null)).toEqual({ PATH: "/bin", HTTPS_PROXY: "http://proxy", DAGGER_NO_NAG: "1" });
    expect(cliEnvironment(env, "tcp://here")._EXPERIMENTAL_DAGGER_RUNNER_HOST).toBe("tcp://here");
  });

  it("a failed start reports the CLI's last lines without colours", async () => {
    engine = await startSimEngine({
      open: { stderr: "\u001b[31mstarting\u001b[0m\nprogress\n\nError: no disk \u001b[1mleft\u001b[0m" },
    });
    const error = await refused();
    expect(error).toMatchObject({ code: "RUNTIME_UNAVAILABLE", hint: expect.stringContaining("doctor") });
    expect(error.message).toContain("exited with code 1: starting progress Error: no disk left.");
    await nothingLeft();
  });

  it("a missing engine, a missing CLI and another program fail with RUNTIME_UNAVAILABLE", async () => {
    engine = await startSimEngine();
    expect(await refused({ runnerHost: "unix:///nowhere/buildkitd.sock" })).toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("failed to connect to unix:///nowhere/buildkitd.sock"),
    });
    expect(await refused({ cli: "/nowhere/dagger" })).toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("ENOENT"),
    });
    for (const line of ["hello", '{"port":"1","session_token":"x"}', '{"port":1,"session_token":""}', "null"]) {
      engine.faults({ open: { line } });
      expect(await refused(), line).toMatchObject({
        code: "RUNTIME_UNAVAILABLE",
        message: expect.stringContaining("did not print its port"),
      });
    }
    await nothingLeft();
  });

  it("a start ends at its deadline and with its signal", async () => {
    engine = await startSimEngine({ open: { hangs: true } });
    expect(await refused({ startTimeoutMs: 700 })).toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("within 0.7 s"),
    });
    const abort = new AbortController();
    const opening = refused({ signal: abort.signal });
    await until("its process runs", () => runningSessions(engine.folder).length > 0);
    abort.abort(new Error("changed my mind"));
    expect(await opening).toMatchObject({ message: "changed my mind" });
    expect(await refused({ signal: abort.signal })).toMatchObject({ message: "changed my mind" });
    await nothingLeft();
  });

  it("an engine that does not answer fails the start and leaves no process", async () => {
    engine = await startSimEngine({ dead: true });
    expect(await refused()).toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("does not respond"),
    });
    engine.faults({ http: { status: 200, body: "<html>a proxy</html>" } });
    expect((await refused()).code).toBe("RUNTIME_UNAVAILABLE");
    await nothingLeft();
  });
});

describe("versions of the engine", () => {
  it("an unsupported version is refused with a hint", async () => {
    engine = await startSimEngine({ version: "v0.18.14" });
    const error = await refused();
    expect(error).toMatchObject({ code: "UNSUPPORTED", hint: expect.stringContaining(SDK_VERSION) });
    expect(error.message).toBe(
      `Expected a Dagger engine of version 0.21.0 or newer, got 0.18.14 (stackwarden is tested with ${SDK_VERSION}).`,
    );
    await nothingLeft();
  });

  it("an untested version is used with a warning", async () => {
    await given({ version: "v0.22.1" });
    expect(warnings).toEqual([`The Dagger engine is 0.22.1; stackwarden is tested with ${SDK_VERSION}.`]);
    engine.faults({ version: "devel-0123abc" });
    await open();
    expect(warnings[1]).toContain("development build (devel-0123abc)");
  });

  it("judgeVersion reads the versions that the CLI and the engine print", () => {
    expect(parseVersion("dagger v0.21.8 (docker-image://x) linux/amd64")).toEqual([0, 21, 8]);
    expect(parseVersion("devel")).toBeNull();
    expect(judgeVersion("CLI", "dagger v0.21.8 (x)").kind).toBe("same");
    expect(judgeVersion("CLI", "v0.20.9").kind).toBe("unsupported");
    expect(judgeVersion("engine", "0.99.0").kind).toBe("other");
    expect(judgeVersion("engine", "v1.0.0-beta.10")).toEqual({
      kind: "unsupported",
      message: `Expected a Dagger engine before version 1.0 and its betas, got 1.0.0-beta.10: Dagger 1.0 has another API (stackwarden is tested with ${SDK_VERSION}).`,
    });
    expect(judgeVersion("CLI", "dagger v1.2.3 (docker-image://x) linux/amd64")).toMatchObject({
      message: expect.stringContaining("got 1.2.3: Dagger 1.0"),
    });
  });
});

describe("requests to the engine", () => {
  it("an engine's error arrives without the marks for Dagger's own interface", async () => {
    const session = await given();
    const error = (await session
      .client()
      .container()
      .from("nosuch:1")
      .sync()
      .then(
        () => null,
        (thrown: Error) => thrown,
      )) as Error;
    expect(error.cause).toMatchObject({ name: "EngineError" });
    expect((error.cause as Error).message).toMatch(/^failed to resolve image ".*nosuch:1" .*: .*nosuch:1: not found$/);
  });

  it("an answer of another program is a SessionError with its HTTP status", async () => {
    const session = await given();
    engine.faults({ http: { status: 502, body: "bad gateway", times: 1 } });
    const error = (await session
      .client()
      .version()
      .catch((thrown: Error) => thrown)) as Error;
    expect(error.cause).toMatchObject({
      name: "SessionError",
      status: 502,
      message: "the session answered HTTP 502: bad gateway",
    });
    expect(await session.client().version()).toBe("v0.21.8");
  });

  it("a request ends with its signal", async () => {
    const session = await given({ images: { "python:3": { slowMs: 30_000 } } });
    const abort = new AbortController();
    const asking = session.client({ signal: abort.signal }).container().from("python:3").sync();
    await sleep(100);
    abort.abort(new Error("no time"));
    const error = (await asking.then(
      () => null,
      (thrown: Error) => thrown,
    )) as Error;
    expect(error.cause).toMatchObject({ message: "no time" });
    const connections = new Connections({ port: 1, token: "x" }, new AbortController().signal);
    await expect(connections.with({ signal: abort.signal }).request("{ version }")).rejects.toThrow("no time");
    await expect(connections.with({}).request("{ version }")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    connections.close();
  });
});

describe("the end of a session", () => {
  it("the end of the session's process ends every request with RUNTIME_LOST", async () => {
    const session = await given({ images: { "python:3": { slowMs: 30_000 } } });
    const asking = session
      .client()
      .container()
      .from("python:3")
      .sync()
      .then(
        () => null,
        (thrown: Error) => thrown,
      );
    await sleep(100);
    const begun = Date.now();
    crash();
    expect((await session.died).reason).toBe("the session's process was ended by SIGKILL");
    expect(Date.now() - begun).toBeLessThan(5000);
    expect((await asking)?.cause).toMatchObject({ code: "RUNTIME_LOST", hint: expect.stringContaining("start_stack") });
    expect(session.ended.aborted).toBe(true);
    await session.close();
    expect((await open()).engineVersion).toBe("v0.21.8");
  });

  it("an engine that stops responding ends the session", async () => {
    const session = await given();
    engine.faults({ dead: true });
    expect((await session.died).reason).toMatch(/^the engine no longer responds/);
    await nothingLeft();
  });

  it("an engine that hangs ends the session after its response time", async () => {
    const session = await given({}, { responseMs: 300 });
    engine.faults({ hung: true });
    expect((await session.died).reason).toBe("the engine did not respond within 0.3 s");
    await nothingLeft();
  });

  it("a short silence and broken streams do not end the session", async () => {
    const session = await given({ streams: { breakEvery: 1, breakTimes: 4 } });
    engine.faults({ streams: { refuse: 4 }, unanswered: 2 });
    await until("the streams were resumed", () => session.telemetry.faults.resumed >= 4);
    await sleep(1500);
    expect(session.ended.aborted).toBe(false);
    expect(await session.client().version()).toBe("v0.21.8");
  });
});

describe("the process of a session", () => {
  it("a process that ignores the end of its input is killed", async () => {
    engine = await startSimEngine({ open: { stays: "for good" } });
    const begun = Date.now();
    const cli = await startCli(options());
    expect(cli.pid).toBeGreaterThan(0);
    await Promise.all([cli.end(), cli.end()]);
    expect((await cli.exited).reason).toContain("SIGKILL");
    expect(Date.now() - begun).toBeLessThan(30_000);
    await nothingLeft();
  });
});
