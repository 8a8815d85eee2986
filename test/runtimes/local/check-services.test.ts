import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ServiceCheck } from "../../../src/stack/runtime.js";
import { definition, Fixture, service } from "./support/fixture.js";

describe("checkServices on the local runtime", () => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = new Fixture();
  });
  afterEach(() => fixture.close());

  const check = async (...services: Parameters<typeof definition>[0]): Promise<Record<string, ServiceCheck>> => {
    const checks = await fixture.runtime.checkServices?.({ definition: definition(services), folder: fixture.folder });
    return Object.fromEntries((checks ?? []).map((one) => [one.service, one]));
  };

  it("checkServices names the program that would run each service and starts no process", async () => {
    fixture.file(
      "web/Dockerfile",
      "FROM node:1\nWORKDIR /app\nCOPY . .\nRUN npm ci\nRUN apt-get install -y x\nCMD node x.js",
    );
    const all = await check(
      service("web", { build: { context: `${fixture.folder}/web`, args: {} } }),
      service("db", { image: "postgres:15" }),
      service("next", { image: "postgres:18-alpine" }),
      service("task", { local: { command: ["node", "task.js"], environment: {} } }),
    );
    expect(all.web?.runs).toMatch(/^Node\.js \d+\.\d+\.\d+ \(\/.*node\), npm$/);
    expect(all.web?.missing).toEqual([]);
    expect(all.web?.notes).toEqual([expect.stringContaining("line 5"), expect.stringContaining("instead of node:1")]);
    expect(all.db?.runs).toMatch(/^PostgreSQL 15/);
    expect(all.next?.runs).toMatch(/^PostgreSQL 18 \((downloaded at the first start|system)\)$/);
    expect(all.task?.runs).toMatch(/^node task\.js/);
    expect(fixture.host.spawned).toEqual([]);
  });

  it("checkServices and a start refuse the same options of a server, before anything starts", async () => {
    const services = [
      service("cache", { image: "redis:7", command: ["redis-server", "--badflag", "1"] }),
      service("db", { image: "postgres:15", command: ["postgres", "-c", "port=1"] }),
      service("own", { image: "postgres:15", environment: { POSTGRES_INITDB_ARGS: "--auth=trust" } }),
      service("sql", { image: "mariadb:11", command: ["bash", "x"] }),
      service("memory", { image: "memcached:1", command: ["memcached", "--extended"] }),
      service("mongo", { image: "mongo:7", environment: { MONGO_INITDB_ROOT_USERNAME: "root" } }),
    ];
    const found = await check(
      ...services,
      service("good", { image: "redis:7", command: ["redis-server", "--maxmemory", "9mb"] }),
    );
    const refused = Object.values(found).filter(({ runs }) => runs === null);
    expect(refused.map((one) => one.service)).toEqual(services.map(({ name }) => name));
    expect(found.cache?.missing[0]?.message).toContain('"--badflag" to redis');
    for (const one of services)
      await expect(fixture.open([one])).rejects.toMatchObject({
        code: "UNSUPPORTED",
        message: found[one.name]?.missing[0]?.message,
      });
    await expect(fixture.open(services)).rejects.toMatchObject({
      details: { services: services.map(({ name }) => name) },
    });
    expect(fixture.host.spawned).toEqual([]);
  });

  it("checkServices reports everything that is missing in one answer, each with its fix", async () => {
    const all = await check(
      service("mail", { image: "axllent/mailpit" }),
      service("search", { image: "elasticsearch:8" }),
      service("site", { build: { context: `${fixture.folder}/missing`, args: {} } }),
    );
    expect(all.mail).toMatchObject({
      runs: "Mailpit",
      missing: [{ message: "Mailpit is not installed.", fix: expect.stringMatching(/^(go|brew) install/) }],
    });
    expect(all.search).toMatchObject({ runs: null, missing: [{ fix: expect.stringContaining("x-local.command") }] });
    expect(all.site).toMatchObject({
      runs: null,
      missing: [{ message: expect.stringContaining("Dockerfile does not exist") }],
    });
  });
});
