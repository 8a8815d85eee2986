/** The stdio server as a process: every end of its client, and the content of standard output. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

let folder: string;
let server: string;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stackwarden-stdio-"));
  server = join(folder, "server.mjs");
  await build({
    entryPoints: ["test/support/stdio-fixture.ts"],
    bundle: true,
    platform: "node",
    format: "esm",
    outfile: server,
    logLevel: "error",
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
});
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Running {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  request(method: string, params?: object): void;
  /** Waits until the text appeared. */
  until(stream: "stdout" | "stderr", text: string): Promise<void>;
  exit(): Promise<{ code: number | null; signal: string | null; ms: number }>;
}

const INIT = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } };

function start(env: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [server], { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
  children.add(child);
  const seen = { stdout: "", stderr: "" };
  child.stdout?.on("data", (chunk) => {
    seen.stdout += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    seen.stderr += chunk;
  });
  child.stdin?.on("error", () => undefined);
  const ended = once(child, "exit") as Promise<[number | null, string | null]>;
  let id = 0;
  return {
    child,
    stdout: () => seen.stdout,
    stderr: () => seen.stderr,
    request: (method, params = {}) => {
      child.stdin?.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
      id += 1;
    },
    until: async (stream, text) => {
      const latest = Date.now() + 10_000;
      while (!seen[stream].includes(text)) {
        if (Date.now() > latest) throw new Error(`no "${text}" on ${stream}: ${JSON.stringify(seen)}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    exit: async () => {
      const begin = Date.now();
      const [code, signal] = await ended;
      return { code, signal, ms: Date.now() - begin };
    },
  };
}

const messages = (running: Running): Record<string, unknown>[] =>
  running
    .stdout()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

/** A client with a manager and a long call in progress. */
async function busy(env: Record<string, string> = {}): Promise<Running> {
  const running = start(env);
  running.request("initialize", INIT);
  running.request("tools/call", { name: "start_stack", arguments: { project: "shop" } });
  await running.until("stderr", "START BEGUN");
  return running;
}

const ENDS: [string, string, (running: Running) => void][] = [
  ["the end of standard input", "standard input", ({ child }) => child.stdin?.end()],
  ["SIGTERM", "signal SIGTERM", ({ child }) => child.kill("SIGTERM")],
  ["SIGINT", "signal SIGINT", ({ child }) => child.kill("SIGINT")],
  ["SIGHUP", "signal SIGHUP", ({ child }) => child.kill("SIGHUP")],
  [
    "a broken standard output",
    "standard output failed",
    (running) => {
      running.child.stdout?.destroy();
      running.request("ping");
      running.request("tools/list");
    },
  ],
];

test.each(ENDS)(
  "%s cancels calls in progress, shuts the manager down and ends the process",
  async (_name, reason, end) => {
    const running = await busy();
    end(running);
    const { code, ms } = await running.exit();
    expect(code).toBe(0);
    // The documented limit is 5 s; a loaded machine gets more.
    expect(ms).toBeLessThan(20_000);
    expect(running.stderr()).toContain("START CANCELLED");
    expect(running.stderr()).toContain(`SHUTDOWN ${reason}`);
  },
);

test.each(ENDS)("%s ends a server without creating a manager when none was needed", async (_name, _reason, end) => {
  const running = start();
  running.request("initialize", INIT);
  running.request("tools/list");
  await running.until("stdout", "start_stack");
  end(running);
  expect(await running.exit()).toMatchObject({ code: 0 });
  expect(running.stderr()).not.toContain("MANAGER MADE");
});

test("a shutdown that hangs ends at the deadline", async () => {
  const running = await busy({ STUCK: "1", DEADLINE_MS: "600" });
  running.child.kill("SIGTERM");
  const { code, ms } = await running.exit();
  expect(code).toBe(1);
  expect(ms).toBeGreaterThan(400);
  expect(ms).toBeLessThan(20_000);
});

test("a second signal ends the process at once", async () => {
  const running = await busy({ STUCK: "1" });
  running.child.kill("SIGINT");
  await running.until("stderr", "SHUTDOWN");
  running.child.kill("SIGINT");
  const { code, ms } = await running.exit();
  expect(code).toBe(1);
  expect(ms).toBeLessThan(20_000);
});

test("requests sent just before standard input ends are answered", async () => {
  const running = start();
  running.request("initialize", INIT);
  running.request("tools/call", { name: "get_stats", arguments: { project: "shop" } });
  running.child.stdin?.end();
  expect(await running.exit()).toMatchObject({ code: 0 });
  expect(messages(running).map(({ id }) => id)).toEqual([0, 1]);
});

test("standard output has only JSON-RPC, also after invalid input and printing libraries", async () => {
  const running = start();
  running.child.stdin?.write("this is no JSON\n\n{}\n[]\n7\n");
  running.request("server/discover");
  running.request("initialize", INIT);
  running.request("tools/call", { name: "list_stacks" });
  await running.until("stdout", '"stacks"');
  running.child.stdin?.end();
  await running.exit();
  const received = messages(running);
  expect(received.every(({ jsonrpc }) => jsonrpc === "2.0")).toBe(true);
  expect(received[0]).toMatchObject({ id: 0, error: { code: -32601 } });
  expect(running.stdout()).not.toContain("a library prints");
  expect(running.stderr()).toContain("a library prints");
});

test("a line longer than the limit ends the connection", async () => {
  const running = start();
  running.request("initialize", INIT);
  running.child.stdin?.write("x".repeat(11 * 1024 * 1024));
  expect(await running.exit()).toMatchObject({ code: 0 });
});

test("the end of the parent process ends the server", async () => {
  // Standard input is a named pipe that this test holds open, so that it does not end with the parent.
  const fifo = join(folder, "stdin");
  execFileSync("mkfifo", [fifo]);
  const stdin = openSync(fifo, "r+");
  const inherit = `require("node:child_process").spawn(process.execPath, [${JSON.stringify(server)}], { stdio: "inherit" });
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ["-e", inherit], { stdio: [stdin, "pipe", "pipe"] });
  children.add(parent);
  let stderr = "";
  parent.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  const closed = once(parent.stderr as NodeJS.ReadableStream, "end");
  writeSync(stdin, `${JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params: INIT })}\n`);
  await once(parent.stdout as NodeJS.ReadableStream, "data");
  const begin = Date.now();
  parent.kill("SIGKILL");
  // The server holds the other end of standard error until it has ended.
  await closed;
  expect(Date.now() - begin).toBeLessThan(20_000);
  expect(stderr).toContain("the parent process is gone");
  closeSync(stdin);
});
