/** The runtime on a simulated engine whose host cannot be entered: what is enforced, and what is reported. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDaggerRuntime } from "../../../src/runtimes/dagger/dagger-runtime.js";
import { DaggerService } from "../../../src/runtimes/dagger/service/dagger-service.js";
import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import type { StackRuntime } from "../../../src/stack/runtime.js";
import { runningSessions, type SimEngine, startSimEngine, whyNoContainers } from "../../support/dagger-sim/engine.js";
import {
  Bench,
  closeServer,
  freePort,
  healthcheck,
  IMAGES,
  INTERRUPTED,
  listen,
  until,
  WAITS,
  WEB_PORT,
} from "../contract/bench.js";
import { REMOTE, remoteHost, SETTINGS } from "./support/parts.js";

const why = whyNoContainers();

describe.skipIf(why !== null)(`an engine whose host is out of reach${why === null ? "" : `: skipped, ${why}`}`, () => {
  let sim: SimEngine;
  let runtime: StackRuntime;
  let bench: Bench;
  const warnings: string[] = [];

  const runtimeOn = (env: NodeJS.ProcessEnv, openEngineHost = async () => remoteHost()) =>
    createDaggerRuntime({
      settings: SETTINGS,
      env,
      warn: (message) => warnings.push(message),
      parts: { openEngineHost },
    });

  beforeAll(async () => {
    sim = await startSimEngine();
    runtime = runtimeOn(sim.env);
  });
  afterAll(async () => {
    await runtime?.close();
    await sim?.close();
  });
  beforeEach(() => {
    warnings.length = 0;
    sim.faults({});
    bench = new Bench({
      runtime,
      images: IMAGES,
    });
  });
  afterEach(async () => {
    await bench?.close();
    await until("every session has ended", () => runningSessions(sim.folder).length === 0);
  });

  const failure = (service: ServiceDefinition) =>
    bench.open([service]).then((stack) =>
      bench.start(stack, service).then(
        () => null,
        (error: unknown) => error,
      ),
    );

  it("limits are not enforced, and every report states the reason", async () => {
    const app = bench.python("app", WAITS);
    const { running, sink } = await bench.run(app, { limits: { memory_mb: 64 } });
    await sink.shows("up");
    const none = { value: null, enforcement: { level: "none", reason: REMOTE } };
    for (const applied of [await running.readLimits(), await running.setLimits({ cpus: 1 })])
      expect(applied).toEqual({ cpus: none, memory_mb: none, pids: none });
    expect(await running.stats()).toMatchObject({ cpu_cores: null, reason: REMOTE });
    expect(running.pid).toBeNull();
    expect(running.user).toMatchObject({ uid: 1000, enforcement: { level: "enforced" } });
    expect(bench.notices).toContainEqual({ type: "warning", message: expect.stringContaining(REMOTE) });
    expect((await runtime.check()).isolation.limits).toEqual({ level: "none", reason: REMOTE });
    await running.stop({ graceMs: 10_000 });
    expect((await running.stats()).reason).toContain("ended");
    expect((await running.readLimits()).cpus.enforcement.reason).toContain("ended");
  });

  it("the entry script translates the stop signal", async () => {
    const { running, sink } = await bench.run(bench.python("app", INTERRUPTED, { stopSignal: "SIGINT" }));
    await sink.shows("up");
    expect((await running.stop({ graceMs: 15_000, signal: "SIGINT" })).exitCode).toBe(42);
  });

  it("the entry script runs the service's own health check, and another command is unhealthy", async () => {
    const test = { kind: "cmd-shell", command: "test -e /tmp/well && echo all well" } as const;
    const check = { ...healthcheck(test), intervalMs: 200 };
    const program = `import os, time\nprint("up", flush=True)\ntime.sleep(0.7)\nopen("/tmp/well", "w")\ntime.sleep(60)`;
    const service = bench.python("app", program, {
      healthcheck: { ...check, test: { kind: "tcp", port: 1 }, command: test },
    });
    const { running, sink } = await bench.run(service);
    await sink.shows("up");
    const probe = () =>
      running.probe({ ...check, test: { kind: "tcp", port: 1 }, command: test }, new AbortController().signal);
    expect(await probe()).toMatchObject({ healthy: false, message: expect.stringMatching(/^exit code 1/) });
    await until("well", async () => (await probe()).healthy);
    expect(await probe()).toMatchObject({
      healthy: true,
      message: "all well",
      check: expect.stringMatching(/exec sh -c .*by the entry script/),
    });
    const other = await bench.probe(running, { kind: "cmd", argv: ["true"] });
    expect(other).toMatchObject({ healthy: false, message: expect.stringContaining("out of reach") });
    expect(sink.all).toBe("up\n");
    expect(await bench.probe(running, { kind: "none" })).toMatchObject({ healthy: true });
    await running.stop({ graceMs: 0 });
    expect(await probe()).toMatchObject({ healthy: false, message: "the instance has ended" });
  });

  it("an image without a shell runs without the entry script, with a note", async () => {
    const command = ["python3", "-u", "-c", `# ${bench.mark}\nimport os; print(os.getuid())${WAITS}`];
    const service = { ...bench.python("app", ""), image: "distroless:1", command };
    const { running, sink } = await bench.run(service);
    await sink.shows("1000\n");
    expect(running.user).toMatchObject({ uid: null, name: "1000", enforcement: { level: "advisory" } });
    expect(running.notes.join("\n")).toMatch(/no \/bin\/sh.*CMD cannot run/);
    await running.stop({ graceMs: 10_000 });
    const lost = { ...service, command: ["/nowhere/no-such"] };
    const stack = await bench.open([lost]);
    // The engine may report the start as done before it detects the failure.
    const outcome = await bench.start(stack, lost).catch((error: unknown) => error);
    if (outcome instanceof DaggerService) {
      expect((await outcome.exited).exitCode).toBe(1);
      expect(bench.sink("app").all).toContain("/nowhere/no-such");
    } else expect(outcome).toMatchObject({ code: "SERVICE_START_FAILED" });
  });

  it("a wrong name fails the start with its cause, and a busy registry is RUNTIME_UNAVAILABLE", async () => {
    const app = bench.python("app", WAITS);
    expect(await failure({ ...app, image: "no/such:1" })).toMatchObject({
      code: "SERVICE_START_FAILED",
      message: expect.stringMatching(/image of app cannot be obtained/),
    });
    expect(await failure({ ...app, user: "ghost" })).toMatchObject({
      code: "SERVICE_START_FAILED",
      message: expect.stringContaining("no user ghost"),
    });
    expect(await failure({ ...app, user: "0" })).toMatchObject({ code: "POLICY_VIOLATION" });
    const { image: _image, ...nothing } = app;
    expect(await failure(nothing as ServiceDefinition)).toMatchObject({ code: "INVALID_STACK" });
    sim.faults({
      images: { "python:3.11-slim": { error: "unexpected status from HEAD request: 503 Service Unavailable" } },
    });
    expect(await failure(app)).toMatchObject({ code: "RUNTIME_UNAVAILABLE", message: expect.stringContaining("503") });
  });

  it("a secret variable whose name contains a dot is refused", async () => {
    const program = `import os, time; print(os.environ["a.b"], flush=True)`;
    const app = bench.python("app", program, { environment: { "a.b": "c d" } });
    const { running, sink } = await bench.run(app);
    await running.exited;
    expect(sink.text()).toBe("c d\n");
    expect(await failure({ ...app, secretEnvironment: ["a.b"] })).toMatchObject({ code: "INVALID_STACK" });
  });

  it("mounts are copies that are never written back, and notes name unsupported attributes", async () => {
    bench.file("conf/app.txt", "from the project");
    bench.file("one.txt", "one file");
    const program = `
import os
print(open("/srv/conf/app.txt").read(), "|", open("/srv/one.txt").read())
open("/srv/conf/new.txt", "w").write("x")
open("/scratch/x", "w").write("x")
print(os.path.exists("/srv/conf/.git"), os.getcwd())
`;
    bench.file("conf/.git/HEAD", "ref");
    const { running, sink } = await bench.run(
      bench.python("app", program, {
        workingDir: "/srv",
        readOnly: true,
        mounts: [
          { type: "bind", source: `${bench.folder}/one.txt`, target: "/srv/one.txt", readOnly: true },
          { type: "bind", source: `${bench.folder}/conf`, target: "/srv/conf", readOnly: false },
          { type: "tmpfs", target: "/scratch", sizeBytes: 1_048_576 },
          { type: "volume", source: "data", target: "/data", readOnly: true },
        ],
      }),
    );
    await running.exited;
    expect(sink.all).toBe("from the project | one file\nFalse /srv\n");
    expect(existsSync(join(bench.folder, "conf", "new.txt"))).toBe(false);
    const notes = running.notes.join("\n");
    for (const note of ["copy of conf", "copy of one.txt", "read_only has no effect", "data is writable"])
      expect(notes).toContain(note);
  });

  it("a build receives the context without ignored files, its arguments and its target", async () => {
    bench.file(
      "ctx/Dockerfile",
      "FROM python:3.11-slim AS base\nARG WORD=none\nCOPY . /ctx\nHEALTHCHECK --interval=5s CMD true\nFROM base AS other\n",
    );
    bench.file("ctx/.dockerignore", "secret.txt\n");
    bench.file("ctx/secret.txt", "");
    bench.file("ctx/seen.txt", "");
    const program = `import os; print(os.environ.get("WORD"), sorted(os.listdir("/ctx")))`;
    const { image: _image, ...app } = bench.python("app", program);
    const build = { context: `${bench.folder}/ctx`, target: "base", args: { WORD: "g1ven-T0ken-9x" } };
    const stack = await bench.open([{ ...app, build }], { secretValues: ["g1ven-T0ken-9x"] });
    const running = await bench.start(stack, { ...app, build });
    await running.exited;
    expect(bench.sink("app").all).toMatch(/^g1ven-T0ken-9x \['(?:\.dockerignore', ')?Dockerfile', 'seen.txt'\]\n$/);
    const notes = running.notes.join("\n");
    const ofImage = { test: { kind: "cmd-shell", command: "true" }, intervalMs: 5000, timeoutMs: 30_000, retries: 3 };
    expect(running.imageHealthcheck).toMatchObject(ofImage);
    expect(notes).toMatch(/build\.args WORD: the engine keeps what they hold, a secret/);
    expect(notes).not.toContain("g1ven-T0ken");
    expect(bench.phases.join("\n")).toContain("building from ctx");
    expect(
      await failure({ ...app, build: { context: `${bench.folder}/ctx`, dockerfile: "gone", args: {} } }),
    ).toMatchObject({
      code: "SERVICE_START_FAILED",
    });
  });

  it("the data of a deleted volume is gone", async () => {
    const mounts = [{ type: "volume" as const, source: "data", target: "/data", readOnly: false }];
    const app = bench.python("app", `import os; open("/data/kept", "w").write("x"); print(os.listdir("/data"))`, {
      mounts,
    });
    const { stack, running, sink } = await bench.run(app);
    await running.exited;
    expect(sink.all).toBe("['kept']\n");
    await stack.close();
    await runtime.removeVolumes(bench.projectId, bench.stateDir, ["data"]);
    expect(warnings).toEqual([]);
    const again = bench.python("again", `import os; print(os.listdir("/data"))`, { mounts });
    const next = await bench.open([again]);
    await (await bench.start(next, again)).exited;
    expect(bench.sink("again").all).toBe("[]\n");
    await next.close();
    sim.faults({ open: { stderr: "no engine here" } });
    await runtime.removeVolumes(bench.projectId, bench.stateDir, ["data"]);
    expect(warnings).toEqual([expect.stringContaining("no engine here")]);
  });

  it("an opening that fails holds no port and reports the cause", async () => {
    const port = await freePort();
    const web = bench.web("web", { ports: [{ containerPort: WEB_PORT, hostPort: port, protocol: "tcp" }] });
    sim.faults({ open: { stderr: "no engine here" } });
    await expect(bench.open([web])).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("no engine here"),
    });
    await closeServer(await listen(port));
    const empty = mkdtempSync(join(tmpdir(), "stackwarden-no-cli-"));
    try {
      const without = runtimeOn({ PATH: empty, STACKWARDEN_PROGRAM_DIRS: empty });
      const { available, findings } = await without.check();
      expect(available).toBe(false);
      expect(findings.map(({ ok }) => ok)).toEqual([false, false]);
      const opened = without.open({
        projectId: bench.projectId,
        folder: bench.folder,
        definition: bench.definition([web]),
        stateDir: bench.stateDir,
        signal: new AbortController().signal,
        notice: () => {},
      });
      await expect(opened).rejects.toMatchObject({
        code: "RUNTIME_UNAVAILABLE",
        message: expect.stringContaining("PATH"),
      });
      await closeServer(await listen(port));
      await without.close();
    } finally {
      rmSync(empty, { recursive: true });
    }
  });

  it("an opening that is cancelled at its last step holds no port and no session", async () => {
    const port = await freePort();
    const web = bench.web("web", { ports: [{ containerPort: WEB_PORT, hostPort: port, protocol: "tcp" }] });
    const abort = new AbortController();
    const closed: string[] = [];
    const leaving = runtimeOn(sim.env, async () => {
      abort.abort(new Error("changed my mind"));
      return remoteHost({ close: async () => void closed.push("host") });
    });
    const opened = leaving.open({
      projectId: bench.projectId,
      folder: bench.folder,
      definition: bench.definition([web]),
      stateDir: bench.stateDir,
      signal: abort.signal,
      notice: () => {},
    });
    await expect(opened).rejects.toThrow("changed my mind");
    expect(closed).toEqual(["host"]);
    expect(runningSessions(sim.folder)).toEqual([]);
    await closeServer(await listen(port));
    await leaving.close();
  });

  it("a dead engine is reported as lost, and a later start fails with RUNTIME_LOST", async () => {
    const app = bench.python("app", WAITS);
    const { stack, running, sink } = await bench.run(app);
    await sink.shows("up");
    sim.faults({ dead: true });
    expect((await stack.lost).reason).not.toBe("");
    expect(await running.exited).toMatchObject({ exitCode: null, signal: null });
    await expect(bench.start(stack, app)).rejects.toMatchObject({ code: "RUNTIME_LOST" });
    sim.faults({});
    await stack.close();
  });

  it("a start that hangs in the engine ends with its signal", async () => {
    sim.faults({ start: { app: { slowMs: 1500 } } });
    const app = bench.python("app", WAITS);
    const stack = await bench.open([app]);
    const abort = new AbortController();
    const starting = bench.start(stack, app, { signal: abort.signal });
    setTimeout(() => abort.abort(new Error("changed my mind")), 700);
    await expect(starting).rejects.toThrow("changed my mind");
    sim.faults({});
    await bench.nothingRuns();
    const running = await bench.start(stack, app);
    expect(running).toBeInstanceOf(DaggerService);
  });
});
