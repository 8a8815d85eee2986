/** Another user of the machine, a service or a program with a lesser token that keeps others from the HTTP server. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { BINARY, TestBench, until } from "../e2e/support/bench.js";

let bench: TestBench;
let server: ChildProcess;
let url: URL;
let token: string;
/** Descriptors of the server without connections. It remains 0 where they cannot be counted. */
let idle = 0;
const held: Socket[] = [];

beforeAll(async () => {
  bench = new TestBench("shared");
  bench.project("shop", {
    "compose.yaml": 'services:\n  app:\n    image: busybox\n    x-local: { command: [sleep, "1000"] }\n',
  });
  const env = { PATH: process.env.PATH, HOME: bench.folder, ...bench.environment() };
  server = spawn(process.execPath, [BINARY, "serve", "--port", "0", "--json"], { cwd: bench.projects, env });
  server.stderr?.resume();
  const [line] = (await once(createInterface({ input: server.stdout as NodeJS.ReadableStream }), "line")) as [string];
  url = new URL(JSON.parse(line).url);
  token = readFileSync(join(bench.state, "token"), "utf8").trim();
  idle = descriptors();
});

const descriptors = (): number => (process.platform === "linux" ? readdirSync(`/proc/${server.pid}/fd`).length : idle);

afterEach(async () => {
  for (const socket of held.splice(0)) socket.destroy();
  // Connections of this test would count against the next one's limits. A running stack needs some descriptors.
  await until("the server to close the connections", () => descriptors() < idle + 30);
});

afterAll(async () => {
  server.kill("SIGTERM");
  await once(server, "exit");
  await bench.close();
});

const open = async (text: string, localAddress = "127.0.0.1"): Promise<Socket> => {
  const socket = connect({ host: "127.0.0.1", port: Number(url.port), localAddress });
  held.push(socket);
  socket.on("error", () => undefined);
  await Promise.race([once(socket, "connect"), once(socket, "close")]);
  socket.write(text);
  return socket;
};

/** How many of ten requests with this token are answered. */
const answered = async (bearer: string): Promise<number> => {
  let count = 0;
  for (let round = 0; round < 10; round += 1) {
    const headers = { authorization: `Bearer ${bearer}`, connection: "close" };
    const status = await fetch(new URL("/api/v1/access", url), { headers }).then(
      ({ status }) => status,
      () => 0,
    );
    if (status === 200) count += 1;
  }
  return count;
};

const residentMb = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1] ?? 0) / 1024;

const PAGE = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

it("150 clients that connect at the same time with a token are all answered", async () => {
  // Sockets, because 150 calls of fetch take longer on a busy machine than the server waits for their requests.
  const request = `GET /api/v1/access HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`;
  const get = (): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect({ host: "127.0.0.1", port: Number(url.port) });
      held.push(socket);
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("error", (error) => resolve(String(error)));
      socket.on("close", () => resolve(text.split("\r\n")[0] as string));
      socket.write(request);
    });
  expect(new Set(await Promise.all(Array.from({ length: 150 }, get)))).toEqual(new Set(["HTTP/1.1 200 OK"]));
});

it("a client receives every response of requests that it sent before reading", async () => {
  const socket = await open("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(5));
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  await until("five responses", () => text.match(/HTTP\/1\.1 200 /g)?.length === 5);
});

// Before, 512 followed logs of a token of scope read took every connection.
it("connections of a token of scope read do not exclude requests with another token", async () => {
  const env = { ...process.env, ...bench.environment() };
  const reader = execFileSync(process.execPath, [BINARY, "token", "add", "reader", "--scope", "read"], { env })
    .toString()
    .trim();
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  // The server has the definition of a running stack, and reads that of another one for each request.
  const start = await fetch(new URL("/api/v1/projects/shop/start", url), { method: "POST", headers, body: "{}" });
  expect(start.status).toBe(200);
  const follow = `GET /api/v1/projects/shop/logs?follow=true HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${reader}\r\n\r\n`;
  for (let batch = 0; batch < 10; batch += 1) await Promise.all(Array.from({ length: 52 }, () => open(follow)));
  expect(await answered(token)).toBe(10);
});

// Before, 50 connections with 2,000 requests each took 6.2 GB, and no request was answered for 258 s (1 of 1 run).
it.skipIf(process.platform !== "linux")(
  "pipelined requests without a token take less than 200 MB of memory",
  async () => {
    const before = residentMb();
    // At 62 KB for each request, these would take 900 MB.
    for (let index = 0; index < 10; index += 1) (await open(PAGE.repeat(1500))).pause();
    let highest = 0;
    for (let round = 0; round < 10; round += 1) {
      expect(await answered(token)).toBe(10);
      highest = Math.max(highest, residentMb());
    }
    expect(highest - before).toBeLessThan(200);
  },
);

// Before, 0 of 20 requests with a token were answered, in each of two runs.
it.skipIf(process.platform !== "linux")(
  "connections without a token do not exclude requests with a token, from any loopback address",
  async () => {
    for (let index = 0; index < 600; index += 1)
      await open(index % 2 === 0 ? "GET /healthz HT" : PAGE, `127.0.0.${2 + (index % 200)}`);
    expect(await answered(token)).toBe(10);
  },
);
