/** The limit of forwarded connections, on a server that may open few files. */
import { existsSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { TestBench } from "./support/bench.js";

const isSupported =
  process.getuid?.() === 0 && ["pasta", "bwrap", "prlimit"].every((name) => existsSync(`/usr/bin/${name}`));
if (!isSupported) process.stderr.write("forwarded-connections.test.ts: skipped (needs root, bubblewrap and pasta)\n");

/** Open files of the server. It forwards a quarter as many connections. */
const FILES = 512;
const LIMIT = FILES / 4;

const ECHO = `
import net from "node:net";
net.createServer((socket) => socket.pipe(socket).on("error", () => undefined)).listen(7000, "0.0.0.0");
`;

describe.runIf(isSupported)("forwarded connections", () => {
  const bench = new TestBench("standalone");
  bench.wrapper = ["prlimit", `--nofile=${FILES}:${FILES}`];
  const sockets: Socket[] = [];
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await bench.close();
  });

  /** Resolves to `served` when the service answers, and to `closed` when the connection ends before. */
  const dial = (port: number): Promise<"served" | "closed"> =>
    new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.write("x"));
      sockets.push(socket);
      socket.once("data", () => resolve("served"));
      socket.once("error", () => resolve("closed"));
      socket.once("close", () => resolve("closed"));
    });

  it("connections beyond the limit are closed, with one event that names the service and the limit", async () => {
    bench.project("echo", {
      "compose.yaml": `
services:
  echo:
    image: node:22
    ports: ["7000"]
    x-local: { command: [node, server.mjs] }
`,
      "server.mjs": ECHO,
    });
    const server = await bench.server();
    const { after } = await server.call("start_stack", { project: "echo", timeout_seconds: 120 });
    const [{ host_port: port }] = after.services.echo.endpoints;
    const answers = await Promise.all(Array.from({ length: LIMIT + 20 }, () => dial(port)));
    expect(answers.filter((answer) => answer === "served")).toHaveLength(LIMIT);
    const { events } = await server.call("get_events", { project: "echo", types: ["warning"] });
    expect(events).toEqual([
      expect.objectContaining({ service: "echo", message: expect.stringContaining(`forwards ${LIMIT} connections`) }),
    ]);
  }, 300_000);
});
