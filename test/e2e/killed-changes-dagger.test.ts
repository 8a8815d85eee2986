/** As killed-changes.test.ts, for containers of a simulated Dagger engine. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  containersOf,
  runningSessions,
  type SimEngine,
  startSimEngine,
  whyNoContainers,
} from "../support/dagger-sim/engine.js";
import { type Answer, TestBench, until } from "./support/bench.js";
import { Crash, type Step } from "./support/crash.js";

const why = whyNoContainers();
const STACK = `
services:
  cache:
    image: redis:7-alpine
    command: [redis-server, --appendonly, "yes", --appendfsync, always]
    ports: ["6379"]
    volumes: ["cache:/data"]
    healthcheck: { test: [CMD, redis-cli, ping], interval: 1s, retries: 5, start_period: 30s, start_interval: 100ms }
  idle:
    image: redis:7-alpine
    entrypoint: [sleep]
    command: ["1000"]
    healthcheck: { test: [CMD, "true"], interval: 30s, retries: 5, start_period: 30s, start_interval: 100ms }
volumes: { cache: {} }
`;
/**
 * Moments of a restart of `cache` at which the server is killed, while a change of the limits of `idle` stays between two
 * of its steps. Each kill costs a start. `kept`: the next start has the new limits.
 */
const ROUNDS: { limits?: Step & { kept: boolean }; restart: Step }[] = [
  {
    limits: { call: "rename", path: "limits\\.json\\.", when: "before", kept: false },
    restart: { call: "appendFile", path: "events\\.jsonl.*service_stopping", when: "before" },
  },
  {
    limits: { call: "rename", path: "limits\\.json\\.", when: "after", kept: true },
    restart: { call: "appendFile", path: "events\\.jsonl.*service_starting", when: "before" },
  },
  { restart: { call: "appendFile", path: "events\\.jsonl.*service_started", when: "before" } },
];

describe.skipIf(why !== null)(
  `a server killed in the middle of a change, dagger${why === null ? "" : `: skipped, ${why}`}`,
  () => {
    let engine: SimEngine;
    let bench: TestBench;
    beforeEach(async () => {
      engine = await startSimEngine();
      bench = new TestBench("shared");
    });
    afterEach(async () => {
      await bench.close();
      await engine.close();
    });

    it("a server killed during a change leaves no container, and the next one has its data and settings", async () => {
      bench.project("shop", { "compose.yaml": STACK });
      const crash = new Crash(bench.folder);
      const server = await bench.server({
        ...(engine.env as Record<string, string>),
        STACKWARDEN_RUNTIME: "dagger",
        ...crash.env,
      });
      const start = async (): Promise<Answer> => {
        const started = await server.call("start_stack", { project: "shop", folder: "shop" });
        expect(started).toMatchObject({ status: "healthy", verified: true });
        return started.after.services;
      };
      const redis = async <T>(port: number, use: (client: Redis) => Promise<T>): Promise<T> => {
        const client = new Redis({ host: "127.0.0.1", port, lazyConnect: true, retryStrategy: () => null });
        client.on("error", () => undefined);
        await client.connect();
        try {
          return await use(client);
        } finally {
          client.disconnect();
        }
      };
      const portOf = (services: Answer): number => services.cache.endpoints[0].host_port;
      const lost = async (tool: string, input: object, name: string): Promise<void> => {
        expect((await server.refused(tool, { project: "shop", ...input })).code, name).toBe("SERVER_LOST");
      };
      let services = await start();
      let memory: number | null = null;
      for (const [index, { limits, restart }] of ROUNDS.entries()) {
        const name = `${limits?.when ?? "no"} change of limits, ${restart.when} ${restart.call} of ${restart.path}`;
        await redis(portOf(services), (client) => client.rpush("rounds", index));
        const pid = bench.background() as number;
        if (!bench.pids.includes(pid)) bench.pids.push(pid);
        const ends: Promise<void>[] = [];
        if (limits !== undefined) {
          const change = () => lost("set_limits", { service: "idle", memory_mb: 100 + index }, name);
          ends.push((await crash.holdAt(limits, name, change)).end);
          if (limits.kept) memory = 100 + index;
        }
        crash.killAt(restart);
        ends.push(lost("restart_service", { service: "cache" }, name));
        await Promise.all(ends);
        crash.clear();
        await until(
          `nothing of it is left: ${name}`,
          () =>
            runningSessions(engine.folder).length === 0 &&
            containersOf(engine.folder).length === 0 &&
            bench.processes().length === 0,
        );
        services = await start();
        const rounds = await redis(portOf(services), (client) => client.lrange("rounds", 0, -1));
        expect(rounds.map(Number), name).toEqual(Array.from({ length: index + 1 }, (_, round) => round));
        expect(services.idle.limits.memory_mb.value, name).toBe(memory);
      }
      const kept = JSON.parse(readFileSync(join(bench.state, "projects", "shop", "limits.json"), "utf8"));
      expect(kept).toMatchObject({ idle: { memory_mb: 101 } });
      expect(services.idle.limits.memory_mb).toMatchObject({ value: 101, enforcement: { level: "enforced" } });
    });
  },
);
