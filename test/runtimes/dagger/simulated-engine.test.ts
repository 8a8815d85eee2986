/** The simulated engine behaves as measured on a real one, through the SDK and through its simulated runc. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { promisify } from "node:util";
import type { Client, Container, Service } from "@dagger.io/dagger";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSession } from "../../../src/runtimes/dagger/session/session.js";
import { newTrace } from "../../../src/runtimes/dagger/session/trace.js";
import type { DaggerSession } from "../../../src/runtimes/dagger/session/types.js";
import {
  containersOf,
  runningSessions,
  type SimEngine,
  startSimEngine,
  whyNoContainers,
} from "../../support/dagger-sim/engine.js";
import { until } from "../contract/bench.js";

const why = whyNoContainers();

describe.skipIf(why !== null)(`the simulated engine${why === null ? "" : `: skipped, ${why}`}`, () => {
  let engine: SimEngine;
  let session: DaggerSession;

  const open = (): Promise<DaggerSession> =>
    openSession({
      cli: engine.cli,
      runnerHost: engine.runnerHost,
      workdir: engine.folder,
      signal: new AbortController().signal,
      env: engine.env,
      warn: () => {},
    });

  beforeAll(async () => {
    engine = await startSimEngine();
    session = await open();
  });

  afterAll(async () => {
    await session?.close();
    await engine?.close();
  });

  /** A client with a separate trace, and the events and output of that trace. */
  const traced = (): { client: Client; events: string[]; text: () => string; errors: () => string } => {
    const trace = newTrace();
    const events: string[] = [];
    const texts = { stdout: "", stderr: "" };
    session.telemetry.listen(trace.traceId, {
      output: (stream, chunk) => {
        texts[stream] += Buffer.from(chunk);
      },
      drained: () => events.push("drained"),
      exited: ({ exitCode }, name) => events.push(`${name.slice(0, 20)} ended with ${exitCode}`),
    });
    return { client: session.client({ trace }), events, text: () => texts.stdout, errors: () => texts.stderr };
  };

  const runc = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(`${engine.bin}/runc`, args, { env: engine.env })).stdout;

  const thrown = async (
    asking: Promise<unknown>,
  ): Promise<Error & { cause: { message: string; extensions: object } }> =>
    (await asking.then(
      () => null,
      (error: Error) => error,
    )) as never;

  const python = (
    client: Client,
    program: string,
    change: (container: Container) => Container = (same) => same,
  ): Service =>
    change(client.container().from("python:3.11").withUser("1000")).asService({
      args: ["python3", "-u", "-c", program],
    });

  // `print` writes the line and its end separately: two services can write "upup" and then both ends.
  const WAITS =
    "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\nsys.stdout.write('up\\n')\nwhile True: time.sleep(0.05)";

  it("a service runs, and its output and exit code are reported", async () => {
    const { client, events, text, errors } = traced();
    const program = `import os, sys\nprint(os.getuid(), os.environ['A'], file=sys.stderr)\n${WAITS}`;
    const service = python(client, program, (one) => one.withEnvVariable("A", "b c"));
    await service.start();
    await until("its lines", () => text() === "up\n" && errors() === "1000 b c\n");
    await service.start();
    await service.stop();
    await until("its end", () => events.length === 2);
    expect(events.sort()).toEqual(["drained", "exec python3 -u -c i ended with 3"]);
    await service.stop();
    expect(text()).toBe("up\n");
  });

  it("a stopped service starts again as a new container with the same host name", async () => {
    const { client } = traced();
    const serve =
      "import http.server, os\nhttp.server.HTTPServer(('', 8000), http.server.SimpleHTTPRequestHandler).serve_forever()";
    const web = python(client, serve, (one) => one.withExposedPort(8000).withWorkdir("/tmp")).withHostname("web");
    const ask = (round: number): Promise<string> =>
      session
        .client()
        .container()
        .from("python:3.11")
        .withEnvVariable("ROUND", String(round))
        .withExec(["python3", "-c", "import urllib.request; print(urllib.request.urlopen('http://web:8000/').status)"])
        .stdout();
    await web.start();
    expect(await ask(1)).toBe("200\n");
    await web.stop({ kill: true });
    expect((await thrown(ask(2))).cause.extensions).toMatchObject({ _type: "EXEC_ERROR", exitCode: 1 });
    await web.start();
    expect(await ask(3)).toBe("200\n");
    expect(await web.endpoint({ port: 8000, scheme: "http" })).toBe("http://web:8000");
    await web.stop();
  });

  it("failures have the messages of the real engine", async () => {
    const { client } = traced();
    const container = client.container().from("busybox");
    const starts = (service: Service) => thrown(service.start());
    expect((await thrown(client.container().from("nosuch:9").sync())).cause.message).toMatch(
      /^failed to resolve image "[^"]*nosuch:9" \(platform: "[^"]*"\): .*: not found$/,
    );
    const failing = container.withExposedPort(9999).asService({ args: ["sh", "-c", "echo out; echo err >&2; exit 3"] });
    expect((await starts(failing)).cause.extensions).toEqual({
      _type: "EXEC_ERROR",
      cmd: ["sh", "-c", "echo out; echo err >&2; exit 3"],
      exitCode: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect((await starts(container.withExposedPort(9999).asService({ args: ["true"] }))).cause.message).toBe(
      "service exited before healthcheck",
    );
    expect(
      (await starts(container.withExposedPort(9999).asService({ args: ["nosuchcmd"] }))).cause.extensions,
    ).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('exec: "nosuchcmd": executable file not found in $PATH'),
    });
    expect(
      (
        await starts(
          container
            .withUser("nobody-here")
            .withExposedPort(9999)
            .asService({ args: ["true"] }),
        )
      ).cause.message,
    ).toContain("unable to find user nobody-here");
  });

  it("a cache volume keeps its data and owner over sessions", async () => {
    const other = await open();
    const run = (client: Client, script: string) =>
      client
        .container()
        .from("busybox")
        .withUser("1000")
        .withMountedCache("/data", client.cacheVolume("kept"), { owner: "1000" })
        .withExec(["sh", "-c", script])
        .stdout();
    expect(await run(other.client(), "echo hello > /data/file; stat -c %u /data")).toBe("1000\n");
    await other.close();
    expect(await run(session.client(), "cat /data/file")).toBe("hello\n");
  });

  it("files, folders, secrets and the image's settings are available in a container", async () => {
    const { client } = traced();
    const folder = client.directory().withNewFile("a.txt", "A").withNewFile("b/c.txt", "C");
    const container = client
      .container()
      .from("redis:7")
      .withMountedFile("/entry", client.file("entry", "text", { permissions: 0o555 }))
      .withMountedDirectory("/folder", folder, { owner: "redis" })
      .withMountedSecret("/run/secrets/s", client.setSecret("s", "hush"), { owner: "redis" })
      .withSecretVariable("S", client.setSecret("v", "hush too"))
      .withMountedTemp("/scratch")
      .withUser("redis");
    expect([await container.entrypoint(), await container.defaultArgs(), await container.workdir()]).toEqual([
      ["docker-entrypoint.sh"],
      ["redis-server"],
      "/data",
    ]);
    const script =
      'cat /entry /folder/b/c.txt /run/secrets/s; echo "$S"; id -u; stat -c "%U %a" /folder /entry; touch /scratch/x /folder/x; touch /etc/x 2>&1 | grep -c denied; ls /work /root 2>&1 | wc -l';
    expect(await container.withExec(["sh", "-c", script]).stdout()).toBe(
      "textC******\n999\nredis 755\nroot 555\n1\n2\n",
    );
    expect(await container.envVariable("S")).toBeFalsy();
  });

  it("a container reaches a bound host service and no other listener of the host", async () => {
    const server = createServer((_request, response) => response.end("from outside"));
    await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
    const { port } = server.address() as { port: number };
    const client = session.client();
    const ask = (container: Container, url: string) =>
      container
        .withExec([
          "python3",
          "-c",
          `import urllib.request; print(urllib.request.urlopen('${url}', timeout=5).read().decode())`,
        ])
        .stdout();
    const service = client.host().service([{ frontend: 80, backend: port }], { host: "127.0.0.1" });
    const container = client.container().from("python:3");
    expect(await ask(container.withServiceBinding("outside", service), "http://outside/")).toBe("from outside\n");
    await thrown(ask(container, `http://127.0.0.1:${port}/`));
    await new Promise((resolve) => server.close(resolve));
  });

  it("a Dockerfile is built with its target and without ignored files", async () => {
    const { client, events } = traced();
    const context = client
      .directory()
      .withNewFile(
        "Dockerfile",
        'ARG WORD=none\nFROM python:3.11 AS base\nWORKDIR /app\nCOPY . .\nRUN cat in.txt > out.txt\nFROM base AS final\nUSER 1000\nENV TEXT="a b"\nCMD ["cat", "out.txt"]\n',
      )
      .withNewFile("in.txt", "built")
      .withNewFile(".dockerignore", "secret.txt")
      .withNewFile("secret.txt", "no");
    const built = context.dockerBuild({ target: "final", buildArgs: [{ name: "WORD", value: "x" }] });
    expect(await built.defaultArgs()).toEqual(["cat", "out.txt"]);
    expect(await built.withExec(["sh", "-c", 'cat out.txt; ls; echo "$TEXT"; id -u'], {}).stdout()).toBe(
      "builtDockerfile\nin.txt\nout.txt\na b\n1000\n",
    );
    await until("the end of the build", () => events.length > 0);
  });

  it("a service stops when a service that is bound to it stops", async () => {
    const { client, events, text } = traced();
    const behind = python(client, WAITS, (one) => one.withEnvVariable("WHO", "behind")).withHostname("behind");
    const bound = python(client, WAITS, (one) => one.withServiceBinding("b", behind)).withHostname("bound");
    await bound.start();
    await until("both run", () => text() === "up\nup\n");
    await behind.stop();
    await until("both ended", () => events.filter((one) => one.includes("ended")).length === 2);
    expect(events.filter((one) => one.includes("ended")).sort()).toEqual([
      "exec python3 -u -c i ended with 137",
      "exec python3 -u -c i ended with 3",
    ]);
  });

  it("runc sets limits, measures, executes commands and sends signals", async () => {
    const { client, events, text } = traced();
    const service = python(client, WAITS.replace("sys.stdout", "held = bytearray(9 << 20); sys.stdout"), (one) =>
      one.withEnvVariable("MARK", "this one"),
    );
    await service.start();
    await until("it runs", () => text() === "up\n");
    const [row] = JSON.parse(await runc("list", "-f", "json")) as {
      id: string;
      bundle: string;
      pid: number;
      status: string;
    }[];
    const { id, bundle } = row as { id: string; bundle: string };
    expect(row).toMatchObject({ status: "running", pid: expect.any(Number) });
    const config = JSON.parse(readFileSync(`${bundle}/config.json`, "utf8"));
    expect(config.process).toMatchObject({
      user: { uid: 1000, gid: 0 },
      env: expect.arrayContaining(["MARK=this one"]),
    });
    await runc(
      "update",
      "--memory",
      String(96 << 20),
      "--memory-swap",
      String(96 << 20),
      "--cpu-period",
      "100000",
      "--cpu-quota",
      "50000",
      "--pids-limit",
      "40",
      id,
    );
    const stats = JSON.parse(await runc("events", "--stats", id)) as {
      data: { memory: { usage: { limit: number; usage: number } }; pids: object };
    };
    expect(stats.data.memory.usage.limit).toBe(96 << 20);
    expect(stats.data.memory.usage.usage).toBeGreaterThan(8 << 20);
    expect(stats.data.pids).toMatchObject({ limit: 40 });
    const seen = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
    expect(await runc("exec", id, "sh", "-c", `${seen}; id -u; echo "$MARK"; hostname > /dev/null; pwd`)).toBe(
      `${96 << 20}\n1000\nthis one\n/\n`,
    );
    expect(await runc("exec", "--user", "0:0", id, "id", "-u")).toBe("0\n");
    await expect(runc("exec", id, "sh", "-c", "exit 7")).rejects.toMatchObject({ code: 7 });
    await expect(runc("events", "--stats", "nosuch")).rejects.toMatchObject({
      stderr: expect.stringContaining("does not exist"),
    });
    await runc("kill", id, "SIGTERM");
    await until("its end", () => events.includes("exec python3 -u -c i ended with 3"));
    expect(await runc("list", "-f", "json")).toBe("null\n");
  });

  it("every service is killed when the session's process ends", async () => {
    for (const end of ["close", "SIGKILL"] as const) {
      const before = containersOf(engine.folder);
      const sessions = runningSessions(engine.folder);
      const other = await open();
      await python(other.client(), WAITS, (one) => one.withEnvVariable("END", end)).start();
      const [container] = containersOf(engine.folder).filter((id) => !before.includes(id));
      expect(container).toBeDefined();
      const pids = JSON.parse(await runc("ps", "-f", "json", container as string)) as number[];
      expect(pids.length).toBeGreaterThan(0);
      const [own] = runningSessions(engine.folder).filter((pid) => !sessions.includes(pid));
      if (end === "close") await other.close();
      else process.kill(own as number, "SIGKILL");
      await until("its processes are gone", () =>
        pids.every((pid) => {
          try {
            process.kill(pid, 0);
            return false;
          } catch {
            return true;
          }
        }),
      );
      await other.close();
    }
  });
});
