import { afterEach, beforeEach, expect, test } from "vitest";
import { diagnose } from "../../../src/operations/diagnose.js";
import { OomKills } from "../../../src/stack/lifecycle/oom-kills.js";
import type { RuntimeService } from "../../../src/stack/runtime.js";
import { call, compose, Domain, service } from "../../support/domain.js";

const kills = (oom_kills: number) => ({ oom_kills }) as never;

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => domain.close());

test("kills are reported once, at most once a minute for each instance, without those of commands", () => {
  let now = 0;
  const [first, second] = [{}, {}] as [RuntimeService, RuntimeService];
  const counter = new OomKills(() => now);
  expect(counter.observe(first, kills(0))).toBe(0);
  counter.attribute(first, kills(2));
  expect(counter.ofCommands(first)).toBe(2);
  expect(counter.observe(first, kills(2))).toBe(0);
  expect(counter.observe(first, kills(3))).toBe(1);
  expect(counter.observe(first, kills(3))).toBe(0);
  now = 59_999;
  expect(counter.observe(first, kills(5))).toBe(0);
  now = 60_000;
  expect(counter.observe(first, kills(6))).toBe(3);
  expect(counter.observe(second, kills(1))).toBe(1);
  expect(counter.ofCommands(first)).toBe(0);
});

test("a killed process of a service is an event; one of a command is no memory problem of the service", async () => {
  const project = domain.project("shop", compose(service("api")));
  const manager = domain.manager();
  await manager.start({ project: "shop", folder: project }, call());
  const script = {
    stats: { oom_kills: 0 },
    exec: async () => ({ signal: "SIGKILL", exitCode: null, oomKilled: true }),
  };
  domain.runtime.scripts.api = script as never;
  const pressureOf = async () => (await manager.stats({ project: "shop" })).services.api?.pressure;
  const killed = async () => (await manager.events({ project: "shop", types: ["process_killed"] })).events;

  script.stats.oom_kills = 1;
  const ran = await manager.runCommand(
    { project: "shop", service: "api", command: ["fill"], timeoutMs: 10_000, maxBytes: 1000 },
    call(),
  );
  expect(ran.oom_killed).toBe(true);
  expect(await pressureOf()).toEqual([]);
  expect(await killed()).toEqual([]);
  expect((await diagnose.run({ project: "shop", since: "15m" } as never, { manager } as never)).cause?.kind).not.toBe(
    "memory_limit",
  );

  script.stats.oom_kills = 3;
  expect(await pressureOf()).toEqual(["memory: 2 process(es) were killed for exceeding the limit"]);
  await pressureOf();
  expect(await killed()).toMatchObject([{ service: "api", data: { kills: 2 } }]);
});
