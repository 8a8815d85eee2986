/** A folder belongs to one project. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { ProjectStore } from "../../../src/stack/storage/project-store.js";
import { call, compose, Domain, service } from "../../support/domain.js";

let domain: Domain;
let folder: string;
beforeEach(() => {
  domain = new Domain();
  folder = domain.project("shop", compose(service("db")));
});
afterEach(() => domain.close());

it("a second project id for a folder whose stack ran is refused, and the error names the first id", async () => {
  const manager = domain.manager();
  await manager.start({ project: "first", folder }, call());
  const second = manager.start({ project: "second", folder }, call());
  await expect(second).rejects.toMatchObject({
    code: "PROJECT_CONFLICT",
    message: `${folder} belongs to the project first, not to second.`,
    details: { project: "first" },
  });
  await manager.stop({ project: "first" }, call());
  await manager.shutdown("test");
  await expect(domain.manager().start({ project: "second", folder }, call())).rejects.toMatchObject({
    code: "PROJECT_CONFLICT",
  });
  expect(domain.runtime.started()).toEqual(["db"]);
});

it("a second project id for a folder is allowed when the operator's configuration names it", async () => {
  const manager = domain.manager({ projects: { second: { folder } } });
  await manager.start({ project: "first", folder }, call());
  expect(await manager.start({ project: "second", folder }, call())).toMatchObject({ verified: true });
});

it("a second project id for a folder is allowed while the first has never started a service", async () => {
  domain.project("shop", "services: [");
  const manager = domain.manager();
  await expect(manager.start({ project: "first", folder }, call())).rejects.toThrow();
  domain.project("shop", compose(service("db")));
  expect(await manager.start({ project: "second", folder }, call())).toMatchObject({ verified: true });
});

it("projectIn returns the project that uses a folder, else null", async () => {
  const store = new ProjectStore({ stateDir: domain.state, roots: [domain.root], projects: {} });
  expect(store.projectIn(folder)).toBeNull();
  await domain.manager().start({ project: "first", folder }, call());
  expect(store.projectIn(folder)).toBe("first");
  expect(store.projectIn(domain.root)).toBeNull();
  expect(store.projectIn("/nowhere/at/all")).toBeNull();
});
