/** The demo's scenario on a real Dagger engine, twice: data remains between the runs, and nothing else. */
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { engineEnvironment, whyNoEngine } from "../support/real-engine.js";
import { type Answer, ROOT, type Server, TestBench, until } from "./support/bench.js";

const reason = await whyNoEngine();
const project = "commandcenter";
const USERS = { postgres: 70, redis: 999, backend: 1000, frontend: 1000 };

describe.skipIf(reason !== null)(
  `CommandCenter on a real Dagger engine${reason === null ? "" : `: skipped, ${reason}`}`,
  () => {
    const bench = new TestBench("standalone");
    let server: Server;
    let backend = "";
    const call = (name: string, input: object = {}): Promise<Answer> => server.call(name, { project, ...input });
    const request = async (path: string, method = "GET", body?: object): Promise<Answer> => {
      const response = await fetch(`${backend}${path}`, {
        method,
        signal: AbortSignal.timeout(20_000),
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
      return response.json();
    };
    const items = () => until("the items", () => request("/items").catch(() => undefined));
    /** Child processes of the server that have not ended. */
    const children = () =>
      readdirSync(`/proc/${server.pid}/task`).flatMap((task) =>
        readFileSync(`/proc/${server.pid}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean),
      );

    beforeAll(async () => {
      cpSync(join(ROOT, "examples", project), join(bench.projects, project), { recursive: true });
      server = await bench.server({ ...engineEnvironment(), STACKWARDEN_RUNTIME: "dagger" });
    });
    afterAll(() => bench.close());

    it.each(["first", "second"])(
      "the example is started, operated and stopped for the %s time",
      { timeout: 600_000 },
      async (time) => {
        const started = await call("start_stack", { folder: project, timeout_seconds: 500 });
        expect(started).toMatchObject({ status: "healthy", verified: true, missing: [] });
        for (const [name, uid] of Object.entries(USERS)) {
          const service = started.after.services[name];
          expect(service).toMatchObject({ state: "healthy", user: { uid } });
          expect(service.endpoints[0].url).toMatch(/^(http|tcp):\/\/127\.0\.0\.1:\d+$/);
          expect(service.limits.memory_mb.value).toBeGreaterThan(0);
        }
        backend = started.after.services.backend.endpoints[0].url;
        const page = await fetch(started.after.services.frontend.endpoints[0].url);
        expect(await page.text()).toContain("<html");
        if (time === "second") expect(JSON.stringify(await items())).toContain("written the first time");
        await request("/items", "POST", { name: `written the ${time} time` });
        await request("/hits", "POST");

        const health = await call("health_status", { fresh: true });
        expect(health.overall_healthy).toBe(true);
        await until("the request in the log", async () => {
          const { lines } = await call("get_logs", { service: "backend", grep: "item added", tail: 5 });
          return lines.length > 0;
        });

        const crashes = async () =>
          (await call("get_events", { service: "backend", types: ["service_crashed"] })).events;
        const before = (await crashes()).length;
        await request("/chaos/crash", "POST").catch(() => undefined);
        const crash = await until("the crash", async () => (await crashes())[before]);
        expect(crash.data.last_lines.length).toBeGreaterThan(0);
        expect((await call("health_status", { wait_for: "healthy", timeout_seconds: 120 })).overall_healthy).toBe(true);

        expect((await call("restart_service", { service: "postgres", timeout_seconds: 120 })).verified).toBe(true);
        await call("health_status", { wait_for: "healthy", timeout_seconds: 120 });
        expect(JSON.stringify(await items())).toContain(`written the ${time} time`);

        const enforced = started.after.services.backend.limits.cpus.enforcement.level === "enforced";
        if (enforced) {
          const { after } = await call("set_limits", { service: "backend", cpus: 0.2 });
          expect(after.cpus).toMatchObject({ value: 0.2, enforcement: { level: "enforced" } });
          await request("/chaos/cpu?seconds=3", "POST").catch(() => undefined);
          await until("throttling", async () => {
            const { services } = await call("get_stats", { services: ["backend"] });
            return services.backend.stats.throttled_periods > 0;
          });
        }
        // Memory limit of the server with four services and the SDK, in MB.
        const rssMb = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1]) / 1024;
        expect(rssMb).toBeLessThan(150);

        const stopped = await call("stop_stack", {
          timeout_seconds: 120,
          ...(time === "second" ? { remove_volumes: true, confirm: true } : {}),
        });
        expect(stopped).toMatchObject({ status: "stopped", verified: true });
        await expect(fetch(`${backend}/health`, { signal: AbortSignal.timeout(5000) })).rejects.toThrow();
        await until("the end of the session and its helpers", () => children().length === 0);
      },
    );
  },
);
