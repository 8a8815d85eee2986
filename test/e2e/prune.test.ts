/** Stacks that are not needed any more: stale code, a removed folder, `prune`, an idle stack. */
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Commands } from "../support/commands.js";
import { APP, appCompose, TestBench, until } from "./support/bench.js";

const bench = new TestBench();
let folder: string;

const commands = new Commands();
const run = (...args: string[]) => {
  const env = bench.commandEnvironment();
  return commands.run(args, { cwd: bench.folder, env });
};
const records = () => join(bench.state, "projects", "shop");

beforeAll(() => {
  folder = bench.project("shop", { "compose.yaml": appCompose(), "app.js": APP });
});
afterAll(async () => {
  await commands.close();
  await bench.close();
});

it("a stack shows stale code, keeps running without its folder, and is pruned with its records", async () => {
  expect(await run("up", "-d", "--folder", folder)).toMatchObject({ code: 0 });
  const asked = Date.now();
  do writeFileSync(join(folder, "app.js"), `${APP}\n// edited`);
  while (statSync(join(folder, "app.js")).mtimeMs < asked);
  // The server reuses the result of a comparison for ten times the duration of the comparison.
  const stale = /app is stale: app\.js changed after the instance started\. Run: stackwarden restart app/;
  await until("the changed code is reported", async () => stale.test((await run("ps", "-p", "shop")).stdout));
  rmSync(folder, { recursive: true });
  expect(await run("health", "-p", "shop")).toMatchObject({ code: 0 });
  // `prune` leaves a running stack.
  expect(await run("prune", "--yes")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("Nothing to delete"),
    stderr: expect.stringContaining("shop is running and stays"),
  });
  expect(await run("down", "-p", "shop")).toMatchObject({ code: 0 });
  expect((await run("prune", "--dry-run")).stdout).toMatch(/shop\s.*gone/);
  expect(existsSync(records())).toBe(true);
  expect(await run("prune")).toMatchObject({ code: 2, stderr: expect.stringContaining("CONFIRMATION_REQUIRED") });
  expect(await run("prune", "nope", "--yes")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("UNKNOWN_PROJECT"),
  });
  expect(await run("prune", "--yes")).toMatchObject({ code: 0, stdout: expect.stringContaining("shop: its data") });
  expect(existsSync(records())).toBe(false);
  expect((await run("ps", "--all")).stdout).toContain("No stack is running");
});

it("up --idle-stop stops a stack that no command uses", async () => {
  folder = bench.project("idle", { "compose.yaml": appCompose(), "app.js": APP });
  expect(await run("up", "-d", "--folder", folder, "--idle-stop", "1s")).toMatchObject({ code: 0 });
  await until("the stack stopped", async () => {
    const { stacks } = JSON.parse((await run("ps", "--all", "--json")).stdout);
    return stacks[0].state === "stopped";
  });
  expect((await run("events", "--folder", folder, "--type", "warning")).stdout).toContain("no call used it for");
});
