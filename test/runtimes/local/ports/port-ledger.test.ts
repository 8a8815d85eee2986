import { readFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accepts, listenersOn } from "../../../../src/runtimes/local/ports/listeners.js";
import { portRequests } from "../../../../src/runtimes/local/ports/port-requests.js";
import { hold } from "../../../../src/runtimes/shared/port-holder.js";
import { PortLedger } from "../../../../src/runtimes/shared/port-ledger.js";
import type { PortMapping, ServiceDefinition } from "../../../../src/stack/definition/types.js";
import { freePort, healthcheck } from "../../contract/bench.js";
import { definition, service } from "../support/fixture.js";

const published = (containerPort: number, hostPort?: number): PortMapping => ({
  containerPort,
  protocol: "tcp",
  ...(hostPort === undefined ? {} : { hostPort }),
});
/** The first port on which every user may listen. */
const firstFreePort = (): number => {
  try {
    return Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
  } catch {
    return 0;
  }
};
const web = (name: string, ...ports: PortMapping[]): ServiceDefinition => service(name, { ports });

describe("PortLedger", () => {
  let ledger: PortLedger;
  const foreign: Server[] = [];
  const occupy = async (port: number) => {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    foreign.push(server);
  };
  const free = async (port: number) => (await listenersOn(port)).length === 0;

  beforeEach(() => {
    ledger = new PortLedger(portRequests);
  });
  afterEach(async () => {
    await ledger.close();
    await Promise.all(foreign.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  });

  const restricted = process.getuid?.() === 0 && process.platform === "linux" && firstFreePort() > 1;
  it.skipIf(!restricted)("a ledger for an engine claims a fixed privileged port and never chooses one", async () => {
    const wishes = [web("web", published(80, 7)), web("auto", published(7))];
    process.seteuid?.(1000);
    try {
      await expect(ledger.apply(definition(wishes))).rejects.toMatchObject({ code: "UNSUPPORTED" });
      await ledger.close();
      ledger = new PortLedger(portRequests, { engineListens: true });
      await ledger.apply(definition(wishes));
      expect(ledger.hostPort("web", 80)).toBe(7);
      expect(ledger.hostPort("auto", 7)).toBeGreaterThan(7);
      expect(await ledger.secure("web")).toEqual([]);
      await ledger.release("web");
      await ledger.rehold("web");
      const other = new PortLedger(portRequests, { engineListens: true });
      await expect(other.apply(definition([web("other", published(80, 7))]))).rejects.toMatchObject({
        code: "PORT_IN_USE",
      });
      await other.close();
    } finally {
      process.seteuid?.(0);
    }
  });

  it("a set port that another server's check holds briefly is waited for, and an unset port avoids it", async () => {
    const port = await freePort();
    await occupy(port);
    const checking = foreign.pop() as Server;
    setTimeout(() => checking.close(), 30);
    await ledger.apply(definition([web("auto", published(port)), web("fixed", published(80, port))]));
    expect(ledger.hostPort("fixed", 80)).toBe(port);
    expect(ledger.hostPort("auto", port)).toBeGreaterThan(port);
  });

  it("a port is held from its choice until its release", async () => {
    const port = await freePort();
    await ledger.apply(definition([web("a", published(8000, port))]));
    await expect(occupy(port)).rejects.toMatchObject({ code: "EADDRINUSE" });
    expect(ledger.hostPort("a", 8000)).toBe(port);
    expect(ledger.hostPort("a", 8001)).toBeUndefined();
    await ledger.release("a");
    await occupy(port);
  });

  it("a preferred port in use is replaced by the next free one", async () => {
    const port = await freePort(2);
    await occupy(port);
    await ledger.apply(definition([web("a", { ...published(8000), preferredPort: port })]));
    expect(ledger.hostPort("a", 8000)).toBeGreaterThan(port);
  });

  it("a port range gives its first free port, and a range without a free port is refused", async () => {
    const port = await freePort(2);
    const range = { ...published(8000, port), hostPortEnd: port + 1 };
    await occupy(port);
    await ledger.apply(definition([web("a", range)]));
    expect(ledger.hostPort("a", 8000)).toBe(port + 1);
    await ledger.apply(definition([web("a", range)]));
    expect(ledger.hostPort("a", 8000)).toBe(port + 1);
    await expect(ledger.apply(definition([web("a", range), web("b", range)]))).rejects.toMatchObject({
      code: "PORT_IN_USE",
      details: { ports: [{ service: "b", port, container_port: 8000 }] },
    });
  });

  it("PORT_IN_USE names free ports with which the next attempt succeeds", async () => {
    const port = await freePort();
    await occupy(port);
    const error = await ledger.apply(definition([web("a", published(8000, port))])).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "PORT_IN_USE", details: { free_ports: { "a:8000": expect.any(Number) } } });
    const { free_ports: found } = (error as { details: { free_ports: Record<string, number> } }).details;
    const chosen = found["a:8000"] as number;
    await ledger.apply(definition([web("a", published(8000, chosen))]));
    expect(ledger.hostPort("a", 8000)).toBe(chosen);
  });

  it("a released port stays reserved against other stacks until its ledger is closed", async () => {
    const port = await freePort();
    const other = new PortLedger(portRequests);
    await ledger.apply(definition([web("a", published(port))]));
    expect(ledger.hostPort("a", port)).toBe(port);
    // The service is starting and does not listen yet.
    await ledger.release("a");
    await other.apply(definition([web("b", published(port))]));
    expect(other.hostPort("b", port)).toBeGreaterThan(port);
    await expect(other.apply(definition([web("b", published(1, port))]))).rejects.toMatchObject({
      code: "PORT_IN_USE",
      message: `Host port in use: ${port} (b).`,
    });
    await ledger.close();
    await other.apply(definition([web("b", published(1, port))]));
    expect(other.hostPort("b", 1)).toBe(port);
    await other.close();
  });

  it("a held port closes each incoming connection", async () => {
    const port = await freePort();
    await ledger.apply(definition([web("a", published(8000, port))]));
    const closed = await new Promise((resolve) => {
      connect(port, "127.0.0.1")
        .on("error", () => {})
        .on("close", () => resolve(true));
    });
    expect(closed).toBe(true);
  });

  it("PORT_IN_USE names every port in use with its service, and no port is held afterwards", async () => {
    const [one, two, three] = [await freePort(), await freePort(), await freePort()];
    await occupy(one);
    await occupy(two);
    const wanted = definition([
      web("a", published(1, one)),
      web("b", published(2, two)),
      web("c", published(3, three)),
    ]);
    await expect(ledger.apply(wanted)).rejects.toMatchObject({
      code: "PORT_IN_USE",
      message: `Host ports in use: ${one} (a), ${two} (b).`,
      details: {
        ports: [
          { service: "a", port: one, container_port: 1 },
          { service: "b", port: two, container_port: 2 },
        ],
      },
    });
    expect(await free(three)).toBe(true);
    expect(ledger.endpoints()).toEqual([]);
  });

  it("one host port for two services is refused, and so is a host port above 65535", async () => {
    const port = await freePort();
    await expect(
      ledger.apply(definition([web("a", published(1, port)), web("b", published(2, port))])),
    ).rejects.toMatchObject({ code: "PORT_IN_USE", message: `Host port in use: ${port} (b).` });
    await expect(ledger.apply(definition([web("a", published(1, 70_000))]))).rejects.toMatchObject({
      code: "UNSUPPORTED",
      hint: expect.stringContaining("1024"),
    });
  });

  it("an unset host port gets the next free one after all set host ports are assigned", async () => {
    const start = await freePort(2);
    await occupy(start);
    await ledger.apply(
      definition([
        web("unset", published(start)),
        web("unset2", published(start)),
        web("set", published(9, start + 1)),
      ]),
    );
    const [unset, unset2] = [ledger.hostPort("unset", start) ?? 0, ledger.hostPort("unset2", start) ?? 0];
    expect(ledger.hostPort("set", 9)).toBe(start + 1);
    expect(unset).toBeGreaterThan(start + 1);
    expect(unset2).toBeGreaterThan(unset);
    expect(ledger.endpoints().map((one) => one.service)).toEqual(["unset", "unset2", "set"]);
  });

  it("a search that reaches 65535 continues with any free port", async () => {
    await occupy(65_535).catch(() => {});
    await ledger.apply(definition([web("last", published(65_535))]));
    expect(ledger.hostPort("last", 65_535)).toBeLessThan(65_535);
  });

  it("an exposed port gets a free host port that endpoints() does not list", async () => {
    await ledger.apply(definition([service("a", { expose: [7000] })]));
    expect(ledger.hostPort("a", 7000)).toBeGreaterThan(1023);
    expect(ledger.endpoints()).toEqual([]);
    expect(ledger.ports("a")).toEqual([7000]);
    expect(ledger.services()).toEqual(["a"]);
  });

  it("an update keeps unchanged ports, moves ports between services and releases the others", async () => {
    const [one, two] = [await freePort(), await freePort()];
    await ledger.apply(definition([web("a", published(1, one)), web("b", published(2, two)), web("c", published(3))]));
    const was = ledger.hostPort("c", 3);
    await ledger.apply(definition([web("b", published(2, one)), web("c", published(3))]));
    expect(ledger.hostPort("b", 2)).toBe(one);
    expect(ledger.hostPort("c", 3)).toBe(was);
    expect(ledger.hostPort("a", 1)).toBeUndefined();
    expect(await free(two)).toBe(true);
    await expect(occupy(one)).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  it("an update with a port in use changes nothing, although it would move another port", async () => {
    const [one, two, busy] = [await freePort(), await freePort(), await freePort()];
    await occupy(busy);
    await ledger.apply(definition([web("a", published(1, one)), web("b", published(2, two))]));
    const update = definition([web("b", published(2, one)), web("x", published(3, busy))]);
    await expect(ledger.apply(update)).rejects.toMatchObject({ code: "PORT_IN_USE" });
    expect([ledger.hostPort("a", 1), ledger.hostPort("b", 2)]).toEqual([one, two]);
    for (const port of [one, two]) await expect(occupy(port)).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  it("an unset port that another process takes is replaced, and a set one fails with PORT_IN_USE", async () => {
    const set = await freePort();
    await ledger.apply(definition([web("a", published(await freePort())), web("b", published(1, set))]));
    const was = ledger.endpoints()[0]?.host_port ?? 0;
    expect(await ledger.secure("a")).toEqual([]);
    await ledger.release("a");
    await ledger.release("b");
    await occupy(was);
    await occupy(set);
    const [moved] = await ledger.secure("a");
    expect(moved).toMatchObject({ service: "a", from: was });
    expect(moved?.to).toBe(ledger.endpoints()[0]?.host_port);
    expect(moved?.to).not.toBe(was);
    await expect(ledger.secure("b")).rejects.toMatchObject({ code: "PORT_IN_USE" });
  });

  it("rehold holds the ports of an ended service that are still free", async () => {
    const [one, two] = [await freePort(), await freePort()];
    await ledger.apply(definition([web("a", published(1, one), published(2, two))]));
    await ledger.rehold("a");
    await ledger.release("a");
    await occupy(two);
    await ledger.rehold("a");
    await expect(occupy(one)).rejects.toMatchObject({ code: "EADDRINUSE" });
    await ledger.release("a");
    expect(await free(one)).toBe(true);
  });

  it("a closed ledger holds no port, and a pending rehold gets none", async () => {
    const port = await freePort();
    await ledger.apply(definition([web("a", published(1, port))]));
    await ledger.release("a");
    const late = ledger.rehold("a");
    await ledger.close();
    await late;
    await ledger.rehold("a");
    expect(await free(port)).toBe(true);
  });

  it("a held port does not keep the process alive", async () => {
    const server = (await hold(0)) as Server;
    expect((server as unknown as { _handle: { hasRef(): boolean } })._handle.hasRef()).toBe(false);
    const { port } = server.address() as { port: number };
    expect(await accepts(port)).toBe(true);
    await new Promise((resolve) => server.close(resolve));
    expect(await accepts(port)).toBe(false);
  });
});

describe("portRequests", () => {
  const numbers = (one: ServiceDefinition) => portRequests(one).map((wish) => [wish.containerPort, wish.published]);

  it("ports are listed in the order published, exposed, placeholder, health check", () => {
    const one = service("a", {
      ports: [published(80)],
      expose: [90, 80],
      local: { command: ["x", "{port}", "{port:91}"], environment: {} },
      healthcheck: healthcheck({ kind: "http", port: 92, path: "/", status: 200 }),
    });
    expect(numbers(one)).toEqual([
      [80, true],
      [90, false],
      [91, false],
      [92, false],
    ]);
  });

  it("a bare {port} requests a port without a number, and a health check requests its own port", () => {
    expect(numbers(service("a", { local: { command: ["x", "{port}"], environment: {} } }))).toEqual([[0, false]]);
    expect(numbers(service("a", { healthcheck: healthcheck({ kind: "tcp", port: 5 }) }))).toEqual([[5, false]]);
    expect(numbers(service("a"))).toEqual([]);
  });

  it("the provider's port is requested where the definition names no port", () => {
    expect(numbers(service("a", { image: "postgres:16" }))).toEqual([[5432, false]]);
    expect(numbers(service("a", { image: "redis", ports: [published(6379)] }))).toEqual([[6379, true]]);
  });

  it("a container port that is published twice is refused", () => {
    expect(() => portRequests(web("a", published(80, 1), published(80, 2)))).toThrowError(
      expect.objectContaining({ code: "UNSUPPORTED", hint: expect.stringContaining("services.a.ports") }),
    );
  });
});
