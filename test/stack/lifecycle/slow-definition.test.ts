/** How often reports read a definition. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import { call, compose, Domain, service } from "../../support/domain.js";

let domain: Domain;
let reads: number;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  domain = new Domain();
  reads = 0;
});
afterEach(async () => {
  vi.useRealTimers();
  await domain.close();
});

function managerWithReader(ms: number) {
  const folder = domain.project("shop", compose(service("app")));
  domain.loadStack = async () => {
    reads += 1;
    vi.setSystemTime(Date.now() + ms);
    throw new StackwardenError("INVALID_STACK", "Reading the project's definition takes longer than 2 s.");
  };
  return domain.manager({ projects: { shop: { folder } } });
}

it("reports read a definition that failed after 2 s once in 20 s, and a start reads it at once", async () => {
  const manager = managerWithReader(2000);
  for (let at = 0; at < 3; at += 1)
    await expect(manager.logs({ project: "shop", query: {} })).rejects.toMatchObject({ code: "INVALID_STACK" });
  expect(reads).toBe(1);
  await expect(manager.start({ project: "shop" }, call())).rejects.toMatchObject({ code: "INVALID_STACK" });
  const before = reads;
  expect(before).toBeGreaterThan(1);
  vi.setSystemTime(Date.now() + 20_000);
  await expect(manager.logs({ project: "shop", query: {} })).rejects.toMatchObject({ code: "INVALID_STACK" });
  expect(reads).toBe(before + 1);
});

it("reports read a definition that failed fast each time", async () => {
  const manager = managerWithReader(10);
  for (let at = 0; at < 3; at += 1)
    await expect(manager.logs({ project: "shop", query: {} })).rejects.toMatchObject({ code: "INVALID_STACK" });
  expect(reads).toBe(3);
});

it("reports that are requested during a read share the next one, which sees what changed meanwhile", async () => {
  const folder = domain.project("shop", compose(service("app")));
  const { loadStack } = domain;
  let finish = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  domain.loadStack = async (request) => {
    reads += 1;
    const definition = await loadStack(request);
    if (reads === 1) await held;
    return definition;
  };
  const manager = domain.manager({ projects: { shop: { folder } } });
  const first = manager.report("shop");
  await expect.poll(() => reads).toBe(1);
  domain.project("shop", compose(service("app"), service("web")));
  const later = Array.from({ length: 20 }, () => manager.report("shop"));
  finish();
  expect(Object.keys((await first).services)).toEqual(["app"]);
  for (const report of await Promise.all(later)) expect(Object.keys(report.services)).toEqual(["app", "web"]);
  expect(reads).toBe(2);
});
