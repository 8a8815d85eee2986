// Call to healthy of four services on a real Dagger engine: a stack of stackwarden's against the same services started
// in parallel by hand with the SDK. Alternately in one run. Needs _EXPERIMENTAL_DAGGER_RUNNER_HOST and
// _EXPERIMENTAL_DAGGER_CLI_BIN; `node bench/dagger.mjs [rounds]` after `npm run build`.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectDagger } from "@dagger.io/dagger";
import { BINARY, connect, median, workFolder } from "./lib.mjs";

const rounds = Number(process.argv[2] ?? 5);
const SERVER = 'require("node:http").createServer((q, r) => r.end("ok")).listen(8080)';
const PASSWORD = "bench-only-password";

const probe = (port) => `
    healthcheck:
      test: ["CMD", "true"]
      interval: 2s
      start_period: 60s
      start_interval: 100ms
      x-probe: { type: tcp, port: ${port} }`;
const COMPOSE = `
services:
  postgres:
    image: postgres:15-alpine
    user: "70"
    environment: { POSTGRES_PASSWORD: ${PASSWORD} }
    volumes: ["data:/var/lib/postgresql/data"]
    mem_limit: 512m${probe(5432)}
  redis:
    image: redis:7-alpine
    user: "999"
    mem_limit: 256m${probe(6379)}
${["one", "two"]
  .map(
    (name) => `  ${name}:
    image: node:20-alpine
    user: "1000:1000"
    command: ["node", "-e", '${SERVER}']
    mem_limit: 256m${probe(8080)}`,
  )
  .join("\n")}
volumes: { data: {} }
`;

const environment = Object.fromEntries(
  ["_EXPERIMENTAL_DAGGER_RUNNER_HOST", "_EXPERIMENTAL_DAGGER_CLI_BIN", "HOME", "DO_NOT_TRACK"].flatMap((name) =>
    process.env[name] ? [[name, process.env[name]]] : [],
  ),
);
if (Object.keys(environment).filter((name) => name.startsWith("_EXP")).length < 2) {
  console.error(
    "No engine: name one in _EXPERIMENTAL_DAGGER_RUNNER_HOST, and the CLI in _EXPERIMENTAL_DAGGER_CLI_BIN.",
  );
  process.exit(2);
}

async function ours(call, folder, round) {
  const project = `bench${round}`;
  mkdirSync(join(folder, project), { mode: 0o755 });
  writeFileSync(join(folder, project, "compose.yaml"), COMPOSE);
  const begun = performance.now();
  const started = await call("start_stack", { project, folder: project, timeout_seconds: 300 });
  const took = performance.now() - begun;
  if (started.status !== "healthy") throw new Error(JSON.stringify(started));
  return { took, stop: () => call("stop_stack", { project, remove_volumes: true, confirm: true }) };
}

async function byHand(round) {
  const begun = performance.now();
  let took = 0;
  await connectDagger(async (client) => {
    const service = (image, user, port) => client.container().from(image).withUser(user).withExposedPort(port);
    const services = [
      service("postgres:15-alpine", "70", 5432)
        .withMountedCache("/var/lib/postgresql/data", client.cacheVolume(`bench-${process.pid}-${round}`), {
          owner: "70",
        })
        .withSecretVariable("POSTGRES_PASSWORD", client.setSecret("password", PASSWORD))
        .asService({ useEntrypoint: true }),
      service("redis:7-alpine", "999", 6379).asService({ useEntrypoint: true }),
      ...["one", "two"].map((name) =>
        service("node:20-alpine", "1000:1000", 8080)
          .withEnvVariable("NAME", `${name}-${round}`)
          .asService({ args: ["node", "-e", SERVER] }),
      ),
    ];
    await Promise.all(services.map((one, at) => one.withHostname(["postgres", "redis", "one", "two"][at]).start()));
    took = performance.now() - begun;
    await Promise.all(services.map((one) => one.stop({ kill: true })));
  });
  return took;
}

const rssMb = (pid) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
const work = workFolder();
const state = join(work.folder, "state");
const { call, pid, close } = await connect(
  [BINARY, "mcp", "--standalone"],
  { ...environment, STACKWARDEN_ROOTS: work.folder, STACKWARDEN_STATE_DIR: state, STACKWARDEN_RUNTIME: "dagger" },
  work.folder,
);
const times = { ours: [], byHand: [] };
let memory = 0;
try {
  // Not counted: images are pulled and modules read.
  for (let round = 0; round <= rounds; round += 1) {
    const hand = await byHand(round);
    const { took, stop } = await ours(call, work.folder, round);
    memory = Math.max(memory, rssMb(pid));
    await stop();
    console.log(
      `${round === 0 ? "warm-up" : `round ${round}`}: stackwarden ${took.toFixed(0)} ms, by hand ${hand.toFixed(0)} ms`,
    );
    if (round > 0) {
      times.ours.push(took);
      times.byHand.push(hand);
    }
  }
} finally {
  await close();
  work.remove();
}
const [a, b] = [median(times.ours), median(times.byHand)];
console.log(
  `median of ${rounds}: stackwarden ${a.toFixed(0)} ms, by hand ${b.toFixed(0)} ms, ratio ${(a / b).toFixed(2)}`,
);
console.log(`memory of the server with four services: ${memory.toFixed(0)} MB`);
