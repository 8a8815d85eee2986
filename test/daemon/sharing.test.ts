/**
 * Two agents over stdio and one over HTTP call random operations on one stack at the same time, 40 each: a number of
 * calls, not a time, so that a loaded machine tests as much as an idle one. STACKWARDEN_TEST_SHARING_CALLS sets another
 * number.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Answer, APP, appCompose, BINARY, TestBench, until } from "../e2e/support/bench.js";
import { detailed } from "../support/detailed.js";

const CALLS = Number(process.env.STACKWARDEN_TEST_SHARING_CALLS ?? 40);
const SEED = Number(process.env.STACKWARDEN_TEST_SEED ?? 7);
const PROJECT = "shop";
const SERVICES = ["app", "worker"];
const WORKER = `
  worker:
    image: node:20-alpine
    depends_on: { app: { condition: service_healthy } }
    restart: on-failure
    x-local: { command: ["node", "-e", "console.log('working'); setInterval(() => console.log('tick'), 200)"] }
`;
/** Errors that the calls of another client can cause. */
const EXPECTED = ["STACK_NOT_RUNNING", "SERVICE_NOT_STARTED", "OPERATION_CANCELLED", "SERVICE_START_FAILED"];

let bench: TestBench;
let serving: ChildProcess | undefined;
beforeEach(() => {
  bench = new TestBench();
  bench.project(PROJECT, { "compose.yaml": `${appCompose().trimEnd()}\n${WORKER}`, "app.js": APP });
});
afterEach(async () => {
  if (serving !== undefined && serving.exitCode === null) {
    serving.kill("SIGTERM");
    await once(serving, "exit");
  }
  await bench.close();
});

/** Pseudo-random numbers, the same in every run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

class Agent {
  /** `seq` of the events that the agent received, in order. */
  readonly heard: number[] = [];
  updates = 0;
  calls = 0;
  readonly unexpected: string[] = [];
  longestMs = 0;

  constructor(
    readonly name: string,
    readonly client: Client,
  ) {
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      const { seq } = params.data as { seq?: number };
      if (seq !== undefined) this.heard.push(seq);
    });
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, () => {
      this.updates += 1;
    });
  }

  async call(name: string, input: object = {}, signal?: AbortSignal): Promise<Answer> {
    this.calls += 1;
    const begun = Date.now();
    try {
      const options = { timeout: 120_000, ...(signal === undefined ? {} : { signal }) };
      const { isError, structuredContent } = (await this.client.callTool(
        { name, arguments: detailed(name, { ...(name === "list_stacks" ? {} : { project: PROJECT }), ...input }) },
        undefined,
        options,
      )) as Answer;
      if (isError && !EXPECTED.includes(structuredContent.code))
        this.unexpected.push(`${name}: ${JSON.stringify(structuredContent)}`);
      return structuredContent;
    } catch (error) {
      if (!signal?.aborted) this.unexpected.push(`${name}: ${(error as Error).message}`);
      return undefined;
    } finally {
      this.longestMs = Math.max(this.longestMs, Date.now() - begun);
    }
  }

  async work(count: number, seed: number): Promise<void> {
    const pick = random(seed);
    const service = () => SERVICES[pick(SERVICES.length)] as string;
    const uri = () =>
      ["stack://shop", "stack://shop/health", "stack://shop/events", `stack://shop/logs/${service()}`][pick(4)];
    const cancelled = (name: string, input: object): Promise<Answer> => {
      const cancel = new AbortController();
      setTimeout(() => cancel.abort(), pick(300));
      return this.call(name, input, cancel.signal);
    };
    const look: (() => Promise<unknown>)[] = [
      () => this.call("list_stacks"),
      () => this.call("health_status", { fresh: pick(2) === 0 }),
      () => this.call("get_logs", { tail: 1 + pick(200), service: service() }),
      () => this.call("get_stats"),
      () => this.call("get_events", { limit: 1 + pick(50) }),
      () => cancelled("get_events", { wait_seconds: 10, after: Number.MAX_SAFE_INTEGER }),
      () => this.client.readResource({ uri: uri() as string }),
      () => this.client.subscribeResource({ uri: uri() as string }),
      () => this.client.unsubscribeResource({ uri: uri() as string }),
    ];
    const change: (() => Promise<unknown>)[] = [
      () => this.call("restart_service", { service: service(), dependents: pick(2) === 0 }),
      () => this.call("restart_service", { service: service(), timeout_seconds: 1 }),
      () => cancelled("restart_service", { service: service() }),
      () => this.call("set_limits", { service: service(), memory_mb: 128 + pick(128) }),
      () => this.call("set_limits", { service: service(), cpus: 0.5 + pick(5) / 10 }),
      () => this.call("start_stack", { timeout_seconds: 1 + pick(30) }),
      () => cancelled("start_stack", {}),
      () => (pick(3) === 0 ? this.call("stop_stack", { timeout_seconds: 1 + pick(30) }) : this.call("start_stack")),
    ];
    for (let done = 0; done < count; done += 1) {
      const from = pick(3) === 0 ? change : look;
      await from[pick(from.length)]?.();
    }
  }
}

async function serve(): Promise<{ mcp: string; token: string; pid: number }> {
  const child = spawn(process.execPath, [BINARY, "serve", "--port", "0", "--json"], {
    cwd: bench.projects,
    env: { PATH: process.env.PATH ?? "", ...bench.environment() },
    stdio: ["ignore", "pipe", "inherit"],
  });
  serving = child;
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  await until("it serves", () => text.includes("\n"));
  const { mcp, token_file: file } = JSON.parse(text) as { mcp: string; token_file: string };
  return { mcp, token: readFileSync(file, "utf8").trim(), pid: child.pid as number };
}

function level(pid: number): { rssMb: number; handles: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    rssMb: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024,
    handles: readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** Every event after a cursor, page by page. */
async function eventsAfter(agent: Agent, after: number): Promise<number[]> {
  const seqs: number[] = [];
  for (let cursor = after; ; ) {
    const page = await agent.call("get_events", { after: cursor, limit: 1000 });
    seqs.push(...page.events.map(({ seq }: { seq: number }) => seq));
    if (page.events.length === 0) return seqs;
    cursor = page.next_cursor;
  }
}

it("concurrent calls of three clients succeed, each client receives every event, and nothing leaks", {
  timeout: (CALLS + 240) * 1000,
}, async () => {
  const { mcp, token, pid } = await serve();
  const env = { STACKWARDEN_RESTART_BUDGET: "1000" };
  const [one, two] = [await bench.server(env, [], "one"), await bench.server(env, [], "two")];
  expect(one.pid).toBe(pid);
  const http = new Client({ name: "three", version: "1.0.0" });
  const requestInit = { headers: { Authorization: `Bearer ${token}` } };
  // The transport's optional members are typed without `undefined`.
  await http.connect(
    new StreamableHTTPClientTransport(new URL(mcp), { requestInit }) as Parameters<Client["connect"]>[0],
  );
  const agents = [new Agent("one", one.client), new Agent("two", two.client), new Agent("three", http)];
  const [first] = agents as [Agent, Agent, Agent];
  try {
    expect(await first.call("start_stack")).toMatchObject({ status: "running" });
    // No agent may miss an event after the first that all of them received.
    for (const agent of agents) await agent.call("list_stacks");
    for (let size = 100; ; size += 1) {
      await first.call("set_limits", { service: "worker", memory_mb: size });
      if (agents.every(({ heard }) => heard.length > 0)) break;
    }
    const from = Math.max(...agents.map(({ heard }) => heard[0] as number)) - 1;
    let known: number[] = [];
    // The server keeps 2,000 events, so that they are read during the run.
    const fetching = setInterval(() => {
      void eventsAfter(first, known.at(-1) ?? from).then((more) => {
        known = [...known, ...more.filter((seq) => seq > (known.at(-1) ?? from))];
      });
    }, 3000);
    const begun = Date.now();
    const phase = async (count: number, seed: number): Promise<void> => {
      await Promise.all(agents.map((agent, index) => agent.work(count, seed + index)));
      expect(await first.call("start_stack", { timeout_seconds: 60 })).toMatchObject({ verified: true });
    };
    await phase(CALLS * 0.4, SEED);
    const warm = level(pid);
    await phase(CALLS * 0.6, SEED + 100);
    clearInterval(fetching);
    for (const agent of agents) expect(agent.unexpected, agent.name).toEqual([]);
    const last = (await first.call("get_events", { limit: 1 })).events[0].seq as number;
    const all = Array.from({ length: last - from }, (_, index) => from + 1 + index);
    known = [...known, ...(await eventsAfter(first, known.at(-1) ?? from))];
    expect(known).toEqual(all);
    for (const agent of agents) {
      await until(`${agent.name} has heard everything`, () => agent.heard.includes(last));
      expect(
        agent.heard.filter((seq) => seq > from && seq <= last),
        agent.name,
      ).toEqual(all);
      expect(agent.updates).toBeGreaterThan(0);
    }
    const { events } = await first.call("get_events", { limit: 1000 });
    const actors = new Set(events.map(({ actor }: { actor: string }) => actor.replace(/#.*/, "")));
    for (const name of ["one/1.0.0", "two/1.0.0", "three/1.0.0"]) expect(actors).toContain(name);
    // At the end the server has as many handles and as much memory as before the second phase.
    const cold = await until("the handles are level", () => {
      const now = level(pid);
      return now.handles <= warm.handles + 3 && now;
    });
    expect(cold.rssMb).toBeLessThan(warm.rssMb + 80);
    const calls = agents.map(({ name, calls: count, longestMs }) => `${name} ${count} calls, longest ${longestMs} ms`);
    console.log(
      `${Math.round((Date.now() - begun) / 1000)} s: ${calls.join("; ")}; ${all.length} events; memory ${warm.rssMb.toFixed(0)} → ${cold.rssMb.toFixed(0)} MB, handles ${warm.handles} → ${cold.handles}`,
    );
  } finally {
    await http.close();
  }
});
