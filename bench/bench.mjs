// `npm run bench`: prints each measurement with what it is compared with. Results are kept in docs/BENCHMARKS.md.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  BINARY,
  connect,
  endServer,
  median,
  percentile,
  referenceServer,
  serverPid,
  timed,
  workFolder,
} from "./lib.mjs";

const out = (text) => process.stdout.write(`${text}\n`);
const ms = (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

/** From the spawn to the complete answer of tools/list, without any client library in between. */
function toolsList(args, env = {}) {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "ignore"], env: { ...process.env, ...env } });
    let text = "";
    child.once("error", reject);
    child.stdout.on("data", (chunk) => {
      text += chunk;
      if (!/"id":2,.*\}\n|"id":2\}\n/.test(text)) return;
      const took = performance.now() - begun;
      child.kill("SIGKILL");
      child.once("exit", () => resolve(took));
    });
    const send = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    child.stdin.on("error", () => undefined);
    send({
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } },
    });
    send({ method: "notifications/initialized" });
    send({ id: 2, method: "tools/list" });
  });
}

async function start(peer) {
  const times = { joined: [], alone: [], first: [], theirs: [], bare: [] };
  const { folder, remove } = workFolder();
  const state = join(folder, "state");
  const env = { STACKWARDEN_STATE_DIR: state };
  for (let i = 0; i < 15; i += 1) {
    endServer(state);
    times.first.push(await toolsList([BINARY, "mcp"], env));
    times.joined.push(await toolsList([BINARY, "mcp"], env));
    times.alone.push(await toolsList([BINARY, "mcp", "--standalone"], env));
    times.theirs.push(await toolsList([peer, "stdio"]));
    times.bare.push(
      await timed(() => new Promise((resolve) => spawn(process.execPath, ["-e", ""]).once("exit", resolve))),
    );
  }
  endServer(state);
  remove();
  const p50 = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)]));
  const ratio = (value) => (value / p50.theirs).toFixed(2);
  out(`spawn → tools/list   server-everything ${ms(p50.theirs)}, bare node ${ms(p50.bare)}`);
  out(`  server running     ${ms(p50.joined)}: ratio ${ratio(p50.joined)} (aim: at most 0.60)`);
  out(`  standalone         ${ms(p50.alone)}: ratio ${ratio(p50.alone)} (aim: at most 0.60)`);
  out(`  server started     ${ms(p50.first)}: ratio ${ratio(p50.first)} (once, then the server runs)`);
}

const APP = `
const { createServer } = require("node:http");
createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://x");
  const lines = Number(searchParams.get("lines"));
  response.end("ok");
  if (pathname === "/now") console.log(Date.now());
  let i = 0;
  const go = () => {
    let text = "";
    for (let k = 0; k < 2000 && i < lines; k += 1) text += "line " + (i += 1) + " of the flood\\n";
    if (i < lines) process.stdout.write(text, go); else process.stdout.write(text + "flood done\\n");
  };
  if (lines > 0) go();
}).listen(Number(process.env.PORT), "127.0.0.1");
`;
const service = (name, delay = 0) => `
  ${name}:
    image: node:20-alpine
    ports: ["8080"]
    healthcheck: { test: ["CMD", "true"], interval: 1s, start_period: 30s, start_interval: 100ms, x-probe: { type: http, port: 8080, path: /, status: 200 } }
    x-local: { command: ["node", "-e", "setTimeout(() => require('./app.js'), ${delay})"] }
`;

async function withStack(name, compose, work, mode = []) {
  const { folder, remove } = workFolder();
  const project = join(folder, name);
  mkdirSync(project, { mode: 0o755 });
  writeFileSync(join(project, "app.js"), APP);
  writeFileSync(join(project, "compose.yaml"), `services:${compose}`);
  const state = join(folder, "state");
  const env = { STACKWARDEN_STATE_DIR: state, STACKWARDEN_LOG_LEVEL: "error" };
  const server = await connect([BINARY, "mcp", ...mode], env, folder);
  try {
    return await work({ ...server, pid: mode.length === 0 ? serverPid(state) : server.pid }, name);
  } finally {
    await server.close();
    endServer(state);
    remove();
  }
}

const rss = (pid) => {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
  } catch {
    return Number.NaN;
  }
};

async function calls(peer) {
  for (const [title, mode] of [
    ["through the background server", []],
    ["standalone", ["--standalone"]],
  ]) {
    out(`calls, ${title}`);
    await callsOf(peer, mode);
  }
}

async function callsOf(peer, mode) {
  const reference = await connect([peer, "stdio"]);
  const work = async (server, project) => {
    const started = await server.call("start_stack", { project, folder: project });
    const { url } = started.after.services.app.endpoints[0];
    const compare = async (title) => {
      const times = { echo: [], health: [], logs: [] };
      for (let i = 0; i < 400; i += 1) {
        times.echo.push(await timed(() => reference.call("echo", { message: "hello" })));
        times.health.push(await timed(() => server.call("health_status", { project })));
        times.logs.push(await timed(() => server.call("get_logs", { project, tail: 100 })));
      }
      const p50 = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, percentile(list, 0.5)]));
      out(
        `${title}   echo ${ms(p50.echo)}, health_status ${ms(p50.health)} (${(p50.health / p50.echo).toFixed(2)} ×), get_logs(100) ${ms(p50.logs)} (${(p50.logs / p50.echo).toFixed(2)} ×; aim: at most 2 ×)`,
      );
    };
    await compare("calls, empty log     ");
    const before = rss(server.pid);
    const lines = 1_000_000;
    const took = await timed(async () => {
      await fetch(`${url}/?lines=${lines}`);
      for (;;) {
        const page = await server.call("get_logs", { project, tail: 1 });
        if (page.lines.at(-1)?.text === "flood done") break;
      }
    });
    const page = await server.call("get_logs", { project, tail: 2 });
    const lost = Object.values(page.dropped).reduce((sum, count) => sum + count, 0);
    out(
      `log intake           ${lines.toLocaleString("en")} lines in ${(took / 1000).toFixed(2)} s, ${lost.toLocaleString("en")} rotated away, last line "${page.lines[0].text}", server memory ${before.toFixed(0)} → ${rss(server.pid).toFixed(0)} MB`,
    );
    await compare("calls, million lines ");
  };
  await withStack("calls", service("app"), work, mode);
  await reference.close();
}

/** From a service's writing of a line to the moment the client that waits for it has it. */
async function follow() {
  await withStack("follow", service("app"), async (server, project) => {
    const started = await server.call("start_stack", { project, folder: project });
    const { url } = started.after.services.app.endpoints[0];
    let { next_cursor: cursor } = await server.call("get_logs", { project, tail: 1 });
    const late = [];
    for (let i = 0; i < 100; i += 1) {
      const reading = server.call("get_logs", { project, cursor, wait_seconds: 20 });
      await new Promise((resolve) => setTimeout(resolve, 20));
      await fetch(`${url}/now`);
      const page = await reading;
      late.push(Date.now() - Number(page.lines.at(-1).text));
      cursor = page.next_cursor;
    }
    out(
      `follow               a new line after ${percentile(late, 0.5)} ms (median of 100), ${Math.max(...late)} ms (longest; aim: at most 500 ms)`,
    );
  });
}

/** Searches of a full log, and the server's memory before a flood, after it and when the server has been idle. */
async function search() {
  await withStack("search", service("app"), async (server, project) => {
    const started = await server.call("start_stack", { project, folder: project });
    const { url } = started.after.services.app.endpoints[0];
    await server.call("get_logs", { project, tail: 1 });
    const before = rss(server.pid);
    // The stored form of these lines fills the 64 MiB of one service.
    await fetch(`${url}/?lines=1200000`);
    for (;;) {
      const page = await server.call("get_logs", { project, tail: 1 });
      if (page.lines.at(-1)?.text === "flood done") break;
    }
    const after = rss(server.pid);
    const idle = [];
    for (let i = 0; i < 3; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      idle.push(rss(server.pid).toFixed(0));
    }
    out(
      `memory of the server ${before.toFixed(0)} MB, after a flood ${after.toFixed(0)} MB, idle for 10, 20 and 30 s ${idle.join(", ")} MB`,
    );
    for (const [title, input] of [
      ["a text that no line has", { grep: "no such text" }],
      ["an expression that no line matches", { grep: "flood of \\d+|no such", regex: true }],
      ["a text with five lines around it", { grep: "line 500001 of", context: 5 }],
    ]) {
      const times = [];
      for (let i = 0; i < 5; i += 1) times.push(await timed(() => server.call("get_logs", { project, ...input })));
      out(`search of ${title}: ${ms(median(times))} (median of 5; aim: at most 1000 ms)`);
    }
  });
}

async function parallel() {
  const alone = [];
  const four = [];
  const delay = 800;
  for (let i = 0; i < 5; i += 1) {
    const run = (compose, list) =>
      withStack("par", compose, async (server, project) => {
        // The process layer is loaded by then: what is compared is the services' start.
        await server.call("health_status", { project });
        const { took_ms } = await server.call("start_stack", { project, folder: project });
        list.push(took_ms);
      });
    await run(service("slow", delay), alone);
    await run(service("a") + service("b") + service("c") + service("slow", delay), four);
  }
  out(
    `four in parallel     ${ms(median(four))} against ${ms(median(alone))} for the slowest alone: ratio ${(median(four) / median(alone)).toFixed(2)} (aim: at most 1.30)`,
  );
}

const peer = referenceServer();
const wanted = process.argv.slice(2);
for (const [name, run] of Object.entries({ start, calls, follow, search, parallel }))
  if (wanted.length === 0 || wanted.includes(name)) await run(peer);
