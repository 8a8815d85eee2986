/** A start of a running stack, one of whose services is unhealthy because a service of this start did not run. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SharedStackManager } from "../../../src/stack/model.js";
import { call, compose, Domain, service, until } from "../../support/domain.js";

let domain: Domain;
let manager: SharedStackManager;
beforeEach(() => {
  domain = new Domain();
  manager = domain.manager();
});
afterEach(() => domain.close());

const start = (fields: object = {}) => manager.start({ project: "shop", ...fields }, call());
const stateOf = async (name: string) => (await manager.report("shop")).services[name]?.state;
const runs = (name: string) => [...domain.runtime.alive].some((one) => one.service === name);
let broken = false;
let checks = 0;

/** A running stack whose api is unhealthy, because redis does not run. */
async function unhealthyApi(declared: boolean): Promise<void> {
  const needs = (name: string) => `depends_on: { ${name}: { condition: service_healthy } }`;
  broken = false;
  domain.runtime.scripts = {
    redis: { startMs: 300 },
    api: {
      probe: () => {
        checks += 1;
        return runs("redis") && !broken ? true : "no cache";
      },
    },
  };
  const api = service("api", declared ? needs("redis") : "");
  domain.project("shop", compose(service("redis"), api, service("web", needs("api"))));
  expect((await start()).status).toBe("healthy");
  await manager.stop({ project: "shop", services: ["redis", "web"] }, call());
  await until("api is unhealthy", async () => (await stateOf("api")) === "unhealthy");
}

describe.each([true, false])("an unhealthy service (depends_on: %s)", (declared) => {
  beforeEach(() => unhealthyApi(declared));

  it("is checked again after the services of the start have come up", async () => {
    const { generation } = domain.runtime.service("api");
    expect(await start({ services: ["redis", "web"] })).toMatchObject({ status: "reconciled", verified: true });
    expect(domain.runtime.service("api").generation).toBe(generation);
  });

  it("fails the start of a service that waits for it after as many checks as make it unhealthy", async () => {
    broken = true;
    const before = checks;
    await expect(start({ services: ["redis", "web"] })).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: expect.stringMatching(
        /^The service api is unhealthy: its health check \(fake\) failed \d+ times: no cache\. web depends on it and did not start\./,
      ),
      details: { service: "api", dependent: "web", state: "unhealthy" },
    });
    expect(checks).toBeGreaterThanOrEqual(before + 2);
    expect(await stateOf("api")).toBe("unhealthy");
  });

  it("does not fail the start of a service that does not wait for it", async () => {
    broken = true;
    expect(await start({ services: ["redis"] })).toMatchObject({ status: "degraded", missing: [{ service: "api" }] });
    expect(await stateOf("redis")).toBe("healthy");
  });
});

it("the answer of a start has the checks that dependents passed after it", async () => {
  await unhealthyApi(true);
  expect(await start({ services: ["redis"] })).toMatchObject({ status: "reconciled", verified: true, missing: [] });
});
