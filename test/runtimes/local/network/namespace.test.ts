/** Stacks with separate networks: real services, bubblewrap and pasta, where this machine has them. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLocalRuntime } from "../../../../src/runtimes/local/local-runtime.js";
import { gatewayOf } from "../../../../src/runtimes/local/network/namespace.js";
import { Networks } from "../../../../src/runtimes/local/network/networks.js";
import { listeners } from "../../../../src/runtimes/local/ports/listeners.js";
import { createProcessHost } from "../../../../src/runtimes/local/process-host.js";
import type { ServiceDefinition } from "../../../../src/stack/definition/types.js";
import type { RuntimeService, RuntimeStack } from "../../../../src/stack/runtime.js";
import { freePort, healthcheck, RecordingSink } from "../../contract/bench.js";
import { ensureWatchdog, until } from "../process/support.js";
import { definition, service, tempDir, untilHealthy } from "../support/fixture.js";

const isSupported = process.getuid?.() === 0 && ["pasta", "bwrap"].every((name) => existsSync(`/usr/bin/${name}`));
if (!isSupported) process.stderr.write("network.test.ts: skipped (needs root, bubblewrap and pasta)\n");

/** Listens on port 80. Replies with what it reads from Redis on port 6379 or from a port of the machine. */
const SERVER = `
import http from "node:http";
import net from "node:net";
const own = process.argv[2];
const redis = (command) => new Promise((resolve) => {
  const socket = net.connect(6379, "db");
  socket.once("data", (data) => { socket.destroy(); resolve(String(data).trim()); });
  socket.once("error", (error) => resolve(error.code));
  socket.write(command + "\\r\\n");
});
const machine = (port) => fetch("http://host.docker.internal:" + port).then((answer) => answer.text(), (error) => error.cause.code);
http.createServer(async ({ url }, response) => {
  const port = new URL(url, "http://x").searchParams.get("machine");
  const seen = url === "/count" ? await redis("INCR count") : port === null ? "" : await machine(port);
  response.end(own + " " + seen);
}).listen(80, "0.0.0.0");
`;

describe("gatewayOf", () => {
  it("gatewayOf reads the default gateway from the kernel's routing table", () => {
    const head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n";
    expect(gatewayOf(`${head}eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n`)).toBeNull();
    expect(gatewayOf(`${head}eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n`)).toBe("192.0.2.1");
    expect(gatewayOf(`${head}eth0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\n`)).toBeNull();
    expect(gatewayOf("")).toBeNull();
  });
});

describe.runIf(isSupported)("Networks.enforcement", () => {
  it("enforcement opens one network for callers that ask at the same time, and closes it", async () => {
    const watched = new Set<number>();
    let opened = 0;
    const sandbox = { enforcement: { level: "enforced", reason: "root" } as const, users: null };
    const networks = new Networks("auto", sandbox, expect.unreachable, {
      watch: async (pid) => {
        opened += 1;
        watched.add(pid);
      },
      unwatch: async (pid) => void watched.delete(pid),
    });
    const seen = await Promise.all([networks.enforcement(), networks.enforcement()]);
    expect([...seen, await networks.enforcement()].map(({ level }) => level)).toEqual(Array(3).fill("enforced"));
    expect(opened).toBe(1);
    expect(watched.size).toBe(0);
    await networks.close();
  });
});

describe.runIf(isSupported)("two stacks with isolated networks and the same container ports", () => {
  const dir = tempDir();
  const stateDir = join(dir.path, "state");
  const warnings: string[] = [];
  const runtime = createLocalRuntime({
    stateDir,
    warn: (text) => warnings.push(text),
    processHost: () => createProcessHost({ stateDir, warn: (text) => warnings.push(text), network: "isolated" }),
  });
  const signal = new AbortController().signal;
  const sinks = new Map<string, RecordingSink>();

  const web = (name: string): ServiceDefinition =>
    service("web", {
      ports: [{ containerPort: 80, protocol: "tcp" }],
      environment: { FRONT: "http://{published:web:80}" },
      local: { command: ["node", "server.mjs", name], environment: {} },
    });
  const db = service("db", { image: "redis:7", local: { provider: "redis", environment: {} } });

  interface Running {
    stack: RuntimeStack;
    web: RuntimeService;
    db: RuntimeService;
    url: string;
  }
  async function start(name: string): Promise<Running> {
    const folder = join(dir.path, name);
    mkdirSync(folder, { mode: 0o755 });
    writeFileSync(join(folder, "server.mjs"), SERVER);
    const state = join(stateDir, "projects", name);
    mkdirSync(state, { recursive: true, mode: 0o711 });
    const stack = await runtime.open({
      projectId: name,
      folder,
      definition: definition([web(name), db]),
      stateDir: state,
      signal,
      notice: () => undefined,
    });
    const run = (one: ServiceDefinition): Promise<RuntimeService> => {
      const sink = new RecordingSink();
      sinks.set(`${name}/${one.name}`, sink);
      return stack.startService({ service: one, generation: 1, limits: {}, sink, signal, phase: () => undefined });
    };
    const running = { stack, db: await run(db), web: await run(web(name)) };
    expect(await untilHealthy(running.db, healthcheck({ kind: "redis" }))).toMatchObject({ healthy: true });
    const http = healthcheck({ kind: "http", port: 80, path: "/", status: 200 });
    expect(await untilHealthy(running.web, http), sinks.get(`${name}/web`)?.all).toMatchObject({ healthy: true });
    return { ...running, url: `http://127.0.0.1:${stack.endpoints()[0]?.host_port}` };
  }
  const get = (url: string) => fetch(url).then((response) => response.text());
  /** Runs a shell command in the service. @returns its output */
  async function shell(running: RuntimeService, command: string): Promise<string> {
    let text = "";
    await running.exec({
      command: ["/bin/sh", "-c", command],
      signal,
      onOutput: (_stream, chunk) => {
        text += chunk.toString();
      },
    });
    return text.trim();
  }
  const runFile = (): { entries: { pid: number }[] } =>
    JSON.parse(readFileSync(join(stateDir, "run", `${process.pid}.json`), "utf8"));
  const isPasta = ({ pid }: { pid: number }): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("pasta");
    } catch {
      return false;
    }
  };

  let one: Running;
  let two: Running;
  beforeAll(async () => {
    ensureWatchdog();
    mkdirSync(stateDir, { recursive: true, mode: 0o711 });
    [one, two] = await Promise.all([start("one"), start("two")]);
  });
  afterAll(async () => {
    await runtime.close();
    expect(warnings).toEqual([]);
    dir.remove();
  });

  it("each stack has a separate host port and reaches its own database at the usual port", async () => {
    expect(one.url).not.toBe(two.url);
    expect(await get(`${one.url}/count`)).toBe("one :1");
    expect(await get(`${one.url}/count`)).toBe("one :2");
    expect(await get(`${two.url}/count`)).toBe("two :1");
    expect(await shell(two.web, "getent hosts db")).toMatch(/^127\.0\.0\.1\s+db/);
  });

  it("a port that the compose file does not publish has no listener on the machine", async () => {
    const own = async (table?: string) =>
      ((await listeners(table)) ?? []).filter(({ uid }) => uid === one.db.user.uid).map(({ port }) => port);
    expect(await own(`/proc/${one.db.pid}/net`)).toEqual([6379]);
    expect(await own()).toEqual([]);
    expect(one.stack.endpoints().map(({ service: name }) => name)).toEqual(["web"]);
  });

  it("a service reaches the machine as host.docker.internal and reaches its own published address", async () => {
    const port = await freePort();
    const server = createServer((_request, response) => response.end("the machine"));
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    expect(await get(`${one.url}/?machine=${port}`)).toBe("one the machine");
    await new Promise((resolve) => server.close(resolve));
    const node = `node -e 'fetch(process.env.FRONT).then((a) => a.text()).then(console.log, (e) => console.log(e.cause))'`;
    expect(await shell(one.web, `echo $FRONT; ${node}`)).toBe(`${one.url}\none`);
  });

  it("a one-off command runs in the stack's network, and a stopped service refuses connections", async () => {
    const output: string[] = [];
    await two.stack.runOneOff({
      service: web("two"),
      generation: 2,
      limits: {},
      sink: new RecordingSink(),
      signal,
      phase: () => undefined,
      exec: {
        command: ["node", "-e", 'fetch("http://127.0.0.1").then((a) => a.text()).then(console.log)'],
        onOutput: (_stream, chunk) => void output.push(chunk.toString()),
      },
    });
    expect(output.join("")).toBe("two \n");
    await two.web.stop({ graceMs: 2000 });
    await expect(fetch(two.url)).rejects.toThrow();
    const http = healthcheck({ kind: "tcp", port: 80 });
    expect(await two.web.probe(http, signal)).toMatchObject({ healthy: false });
  });

  it("a closed stack ends its pasta process, and a stack whose pasta is killed is reported as lost", async () => {
    const pastas = runFile().entries.filter(isPasta);
    expect(pastas).toHaveLength(2);
    await two.stack.close();
    await until("the end of its pasta", () => pastas.filter(isPasta).length === 1);
    const port = Number(new URL(two.url).port);
    await expect(
      new Promise((resolve, reject) =>
        connect({ host: "127.0.0.1", port }, () => resolve("open")).once("error", reject),
      ),
    ).rejects.toThrow("ECONNREFUSED");
    process.kill(pastas.find(isPasta)?.pid ?? 0, "SIGKILL");
    expect(await one.stack.lost).toEqual({ reason: "pasta, which connects its network, ended (SIGKILL)" });
    await one.stack.close();
    await expect(fetch(one.url)).rejects.toThrow();
  });
});
