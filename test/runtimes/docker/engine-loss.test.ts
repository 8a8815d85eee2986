/** Broken connections, lost engines and killed servers on a separate Docker daemon. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDockerRuntime, type DockerRuntimeOptions } from "../../../src/runtimes/docker/docker-runtime.js";
import type { StackRuntime } from "../../../src/stack/runtime.js";
import { lockHolder } from "../../../src/system/lock-file.js";
import { Commands } from "../../support/commands.js";
import { contents, dockerCli, startDaemon, type TestDaemon, whyNoDaemon } from "../../support/docker/daemon.mjs";
import { openRelay, type Relay } from "../../support/docker/relay.js";
import { machinePython } from "../../support/machine-python.mjs";
import { Bench, healthcheck, until, WAITS, WEB_PORT } from "../contract/bench.js";
import { once } from "../contract/contract.js";
import { ensureWatchdog } from "../local/process/support.js";

const PYTHON = "python:3.11-slim";
const skip = whyNoDaemon();

/** Prints numbers on both streams, with an occasional line longer than one message of the engine. */
const COUNTS = `
import sys, time
for i in range(100000):
    print("out", i, flush=True)
    if i % 50 == 0: print("long", "x" * 40000, flush=True)
    if i % 7 == 0: print("err", i, file=sys.stderr, flush=True)
    time.sleep(0.002)
`;

describe.skipIf(skip !== null)(`an engine that goes away${skip === null ? "" : `: skipped, ${skip}`}`, () => {
  let daemon: TestDaemon;
  let folder: string;
  const opened: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    ensureWatchdog();
    folder = mkdtempSync(join(tmpdir(), "stackwarden-docker-loss-"));
    daemon = await startDaemon({ shortFilter: true, firewall: false });
  });
  afterAll(async () => {
    for (const one of opened.reverse()) await one.close();
    await daemon?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  const runtimeOf = (host: string, more: Partial<DockerRuntimeOptions> = {}): StackRuntime => {
    const runtime = createDockerRuntime({
      settings: { host, retry: { maxRetries: 0, baseDelayMs: 10 } },
      env: process.env,
      warn: () => {},
      patienceMs: 1500,
      ...more,
    });
    opened.push(runtime);
    return runtime;
  };
  const benchOf = (runtime: StackRuntime): Bench => {
    const bench = new Bench({
      runtime,
      images: { python: PYTHON, redis: "" },
      withoutNetwork: true,
    });
    opened.push(bench);
    return bench;
  };
  const relayedRuntime = once(async () => {
    const relay = await openRelay(join(folder, `relayed-${opened.length}.sock`), daemon.socket);
    opened.push(relay);
    return { relay, runtime: runtimeOf(`unix://${relay.path}`) };
  });
  const relayed = async (): Promise<{ relay: Relay; bench: Bench; runtime: StackRuntime }> => {
    const { relay, runtime } = await relayedRuntime();
    return { relay, runtime, bench: benchOf(runtime) };
  };

  it("repeated broken connections neither lose nor duplicate a line", async () => {
    const { relay, bench } = await relayed();
    const { running, sink } = await bench.run(bench.python("app", COUNTS));
    await sink.shows("out 20");
    for (let time = 0; time < 6; time += 1) {
      relay.cut();
      await sleep(150);
    }
    await sink.shows(`out ${Number(/out (\d+)\n(?!.*out \d)/s.exec(sink.text())?.[1] ?? 0) + 100}`);
    relay.cut();
    await running.stop({ graceMs: 0 });
    const lines = sink.text("stdout").split("\n").slice(0, -1);
    const outs = lines.filter((line) => line.startsWith("out "));
    expect(outs.findIndex((line, at) => line !== `out ${at}`)).toBe(-1);
    for (const long of lines.filter((line) => line.startsWith("long "))) expect(long).toHaveLength(40_005);
    const errs = sink.text("stderr").split("\n").slice(0, -1);
    expect(errs.findIndex((line, at) => line !== `err ${at * 7}`)).toBe(-1);
    expect(bench.notices.some(({ type, message }) => type === "warning" && message.includes("interrupted"))).toBe(true);
    expect(sink.ends).toBe(1);
  });

  it("an end during a broken connection is reported after the connection returns", async () => {
    const { relay, bench } = await relayed();
    const { running, sink } = await bench.run(
      bench.python("app", "import os, time; print('up', flush=True); time.sleep(1); os._exit(6)"),
    );
    await sink.shows("up");
    relay.cut(true);
    await sleep(1200);
    relay.allow();
    const exit = await running.exited;
    // The exit code comes from the engine's record, unless the stack is lost before the connection returns.
    expect([6, null]).toContain(exit.exitCode);
  });

  it("an engine that does not answer in time is reported as lost, and a container that another client removes has ended", async () => {
    const { relay, bench, runtime } = await relayed();
    const service = bench.python("app", WAITS);
    const { stack, running, sink } = await bench.run(service);
    await sink.shows("up");
    relay.cut(true);
    const { reason } = await stack.lost;
    expect(reason).toContain("does not answer any more");
    expect((await running.exited).exitCode).toBeNull();
    await expect(bench.start(stack, service)).rejects.toThrow();
    expect((await bench.probe(running, { kind: "cmd", argv: ["true"] }, 500)).healthy).toBe(false);
    expect((await running.stats()).reason).not.toBeNull();
    expect((await running.readLimits()).cpus.value).toBeNull();
    await stack.close();
    expect((await runtime.check()).available).toBe(false);
    await expect(bench.open([service])).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    relay.allow();
    // The lost stack's containers are removed before the next one starts.
    const again = await bench.open([service]);
    const next = await bench.start(again, service);
    await bench.sink("app").shows("up");
    const containers = (await contents(daemon.socket)).containers.filter((name) => name.startsWith(bench.projectId));
    expect(containers).toHaveLength(1);
    // A container that another client removes has ended.
    dockerCli(daemon.socket, "rm", "-f", ...containers);
    await next.exited;
    expect(bench.sink("app").ends).toBe(1);
    await again.close();
  });

  it("a port on another machine's engine is checked in the container's socket table", async () => {
    // The address names another machine, so that nothing of this machine is shared.
    const ssh = join(folder, "ssh");
    writeFileSync(
      ssh,
      `#!${machinePython()[1]} -IS
import os, select, _socket
engine = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
engine.connect(${JSON.stringify(daemon.socket)})
poll = select.poll()
for one in (0, engine.fileno()): poll.register(one, select.POLLIN)
while True:
    for ready, _ in poll.poll():
        if ready == 0:
            data = os.read(0, 65536)
            if data: engine.sendall(data)
            else:
                poll.unregister(0)
                engine.shutdown(_socket.SHUT_WR)
        else:
            data = engine.recv(65536)
            if not data: os._exit(0)
            while data: data = data[os.write(1, data):]
`,
    );
    chmodSync(ssh, 0o755);
    const env = { ...process.env, STACKWARDEN_PROGRAM_DIRS: `${folder}:/usr/bin:/bin` };
    const runtime = runtimeOf("ssh://me@build.example:2222", { env });
    const bench = benchOf(runtime);
    expect((await runtime.check()).findings.map(({ check }) => check)).toContain("engine on another machine");
    const service = bench.web("web", { ports: [{ containerPort: 8123, protocol: "tcp" }] });
    const stack = await bench.open([service]);
    const running = await bench.start(stack, service);
    await bench.sink("web").shows("listening");
    const [{ host_port: port = 0 } = {}] = stack.endpoints();
    expect(running.notes.join()).toContain(
      `\`ssh -N -L ${port}:127.0.0.1:${port} ssh://me@build.example:2222\` makes them available here.`,
    );
    expect(running.user).toMatchObject({ uid: 1000, enforcement: { reason: "seen inside the container" } });
    expect(running.pid).toBeNull();
    const mounts = [{ type: "bind" as const, source: `${folder}/only-here`, target: "/x", readOnly: true }];
    await expect(bench.start(stack, bench.python("bound", WAITS, { mounts }))).rejects.toMatchObject({
      message: expect.stringContaining(`at ssh://me@build.example:2222 cannot mount a folder`),
      hint: expect.stringContaining("mounts only folders of that machine"),
    });
    const limits = await running.setLimits({ cpus: 0.5, memory_mb: 64, pids: 30 });
    expect(limits).toMatchObject({ cpus: { value: 0.5 }, memory_mb: { value: 64 }, pids: { value: 30 } });
    expect(limits.cpus.enforcement.reason).toContain("engine's inspection");
    const cut = new AbortController();
    const long = running.exec({
      command: ["python3", "-c", "import time; print('begun', flush=True); time.sleep(100)"],
      signal: cut.signal,
      onOutput: () => cut.abort(),
    });
    expect((await long).signal).toBe("SIGKILL");
    await stack.close();
  });

  it("an engine in a virtual machine is checked through published ports, else in the socket table", async () => {
    // The engine's machine shares folders with this one, but no processes or networks.
    const elsewhere = "x".repeat(hostname().length);
    const relay = await openRelay(join(folder, "virtual.sock"), daemon.socket, (text) =>
      text.replaceAll(`"Name":"${hostname()}"`, `"Name":"${elsewhere}"`).replaceAll('"Gateway":"10.', '"Gateway":"99.'),
    );
    opened.push(relay);
    const bench = benchOf(runtimeOf(`unix://${relay.path}`));
    const test = { kind: "http" as const, port: WEB_PORT, path: "/ok", status: 200 };
    const checked = { healthcheck: healthcheck(test) };
    const services = [
      bench.web("unpublished", checked),
      bench.web("published", { ...checked, ports: [{ containerPort: WEB_PORT, protocol: "tcp" }] }),
      bench.web("unchecked"),
    ] as const;
    const stack = await bench.open([...services]);
    const [unpublished, published, unchecked] = await Promise.all(services.map((one) => bench.start(stack, one)));
    if (unpublished === undefined || published === undefined || unchecked === undefined) throw new Error("no service");
    await bench.untilHealthy(unpublished, test);
    await bench.untilHealthy(published, test);
    await bench.untilHealthy(unchecked, { kind: "tcp", port: WEB_PORT });
    expect((await bench.probe(unchecked, { kind: "tcp", port: WEB_PORT })).message).toContain("inside the container");
    expect((await bench.probe(unchecked, test)).message).toContain("publish it, or use a check of kind CMD");
    expect(unpublished.pid).toBeNull();
    // Only published ports are endpoints of the stack.
    expect(stack.endpoints().map(({ service }) => service)).toEqual(["published"]);
    await stack.close();
  });

  it("the watchdog removes containers of a killed server, else the next server does", async () => {
    const state = join(folder, "state");
    const project = join(folder, "project");
    mkdirSync(project);
    writeFileSync(
      join(project, "compose.yaml"),
      `services:\n  app:\n    image: ${PYTHON}\n    command: ["python3", "-c", "import time; time.sleep(1000)"]\n`,
    );
    const env = {
      PATH: process.env.PATH ?? "",
      HOME: folder,
      STACKWARDEN_STATE_DIR: state,
      STACKWARDEN_ROOTS: project,
      STACKWARDEN_RUNTIME: "docker",
      STACKWARDEN_DOCKER_HOST: daemon.host,
    };
    const commands = new Commands();
    opened.push(commands);
    const run = async (...words: string[]): Promise<string> => {
      const { stdout, stderr } = await commands.run(words, { env, cwd: project });
      return stdout + stderr;
    };
    const own = async () => {
      const { containers, networks } = await contents(daemon.socket);
      return [...containers, ...networks].filter((name) => name.includes("project"));
    };
    const serverPid = (output: string): number => {
      const pid = lockHolder(join(state, "server", "lock"));
      // process.kill(0) would end the process group of the test.
      if (pid === null) throw new Error(`no server runs: ${output}`);
      return pid;
    };
    const output = await run("up", "-d");
    expect(await own(), output).toHaveLength(2);
    process.kill(serverPid(output), "SIGKILL");
    await until("the watchdog removed them", async () => (await own()).length === 0);

    const server = serverPid(await run("up", "-d"));
    const watchdogs = execFileSync("pgrep", ["-f", `docker-watchdog.js ${server}@`], { encoding: "utf8" });
    for (const pid of watchdogs.trim().split("\n")) process.kill(Number(pid), "SIGKILL");
    process.kill(server, "SIGKILL");
    await sleep(200);
    expect(await own()).toHaveLength(2);
    await run("up", "-d");
    expect(await own()).toHaveLength(2);
    await run("server", "stop", "--force");
    expect(await own()).toEqual([]);
  });
});
