/** The watchdog when its server's pipe ends. engine-loss.test.ts tests a real watchdog. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, it } from "vitest";
import { plainAddress, watch } from "../../../../src/runtimes/docker/leftovers/watchdog-program.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-docker-watchdog-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Starts an engine with one container and one network, whose first requests fail. */
async function engine(failing = 0) {
  const path = join(folder, "engine.sock");
  const requests: string[] = [];
  let fails = failing;
  const server = createServer((request, response) => {
    const { method = "", url = "" } = request;
    requests.push(`${method} ${decodeURIComponent(url)}`);
    response.setHeader("content-type", "application/json");
    if (fails > 0) {
      fails -= 1;
      response.writeHead(500).end('{"message":"not yet"}');
    } else if (method === "DELETE") response.writeHead(url.includes("/networks/") ? 404 : 204).end();
    else if (url.startsWith("/containers/json")) response.end('[{"Id":"c1"}]');
    else if (url.startsWith("/networks")) response.end('[{"Id":"n1"}]');
    else response.end('{"OSType":"linux"}');
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { host: `unix://${path}`, requests, close: () => new Promise((resolve) => server.close(resolve)) };
}

const lines = (...messages: unknown[]): PassThrough => {
  const input = new PassThrough();
  for (const message of messages) input.write(typeof message === "string" ? message : `${JSON.stringify(message)}\n`);
  input.end();
  return input;
};

it("the watchdog removes containers, networks and secret folders of its server when the pipe ends", async () => {
  const one = await engine(2);
  const secrets = join(folder, "secrets");
  mkdirSync(secrets);
  try {
    const address = plainAddress({ host: one.host, source: "test" });
    await watch(lines({ engine: address }, { engine: address }, "torn li\n", { secrets }, '{"done'), "7@x", 1);
    const removed = one.requests.filter((request) => request.startsWith("DELETE"));
    expect(removed).toEqual(["DELETE /containers/c1?force=true&v=true", "DELETE /networks/n1"]);
    expect(one.requests.some((request) => request.includes("io.github.stackwarden.server=7@x"))).toBe(true);
    expect(existsSync(secrets)).toBe(false);
  } finally {
    await one.close();
  }
});

it("the watchdog removes nothing after the server sends done", async () => {
  const one = await engine();
  try {
    await watch(lines({ engine: plainAddress({ host: one.host, source: "test" }) }, { done: true }), "7@x", 1);
    expect(one.requests).toEqual([]);
  } finally {
    await one.close();
  }
});

it("the watchdog ends when the engine stays unreachable", async () => {
  const tls = { ca: Buffer.from("ca"), cert: Buffer.from("cert"), key: Buffer.from("key"), skipVerify: true };
  const plain = plainAddress({ host: "tcp://127.0.0.1:1", source: "test", tls });
  expect(plain.tls).toEqual({ ca: "Y2E=", cert: "Y2VydA==", key: "a2V5", skipVerify: true });
  await watch(lines({ engine: { ...plain, tls: { skipVerify: false } } }), "7@x", 1);
  await watch(lines({ engine: plain }), "7@x", 1);
});
