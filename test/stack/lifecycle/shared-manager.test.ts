/** Several clients on one manager: the projects that each reaches, the settings in effect, and actors of events. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { StackChange } from "../../../src/stack/model.js";
import { call, compose, Domain, eventsOf, service } from "../../support/domain.js";

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

function twoFolders() {
  const [one, two] = ["one", "two"].map((name) => {
    const folder = domain.project(`${name}/shop-${name}`, compose(service("app")));
    return { root: join(domain.root, name), id: `shop-${name}`, folder };
  });
  if (one === undefined || two === undefined) throw new Error("no folders");
  const manager = domain.manager({ roots: ["/"] });
  const view = (root: string, everyProject = false) =>
    manager.within({ settings: { ...domain.settings, roots: [root] }, everyProject });
  return { manager, one, two, view };
}

it("a client reaches only projects below its roots and receives no events of others", async () => {
  const { one, two, view } = twoFolders();
  const first = view(one.root);
  const second = view(two.root);
  const heard: StackChange[] = [];
  second.subscribe((change) => heard.push(change));
  expect((await first.start({ project: one.id }, call())).after.folder).toBe(one.folder);
  expect(first.projects()).toEqual([one.id]);
  expect(second.projects()).toEqual([]);
  expect(second.services(one.id)).toEqual([]);
  expect(await second.list()).toEqual([]);
  for (const attempt of [
    () => second.stop({ project: one.id }, call()),
    () => second.restart({ project: one.id, service: "app" }, call()),
    () => second.logs({ project: one.id, query: {} }),
    () => second.events({ project: one.id }),
    () => second.report(one.id),
    () => second.start({ project: one.id, folder: one.folder }, call()),
  ])
    await expect(attempt()).rejects.toMatchObject({ code: "FOLDER_NOT_ALLOWED" });
  expect(heard.filter((change) => change.kind !== "projects")).toEqual([]);
  // The command line reaches every running stack, and starts nothing outside its roots.
  const person = view(two.root, true);
  expect(person.projects()).toEqual([one.id]);
  expect((await person.stop({ project: one.id }, call())).status).toBe("stopped");
  await expect(person.start({ project: "new", folder: domain.root }, call())).rejects.toMatchObject({
    code: "FOLDER_NOT_ALLOWED",
  });
});

it("a stopped project stays out of reach of clients whose roots do not contain it", async () => {
  const { one, two, view } = twoFolders();
  await view(one.root).start({ project: one.id }, call());
  await view(one.root).stop({ project: one.id }, call());
  expect(view(two.root).projects()).toEqual([]);
  await expect(view(two.root).report(one.id)).rejects.toMatchObject({ code: "FOLDER_NOT_ALLOWED" });
});

it("a stack has the settings of the client that started it, and a stricter client is refused", async () => {
  const { manager, one } = twoFolders();
  domain.runtime.level = "none";
  const limited = join(domain.root, "limited");
  mkdirSync(limited);
  domain.project("limited", compose(service("app", "mem_limit: 64m")));
  const settings = { ...domain.settings, roots: [domain.root] };
  const strict = manager.within({ settings: { ...settings, requireEnforcedLimits: true }, everyProject: false });
  const loose = manager.within({ settings, everyProject: false });
  await expect(strict.start({ project: "limited" }, call())).rejects.toMatchObject({ code: "LIMITS_NOT_ENFORCEABLE" });
  expect((await loose.start({ project: "limited" }, call())).status).toBe("healthy");
  await expect(strict.start({ project: "limited" }, call())).rejects.toMatchObject({ code: "LIMITS_NOT_ENFORCEABLE" });
  const dagger = manager.within({ settings: { ...settings, runtime: "dagger" }, everyProject: false });
  await expect(dagger.start({ project: one.id, folder: one.folder }, call())).rejects.toMatchObject({
    code: "RUNTIME_UNAVAILABLE",
  });
  expect((await loose.start({ project: one.id, folder: one.folder }, call())).status).toBe("healthy");
});

it("every event names the client whose call caused it", async () => {
  const { one, view } = twoFolders();
  const client = view(one.root);
  const by = (actor: string) => call({ actor });
  await client.start({ project: one.id }, by("alice/1#a"));
  await client.restart({ project: one.id, service: "app" }, by("bob/2#b"));
  await client.stop({ project: one.id }, by("carol/3#c"));
  const events = await eventsOf(client, one.id);
  const actors = (type: string) => events.filter((event) => event.type === type).map(({ actor }) => actor);
  expect(actors("service_starting")).toEqual(["alice/1#a", "bob/2#b"]);
  expect(actors("service_started")).toEqual(["alice/1#a", "bob/2#b"]);
  expect(actors("service_stopping")).toEqual(["bob/2#b", "carol/3#c"]);
  expect(actors("service_stopped")).toEqual(["bob/2#b", "carol/3#c"]);
  expect(actors("stack_stopped")).toEqual(["carol/3#c"]);
});

it("limits that several clients set at the same time are all kept", async () => {
  domain.project("shop", compose(...["a", "b", "c", "d"].map((name) => service(name))));
  const manager = domain.manager();
  const views = ["a", "b", "c", "d"].map((name) => ({
    name,
    view: manager.within({ settings: domain.settings, everyProject: false }),
  }));
  await Promise.all(
    views.map(({ name, view }) =>
      view.setLimits({ project: "shop", service: name, limits: { memory_mb: 100 } }, call()),
    ),
  );
  const { after } = await manager.start({ project: "shop" }, call());
  expect(Object.values(after.services).map(({ limits }) => limits?.memory_mb.value)).toEqual([100, 100, 100, 100]);
});

it("the end of a client's view does not stop its stack", async () => {
  const { one, view, manager } = twoFolders();
  const client = view(one.root);
  await client.start({ project: one.id }, call());
  await client.shutdown("the client is gone");
  expect((await manager.report(one.id)).state).toBe("running");
});
