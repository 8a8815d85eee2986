/** Compose files that are made to block the server while it reads them. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, it } from "vitest";
import { TestBench } from "../e2e/support/bench.js";

const bench = new TestBench();
afterAll(() => bench.close());

it("the server answers other calls while it refuses hostile compose files", async () => {
  bench.project("good", {
    "worker.js": "setInterval(() => {}, 1000);\n",
    "compose.yaml": "services:\n  web:\n    image: node:20\n    x-local: { command: node worker.js }\n",
  });
  // Before, each blocked the server: for over 100 s, 20 s, 12 s and 6 s.
  const many = (count: number, text: (at: number) => string): string =>
    Array.from({ length: count }, (_, at) => text(at)).join("");
  const hostile = {
    tags: `a: ${"!a ".repeat(300_000)}x\n`,
    volumes: `services: { web: { image: x } }\nvolumes:\n${many(40_000, (at) => `  v${at}: {}\n`)}`,
    binds: `services:\n  web:\n    image: x\n    volumes: [${many(20_000, (at) => `"./a${at}:/b${at}",`)}]\n`,
    ports: `services:\n  web:\n    image: x\n    ports: [${many(45_000, (at) => `"${at + 1000}:${at + 1000}",`)}]\n`,
  };
  for (const [name, text] of Object.entries(hostile)) bench.project(name, { "compose.yaml": text });
  const server = await bench.server({ STACKWARDEN_RUNTIME: "local" });
  await server.call("start_stack", { project: "good" });
  const refused = Object.keys(hostile).map((project) => server.refused("start_stack", { project }));
  let answers = 0;
  let over = false;
  // A list reads the hostile files as well.
  const listed = server.call("list_stacks");
  const asking = (async () => {
    while (!over) {
      await server.call("health_status", { project: "good" });
      answers += 1;
      await sleep(50);
    }
  })();
  for (const error of await Promise.all(refused)) expect(error.code).toBe("INVALID_STACK");
  over = true;
  await asking;
  expect(JSON.stringify((await listed).stacks)).toContain("good");
  // The server answered throughout, not once at the end.
  expect(answers).toBeGreaterThan(5);
  expect((await server.call("health_status", { project: "good" })).services.web).toBeDefined();
  await server.call("stop_stack", { project: "good" });
});
