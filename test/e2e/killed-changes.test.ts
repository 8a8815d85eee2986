/**
 * A server that is killed during restart_service or set_limits, between two steps of its work (see crash.cjs): nothing
 * of its stack remains, and the next server starts the stack again with its data and complete settings.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Redis } from "ioredis";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../runtimes/contract/bench.js";
import { type Answer, MODES, type Server, smallProject, TestBench, until } from "./support/bench.js";
import { Crash, type Step } from "./support/crash.js";
import { cgroupsOf } from "./support/leftovers.js";

const PROJECT = "shop";
const { "compose.yaml": APP_COMPOSE, ...APP } = smallProject(
  "    secrets: [token]\n    environment: { TOKEN_FILE: /run/secrets/token }\n",
);
const STACK = `${APP_COMPOSE.trimEnd()}
  db:
    image: postgres:15-alpine
    environment: { POSTGRES_USER: shop, POSTGRES_DB: shop, POSTGRES_PASSWORD: "\${DB_PASSWORD}" }
    ports: ["5432"]
    volumes: ["data:/var/lib/postgresql/data"]
    stop_signal: SIGINT
    healthcheck: { test: [CMD, pg_isready, -U, shop], interval: 1s, retries: 5, start_period: 60s, start_interval: 100ms }
  cache:
    image: redis:7-alpine
    environment: { REDIS_PASSWORD: "\${DB_PASSWORD}" }
    ports: ["6379"]
    volumes: ["cache:/data"]
    healthcheck: { test: [CMD, redis-cli, ping], interval: 1s, retries: 5, start_period: 30s, start_interval: 100ms }
volumes: { data: {}, cache: {} }
secrets:
  db-password: { environment: DB_PASSWORD, x-generate: true }
  token: { environment: TOKEN, x-generate: true }
`;

/** A step of a change, at which the server is killed. */
interface Moment extends Step {
  service: string;
  /** Only where limits are enforced. */
  inCgroups?: true;
}

/**
 * The changes of one server: it is killed at the last moment, while the change of another service stays at the moment
 * before it. Each kill costs a start. Only calls that return a promise, for files of one service, can stay.
 */
type Round = Moment[];

/** By restarted service: its stop, the files of a start, its process, its cgroup. */
const RESTART: Round[] = [
  [
    { service: "app", call: "open", path: "secrets/token\\.", when: "after" },
    { service: "db", call: "kill", path: "SIGINT", when: "before" },
  ],
  [
    { service: "db", call: "rmdir", path: "-db-", when: "after", inCgroups: true },
    { service: "app", call: "rename", path: "run/\\d+\\.json", when: "before" },
  ],
  [
    {
      service: "app",
      call: "writeFile",
      path: "-app-\\d+/memory\\.(limit_in_bytes|max)",
      when: "before",
      inCgroups: true,
    },
    { service: "db", call: "kill", path: "SIGINT", when: "after" },
  ],
  [
    { service: "db", call: "writeFile", path: "-db-\\d+/cgroup\\.procs", when: "after", inCgroups: true },
    { service: "app", call: "rename", path: "logs/store\\.json\\.", when: "before" },
  ],
  [
    { service: "cache", call: "mkdir", path: "stackwarden-\\d+-.*-cache-", when: "after", inCgroups: true },
    { service: "db", call: "spawn", path: "/postgres,-D", when: "after" },
  ],
  [
    { service: "cache", call: "rename", path: "redis\\.conf\\.", when: "before" },
    { service: "app", call: "appendFile", path: "events\\.jsonl.*service_stopping", when: "before" },
  ],
];
/** `kept`: the next start has the new limits of the last service; otherwise it has all of the old ones. */
const LIMITS: { kept: boolean; round: Round }[] = [
  {
    kept: true,
    round: [{ service: "db", call: "rename", path: "limits\\.json\\.", when: "after" }],
  },
  {
    kept: false,
    round: [
      { service: "db", call: "writeFile", path: "-db-\\d+/cpu\\.(cfs_quota_us|max)", when: "before", inCgroups: true },
      { service: "cache", call: "rename", path: "limits\\.json\\.", when: "before" },
    ],
  },
  {
    kept: false,
    round: [
      {
        service: "db",
        call: "writeFile",
        path: "-db-\\d+/memory\\.(limit_in_bytes|max)",
        when: "after",
        inCgroups: true,
      },
      { service: "cache", call: "open", path: "limits\\.json\\.", when: "after" },
    ],
  },
];

/**
 * Every file of the state directory except programs, data, log lines and limits, without names that differ in every
 * run.
 */
function filesOf(state: string, inside = ""): string[] {
  return readdirSync(join(state, inside), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(inside, entry.name);
      if (!entry.isDirectory()) return [path.replace(/^run\/\d+\.json$/, "run/<server>.json")];
      if (/^cache$|\/volumes$|\/logs\/s-/.test(path)) return [path];
      return [path, ...filesOf(state, path)];
    })
    .filter((path) => !path.endsWith("/limits.json"))
    .sort();
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(true)));
  });

/** One project for both modes: first background servers run it, then servers of the client. */
const bench = new TestBench("shared");
const crash = new Crash(bench.folder);
const { env } = crash;
/** Ports that no other test uses: a killed server's ports are free for any stack. */
let ports: Record<string, number>;
let rounds = 0;

beforeAll(async () => {
  await bench.withPostgres();
  bench.project(PROJECT, { "compose.yaml": STACK, ...APP });
  const first = await freePort(3);
  ports = { db: first, cache: first + 1, app: first + 2 };
});
afterAll(() => bench.close());

describe.each(MODES)("server killed during a change, %s", (mode) => {
  let server: Server;
  let running: Answer;
  let files: string[];
  let enforced = false;
  /** Each round costs a start, so that each is tried in one of the two modes. */
  const share = <T>(rounds: T[]): T[] => rounds.filter((_, index) => index % 2 === MODES.indexOf(mode));

  const connected = () => bench.server(env, mode === "standalone" ? ["--standalone"] : []);
  /** The process that runs the stack. */
  const pidOf = () => (mode === "shared" ? (bench.background() as number) : server.pid);
  const start = async (): Promise<void> => {
    running = await server.call("start_stack", { project: PROJECT, folder: PROJECT, ports });
    expect(running).toMatchObject({ status: "healthy", verified: true });
    // The live server may still be writing; files that a killed server left remain.
    const pid = pidOf();
    await until("the server's writes end", () =>
      filesOf(bench.state).every((file) => !new RegExp(`\\.${pid}\\.[0-9a-f]{8}$`).test(file)),
    );
  };
  const connect = async () => {
    const { services } = running.after;
    const { "db-password": password } = JSON.parse(
      readFileSync(join(bench.state, "projects", PROJECT, "secrets.json"), "utf8"),
    );
    const at = (name: string) => ({
      host: "127.0.0.1",
      port: services[name].endpoints[0].host_port as number,
      password,
    });
    const db = new pg.Client({ ...at("db"), user: "shop", database: "shop" });
    const cache = new Redis({ ...at("cache"), lazyConnect: true, retryStrategy: () => null });
    // The server is killed while they are connected.
    db.on("error", () => undefined);
    cache.on("error", () => undefined);
    await db.connect();
    await cache.connect();
    return { db, cache };
  };

  /** Kills the server at the round's moments, checks what remains, and starts the stack on the next server. */
  async function killedAt(round: Round, tool: string, input: object = {}): Promise<void> {
    const moments = round.filter(({ inCgroups }) => enforced || !inCgroups);
    const name = `${tool}: ${moments.map(({ service, call, path, when }) => `${service} ${when} ${call} of ${path}`).join(", ")}`;
    const before = await connect();
    rounds += 1;
    await before.db.query("insert into rounds values ($1)", [rounds]);
    await before.cache.rpush("rounds", rounds);
    const pid = pidOf();
    if (!bench.pids.includes(pid)) bench.pids.push(pid);
    const ends: Promise<string>[] = [];
    for (const moment of moments) {
      const change = (): Promise<string> =>
        server.call(tool, { project: PROJECT, service: moment.service, ...input }).then(
          (answer) => expect.fail(`${name} never came: ${JSON.stringify(answer)}`),
          (error: Error) => error.message,
        );
      if (moment === moments.at(-1)) {
        crash.killAt(moment);
        ends.push(change());
      } else ends.push((await crash.holdAt(moment, name, change)).end);
    }
    for (const end of await Promise.all(ends))
      expect(end, name).toMatch(mode === "shared" ? /"SERVER_LOST".*"retryable":true/ : /Connection closed/);
    crash.clear();
    before.cache.disconnect();
    await before.db.end().catch(() => undefined);

    await until(`nothing of it is left: ${name}`, () => cgroupsOf(pid).length === 0 && bench.processes().length === 0);
    const published = Object.values(running.after.services as Record<string, Answer>).flatMap(({ endpoints }) =>
      endpoints.map(({ host_port: port }: { host_port: number }) => port),
    );
    expect(published.sort()).toEqual(Object.values(ports).sort());
    for (const port of published) expect(await isFree(port), `${name}: port ${port}`).toBe(true);
    await until(`its run file is gone: ${name}`, () =>
      readdirSync(join(bench.state, "run")).every((file) => !file.startsWith(`${pid}.`)),
    );

    if (mode === "standalone") server = await connected();
    await start();
    expect(filesOf(bench.state), name).toEqual(files);
    const after = await connect();
    const all = Array.from({ length: rounds }, (_, index) => index + 1);
    expect(
      (await after.db.query("select n from rounds order by n")).rows.map(({ n }) => n),
      name,
    ).toEqual(all);
    expect((await after.cache.lrange("rounds", 0, -1)).map(Number), name).toEqual(all);
    await after.db.end();
    after.cache.disconnect();
  }

  beforeAll(async () => {
    server = await connected();
    await start();
    files = filesOf(bench.state);
    enforced = running.after.services.db.limits.memory_mb.enforcement.level === "enforced";
    const { db, cache } = await connect();
    await db.query("create table if not exists rounds (n int)");
    await db.end();
    cache.disconnect();
  });
  afterAll(() => bench.endBackground());

  it("a server killed during restart_service leaves nothing, and the stack starts again with its data", async () => {
    for (const round of share(RESTART)) await killedAt(round, "restart_service");
    const { events } = await server.call("get_events", { project: PROJECT, types: ["service_restarting"], limit: 100 });
    expect(events.length).toBeGreaterThan(0);
  });

  it("a server killed during set_limits has stored all of the limits or none", async () => {
    const kept = () => {
      const file = join(bench.state, "projects", PROJECT, "limits.json");
      const all: Answer = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
      return Object.fromEntries(
        ["db", "cache"].map((service) => {
          const { written: _written, ...limits } = all[service] ?? {};
          return [service, { cpus: null, memory_mb: null, ...limits }];
        }),
      );
    };
    for (const { round, kept: expected } of share(LIMITS)) {
      const old = kept();
      const limits = { cpus: (30 + rounds) / 100, memory_mb: 200 + rounds };
      await killedAt(round, "set_limits", limits);
      expect(kept()).toEqual(expected ? { ...old, [round.at(-1)?.service ?? ""]: limits } : old);
      if (!enforced) continue;
      const inForce = ["db", "cache"].map((service) => {
        const { cpus, memory_mb } = running.after.services[service].limits;
        return [service, { cpus: cpus.value, memory_mb: memory_mb.value }];
      });
      expect(Object.fromEntries(inForce)).toEqual(kept());
    }
  });
});
