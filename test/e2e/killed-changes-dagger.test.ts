/** As killed-changes.test.ts, for containers of a simulated Dagger engine. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
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
import { type Answer, ROOT, TestBench, until } from "./support/bench.js";

const why = whyNoContainers();
const STACK = `
services:
  cache:
    image: redis:7-alpine
    command: [redis-server, --appendonly, "yes", --appendfsync, always]
    ports: ["6379"]
    volumes: ["cache:/data"]
    healthcheck: { test: [CMD, redis-cli, ping], interval: 1s, retries: 5, start_period: 30s, start_interval: 100ms }
volumes: { cache: {} }
`;
const MOMENTS: { tool: string; call: string; path: string; when: "before" | "after" }[] = [
  { tool: "restart_service", call: "appendFile", path: "events\\.jsonl.*service_stopping", when: "before" },
  { tool: "restart_service", call: "appendFile", path: "events\\.jsonl.*service_starting", when: "before" },
  { tool: "restart_service", call: "appendFile", path: "events\\.jsonl.*service_started", when: "before" },
  { tool: "set_limits", call: "rename", path: "limits\\.json\\.", when: "before" },
  { tool: "set_limits", call: "rename", path: "limits\\.json\\.", when: "after" },
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
      const order = join(bench.folder, "crash.json");
      const server = await bench.server({
        ...(engine.env as Record<string, string>),
        STACKWARDEN_RUNTIME: "dagger",
        NODE_OPTIONS: `--require ${join(ROOT, "test/e2e/support/crash.cjs")}`,
        CRASH_ORDER: order,
      });
      const start = async (): Promise<Answer> => {
        const started = await server.call("start_stack", { project: "shop", folder: "shop" });
        expect(started).toMatchObject({ status: "healthy", verified: true });
        return started.after.services.cache;
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
      let service = await start();
      for (const [index, { tool, call, path, when }] of MOMENTS.entries()) {
        const name = `${tool}, ${when} ${call} of ${path}`;
        await redis(service.endpoints[0].host_port, (client) => client.rpush("rounds", index));
        const pid = bench.background() as number;
        if (!bench.pids.includes(pid)) bench.pids.push(pid);
        writeFileSync(order, JSON.stringify({ call, path, when }));
        const limits = tool === "set_limits" ? { memory_mb: 100 + index } : {};
        const lost = await server.refused(tool, { project: "shop", service: "cache", ...limits });
        rmSync(order);
        expect(lost.code, name).toBe("SERVER_LOST");
        await until(
          `nothing of it is left: ${name}`,
          () =>
            runningSessions(engine.folder).length === 0 &&
            containersOf(engine.folder).length === 0 &&
            bench.processes().length === 0,
        );
        service = await start();
        const rounds = await redis(service.endpoints[0].host_port, (client) => client.lrange("rounds", 0, -1));
        expect(rounds.map(Number), name).toEqual(Array.from({ length: index + 1 }, (_, round) => round));
      }
      const kept = JSON.parse(readFileSync(join(bench.state, "projects", "shop", "limits.json"), "utf8"));
      expect(kept).toMatchObject({ cache: { memory_mb: 104 } });
      expect(service.limits.memory_mb).toMatchObject({ value: 104, enforcement: { level: "enforced" } });
    });
  },
);
