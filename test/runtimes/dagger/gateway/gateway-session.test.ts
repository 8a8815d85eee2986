/** The service of the gateway in a session of the simulated engine: its start, limits and end. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StackwardenError } from "../../../../src/errors.js";
import type { EngineHost } from "../../../../src/runtimes/dagger/engine-host/types.js";
import { openGateway } from "../../../../src/runtimes/dagger/gateway/gateway.js";
import { gatewaySession } from "../../../../src/runtimes/dagger/gateway/gateway-session.js";
import type { Gateway } from "../../../../src/runtimes/dagger/gateway/types.js";
import { openSession } from "../../../../src/runtimes/dagger/session/session.js";
import type { DaggerSession } from "../../../../src/runtimes/dagger/session/types.js";
import type { RuntimeNotice } from "../../../../src/stack/runtime.js";
import { containersOf, type SimEngine, startSimEngine, whyNoContainers } from "../../../support/dagger-sim/engine.js";
import { Bench, freePort, until } from "../../contract/bench.js";
import { remoteHost, SETTINGS } from "../support/parts.js";

const why = whyNoContainers();

describe.skipIf(why !== null)(`the gateway's service${why === null ? "" : `: skipped, ${why}`}`, () => {
  let engine: SimEngine;
  let session: DaggerSession;
  let bench: Bench;
  const gateways: Gateway[] = [];
  const warnings: string[] = [];
  const notices: RuntimeNotice[] = [];

  beforeEach(async () => {
    engine = await startSimEngine();
    bench = new Bench({ images: { python: "python", redis: "redis" }, processesVisible: false } as never);
    session = await openSession({
      cli: engine.cli,
      runnerHost: engine.runnerHost,
      workdir: engine.folder,
      signal: new AbortController().signal,
      env: engine.env,
      warn: (message) => warnings.push(message),
    });
  });
  afterEach(async () => {
    await Promise.all(gateways.splice(0).map((one) => one.close()));
    await bench.close();
    await session.close();
    await engine.close();
    warnings.length = 0;
    notices.length = 0;
  });

  function gateway(host: EngineHost = remoteHost(), image = SETTINGS.gatewayImage): Gateway {
    const made = openGateway({
      project: "test",
      notice: () => undefined,
      session: gatewaySession({ session, host, notice: (notice) => notices.push(notice) }),
      image,
      warn: (message) => warnings.push(message),
    });
    gateways.push(made);
    return made;
  }

  const host = (more: Partial<EngineHost>): EngineHost =>
    remoteHost({ enforcement: { level: "enforced", reason: "cgroup v2" }, ...more });
  const signal = (): AbortSignal => new AbortController().signal;
  const pids = (): number[] =>
    containersOf(engine.folder).map(
      (id) => JSON.parse(readFileSync(join(engine.folder, "containers", id, "state.json"), "utf8")).pid,
    );

  it("the gateway is limited on the engine's host, and a failure to limit it is a warning", async () => {
    const limited: unknown[] = [];
    const find = async (instance: string) => `runc of ${instance}`;
    await gateway(host({ find, apply: async (id, limits) => limited.push([id, limits]) as never })).start(signal());
    await until("it was limited", () => limited.length > 0);
    expect(limited).toEqual([[expect.stringMatching(/^runc of [0-9a-f]{24}$/), { cpus: 1, memory_mb: 160, pids: 64 }]]);
    expect(notices).toEqual([]);
    const refuses = async () => {
      throw new StackwardenError("LIMIT_REFUSED", "The kernel refused the limits.", { hint: "" });
    };
    await gateway(host({ find, apply: refuses })).start(signal());
    await until("a report", () => notices.length > 0);
    expect(notices).toEqual([
      { type: "warning", message: "The gateway runs without limits: The kernel refused the limits." },
    ]);
    expect(pids()).toHaveLength(2);
  });

  it("a wrong gateway image is reported with the setting, and a busy registry as RUNTIME_UNAVAILABLE", async () => {
    await expect(gateway(remoteHost(), "no/such-image:1").start(signal())).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: expect.stringContaining("no/such-image:1"),
      hint: expect.stringMatching(/gateway_image.*node 18/),
    });
    engine.faults({
      images: { "node:20-alpine": { error: "unexpected status from HEAD request: 503 Service Unavailable" } },
    });
    await expect(gateway().start(signal())).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("503"),
    });
    await until("nothing runs", () => pids().length === 0);
  });

  it("a killed gateway is reported with its exit code and started again for published ports", async () => {
    const made = gateway();
    const port = await freePort();
    const web = bench.python("web", "", { ports: [{ containerPort: 80, hostPort: port, protocol: "tcp" }] });
    await made.reserve(bench.definition([web]));
    await made.start(signal());
    const [first] = pids();
    process.kill(first as number, "SIGKILL");
    await until("a report", () => warnings.length > 0);
    expect(warnings).toEqual([
      expect.stringMatching(/^The gateway .* ended and is started again: it ended with code 137/),
    ]);
    await until("another one runs", () => pids().length === 1 && pids()[0] !== first);
    // A connection through the gateway reaches the session's network.
    await until("it answers", async () => {
      const refused = (await made.dial("127.0.0.1", 9, 5000).catch((error: unknown) => error)) as { code?: string };
      return refused.code === "ECONNREFUSED";
    });
  });

  it("a cancelled start leaves no container, and the gateway ends with the session", async () => {
    engine.faults({ images: { "node:20-alpine": { slowMs: 1500, times: 1 } } });
    const slow = gateway();
    const abort = new AbortController();
    const starting = expect(slow.start(abort.signal)).rejects.toThrow("changed my mind");
    abort.abort(new Error("changed my mind"));
    await starting;
    await slow.close();
    await until("nothing runs", () => pids().length === 0);
    const made = gateway();
    await made.start(signal());
    expect(pids()).toHaveLength(1);
    await session.close();
    await until("a report", () => warnings.length > 0);
    expect(warnings[0]).toMatch(/ended and is started again: (the session ended|it ended)/);
    await expect(made.dial("127.0.0.1", 9, 1000)).rejects.toThrow();
    await until("nothing runs", () => pids().length === 0);
  });
});
