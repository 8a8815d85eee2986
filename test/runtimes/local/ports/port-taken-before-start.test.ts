/** Another process takes a service's port between its release by the ledger and the start of the service. */
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ManagedProcess, ProcessSpec } from "../../../../src/runtimes/local/types.js";
import type { PortMapping } from "../../../../src/stack/definition/types.js";
import { freePort, healthcheck } from "../../contract/bench.js";
import { DirectHost } from "../support/direct-host.js";
import { Fixture, service, untilHealthy } from "../support/fixture.js";

const SERVER = `
require("node:http").createServer((_, response) => response.end("mine")).listen(Number(process.argv[2]), process.argv[3]);
`;
const ok = healthcheck({ kind: "http", port: 8000, path: "/", status: 200 });

class PortTakingHost extends DirectHost {
  readonly listeners: Server[] = [];
  /** Ports to take, one before each spawn. */
  targets: number[] = [];

  override async spawn(spec: ProcessSpec): Promise<ManagedProcess> {
    const target = this.targets.shift();
    if (target !== undefined) {
      const listener = createServer((socket) => socket.destroy());
      await new Promise<void>((resolve, reject) => {
        listener.once("error", reject);
        listener.listen(target, "127.0.0.1", resolve);
      });
      this.listeners.push(listener);
    }
    return super.spawn(spec);
  }
}

describe.runIf(process.getuid?.() === 0)("a port that another process takes before the start", () => {
  let host: PortTakingHost;
  let fixture: Fixture;
  beforeEach(() => {
    host = new PortTakingHost();
    fixture = new Fixture(host);
    fixture.file("app/server.cjs", SERVER);
  });
  afterEach(async () => {
    await fixture.close();
    await Promise.all(host.listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  });
  const web = (ports: PortMapping[], address = "{host}") =>
    service("web", {
      ports,
      local: {
        command: ["node", "server.cjs", "{port}", address],
        workingDir: join(fixture.folder, "app"),
        environment: {},
      },
    });

  it("an unset host port that another process takes is replaced, with a port_reassigned event", async () => {
    const one = web([{ containerPort: 8000, protocol: "tcp" }]);
    const stack = await fixture.open([one]);
    const [before] = stack.endpoints();
    host.targets = [before?.host_port ?? 0];
    const running = await fixture.start(stack, one);
    const [after] = stack.endpoints();
    expect(after?.host_port).not.toBe(before?.host_port);
    expect(await untilHealthy(running, ok)).toMatchObject({ healthy: true });
    expect(await (await fetch(`http://127.0.0.1:${after?.host_port}/`)).text()).toBe("mine");
    const message = `Port ${before?.host_port} was taken by another process; web now uses ${after?.host_port}.`;
    expect(fixture.notices).toContainEqual({ type: "port_reassigned", service: "web", message });
    expect(running.notes).toContain(message);
  });

  it("a set host port that another process takes fails the start with PORT_IN_USE and leaves no process", async () => {
    const port = await freePort();
    const one = web([{ containerPort: 8000, hostPort: port, protocol: "tcp" }]);
    const stack = await fixture.open([one]);
    host.targets = [port];
    await expect(fixture.start(stack, one)).rejects.toMatchObject({
      code: "PORT_IN_USE",
      details: { ports: [{ service: "web" }] },
    });
    for (const { child } of host.spawned) expect(child.exitCode ?? child.signalCode).not.toBeNull();
  });

  it("a service that listens on all addresses is reported with a warning and a note", async () => {
    const one = web([{ containerPort: 8000, protocol: "tcp" }], "0.0.0.0");
    const stack = await fixture.open([one]);
    const running = await fixture.start(stack, one);
    const warning = { type: "warning", service: "web", message: expect.stringContaining("not only on 127.0.0.1") };
    expect(fixture.notices).toContainEqual(warning);
    expect(running.notes.join()).toContain("others on the network can reach it");
  });
});
