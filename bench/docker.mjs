// Call to healthy of four services: a stack of stackwarden's against Docker Compose with the same compose file (`docker
// compose` where installed, else Debian's `docker-compose`). Alternately in one run, as root: the daemon is the benchmark's
// own, with stand-in images. `node bench/docker.mjs [rounds] [docker|local]` after `npm run build`: the docker runtime runs
// the containers of the same daemon, the local runtime the programs of this machine.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { startDaemon, whyNoDaemon } from "../test/support/docker/daemon.mjs";
import { BINARY, connect, median, workFolder } from "./lib.mjs";

const rounds = Number(process.argv[2] ?? 5);
const runtime = process.argv[3] ?? "docker";
const aim = { docker: 1.15, local: 0.6 }[runtime];
if (aim === undefined) {
  console.error(`Unknown runtime ${runtime}: expected docker or local.`);
  process.exit(2);
}
const PASSWORD = "bench-only-password";
const SERVER = 'require("node:http").createServer((q, r) => r.end("ok")).listen(process.env.PORT ?? 8080)';
const PORTS = { postgres: 25432, redis: 26379, one: 28081, two: 28082 };

const why = whyNoDaemon();
if (why !== null) {
  console.error(`No measurement: ${why}.`);
  process.exit(2);
}

/** The same file for both; what only one of them knows is left out. */
const compose = `
version: "3.9"
services:
  postgres:
    image: postgres:15-alpine
    user: "70"
    environment: { POSTGRES_PASSWORD: ${PASSWORD} }
    volumes: ["data:/var/lib/postgresql/data"]
    ports: ["127.0.0.1:${PORTS.postgres}:5432"]
  redis:
    image: redis:7-alpine
    user: "999"
    ports: ["127.0.0.1:${PORTS.redis}:6379"]
${["one", "two"]
  .map(
    (name) => `  ${name}:
    image: node:20-alpine
    user: "1000:1000"
    command: ["node", "-e", '${SERVER}']
    ports: ["127.0.0.1:${PORTS[name]}:8080"]`,
  )
  .join("\n")}
volumes: { data: {} }
`;

const until = async (check) => {
  for (;;) {
    if (await check().catch(() => false)) return;
    await sleep(10);
  }
};
const http = (port) =>
  new Promise((resolve) => {
    get({ host: "127.0.0.1", port, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    }).once("error", () => resolve(false));
  });
const redis = () =>
  new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port: PORTS.redis });
    socket.once("data", (text) => {
      socket.destroy();
      resolve(String(text).startsWith("+PONG"));
    });
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    socket.write("PING\r\n");
  });
const postgres = async () => {
  const client = new pg.Client({ host: "127.0.0.1", port: PORTS.postgres, user: "postgres", password: PASSWORD });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query("select 1 as one")).rows[0].one === 1;
  } finally {
    await client.end().catch(() => undefined);
  }
};
const allAnswer = () => Promise.all([postgres, redis, () => http(PORTS.one), () => http(PORTS.two)].map(until));

const work = workFolder();
const project = join(work.folder, "bench");
mkdirSync(project, { mode: 0o755 });
writeFileSync(join(project, "compose.yaml"), compose);
const daemon = await startDaemon({ images: ["postgres:15-alpine", "redis:7-alpine", "node:20-alpine"] });
const env = { ...process.env, DOCKER_HOST: daemon.host };
const plugin = spawnSync("docker", ["compose", "version"], { env }).status === 0;
const [program, ...first] = plugin ? ["docker", "compose"] : ["docker-compose"];
const peer = (...words) => {
  const { status, stderr } = spawnSync(program, [...first, "-p", "peer", "-f", "compose.yaml", ...words], {
    cwd: project,
    env,
  });
  if (status !== 0) throw new Error(`${program} ${words.join(" ")}: ${stderr}`);
};
const timed = async (task) => {
  const begun = performance.now();
  await task();
  return performance.now() - begun;
};

const { call, close } = await connect(
  [BINARY, "mcp", "--standalone"],
  {
    HOME: process.env.HOME ?? "/root",
    STACKWARDEN_ROOTS: work.folder,
    STACKWARDEN_STATE_DIR: join(work.folder, "state"),
    STACKWARDEN_RUNTIME: runtime,
    STACKWARDEN_DOCKER_HOST: daemon.host,
  },
  work.folder,
);
const times = { ours: [], theirs: [], ourEnd: [], theirEnd: [] };
try {
  // The first round is not counted: modules are read.
  for (let round = 0; round <= rounds; round += 1) {
    const theirs = await timed(async () => {
      peer("up", "-d");
      await allAnswer();
    });
    const theirEnd = await timed(async () => peer("down", "-v"));
    const ours = await timed(async () => {
      const started = await call("start_stack", { project: "bench", folder: "bench", timeout_seconds: 300 });
      if (started.status !== "healthy") throw new Error(JSON.stringify(started));
      await allAnswer();
    });
    const ourEnd = await timed(() => call("stop_stack", { project: "bench", remove_volumes: true, confirm: true }));
    console.log(
      `${round === 0 ? "warm-up" : `round ${round}`}: stackwarden ${ours.toFixed(0)} ms (down ${ourEnd.toFixed(0)}), ${program} ${theirs.toFixed(0)} ms (down ${theirEnd.toFixed(0)})`,
    );
    if (round === 0) continue;
    for (const [name, value] of Object.entries({ ours, theirs, ourEnd, theirEnd })) times[name].push(value);
  }
} finally {
  await close();
  await daemon.close();
  work.remove();
}
const p50 = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)]));
console.log(
  `call → healthy and answering: stackwarden ${p50.ours.toFixed(0)} ms, ${program} ${p50.theirs.toFixed(0)} ms, ratio ${(p50.ours / p50.theirs).toFixed(2)} (aim: at most ${aim})`,
);
console.log(`down: stackwarden ${p50.ourEnd.toFixed(0)} ms, ${program} ${p50.theirEnd.toFixed(0)} ms`);
