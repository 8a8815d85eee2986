/** States of services in reports: only what was observed. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { call, compose, Domain, eventsOf, service, until } from "../../support/domain.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

/** A service without a healthcheck. */
const plain = (name: string, more = ""): string => service(name, more).replace(/\n {4}healthcheck:.*/, "");

const start = async (text: string, scripts: Domain["runtime"]["scripts"] = {}, project = "shop") => {
  domain.project(project, text);
  domain.runtime.scripts = scripts;
  const manager = domain.manager();
  return { manager, outcome: manager.start({ project }, call()) };
};

describe("services without a check", () => {
  it("a service without a check is running, and the report names it as unchecked", async () => {
    const { manager, outcome } = await start(compose(service("db"), plain("worker")));
    const result = await outcome;
    expect(result).toMatchObject({ status: "running", verified: true, missing: [], next: null });
    expect(result.message).toBe(
      "The stack is running; every service that has a check is healthy; nothing checks worker.",
    );
    expect(result.after).toMatchObject({ state: "running", services: { worker: { state: "running" } } });
    const health = await manager.health({ project: "shop", waitFor: "healthy" }, call());
    expect(health).toMatchObject({ overall_healthy: true, unchecked: ["worker"], wait: { met: true } });
    expect(health.services.worker).toMatchObject({ status: "running", healthy: null, check: null, checked_at: null });
    expect(health.services.worker).not.toHaveProperty("error");
    expect((await manager.diagnose({ project: "shop" })).summary).toContain("nothing checks worker");
  });

  it("service_healthy on a service without a check is refused, and no service starts", async () => {
    const { outcome } = await start(
      compose(plain("db"), service("web", "depends_on: { db: { condition: service_healthy } }")),
    );
    await expect(outcome).rejects.toMatchObject({
      code: "INVALID_STACK",
      message: expect.stringMatching(/nothing checks db/),
    });
    expect(domain.runtime.started()).toEqual([]);
  });
});

describe("published ports without a healthcheck", () => {
  it("a service is starting until its published port accepts connections", async () => {
    let listening = false;
    const { manager, outcome } = await start(compose(plain("web", 'ports: ["3100:3000"]')), {
      web: {
        probe: ({ test }) => (listening && test.kind === "tcp" && test.port === 3000 ? true : "connection refused"),
      },
    });
    await until("it was checked", async () => {
      const { services } = await manager.health({ project: "shop" }, call());
      return services.web?.message === "connection refused";
    });
    const { services, overall_healthy } = await manager.health({ project: "shop" }, call());
    expect(services.web).toMatchObject({ status: "starting", healthy: false, error: "connection refused" });
    expect(overall_healthy).toBe(false);
    listening = true;
    expect(await outcome).toMatchObject({ status: "healthy", verified: true });
  });
});

describe("services that end during a start", () => {
  it.each([
    [
      0,
      {
        status: "running",
        message: "The stack is running; completed: migrate; nothing checks worker.",
        verified: true,
      },
    ],
    [
      1,
      {
        status: "degraded",
        message: expect.stringContaining("migrate is crashed (Not running: it exited with code 1)"),
        verified: false,
      },
    ],
  ])(
    "a service without a check that ends at once with exit code %i is not reported as running",
    async (exitCode, result) => {
      const { outcome } = await start(compose(plain("worker"), plain("migrate")), {
        migrate: { ends: [{ afterMs: 300, exitCode }] },
      });
      expect(await outcome).toMatchObject(result);
    },
  );

  it("a restart reports that the service without a check ended at once", async () => {
    const { manager, outcome } = await start(compose(service("db"), plain("worker")), {
      worker: { ends: [{ afterMs: 60_000 }, { afterMs: 300, exitCode: 3 }] },
    });
    expect(await outcome).toMatchObject({ status: "running", verified: true });
    const restarted = await manager.restart({ project: "shop", service: "worker" }, call());
    expect(restarted).toMatchObject({ status: "degraded", verified: false });
    expect(JSON.stringify(restarted)).toContain("it exited with code 3");
  });

  it("a service that ends during a start makes the result degraded", async () => {
    let ready = false;
    const { manager, outcome } = await start(compose(service("slow"), plain("worker")), {
      slow: { probe: () => (ready ? true : "not yet") },
      worker: { ends: [{ afterMs: 10, exitCode: 1 }] },
    });
    await until("worker crashed", async () => (await eventsOf(manager, "shop", "service_crashed")).length > 0);
    ready = true;
    const result = await outcome;
    expect(result).toMatchObject({
      status: "degraded",
      verified: false,
      missing: [{ service: "worker", state: "crashed" }],
      after: { state: "degraded" },
      next: { operation: "diagnose", input: { project: "shop" } },
    });
    expect(result.message).toContain("worker is crashed (Not running: it exited with code 1)");
    expect(result.message).not.toMatch(/healthy/);
    const [event] = await eventsOf(manager, "shop", "stack_started");
    expect(event?.message).toContain("worker is crashed");
  });

  it("a service that ends during a start is restarted by its policy, and dependents wait for it", async () => {
    const { manager, outcome } = await start(
      compose(
        service("api", "restart: on-failure:5"),
        service("web", "depends_on: { api: { condition: service_healthy } }"),
      ),
      {
        api: { probe: () => (domain.runtime.started().length > 1 ? true : "no"), ends: [{ afterMs: 5, exitCode: 1 }] },
      },
    );
    expect(await outcome).toMatchObject({ status: "healthy", verified: true });
    expect(domain.runtime.started()).toEqual(["api", "api", "web"]);
    const { services } = await manager.report("shop");
    expect(services.api).toMatchObject({ state: "healthy", restarts: 1, generation: 2, last_exit: { exit_code: 1 } });
  });

  it("a start fails with the exit code when the restart policy is used up", async () => {
    const ends = Array.from({ length: 3 }, () => ({ afterMs: 1, exitCode: 3 }));
    const { outcome } = await start(compose(service("api", "restart: on-failure:1")), {
      api: { probe: () => "no", ends },
    });
    await expect(outcome).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: "The service api did not start: it exited with code 3.",
    });
    expect(domain.runtime.started()).toEqual(["api", "api"]);
    expect(domain.runtime.alive.size).toBe(0);
  });
});

describe("services that lack a permission", () => {
  it("a missing permission has a hint that names allow_root", async () => {
    const { outcome } = await start(compose(service("api")), {
      api: {
        probe: () => "no",
        ends: [{ afterMs: 1, exitCode: 1 }],
        prints: "mkdir: can't create /srv: Permission denied",
      },
    });
    await expect(outcome).rejects.toMatchObject({
      hint: expect.stringMatching(
        /^It lacks a permission: services do not run as root\..*allow_root: \[api\].*last_lines/,
      ),
    });
  });
});

describe("services that end with exit code 0", () => {
  it.each(["", "healthcheck: { disable: true }"])(
    'a service that ends with exit code 0 is completed, and dependents start (healthcheck: "%s")',
    async (healthcheck) => {
      const migrate = healthcheck === "" ? service("migrate") : plain("migrate", healthcheck);
      const { outcome } = await start(
        compose(migrate, service("web", "depends_on: { migrate: { condition: service_completed_successfully } }")),
        { migrate: { probe: () => "not yet", ends: [{ afterMs: 10 }] } },
      );
      const result = await outcome;
      expect(result).toMatchObject({ status: "healthy", verified: true });
      expect(result.after.services.migrate).toMatchObject({ state: "completed", last_exit: { exit_code: 0 } });
    },
  );
});

describe("checks whose program is missing", () => {
  it("a check whose program is missing fails the start at once", async () => {
    const { outcome } = await start(compose(service("web")), { web: { lacksProgram: true } });
    const begun = Date.now();
    await expect(outcome).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: expect.stringMatching(/its health check \(exec curl\) failed once: curl: not found/),
    });
    expect(Date.now() - begun).toBeLessThan(5_000);
  });

  it("x-probe replaces a check whose program is missing", async () => {
    const probes: string[] = [];
    const { outcome } = await start(
      compose(
        plain(
          "web",
          "healthcheck: { test: [CMD, curl, x], interval: 100ms, start_interval: 100ms, x-probe: { type: tcp, port: 80 } }",
        ),
      ),
      {
        web: {
          lacksProgram: true,
          probe: ({ test }) => {
            probes.push(test.kind);
            return true;
          },
        },
      },
    );
    expect(await outcome).toMatchObject({ status: "healthy" });
    expect(probes[0]).toBe("tcp");
  });
});
