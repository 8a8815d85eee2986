/** A program with a fixed port reaches the database of its own stack while another stack uses the same port. */
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ServiceAddresses } from "../../../../src/runtimes/local/addresses/service-addresses.js";
import { MACHINE_LOOPBACK } from "../../../../src/runtimes/local/network/loopback.js";
import { ListenWatch } from "../../../../src/runtimes/local/ports/listen-watch.js";
import { listeners } from "../../../../src/runtimes/local/ports/listeners.js";
import type { RuntimeStack } from "../../../../src/stack/runtime.js";
import { freePort } from "../../contract/bench.js";
import { definition, Fixture, service, untilHealthy } from "../support/fixture.js";

/** Sends one inline command of Redis. @returns the first line of the reply */
async function redis(host: string, port: number, command: string): Promise<string> {
  const socket = connect({ host, port });
  socket.end(`${command}\r\n`);
  let text = "";
  for await (const chunk of socket) text += chunk;
  return text.split("\r\n")[/^\$\d/.test(text) ? 1 : 0] ?? "";
}

const CHECK = {
  test: { kind: "redis" as const },
  intervalMs: 1000,
  timeoutMs: 3000,
  retries: 3,
  startPeriodMs: 0,
  startIntervalMs: 100,
};

describe.skipIf(process.platform !== "linux")("addresses of two stacks on the local runtime", () => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = new Fixture();
  });
  afterEach(() => fixture.close());

  const db = service("db", { image: "redis:7", local: { provider: "redis", environment: {} } });
  const app = service("app", {
    environment: { REDIS_HOST: "db" },
    local: {
      command: ["node", "-e", "console.log(process.env.REDIS_HOST, process.env.REDIS_PORT ?? 6379)"],
      environment: {},
    },
  });

  /** Starts a stack with Redis and an app. @returns the address that the app uses */
  async function started(name: string): Promise<{ stack: RuntimeStack; host: string; port: number; notes: string[] }> {
    const stateDir = join(fixture.serverState, "projects", name);
    mkdirSync(stateDir, { recursive: true, mode: 0o711 });
    const stack = await fixture.runtime.open(fixture.request(definition([db, app]), { projectId: name, stateDir }));
    const running = await fixture.start(stack, db);
    expect(await untilHealthy(running, CHECK)).toMatchObject({ healthy: true });
    const client = await fixture.start(stack, app);
    await client.exited;
    const [host = "", port] = fixture.log("app").trim().split(" ");
    return { stack, host, port: Number(port), notes: client.notes };
  }

  it("a service name with its container port connects to the database of its own stack", async () => {
    const one = await started("one");
    const two = await started("two");
    for (const { host, port, notes } of [one, two]) {
      expect(host).toMatch(/^127\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+$/);
      expect(port).toBe(6379);
      expect(notes).toContain(`REDIS_HOST is ${host}, an address of this stack on which db accepts port 6379.`);
    }
    expect(one.host).not.toBe(two.host);
    expect(await redis(one.host, 6379, "SET owner one")).toBe("+OK");
    expect(await redis(two.host, 6379, "GET owner")).toBe("$-1");
    expect(await redis(one.host, 6379, "GET owner")).toBe("one");
    await one.stack.close();
    await expect(redis(one.host, 6379, "GET owner")).rejects.toThrow("ECONNREFUSED");
    expect(await redis(two.host, 6379, "PING")).toBe("+PONG");
  });

  it.runIf(process.getuid?.() === 0)("ListenWatch reports a connection to the database of another stack", async () => {
    await started("one");
    const uid = fixture.host.spawned?.find(({ spec }) => spec.service === "db")?.spec.user.uid;
    const listening = (await listeners())?.find((socket) => socket.uid === uid)?.port;
    const client = service("app", {
      local: {
        command: [
          "node",
          "-e",
          `require("node:net").connect(${listening}, "127.0.0.1", () => console.log("connected"))`,
        ],
        environment: {},
      },
    });
    const stateDir = join(fixture.serverState, "projects", "two");
    mkdirSync(stateDir, { recursive: true, mode: 0o711 });
    const two = await fixture.runtime.open(fixture.request(definition([client]), { projectId: "two", stateDir }));
    const running = await fixture.start(two, client);
    await fixture.sinks.get("app")?.shows("connected");
    const neighbours: string[] = [];
    const watch = new ListenWatch({
      uid: running.user.uid ?? 0,
      project: "two",
      loopback: MACHINE_LOOPBACK,
      ports: () => [],
      onOpen: () => undefined,
      onNeighbour: (at, other) => neighbours.push(`${at} ${other.project}/${other.service}`),
    });
    await watch.look();
    await watch.look();
    watch.end();
    expect(neighbours).toEqual([`${listening} one/db`]);
    await running.stop({ graceMs: 0 });
  });

  it("a forward follows its service to a new port after another service takes the old one", async () => {
    const ports: Record<string, number> = { db2: 20_000 };
    const open: { to: number | undefined; closed: boolean }[] = [];
    // As in a network namespace: a forward keeps the port with which it was created.
    const loopback = {
      ...MACHINE_LOOPBACK,
      forward: async (_host: string, _port: number, to: () => number | undefined) => {
        const forward = { to: to(), closed: false };
        open.push(forward);
        return {
          close: async () => {
            forward.closed = true;
          },
        };
      },
    };
    const addresses = new ServiceAddresses("moved", (service) => ports[service], loopback);
    await addresses.provide([{ service: "db2", containerPort: 5432 }]);
    Object.assign(ports, { db2: 20_001, db3: 20_000 });
    const both = ["db2", "db3"].map((service) => ({ service, containerPort: 5432 }));
    await addresses.provide(both);
    await addresses.provide(both);
    expect(open).toEqual([
      { to: 20_000, closed: true },
      { to: 20_001, closed: false },
      { to: 20_000, closed: false },
    ]);
    await addresses.close();
    expect(open.every(({ closed }) => closed)).toBe(true);
  });

  it("two stacks get different loopback networks, which close connections to a service without a port", async () => {
    const port = await freePort();
    const first = new ServiceAddresses("same", () => undefined);
    const second = new ServiceAddresses("same", () => undefined);
    await first.provide([{ service: "db", containerPort: port }]);
    await second.provide([{ service: "db", containerPort: port }]);
    expect(first.of("db", port)).toMatch(/^127\./);
    expect(second.of("db", port)).not.toBe(first.of("db", port));
    const socket = connect({ host: first.of("db", port) as string, port });
    await once(socket, "close");
    await Promise.all([first.close(), second.close()]);
    expect(first.of("db", port)).toBeUndefined();
  });
});
