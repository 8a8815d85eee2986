/**
 * Dagger's own tunnel, from the configuration to the reports; on the simulated engine, and on a real one where the
 * environment names one (it pulls python:3.11-slim and node:20-alpine). That ports are held, reported and kept over
 * restarts is in test/runtimes/contract/dagger-tunnel.test.ts.
 */
import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDaggerRuntime } from "../../../../src/runtimes/dagger/dagger-runtime.js";
import { openSession } from "../../../../src/runtimes/dagger/session/session.js";
import { sessionTunnels } from "../../../../src/runtimes/dagger/tunnel/session-tunnel.js";
import type { StackManager } from "../../../../src/stack/model.js";
import type { StackRuntime } from "../../../../src/stack/runtime.js";
import { containersOf, type SimEngine, startSimEngine, whyNoContainers } from "../../../support/dagger-sim/engine.js";
import { call, Domain, eventsOf, until } from "../../../support/domain.js";
import { whyNoEngine } from "../../../support/real-engine.js";
import { closeServer, freePort, IMAGES, listen } from "../../contract/bench.js";
import { SETTINGS } from "../support/parts.js";

const PROJECT = "shop";
const PORT = 8123;

/**
 * Replies with a name that is new at every start; ends with code 3 for the path /quit. A client that gives up before its
 * request arrives does not block the others: a tunnel does not report the end of its connection.
 */
const PROGRAM = `
import _signal as signal, os, socket
me = os.urandom(16).hex().encode()
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("0.0.0.0", ${PORT}))
server.listen(16)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("up", flush=True)
while True:
    with server.accept()[0] as connection:
        connection.settimeout(5)
        try: request = connection.recv(65536)
        except OSError: continue
        if request.startswith(b"GET /quit "): os._exit(3)
        if request: connection.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 32\\r\\n\\r\\n" + me)
`;
const WAITS = "import time\nprint('up', flush=True)\nwhile True: time.sleep(0.05)";
const PASSES = "healthcheck: { test: [CMD, 'true'], interval: 1s, start_interval: 100ms, start_period: 60s }";
const probe = (port: number) =>
  `healthcheck: { x-probe: { type: tcp, port: ${port} }, interval: 1s, retries: 2, start_interval: 100ms }`;

const service = (name: string, program: string, ...fields: string[]): string => `
  ${name}:
    image: ${IMAGES.python}
    user: "1000"
    command: ["python3", "-S", "-u", "-c", ${JSON.stringify(program)}]
${fields.map((field) => `    ${field}\n`).join("")}`;

const answer = async (port: number, path = "/"): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5000) })).text();

/** @returns the data that a connection receives before the other side closes it */
const untilClosed = (port: number): Promise<string> =>
  new Promise((resolve) => {
    let received = "";
    const socket = connect({ host: "127.0.0.1", port }).on("error", () => {});
    socket.on("data", (chunk) => {
      received += chunk;
    });
    socket.once("close", () => resolve(received));
  });

function tunnelTests(env: () => NodeJS.ProcessEnv, sim: () => SimEngine | null): void {
  let domain: Domain;
  let runtime: StackRuntime;
  let manager: StackManager;
  let port: number;

  beforeEach(async () => {
    domain = new Domain();
    runtime = createDaggerRuntime({
      settings: { ...SETTINGS, tunnel: true },
      env: env(),
      warn: (message) => domain.logged.push(message),
    });
    manager = domain.manager({ startTimeoutMs: 120_000 }, [runtime] as never);
    port = await freePort();
  });
  afterEach(async () => {
    await domain.close();
    // The port is free.
    await closeServer(await listen(port));
  });

  const up = (...services: string[]) => {
    domain.project(PROJECT, `services:${services.join("")}`);
    return manager.start({ project: PROJECT }, call());
  };
  const answers = async (as: (text: string) => boolean): Promise<string> => {
    let text = "";
    await until(
      "it answers",
      async () => {
        text = await answer(port).catch(() => "");
        return text !== "" && as(text);
      },
      30_000,
    );
    return text;
  };

  it("every report of the tunnel states that published ports are open to the network", async () => {
    const asks = `ports: ["0.0.0.0:${port}:${PORT}"]`;
    const started = await up(service("web", PROGRAM, asks, PASSES), service("quiet", WAITS, PASSES));
    expect(started.status).toBe("healthy");
    const { services, notes } = started.after;
    const open = expect.stringMatching(new RegExp(`^Open to the network: port ${port} of every address`));
    expect(services.web).toMatchObject({
      endpoints: [{ host: "0.0.0.0", host_port: port, container_port: PORT, url: `http://127.0.0.1:${port}` }],
      notes: expect.arrayContaining([open]),
    });
    expect(services.quiet?.notes).not.toContainEqual(open);
    expect(await eventsOf(manager, PROJECT, "warning")).toContainEqual(
      expect.objectContaining({ service: "web", message: open }),
    );
    expect(domain.logged).toContainEqual(expect.stringMatching(/^shop\/web: Open to the network/));
    // The note on the compose file's address names the setting that opens the port.
    expect(notes).toContainEqual(expect.stringMatching(/0\.0\.0\.0 is not used.*unless.*dagger_tunnel/));
    const status = await runtime.check();
    expect(status.findings).toContainEqual(
      expect.objectContaining({ ok: false, message: expect.stringContaining("open to the network") }),
    );
    expect(status.isolation.network).toMatchObject({ level: "none", reason: expect.stringContaining("dagger_tunnel") });
    expect(JSON.stringify([started, status])).not.toMatch(/loopback|127\.0\.0\.1 only[^.]/);
    await answers((text) => text.length === 32);
    // No check needs a connection into the session, so no gateway runs.
    const engine = sim();
    if (engine !== null) expect(containersOf(engine.folder)).toHaveLength(2);
  });

  it("the tunnel leads to the new instance after a crash and a restart, and its port is free after a stop", async () => {
    await up(service("web", PROGRAM, `ports: ["${port}:${PORT}"]`, PASSES, "restart: always"));
    const first = await answers(() => true);
    await answer(port, "/quit").catch(() => undefined);
    const second = await answers((text) => text !== first);
    const restarted = await manager.restart({ project: PROJECT, service: "web" }, call());
    expect(restarted.verified).toBe(true);
    const third = await answers((text) => text !== second);
    expect(third).not.toBe(first);
    expect((await manager.report(PROJECT)).services.web?.endpoints[0]?.host_port).toBe(port);

    await up(service("web", PROGRAM, `ports: ["${port}:${PORT}"]`, PASSES), service("more", WAITS, PASSES));
    await answers((text) => text !== third);
    await manager.stop({ project: PROJECT }, call());
    await closeServer(await listen(port));
  });

  it("health checks do not go through the tunnel, which accepts connections without a listener", async () => {
    const fields = (checked: number) => [`ports: ["${port}:9999"]`, `expose: [${PORT}]`, probe(checked)];
    expect((await up(service("web", PROGRAM, ...fields(PORT)))).status).toBe("healthy");
    expect(await untilClosed(port)).toBe("");
    const failing = await up(service("web", PROGRAM, ...fields(9999))).then(
      () => null,
      (error: Error & { code: string }) => error,
    );
    expect(failing).toMatchObject({ code: "SERVICE_START_FAILED", message: expect.stringMatching(/refused/i) });
  });

  it("the tunnel reports the port that another program holds and leaves the other ports free", async () => {
    const status = await runtime.check();
    expect(status.available).toBe(true);
    const session = await openSession({
      cli: env()._EXPERIMENTAL_DAGGER_CLI_BIN ?? sim()?.cli ?? "",
      runnerHost: env()._EXPERIMENTAL_DAGGER_RUNNER_HOST ?? null,
      workdir: domain.folder,
      signal: new AbortController().signal,
      env: env(),
      warn: () => {},
    });
    const taken = await listen(0);
    const { port: busy } = taken.address() as { port: number };
    try {
      const args = ["python3", "-S", "-u", "-c", WAITS];
      const running = session.client().container().from(IMAGES.python).withUser("1000").asService({ args });
      await running.start();
      const spec = { service: "web", id: await running.id() };
      const open = sessionTunnels(session);
      const [first, second] = [
        { frontend: port, backend: 1 },
        { frontend: busy, backend: 2 },
      ] as const;
      await expect(open({ ...spec, ports: [first, second] }, new AbortController().signal)).rejects.toMatchObject({
        code: "PORT_IN_USE",
        message: `Host port in use: ${busy} (web).`,
        details: { ports: [{ service: "web", port: busy, container_port: 2 }] },
      });
      await closeServer(await listen(port));
      const late = new AbortController();
      late.abort(new Error("no longer wanted"));
      await expect(open({ ...spec, ports: [first] }, late.signal)).rejects.toThrow("no longer wanted");
      const tunnel = await open({ ...spec, ports: [first] }, new AbortController().signal);
      await expect(listen(port)).rejects.toMatchObject({ code: "EADDRINUSE" });
      await tunnel.stop();
    } finally {
      await closeServer(taken);
      await session.close();
    }
  });
}

const noSim = whyNoContainers();
describe.skipIf(noSim !== null)(
  `Dagger's own tunnel on a simulated engine${noSim === null ? "" : `: skipped, ${noSim}`}`,
  () => {
    let engine: SimEngine;
    beforeAll(async () => {
      engine = await startSimEngine();
    });
    beforeEach(() => engine.faults({}));
    afterAll(() => engine?.close());
    tunnelTests(
      () => engine.env,
      () => engine,
    );

    it("an instance that ends while its tunnel opens is not started again", async () => {
      engine.faults({ tunnel: { slowMs: 1500, times: 1 } });
      const domain = new Domain();
      const runtime = createDaggerRuntime({
        settings: { ...SETTINGS, tunnel: true },
        env: engine.env,
        warn: () => {},
      });
      const manager = domain.manager({}, [runtime] as never);
      const port = await freePort();
      try {
        // Ends at its first start, and would run at a second one.
        const brief = `
import os, sys, time
again = os.path.exists("/data/ran")
open("/data/ran", "w").close()
print("up", flush=True)
time.sleep(1000 if again else 0.7)
sys.exit(4)
`;
        // Nothing listens on the port, so it is not checked.
        const fields = [`ports: ["${port}:1"]`, 'volumes: ["data:/data"]', "healthcheck: { disable: true }"];
        domain.project(PROJECT, `services:${service("brief", brief, ...fields)}\nvolumes: { data: {} }\n`);
        await manager.start({ project: PROJECT }, call());
        await until("its end is known", async () => {
          const { brief: one } = (await manager.report(PROJECT)).services;
          return one?.state === "crashed" && one.last_exit?.exit_code === 4;
        });
        await until("nothing runs", () => containersOf(engine.folder).length === 0, 20_000);
        await expect(listen(port)).rejects.toMatchObject({ code: "EADDRINUSE" });
        await manager.stop({ project: PROJECT }, call());
        await closeServer(await listen(port));
      } finally {
        await domain.close();
      }
    });
  },
);

const noEngine = await whyNoEngine();
describe.skipIf(noEngine !== null)(
  `Dagger's own tunnel on a real engine${noEngine === null ? "" : `: skipped, ${noEngine}`}`,
  () => {
    tunnelTests(
      () => process.env,
      () => null,
    );
  },
);
