/** Output of a service and compose files that are made to block the server while it reads them. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Server, TestBench, until } from "../e2e/support/bench.js";

const bench = new TestBench();
let server: Server;
beforeAll(async () => {
  server = await bench.server({ STACKWARDEN_RUNTIME: "local" });
});
afterAll(() => bench.close());

// Before the other test, whose files would slow the lists down.
it("log lines that would make redaction backtrack do not slow the server down", async () => {
  bench.project("flood", {
    "flood.js": `
      const units = ["eyJ-", "eyJaaaaaaaa.", "password='", "://a:", "-----BEGIN PRIVATE KEY-----", "token=\\\\", "\\u001b]a"];
      let next = 0;
      setInterval(() => process.stdout.write(units[next++ % units.length].repeat(20_000).slice(0, 65_000) + "\\n"), 20);
    `,
    "quiet.js": "setInterval(() => {}, 1000);\n",
    "compose.yaml": `services:
  flood: { image: "node:20", x-local: { command: node flood.js } }
  quiet: { image: "node:20", x-local: { command: node quiet.js } }
`,
  });
  await server.call("start_stack", { project: "flood" });
  const tail = async () =>
    (await server.call("get_logs", { project: "flood", service: "flood", tail: 5 })).lines.length;
  await until("the service's lines", async () => (await tail()) === 5);
  // Before, each such line took 3.4 s, so that no call was answered while the service ran.
  const times: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    const started = performance.now();
    await server.call("list_stacks");
    times.push(performance.now() - started);
  }
  await server.call("stop_stack", { project: "flood" });
  // 20 calls take less time than one such line took before, also on a machine under load.
  expect(times.sort((a, b) => a - b)[10]).toBeLessThan(1700);
});

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
      await sleep(20);
    }
  })();
  for (const error of await Promise.all(refused)) expect(error.code).toBe("INVALID_STACK");
  expect(JSON.stringify((await listed).stacks)).toContain("good");
  // Exceeds no limit of a text's parts, so that it is read for longest.
  const lists = `[${"a,".repeat(500)}],`.repeat(80);
  bench.project("lists", { "compose.yaml": `services: { web: { image: x, command: [${lists}] } }\n` });
  const before = answers;
  expect((await server.refused("start_stack", { project: "lists" })).code).toBe("INVALID_STACK");
  // The server answered throughout, not once at the end.
  expect(answers - before).toBeGreaterThan(5);
  over = true;
  await asking;
  expect((await server.call("health_status", { project: "good" })).services.web).toBeDefined();
  await server.call("stop_stack", { project: "good" });
});
