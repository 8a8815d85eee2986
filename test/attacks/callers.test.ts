/** What a client reaches through the server that all clients share, and beyond the operator's command policy. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { TestBench } from "../e2e/support/bench.js";

const REDIS = 'services:\n  db: { image: "redis:7", volumes: ["data:/data"] }\nvolumes: { data: {} }\n';
let bench: TestBench;
afterEach(() => bench.close());

// Before, the second client got the data and the generated passwords in 2 of 2 runs.
it("data_from refuses a project outside the client's roots, even after another client named the target", async () => {
  bench = new TestBench("shared");
  bench.project("victim", { "compose.yaml": REDIS });
  const narrow = join(bench.projects, "narrow");
  const mine = join(narrow, "mine");
  mkdirSync(mine, { recursive: true });
  writeFileSync(join(mine, "compose.yaml"), REDIS);
  const wide = await bench.server({}, [], "wide");
  const attacker = await bench.server({ STACKWARDEN_ROOTS: narrow }, [], "narrow");
  await wide.call("start_stack", { project: "victim", folder: "victim" });
  await wide.call("check_stack", { project: "mine", folder: mine });
  const error = await attacker.refused("start_stack", {
    project: "mine",
    folder: mine,
    data_from: { project: "victim" },
  });
  expect(error.code).toBe("FOLDER_NOT_ALLOWED");
  expect(JSON.stringify(error)).not.toContain(join(bench.projects, "victim"));
  // Not an attack: a client whose roots contain both projects may copy.
  await wide.call("start_stack", { project: "mine", folder: mine, data_from: { project: "victim" } });
});

// Before, all of these ran the caller's code.
it("commands: declared refuses an environment or working directory for a declared command", async () => {
  bench = new TestBench("standalone");
  bench.project("p", {
    "compose.yaml": [
      "services:",
      "  app:",
      "    image: node:20",
      '    x-commands: { hello: ["node", "-e", "console.log(1)"] }',
      "    x-local: { command: [sleep, '1000'] }",
    ].join("\n"),
  });
  const server = await bench.server({ STACKWARDEN_COMMANDS: "declared" });
  const call = { project: "p", service: "app", command: "hello" };
  await server.call("start_stack", { project: "p", folder: "p" });
  for (const more of [
    { env: { NODE_OPTIONS: "--import=data:text/javascript,console.log('attacker')" } },
    { env: { LD_PRELOAD: "/tmp/attacker.so" } },
    { command: ["node", "-e", "console.log(1)"], env: { PATH: "/tmp" } },
    { workdir: "/tmp" },
  ]) {
    const error = await server.refused("run_command", { ...call, ...more });
    expect(error.code).toBe("COMMAND_NOT_ALLOWED");
  }
  expect(await server.call("run_command", { ...call, env: {} })).toMatchObject({ stdout: "1\n" });
});
