/** A definition that takes long to refuse does not delay every report. */
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
