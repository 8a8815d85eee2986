/** Published ports: their addresses and reservation, and connections between services. */

import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { describe, expect, it } from "vitest";
import type { StackwardenError } from "../../../src/errors.js";
import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import { closeServer, freePort, listen, OTHER_PORT, until, WAITS, WEB_PORT } from "./bench.js";
import { type Given, once, shared } from "./contract.js";

const publishes = (hostPort?: number, containerPort = WEB_PORT): Partial<ServiceDefinition> => ({
  ports: [{ containerPort, protocol: "tcp", ...(hostPort === undefined ? {} : { hostPort }) }],
});

const HTTP = { kind: "http", port: WEB_PORT, path: "/", status: 200 } as const;

const answer = async (port: number, path = "/"): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5000) })).text();

const connects = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1500 });
    const end = (result: boolean) => () => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", end(true)).once("error", end(false)).once("timeout", end(false));
  });

/** Prints SEEN_AT, then again and again what the server at URL answers. */
const ASKS = `
import os, socket, time
print(os.environ["SEEN_AT"], flush=True)
host, port = os.environ["URL"].split("/")[2].split(":")
while True:
    try:
        with socket.create_connection((host, int(port)), timeout=2) as connection:
            connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            reply = b""
            while piece := connection.recv(65536): reply += piece
        print("received", reply.split(b"\\r\\n\\r\\n")[1].decode(), flush=True)
    except Exception as error:
        print("failed", error, flush=True)
    time.sleep(0.1)
`;

export function publishTests(given: Given): void {
  describe("published ports and service names", () => {
    /** A server that publishes one port and has another one, which a second service asks. */
    const all = shared(given, async (bench) => {
      const port = await freePort();
      const listens = { expose: [OTHER_PORT], environment: { PORT: `${WEB_PORT} ${OTHER_PORT}` } };
      const local = { environment: { HOST: "{host}", PORT: `{port:${WEB_PORT}} {port:${OTHER_PORT}}` } };
      const web = bench.web("web", { ...publishes(port), ...listens, local });
      const asks = bench.python("asks", ASKS, {
        networks: {},
        environment: { URL: `http://web:${OTHER_PORT}/`, SEEN_AT: `http://{published:web:${WEB_PORT}}/` },
      });
      const stack = await bench.open([web, asks]);
      const endpoints = stack.endpoints();
      // First: it reads the server's address, which must be known before the server starts.
      await bench.start(stack, asks);
      await bench.sink("asks").shows("failed");
      const running = await bench.start(stack, web);
      await bench.untilHealthy(running, HTTP);
      return { port, web, stack, endpoints, running };
    });
    /** Restarts the server. @returns what an attempt to listen on its port gave between the instances */
    const restarted = once(async () => {
      const { bench, port, web, stack, running } = await all();
      await running.stop({ graceMs: 10_000 });
      const attempt = await listen(port).then(closeServer, (error: unknown) => error);
      const next = await bench.start(stack, { ...web, environment: { ...web.environment, SAYS: "again" } });
      await bench.untilHealthy(next, HTTP);
      return attempt;
    });

    it("a published port is reachable on 127.0.0.1, and on other addresses only where reported", async () => {
      const { host = "127.0.0.1" } = given.target();
      const { port, endpoints, running } = await all();
      expect(endpoints).toEqual([{ service: "web", container_port: WEB_PORT, host, host_port: port }]);
      await until("it answers through its port", async () => (await answer(port).catch(() => "")) === "hello");
      const others = Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .filter(({ internal, family }) => !internal && family === "IPv4")
        .map(({ address }) => address);
      for (const address of [...others, "127.0.0.2"])
        expect(await connects(address, port), address).toBe(host === "0.0.0.0");
      expect(running.notes.filter((note) => note.includes("network")).length).toBe(host === "0.0.0.0" ? 1 : 0);
    });

    it("PORT_IN_USE names every port in use with its service", async () => {
      const bench = given();
      const taken = await Promise.all([listen(0), listen(0)]);
      const [first, second] = taken.map((server) => (server.address() as { port: number }).port);
      const free = await freePort();
      try {
        const services = [
          bench.web("alpha", publishes(first)),
          bench.web("beta", publishes(free)),
          bench.web("gamma", publishes(second)),
        ];
        const error = await bench.open(services).then(
          () => null,
          (thrown: StackwardenError) => thrown,
        );
        expect(error).toMatchObject({ code: "PORT_IN_USE" });
        for (const word of ["alpha", "gamma", String(first), String(second)]) expect(error?.message).toContain(word);
        expect(error?.message).not.toContain("beta");
        await closeServer(await listen(free));
      } finally {
        await Promise.all(taken.map(closeServer));
      }
    });

    it("an unset host port is the container port or the next free port", async () => {
      const bench = given();
      const first = await freePort();
      const blocker = await listen(first);
      try {
        const stack = await bench.open([bench.python("app", WAITS, publishes(undefined, first))]);
        const [endpoint] = stack.endpoints();
        expect(endpoint?.container_port).toBe(first);
        expect(endpoint?.host_port).toBeGreaterThan(first);
        await stack.close();
      } finally {
        await closeServer(blocker);
      }
      const stack = await bench.open([bench.python("app", WAITS, publishes(undefined, first))]);
      expect(stack.endpoints()[0]?.host_port).toBe(first);
    });

    it("a stack holds its host ports from its opening until its end", async () => {
      const bench = given();
      const port = await freePort();
      const stack = await bench.open([bench.web("web", publishes(port))]);
      await expect(listen(port)).rejects.toMatchObject({ code: "EADDRINUSE" });
      await stack.close();
      await closeServer(await listen(port));
    });

    it("a service's environment contains the published address of another service", async () => {
      const { bench, port } = await all();
      expect(bench.sink("asks").text().split("\n")[0]).toBe(`http://127.0.0.1:${port}/`);
    });

    it("a service reaches another one by name, also after that one restarts", async () => {
      const { bench } = await all();
      await bench.sink("asks").shows("received hello");
      await restarted();
      await bench.sink("asks").shows("received again");
    });

    it("a restart keeps the host port, at which the new instance replies", async () => {
      const { port, stack } = await all();
      expect(await restarted()).toMatchObject({ code: "EADDRINUSE" });
      expect(stack.endpoints()[0]?.host_port).toBe(port);
      await until("the new instance answers", async () => (await answer(port).catch(() => "")) === "again");
    });
  });
}
