/** `stackwarden serve` is the user's server with HTTP: agents and commands join it, and it replaces an idle server. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { APP, appCompose, TestBench, until } from "../e2e/support/bench.js";
import { spawnServe } from "../e2e/support/serving.js";
import { Commands, type Ran } from "../support/commands.js";
import { RawClient } from "./support.js";

const bench = new TestBench();
const commands = new Commands();
let clients: RawClient[] = [];
let serving: ChildProcess[] = [];
beforeAll(() => {
  for (const name of ["shop", "other/blog"]) bench.project(name, { "compose.yaml": appCompose(), "app.js": APP });
});
afterEach(async () => {
  for (const client of clients) client.child.kill("SIGKILL");
  for (const child of serving) child.kill("SIGTERM");
  await Promise.all(serving.map((child) => child.exitCode ?? child.signalCode ?? once(child, "exit")));
  [clients, serving] = [[], []];
});
afterAll(async () => {
  await commands.close();
  await bench.close();
});
const run = (...args: string[]): Promise<Ran> =>
  commands.run(args, {
    cwd: bench.projects,
    env: bench.commandEnvironment(),
  });

const open = (): RawClient => {
  const client = new RawClient(bench);
  clients.push(client);
  return client;
};

async function serve(...args: string[]) {
  const { child, exited: exit, stdout, stderr } = spawnServe(bench, ...args);
  serving.push(child);
  await until("it serves, or says why not", () => stdout().includes("\n") || child.exitCode !== null);
  if (child.exitCode !== null) return { code: child.exitCode, stderr: stderr() };
  const { rest, token_file: file } = JSON.parse(stdout()) as { rest: string; token_file: string };
  const headers = { Authorization: `Bearer ${readFileSync(file, "utf8").trim()}` };
  const get = async (path: string) => (await fetch(`${rest}${path}`, { headers })).json();
  return { child, get, exit };
}

it("serve replaces an idle background server and shares its stacks with agents and commands", async () => {
  await bench.endBackground();
  await run("server", "start");
  const idle = bench.background();
  const { child, get, exit } = await serve("--root", "shop");
  expect(bench.background()).toBe(child?.pid);
  expect(bench.background()).not.toBe(idle);
  const agent = await open().initialize();
  await agent.tool("start_stack", { project: "shop", folder: "shop" });
  expect(await get?.("/projects/shop/health")).toMatchObject({ overall_healthy: true });
  expect((await run("ps")).stdout).toMatch(/app\s+healthy/);
  // A token reaches only the roots of `serve`, not every stack of the user's agents.
  await agent.tool("start_stack", { project: "blog", folder: "other/blog" });
  const listed = JSON.stringify(await get?.("/projects"));
  expect(listed).toContain('"shop"');
  expect(listed).not.toContain("blog");
  const refused = await run("server", "stop");
  expect(refused.stderr).toMatch(/SERVER_IN_USE.*it serves http:/);
  const again = await serve();
  expect(again.code).toBe(1);
  expect(again.stderr).toMatch(/SERVER_IN_USE/);
  expect((await run("server", "stop", "--force")).code).toBe(0);
  expect((await exit)?.[0]).toBe(0);
  // The agent's next call starts a background server again.
  expect((await agent.tool("health_status", { project: "shop" })).state).toBe("stopped");
  expect(bench.background()).not.toBe(child?.pid);
});

it("serve refuses to replace a server that runs a stack", async () => {
  expect((await run("up", "-d", "-p", "shop", "--folder", "shop")).code).toBe(0);
  const running = bench.background();
  const refused = await serve();
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/SERVER_IN_USE.*it runs shop \(running\)/);
  expect(refused.stderr).toContain("stackwarden server stop --force");
  expect(bench.background()).toBe(running);
  expect((await run("health", "-p", "shop")).code).toBe(0);
});
