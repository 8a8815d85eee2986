/** Health checks over the network of a container, independent of the way to its ports. */
import type { HealthTest, ServiceDefinition } from "../../../stack/definition/types.js";
import type { Check } from "./bounded.js";
import type { Dial } from "./dial.js";
import { httpCheck } from "./http-probe.js";
import { postgresCheck } from "./postgres-probe.js";
import { redisCheck } from "./redis-probe.js";
import { tcpCheck } from "./tcp-probe.js";

export interface NetworkCheckTarget {
  service: ServiceDefinition;
  dial: Dial;
}

/** The first known port on which the service listens. */
const portOf = (service: ServiceDefinition, usual: number): number =>
  service.ports.find(({ protocol }) => protocol === "tcp")?.containerPort ?? service.expose[0] ?? usual;

/** The container port that a check of the service connects to; null for a check without one. */
export function checkedPort(service: ServiceDefinition, test: HealthTest): number | null {
  switch (test.kind) {
    case "http":
    case "tcp":
      return test.port;
    case "postgres":
      return portOf(service, 5432);
    case "redis":
      return portOf(service, 6379);
    default:
      return null;
  }
}

/** @returns null for a check that is a command */
export function networkCheck(
  { service, dial }: NetworkCheckTarget,
  test: HealthTest,
): { check: string; run: Check } | null {
  const { name, environment } = service;
  switch (test.kind) {
    case "http":
      return { check: `http GET ${name}:${test.port}${test.path}`, run: httpCheck({ ...test, dial }) };
    case "tcp":
      return { check: `tcp ${name}:${test.port}`, run: tcpCheck(test.port, dial) };
    case "postgres": {
      const user = environment.POSTGRES_USER || "postgres";
      const database = environment.POSTGRES_DB || user;
      const port = portOf(service, 5432);
      const target = { port, user, database, password: environment.POSTGRES_PASSWORD ?? "", dial };
      return { check: `postgres select 1 on ${name}:${port}/${database}`, run: postgresCheck(target) };
    }
    case "redis": {
      const port = portOf(service, 6379);
      const password = environment.REDIS_PASSWORD || null;
      return { check: `redis PING on ${name}:${port}`, run: redisCheck({ port, password, dial }) };
    }
    case "none":
      return { check: "none", run: async () => "no health check is defined; the process runs" };
    default:
      return null;
  }
}
