// What an agent's work costs: 37 calls of an agent that starts, breaks, repairs and stops a small stack, in characters of
// the answers that its model reads. `node bench/agent-answers.mjs [binary]` runs another build, to compare.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BINARY, connect, workFolder } from "./lib.mjs";

const APP = `const http = require("node:http");
const store = {};
setInterval(() => console.log(new Date().toISOString(), "INFO heartbeat", Math.floor(Math.random() * 1e6), "queue=" + Math.floor(Math.random() * 40)), 150);
http.createServer((request, response) => {
  const started = process.hrtime.bigint();
  try {
    if (request.url === "/boom") throw new Error("cannot read order 42");
    response.end("ok");
  } catch (error) { console.error(error.stack); response.statusCode = 500; response.end("error"); }
  console.log(request.method, request.url, response.statusCode, Number(process.hrtime.bigint() - started) / 1e6 + "ms");
}).listen(Number(process.env.PORT), "127.0.0.1");
`;
const COMPOSE = `services:
  api: &service
    image: node:20
    ports: [":3000"]
    environment: { LOG_LEVEL: info }
    deploy: { resources: { limits: { memory: 256M } } }
    healthcheck: { test: ["CMD", "curl", "-f", "http://localhost:3000/health"], interval: 1s, start_period: 20s }
    x-local: { command: ["node", "api.js"] }
  web:
    image: node:20
    ports: [":3000"]
    depends_on: { api: { condition: service_healthy } }
    healthcheck: { test: ["CMD", "curl", "-f", "http://localhost:3000/"], interval: 1s, start_period: 20s }
    x-local: { command: ["node", "web.js"] }
  worker:
    image: node:20
    depends_on: { api: { condition: service_healthy } }
    x-local: { command: ["node", "worker.js"] }
`;
const WORKER = `let n = 0; setInterval(() => console.log(JSON.stringify({ level: "info", time: Date.now(), msg: "job done", id: n++, took_ms: Math.floor(Math.random() * 90) })), 60);`;

/**
 * @param more arguments of every call
 * @returns {Promise<{calls: number, characters: number, byTool: Record<string, number>}>}
 */
export async function agentAnswers(binary = BINARY, more = {}) {
  const { folder, remove } = workFolder();
  const project = "shop";
  const shop = join(folder, project);
  mkdirSync(shop);
  const write = (name, text) => writeFileSync(join(shop, name), text);
  write("compose.yaml", COMPOSE);
  write("web.js", APP);
  write("worker.js", WORKER);
  write("api.js", `require("./missing-module");\n${APP}`);
  const environment = {
    STACKWARDEN_STATE_DIR: join(folder, "state"),
    STACKWARDEN_ROOTS: folder,
    STACKWARDEN_RUNTIME: "local",
    HOME: folder,
  };
  const { client } = await connect([binary, "mcp", "--standalone"], environment, folder);
  const byTool = {};
  let calls = 0;
  const call = async (name, input = {}) => {
    const { structuredContent } = await client.callTool(
      { name, arguments: name === "list_stacks" ? { ...more, ...input } : { project, ...more, ...input } },
      undefined,
      { timeout: 300_000 },
    );
    calls += 1;
    if (process.env.SHOW) console.error(name, JSON.stringify(input), JSON.stringify(structuredContent), "\n");
    byTool[name] = (byTool[name] ?? 0) + JSON.stringify(structuredContent).length;
    return structuredContent;
  };
  const request = async (answer, path, count = 1) => {
    const url = JSON.stringify(answer).match(/http:\/\/127\.[0-9.]+:\d+/)?.[0];
    for (let n = 0; n < count; n += 1) await fetch(`${url}${path}`).catch(() => undefined);
  };
  try {
    await call("list_stacks");
    await call("start_stack", { folder: project, timeout_seconds: 120 }); // fails: a module is missing
    await call("diagnose");
    await call("get_logs", { service: "api" });
    write("api.js", APP);
    const started = await call("start_stack", { timeout_seconds: 120 });
    await call("health_status");
    await request(started, "/orders/1", 30);
    await call("get_logs");
    await call("get_logs", { service: "api", tail: 50 });
    await call("get_events");
    for (let edit = 0; edit < 4; edit += 1) {
      write("api.js", `${APP}// edit ${edit}\n`);
      if (edit < 3) await call("restart_service", { service: "api" });
      await call("health_status", { wait_for: "healthy" });
      await request(started, edit % 2 === 0 ? "/boom" : "/orders/2", 10);
      await call("get_logs", { service: "api", since: "1m" });
      if (edit === 1) await call("diagnose");
    }
    await call("set_limits", { service: "worker", memory_mb: 200 });
    await call("get_stats");
    await call("get_logs", { service: "worker" });
    await call("get_logs", { grep: "error" });
    await call("list_stacks");
    await call("start_stack", {}); // already running
    await call("get_logs");
    await call("get_events", { limit: 50 });
    await call("diagnose", { service: "api" });
    await call("get_logs", { tail: 200 });
    await call("health_status");
    await call("stop_stack");
    await call("stop_stack");
    await call("list_stacks");
    return { calls, characters: Object.values(byTool).reduce((sum, one) => sum + one, 0), byTool };
  } finally {
    await client.close();
    remove();
  }
}

if (process.argv[1]?.endsWith("agent-answers.mjs")) {
  process.stdout.write(`${JSON.stringify(await agentAnswers(process.argv[2] ?? BINARY), null, 1)}\n`);
}
