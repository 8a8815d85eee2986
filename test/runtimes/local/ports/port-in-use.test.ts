/** PORT_IN_USE is reported only while another process holds the port, and never replaces an instance's own exit. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { portsSaidInUse } from "../../../../src/runtimes/local/ports/port-conflict.js";
import type { PortMapping, ServiceDefinition } from "../../../../src/stack/definition/types.js";
import { freePort, healthcheck } from "../../contract/bench.js";
import { definition, Fixture, service, untilHealthy } from "../support/fixture.js";

let fixture: Fixture;
let others: ChildProcess[];
beforeEach(() => {
  fixture = new Fixture();
  others = [];
});
afterEach(async () => {
  for (const other of others) {
    other.kill("SIGKILL");
    if (other.exitCode === null && other.signalCode === null) await once(other, "exit");
  }
  await fixture.close();
});

const published = (containerPort: number, hostPort?: number): PortMapping => ({
  containerPort,
  protocol: "tcp",
  ...(hostPort === undefined ? {} : { hostPort }),
});

function app(code: string, ports: PortMapping[], fields: Partial<ServiceDefinition> = {}): ServiceDefinition {
  fixture.file("app/main.cjs", code);
  const workingDir = join(fixture.folder, "app");
  return service("web", {
    ports,
    local: { command: ["node", "main.cjs", "{port}"], workingDir, environment: {} },
    ...fields,
  });
}

/** Starts a process outside of stackwarden that listens on the port. */
async function occupy(port: number): Promise<ChildProcess> {
  const code = `require("node:net").createServer().listen(${port}, "127.0.0.1", () => console.log("up"))`;
  const other = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  others.push(other);
  await once(other.stdout as NodeJS.ReadableStream, "data");
  return other;
}

describe("a service that exits early", () => {
  const CRASHES: [string, string, number][] = [
    ["throws", `throw new Error("no module named shop")`, 1],
    ["ends after half a second", `console.error("bad setting"); setTimeout(() => process.exit(3), 500)`, 3],
    ["ends with code 0", `console.log("done")`, 0],
    [
      "listens and then ends",
      `require("node:net").createServer().listen(Number(process.argv[2]), "127.0.0.1", () => process.exit(4))`,
      4,
    ],
  ];
  it.each(CRASHES)("a service that %s reports its exit code and starts once", async (_what, code, exitCode) => {
    // Services of other tests and programs of the machine listen on common ports.
    const container = await freePort();
    for (const ports of [[published(container)], [published(container, await freePort())]]) {
      const one = app(code, ports);
      const stack = await fixture.open([one]);
      const before = stack.endpoints();
      const running = await fixture.start(stack, one);
      expect(await running.exited).toMatchObject({ exitCode, signal: null });
      expect(fixture.notices.filter(({ type }) => type === "port_reassigned")).toEqual([]);
      expect(stack.endpoints()).toEqual(before);
      await stack.close();
    }
  });

  it.runIf(process.platform === "linux")(
    "a service that fails with EADDRINUSE keeps its exit code and names the program on the port",
    async () => {
      const [own, host] = [await freePort(), await freePort()];
      const other = await occupy(own);
      const code = `require("node:net").createServer().listen(${own}, "127.0.0.1")`;
      const stack = await fixture.open([app(code, [published(8199, host)])]);
      const running = await fixture.start(stack, app(code, [published(8199, host)]));
      expect(await running.exited).toMatchObject({
        exitCode: 1,
        reason: `port ${own}, on which it tried to listen, belongs to node (pid ${other.pid}). Stacks share this machine's ports: configure it to listen on the port in PORT (${host}), or stop what listens there`,
      });
      expect(fixture.log("web")).toContain(`EADDRINUSE: address already in use 127.0.0.1:${own}`);
      await stack.close();
      other.kill("SIGKILL");
      await once(other, "exit");

      // The same program in two stacks: the second one names the first.
      const fixed = app(code, [published(own, host)]);
      const first = await fixture.open([fixed]);
      const listening = await fixture.start(first, fixed);
      expect(await untilHealthy(listening, healthcheck({ kind: "tcp", port: own }))).toMatchObject({ healthy: true });
      const stateDir = join(fixture.serverState, "projects", "second");
      mkdirSync(stateDir, { recursive: true, mode: 0o711 });
      const moved = app(code, [published(own)]);
      const request = fixture.request(definition([moved]), { projectId: "second", stateDir });
      const second = await fixture.runtime.open(request);
      const crashed = await fixture.start(second, moved);
      const { reason } = await crashed.exited;
      expect(reason).toContain(`port ${own}, on which it tried to listen, belongs to service web of the project test.`);
      expect(reason).toMatch(/, or stop that stack$/);
      await second.close();
      await first.close();
    },
  );
});

describe("portsSaidInUse", () => {
  it.each([
    ["Error: listen EADDRINUSE: address already in use :::3000\n    at Server.setupListenHandle", [3000]],
    ["2026/11/29 08:00:00 listen tcp 0.0.0.0:8080: bind: address already in use", [8080]],
    ["[Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use", [98, 8000]],
    ["[ERROR] Connection in use: ('0.0.0.0', 8001)", [8001]],
    ["Address already in use\nPort 5000 is in use by another program. Either identify", [5000]],
    ["Web server failed to start. Port 8080 was already in use.", [8080]],
    ["Error: That port is already in use.", [4711]],
    ["Os { code: 48, kind: AddrInUse }\nended", [48]],
    ["listening on 3000", []],
    ["", []],
  ])("portsSaidInUse reads the ports in use from the output %j", (output, expected) => {
    expect(portsSaidInUse(`starting\n${output}\n`, [4711])).toEqual(expected);
  });
});

describe("a host port in use", () => {
  it.runIf(process.platform === "linux")(
    "a host port that another process holds is refused with that process and is not retryable",
    async () => {
      const port = await freePort();
      const other = await occupy(port);
      const owner = { pid: other.pid, program: "node" };
      await expect(fixture.open([app("", [published(8000, port)])])).rejects.toMatchObject({
        code: "PORT_IN_USE",
        message: `Host port in use: ${port} (web, held by node (pid ${other.pid})).`,
        details: { ports: [{ service: "web", port, owner }] },
        kind: { retryable: false },
        hint: expect.stringMatching(/^Use free ports: start_stack \{"ports": .*; or stop what listens there\.$/),
      });
    },
  );

  it("a host port that another stack holds is refused with the name of that stack's service", async () => {
    const port = await freePort();
    const one = app("", [published(8000, port)]);
    await fixture.open([one]);
    await expect(fixture.open([one])).rejects.toMatchObject({
      code: "PORT_IN_USE",
      message: `Host port in use: ${port} (web, held by service web of the project test).`,
      hint: expect.stringMatching(/^Use free ports: .*; or stop that stack: stop_stack \{"project": "test"\}\.$/),
    });
  });
});

describe("a service on an unexpected address", () => {
  const check = healthcheck({ kind: "tcp", port: 8199 });
  /** @returns the result of a check of the published port once the service listens, and the service's notes */
  async function seen(one: ServiceDefinition): Promise<{ healthy: boolean; message: string; notes: string[] }> {
    const stack = await fixture.open([one]);
    const running = await fixture.start(stack, one);
    for (let i = 0; i < 200 && !fixture.log("web").includes("listening"); i += 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
    const { healthy, message } = await running.probe(check, new AbortController().signal);
    return { healthy, message, notes: running.notes };
  }
  const listen = (port: string, host = '"127.0.0.1"') =>
    `require("node:net").createServer().listen(${port}, ${host}, () => console.log("listening"))`;

  it.runIf(process.platform === "linux")(
    "an unhealthy check names the port on which the service listens instead of its published port",
    async () => {
      const [own, host] = [await freePort(), await freePort()];
      const { healthy, message } = await seen(app(listen(String(own)), [published(8199, host)]));
      expect(healthy).toBe(false);
      expect(message).toContain(`it listens on 127.0.0.1:${own} instead; configure it to listen on the port in PORT`);
    },
  );

  it.runIf(process.platform === "linux")(
    "an unhealthy check explains that the service listens only on [::1]",
    async () => {
      const port = await freePort();
      const { healthy, message } = await seen(app(listen(String(port), '"::1"'), [published(8199, port)]));
      expect(healthy).toBe(false);
      expect(message).toContain(`it listens on [::1]:${port} only; let it listen on 127.0.0.1`);
    },
  );

  it("a PORT variable equal to the container port is replaced by the host port, with a note", async () => {
    const host = await freePort();
    const one = app(listen("Number(process.env.PORT)"), [published(8199, host)], { environment: { PORT: "8199" } });
    const { healthy, notes } = await seen(one);
    expect(healthy).toBe(true);
    expect(notes).toContain(`PORT is ${host} instead of 8199: the host port of its port 8199.`);
  });

  it("a PORT variable with a different port is kept, with a note that names the host port", async () => {
    const [own, host] = [await freePort(), await freePort()];
    const one = app(listen("Number(process.env.PORT)"), [published(8199, host)], {
      environment: { PORT: String(own) },
    });
    const { healthy, notes } = await seen(one);
    expect(healthy).toBe(false);
    expect(notes).toContain(`The compose file sets PORT to ${own}, but it must listen on ${host} to be reached.`);
  });
});
