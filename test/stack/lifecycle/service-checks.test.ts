/** Checks of services without a healthcheck. */
import { describe, expect, it } from "vitest";
import type { Healthcheck, ServiceDefinition, StackDefinition } from "../../../src/stack/definition/types.js";
import { checksOf, requireChecks, uncheckedDependency } from "../../../src/stack/lifecycle/service-checks.js";
import { addressOf, unidentifiedPorts } from "../../../src/stack/lifecycle/web-ports.js";
import { serviceDefinition as service } from "../../support/service.js";

const port = (containerPort: number) => ({ containerPort, protocol: "tcp" as const });
const TIMED = { intervalMs: 1, timeoutMs: 1, retries: 1, startPeriodMs: 1, startIntervalMs: 1 };
const tests = (fields: Partial<ServiceDefinition>, runtime: "dagger" | "docker" | "local" = "dagger") =>
  checksOf(service(fields), runtime).map(({ test }) => test);

describe("checksOf", () => {
  it("a service with a healthcheck has that check alone", () => {
    const healthcheck = {
      test: { kind: "cmd" as const, argv: ["x"] },
      intervalMs: 1,
      timeoutMs: 1,
      retries: 1,
      startPeriodMs: 1,
      startIntervalMs: 1,
    };
    expect(checksOf(service({ healthcheck, ports: [port(80)], image: "postgres" }), "dagger")).toEqual([healthcheck]);
  });

  it("a service with a disabled healthcheck or without ports has no check", () => {
    const none = {
      test: { kind: "none" as const },
      intervalMs: 1,
      timeoutMs: 1,
      retries: 1,
      startPeriodMs: 1,
      startIntervalMs: 1,
    };
    expect(tests({ healthcheck: none, ports: [port(80)] })).toEqual([]);
    expect(tests({ image: "acme/worker" })).toEqual([]);
    expect(tests({ expose: [9000] })).toEqual([]);
  });

  it("each published port has one connection check", () => {
    expect(tests({ image: "acme/api", ports: [port(80), port(9090), port(80)] })).toEqual([
      { kind: "tcp", port: 80 },
      { kind: "tcp", port: 9090 },
    ]);
  });

  it.each([
    ["postgres:16-alpine", { kind: "postgres" }],
    ["docker.io/library/postgres", { kind: "postgres" }],
    ["postgres@sha256:0123", { kind: "postgres" }],
    ["redis:7", { kind: "redis" }],
    ["valkey/valkey:8", { kind: "redis" }],
    ["mysql:8", { kind: "tcp", port: 3306 }],
    ["mongo:7", { kind: "tcp", port: 27_017 }],
    ["rabbitmq:3-management", { kind: "tcp", port: 5672 }],
    ["memcached", { kind: "tcp", port: 11_211 }],
    ["nginx:alpine", { kind: "tcp", port: 80 }],
  ])("the official image %s is checked by its protocol", (image, test) => {
    expect(tests({ image })).toEqual([test]);
  });

  it.each(["acme/postgres", "bitnami/postgresql", "ghcr.io/acme/redis", "localhost:5000/nginx"])(
    "the unofficial image %s has no check",
    (image) => {
      expect(tests({ image })).toEqual([]);
    },
  );

  it("a client command in a server's image has no check of the server", () => {
    expect(tests({ image: "postgres:16", command: ["pg_dump", "-h", "db"] })).toEqual([]);
    expect(tests({ image: "postgres:16", command: ["sh", "-c", "psql -h postgres -c 'select 1'"] })).toEqual([]);
    expect(tests({ image: "redis:7", entrypoint: ["redis-cli"], command: ["monitor"] })).toEqual([]);
    expect(tests({ image: "redis:7", command: ["sh", "-c", "exec redis-server --appendonly yes"] })).toEqual([
      { kind: "redis" },
    ]);
    expect(tests({ image: "postgres:16", command: ["-c", "max_connections=10"] })).toEqual([{ kind: "postgres" }]);
  });

  it("a published port replaces the image's usual port", () => {
    expect(tests({ image: "nginx", ports: [port(8080)] })).toEqual([{ kind: "tcp", port: 8080 }]);
  });

  it("on the local runtime the check follows the program, not the image", () => {
    expect(tests({ image: "mysql", local: { command: ["./db"], environment: {} } }, "local")).toEqual([]);
    expect(tests({ image: "postgres", local: { provider: "postgres", environment: {} } }, "local")).toEqual([
      { kind: "postgres" },
    ]);
  });
});

describe("requireChecks", () => {
  const stack = (db: Partial<ServiceDefinition>): StackDefinition => ({
    name: "shop",
    source: "compose.yaml",
    services: {
      db: service({ name: "db", ...db }),
      web: service({
        dependsOn: { db: { condition: "service_healthy", restart: false, required: true } },
      }),
    },
    volumes: [],
    secretValues: [],
    secrets: {},
    notes: [],
  });

  it("service_healthy on a service without a check is refused", () => {
    expect(() => requireChecks(stack({ image: "acme/db" }), "local")).toThrow(
      /services\.web\.depends_on\.db waits for service_healthy, but nothing checks db/,
    );
  });

  it("service_healthy is accepted on a runtime whose image may have a check", () => {
    for (const runtime of ["docker", "dagger"] as const)
      expect(() => requireChecks(stack({ image: "acme/db" }), runtime)).not.toThrow();
    const ofImage: Healthcheck = { ...TIMED, test: { kind: "cmd", argv: ["true"] } };
    expect(checksOf(service({ image: "acme/db", ports: [port(5000)] }), "docker", ofImage)).toEqual([ofImage]);
    const own: Healthcheck = { ...TIMED, test: { kind: "none" } };
    expect(checksOf(service({ image: "acme/db", healthcheck: own }), "docker", ofImage)).toEqual([]);
    expect(uncheckedDependency("web", "db")).toMatchObject({ code: "INVALID_STACK" });
  });

  it("service_healthy is accepted on a published port or a known protocol", () => {
    expect(() => requireChecks(stack({ image: "acme/db", ports: [port(5000)] }), "dagger")).not.toThrow();
    expect(() => requireChecks(stack({ image: "postgres:16" }), "dagger")).not.toThrow();
  });
});

describe("addressOf and unidentifiedPorts", () => {
  const endpoint = { service: "web", container_port: 80, host: "127.0.0.1" as const, host_port: 8080 };
  const cmd = (...argv: string[]) => ({ kind: "cmd" as const, argv });

  it("a port that speaks HTTP has a URL", () => {
    expect(addressOf(endpoint, undefined, new Map([[80, "http"]]))).toBe("http://127.0.0.1:8080");
    expect(addressOf(endpoint, { kind: "http", port: 80, path: "/", status: 200 }, undefined)).toBe(
      "http://127.0.0.1:8080",
    );
    expect(addressOf(endpoint, cmd("curl", "-f", "http://localhost/health"), undefined)).toBe("http://127.0.0.1:8080");
    expect(addressOf({ ...endpoint, container_port: 443 }, cmd("wget", "https://127.0.0.1/"), undefined)).toBe(
      "https://127.0.0.1:8080",
    );
  });

  it("a port that is not known to speak HTTP has host and port", () => {
    expect(addressOf(endpoint, { kind: "http", port: 81, path: "/", status: 200 }, new Map())).toBe("127.0.0.1:8080");
    expect(addressOf(endpoint, cmd("curl", "http://localhost:8000/"), undefined)).toBe("127.0.0.1:8080");
    expect(addressOf(endpoint, cmd("curl", "http://localhost.example/"), undefined)).toBe("127.0.0.1:8080");
    expect(addressOf({ ...endpoint, host: "0.0.0.0" }, { kind: "tcp", port: 80 }, undefined)).toBe("127.0.0.1:8080");
    expect(addressOf({ ...endpoint, protocol: "udp" }, undefined, new Map([[80, "http"]]))).toBe("127.0.0.1:8080/udp");
  });

  it("only TCP ports of unknown protocol are identified", () => {
    const ports = [port(80), port(9000), port(5432), { containerPort: 53, protocol: "udp" as const }];
    const healthcheck = { ...TIMED, test: cmd("curl", "http://localhost") };
    expect(unidentifiedPorts(service({ ports, healthcheck }))).toEqual([9000]);
    expect(unidentifiedPorts(service({ ports }), { kind: "http", port: 9000, path: "/", status: 200 })).toEqual([80]);
  });
});
