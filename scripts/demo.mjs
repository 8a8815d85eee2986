// The main job, shown: an MCP client starts `stackwarden mcp` over stdio and operates the CommandCenter stack of
// examples/commandcenter on real services. Every line printed was seen, none is remembered. Run by `npm run demo`;
// `npm run demo -- --runtime docker` runs it on the Docker engine of this machine; `--without-worktrees` leaves out the
// part with two git work trees; `--state <folder>` keeps the state in that folder.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { worktrees } from "./lib/demo-worktrees.mjs";
import { root } from "./lib/run.mjs";

const project = "commandcenter";
const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code, text) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
const out = (text) => process.stdout.write(`${text}\n`);
const step = (text) => out(`\n${paint("1;36", `▸ ${text}`)}`);
const show = (text) => out(`  ${text}`);

class DemoFailure extends Error {}
/** A demonstration that shows something else than it says must fail. */
const expect = (condition, what) => {
  if (!condition) throw new DemoFailure(what);
  show(`${paint("32", "✓")} ${what}`);
};

const option = (name) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const runtime = option("--runtime");
const kept = option("--state");
const work = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-demo-work-")));
const state = kept ?? mkdtempSync(join(tmpdir(), "stackwarden-demo-"));
const { mcpServers } = JSON.parse(readFileSync(join(root, "mcp.json"), "utf8"));
const { command, args } = mcpServers.stackwarden;
const program = command === "node" ? process.execPath : command;
const env = {
  ...process.env,
  STACKWARDEN_ROOTS: [join(root, "examples"), work].join(delimiter),
  STACKWARDEN_STATE_DIR: state,
  STACKWARDEN_LOG_LEVEL: "warn",
  ...(runtime === undefined ? {} : { STACKWARDEN_RUNTIME: runtime }),
};
const transport = new StdioClientTransport({ command: program, args, cwd: root, env, stderr: "inherit" });
const client = new Client({ name: "demo", version: "1.0.0" });

async function call(name, input = {}, onProgress) {
  const result = await client.callTool({ name, arguments: { project, detail: true, ...input } }, undefined, {
    timeout: 600_000,
    resetTimeoutOnProgress: true,
    ...(onProgress ? { onprogress: onProgress } : {}),
  });
  if (result.isError) throw new DemoFailure(`${name}: ${JSON.stringify(result.structuredContent, null, 2)}`);
  return result.structuredContent;
}

const request = async (base, path, method = "GET", body) => {
  const response = await fetch(`${base}${path}`, {
    method,
    ...(body ? { body: JSON.stringify(body), headers: { "content-type": "application/json" } } : {}),
    signal: AbortSignal.timeout(10_000),
  });
  return response.json();
};

const until = async (what, condition, seconds = 60) => {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(250)) {
    const seen = await condition();
    if (seen) return seen;
  }
  throw new DemoFailure(`not within ${seconds} s: ${what}`);
};

async function demo() {
  step("An MCP client connects over stdio");
  await client.connect(transport);
  const { tools } = await client.listTools();
  show(tools.map((tool) => tool.name).join(", "));

  step("start_stack: postgres, redis, backend and frontend (the first start installs their dependencies)");
  let last = "";
  const started = await call("start_stack", { folder: "commandcenter", timeout_seconds: 600 }, ({ message }) => {
    if (message !== last) show(paint("2", message));
    last = message;
  });
  for (const one of Object.values(started.after.services)) {
    const limit = (name) => `${one.limits[name].value ?? "-"} (${one.limits[name].enforcement.level})`;
    show(
      `${one.service.padEnd(9)} ${one.state}  uid ${one.user.uid}  cpus ${limit("cpus")}  memory_mb ${limit("memory_mb")}  ${one.endpoints.map(({ url }) => url).join(" ")}`,
    );
  }
  expect(
    started.status === "healthy" && started.verified,
    `all services healthy after ${(started.took_ms / 1000).toFixed(1)} s`,
  );
  const url = (service) => started.after.services[service].endpoints[0].url;
  const backend = url("backend");

  step("The application works: a row in postgres, a counter in redis, a page of the frontend");
  const item = await request(backend, "/items", "POST", { name: "written before the crash" });
  show(`POST /items → ${JSON.stringify(item)}`);
  show(`POST /hits → ${JSON.stringify(await request(backend, "/hits", "POST"))}`);
  const page = await (await fetch(url("frontend"))).text();
  expect(page.includes("<html"), `the frontend answers at ${url("frontend")}`);

  step("health_status, with fresh checks");
  const health = await call("health_status", { fresh: true });
  for (const one of Object.values(health.services))
    show(`${one.service.padEnd(9)} ${one.status}  ${one.latency_ms} ms  ${one.check}: ${one.message}`);
  expect(health.overall_healthy, "overall_healthy");

  step("get_logs, filtered");
  const logs = await call("get_logs", { service: "backend", grep: "item added", tail: 5 });
  for (const line of logs.lines) show(`${paint("2", line.time)} ${line.service} | ${line.text}`);
  expect(logs.lines.length > 0, "the request is in the backend's log");

  step("Breaking it: the backend crashes on request");
  await request(backend, "/chaos/crash", "POST").catch(() => undefined);
  const crash = await until("a crash event", async () => {
    const { events } = await call("get_events", { service: "backend", types: ["service_crashed"] });
    return events.at(-1);
  });
  show(`${crash.type}: ${crash.message}`);
  for (const line of crash.data.last_lines) show(paint("2", `| ${line}`));
  const recovered = await call("health_status", { wait_for: "healthy", timeout_seconds: 60 });
  expect(recovered.overall_healthy, "the restart policy brought it back");

  step("restart_service postgres: nothing that was acknowledged is lost");
  const restarted = await call("restart_service", { service: "postgres", timeout_seconds: 60 });
  expect(restarted.verified, `${restarted.message} (${restarted.took_ms} ms)`);
  await call("health_status", { wait_for: "healthy", timeout_seconds: 60 });
  const items = await until("the items", () => request(backend, "/items").catch(() => undefined));
  expect(JSON.stringify(items).includes("written before the crash"), "the row is still there");

  step("set_limits on the running backend, seen by the kernel");
  const limits = await call("set_limits", { service: "backend", cpus: 0.2 });
  const cpu = limits.after.cpus;
  show(`cpus ${limits.before.cpus.value} → ${cpu.value}: ${cpu.enforcement.level} (${cpu.enforcement.reason})`);
  await request(backend, "/chaos/cpu?seconds=3", "POST").catch(() => undefined);
  await sleep(3000);
  const { services } = await call("get_stats", { services: ["backend"] });
  const { stats } = services.backend;
  show(
    `cpu ${stats.cpu_cores ?? "?"} cores, throttled ${stats.throttled_periods ?? "?"} times for ${stats.throttled_seconds ?? "?"} s in total, memory ${stats.memory_mb ?? "?"} MB`,
  );
  if (cpu.enforcement.level === "enforced") expect(stats.throttled_periods > 0, "a busy loop was throttled");
  else show(`this machine enforces no CPU limit: ${cpu.enforcement.reason}`);

  step("stop_stack");
  const stopped = await call("stop_stack", { timeout_seconds: 60 });
  expect(stopped.verified, `${stopped.message} (${stopped.took_ms} ms)`);
  // An engine in a virtual machine has no process here.
  for (const { service, pid } of Object.values(started.after.services))
    if (pid !== null) expect(!alive(pid), `process ${pid} of ${service} is gone`);
  for (const service of Object.keys(started.after.services)) {
    const closed = await fetch(url(service).replace("tcp:", "http:"), { signal: AbortSignal.timeout(2000) }).then(
      () => false,
      () => true,
    );
    expect(closed, `nothing listens at ${url(service)}`);
  }
}

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

try {
  await demo();
  if (process.argv.includes("--without-worktrees")) out("\nThe part with two work trees is left out.");
  else if (spawnSync("git", ["--version"]).status === 0) await worktrees({ call, step, show, expect, work, state });
  else out("\ngit is not installed: the part with two work trees is left out.");
  out(`\n${paint("1;32", "The demonstration ended as it should.")}`);
} catch (error) {
  out(`\n${paint("1;31", error instanceof DemoFailure ? error.message : String(error.stack ?? error))}`);
  process.exitCode = 1;
} finally {
  await client.close();
  // The server that the client's `mcp` started; by itself it would wait a while for the next client.
  const ended = spawnSync(program, [args[0], "server", "stop", "--force"], { cwd: root, env, encoding: "utf8" });
  if (ended.status !== 0) {
    out(ended.stderr);
    process.exitCode = 1;
  }
  rmSync(work, { recursive: true, force: true });
  if (kept === undefined) rmSync(state, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
