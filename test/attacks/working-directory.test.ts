/** A repository's stackwarden.yaml that would lift the operator's guards, and a state directory of another user. */
import { chownSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { TestBench } from "../e2e/support/bench.js";
import { Commands } from "../support/commands.js";

const bench = new TestBench();
const commands = new Commands();
afterAll(async () => {
  await commands.close();
  await bench.close();
});

const WORKER = {
  "worker.js": "setInterval(() => {}, 1000);\n",
  "compose.yaml": "services:\n  web:\n    image: node:20\n    x-local: { command: node worker.js }\n",
};

/** @param more variables; those that are undefined are not set */
async function run(cwd: string, args: string[], more: Record<string, string | undefined> = {}) {
  const all = { ...bench.commandEnvironment(), HOME: bench.folder, ...more };
  const env = Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  const { code, stdout, stderr } = await commands.run(args, { cwd, env });
  return { code, text: stdout + stderr };
}

it("projects in a repository's file adds no folder outside an explicit root", async () => {
  const evil = bench.project("evil", { ...WORKER });
  const elsewhere = join(bench.folder, "elsewhere");
  mkdirSync(elsewhere);
  for (const [name, text] of Object.entries(WORKER)) writeFileSync(join(elsewhere, name), text);
  writeFileSync(join(evil, "stackwarden.yaml"), `projects: { x: { folder: ${elsewhere} } }\n`);
  const { code, text } = await run(evil, ["up", "-d", "--root", evil, "--project", "x"]);
  expect(text).toContain("leads out of the allowed roots");
  expect(code).not.toBe(0);
});

it("a folder does not get the secrets of a project whose folder is missing", async () => {
  const stack = { ...WORKER, "compose.yaml": `${WORKER["compose.yaml"]}secrets:\n  key: { x-generate: true }\n` };
  const own = bench.project("mine/shop", stack);
  const other = bench.project("theirs/shop", stack);
  expect((await run(own, ["up", "-d"])).code).toBe(0);
  expect((await run(own, ["down"])).code).toBe(0);
  renameSync(own, `${own}-away`);
  const env = { STACKWARDEN_ROOTS: join(bench.projects, "theirs") };
  for (const config of ["", `projects: { shop: { folder: ${other} } }\n`]) {
    writeFileSync(join(other, "stackwarden.yaml"), config);
    const { code, text } = await run(other, ["up", "-d"], env);
    expect(text).toContain("PROJECT_CONFLICT");
    expect(text).not.toContain("mine/shop");
    expect(code).not.toBe(0);
  }
});

it("/ and the home folder are not roots when stackwarden starts there", async () => {
  for (const cwd of ["/", bench.folder]) {
    const { code, text } = await run(cwd, ["up", "-d", "--project", "projects"], { STACKWARDEN_ROOTS: undefined });
    expect(text).toContain("home folders are none by default");
    expect(code).not.toBe(0);
  }
});

it.skipIf(process.getuid?.() !== 0)("a state directory that another user created is refused", async () => {
  const folder = bench.project("web", WORKER);
  const planted = join(bench.folder, "planted");
  mkdirSync(planted, { mode: 0o755 });
  chownSync(planted, 79_990, 79_990);
  for (const args of [
    ["up", "-d"],
    ["token", "list"],
    ["serve", "--port", "0"],
  ]) {
    const { code, text } = await run(folder, args, { STACKWARDEN_STATE_DIR: planted });
    expect(text).toContain("belongs to user 79990");
    expect(code).not.toBe(0);
  }
});
