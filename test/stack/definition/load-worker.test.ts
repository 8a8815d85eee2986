/** Reading in a worker thread (dist/load-worker.js): the same results and errors, and an end to hostile files. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import { loadStack } from "../../../src/stack/definition/load.js";
import { createWorkerLoader, type WorkerLoader } from "../../../src/stack/definition/load-worker.js";
import { packed, unpacked } from "../../../src/stack/definition/thread-copy.js";
import type { LoadRequest } from "../../../src/stack/definition/types.js";

let base: string;
let loader: WorkerLoader;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "stackwarden-load-"));
  loader = createWorkerLoader();
});
afterAll(async () => {
  await loader.close();
  rmSync(base, { recursive: true, force: true });
});

let count = 0;
function request(text: string, more: Partial<LoadRequest> = {}): LoadRequest {
  const folder = join(base, `p${++count}`);
  mkdirSync(folder);
  writeFileSync(join(folder, "compose.yaml"), text);
  return {
    projectId: "shop",
    folder,
    profiles: [],
    allowRoot: [],
    generateSecret: async (name) => `made-${name}`,
    ...more,
  };
}
const failure = async (promise: Promise<unknown>): Promise<StackwardenError> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(StackwardenError);
  return error as StackwardenError;
};

const STACK = `
services:
  constructor:
    image: node:20
    environment: { __proto__x: "1", PORT: "3000", API_KEY: abcdef-123 }
    labels: { toString: x }
    depends_on: [db]
    secrets: [one, two]
  db: { image: "postgres:15", volumes: ["data:/var/lib/postgresql/data"] }
volumes: { data: {} }
secrets:
  one: { x-generate: true }
  two: { x-generate: true }
`;

describe("a definition read in a worker", () => {
  it("is the one that is read directly, with its secrets made by the server", async () => {
    const asked: string[] = [];
    const one = request(STACK);
    const direct = await loadStack(one);
    const read = await loader.loadStack({
      ...one,
      generateSecret: async (name) => {
        asked.push(name);
        return `made-${name}`;
      },
    });
    expect(read).toEqual(direct);
    expect([...new Set(asked)]).toEqual(["one", "two"]);
    expect(Object.getPrototypeOf(read.services)).toBeNull();
    expect(Object.getPrototypeOf(Object.values(read.services)[0]?.environment as object)).toBeNull();
  });

  it("fails with the same error, and with that of a secret that cannot be made", async () => {
    const bad = request("services: { web: { image: x, privileged: true, prts: [1] } }");
    const direct = await failure(loadStack(bad));
    const read = await failure(loader.loadStack(bad));
    expect(read.report()).toEqual(direct.report());
    const disk = new StackwardenError("STORAGE_FAILED", "The disk is full.", { hint: "Free space." });
    const full = request(STACK, { generateSecret: () => Promise.reject(disk) });
    expect((await failure(loader.loadStack(full))).report()).toEqual(disk.report());
  });

  it("is read while others are", async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => loader.loadStack(request(STACK))));
    expect(all.map(({ services }) => Object.keys(services))).toEqual(Array(4).fill(["constructor", "db"]));
  });

  it.each([
    ["tags without end", () => `a: ${"!a ".repeat(300_000)}x\n`],
    ["a flow list without end", () => `services: { web: { image: x, command: [${"a,".repeat(400_000)}] } }\n`],
    [
      "env files without end",
      () =>
        `services:\n  web:\n    image: x\n    env_file: [${Array.from({ length: 40_000 }, (_, at) => `{path: ./${at}.env, required: false}`).join(",")}]\n`,
    ],
    [
      "volumes without end",
      () =>
        `services:\n  web: { image: x }\nvolumes:\n${Array.from({ length: 40_000 }, (_, at) => `  v${at}: {}\n`).join("")}`,
    ],
    [
      "ports without end",
      () =>
        `services:\n  web:\n    image: x\n    ports: [${Array.from({ length: 45_000 }, (_, at) => `"${at + 1000}:${at + 1000}"`).join(",")}]\n`,
    ],
  ])("does not hold the server up: %s", async (_name, text) => {
    const hostile = request(text());
    let ticks = 0;
    const clock = setInterval(() => {
      ticks += 1;
    }, 20);
    const started = performance.now();
    const outcome = await loader.loadStack(hostile).then(
      () => null,
      (error: StackwardenError) => error,
    );
    const took = performance.now() - started;
    clearInterval(clock);
    // Either it is read or refused in time, or its reader is ended; the server goes on meanwhile.
    if (outcome !== null) expect(["INVALID_STACK", "POLICY_VIOLATION"]).toContain(outcome.code);
    expect(ticks).toBeGreaterThanOrEqual(Math.floor((took / 20) * 0.2));
    // The next file is read as if nothing had been.
    await loader.loadStack(request(STACK));
  });

  it.each([
    ["services.web.ports", 1001, `services: { web: { image: x, ports: [${"1,".repeat(1001)}] } }`],
    ["services.web.env_file", 1001, `services: { web: { image: x, env_file: [${"a,".repeat(1001)}] } }`],
    ["services.web.volumes", 20_000, `services: { web: { image: x, volumes: [${"./a:/b,".repeat(20_000)}] } }`],
    [
      "services.web.environment",
      10_001,
      `services: { web: { image: x, environment: { ${Array.from({ length: 10_001 }, (_, at) => `A${at}: x`).join(", ")} } } }`,
    ],
  ])("refuses too long a list at once and names the limit: %s", async (path, number, text) => {
    const error = await failure(loader.loadStack(request(text)));
    expect(error.code).toBe("INVALID_STACK");
    expect(JSON.stringify(error.details)).toContain(
      `has ${number} entries, more than ${number === 10_001 ? 10_000 : 1000}`,
    );
    expect(JSON.stringify(error.details)).toContain(path);
  });

  it("ends a reader that takes too long, or too much memory, and names the limit", async () => {
    const slow = createWorkerLoader({ deadlineMs: 100 });
    const error = await failure(slow.loadStack(request(`a: ${"!a ".repeat(300_000)}x\n`)));
    expect(error).toMatchObject({ code: "INVALID_STACK", message: expect.stringContaining("longer than 0.1 s") });
    await slow.close();
    const small = createWorkerLoader({ memoryMb: 16, deadlineMs: 20_000 });
    const list = `services: { web: { image: x, command: [${"a,".repeat(450_000)}] } }\n`;
    expect(await failure(small.loadStack(request(list)))).toMatchObject({
      code: "INVALID_STACK",
      message: expect.stringContaining("more than 16 MB of memory"),
    });
    await small.close();
  });

  it("fails as a defect of stackwarden where the reader's program is broken", async () => {
    writeFileSync(join(base, "broken.js"), "process.exit(3);\n");
    const broken = createWorkerLoader({ program: join(base, "broken.js") });
    broken.warm();
    expect((await failure(broken.loadStack(request(STACK)))).code).toBe("INTERNAL");
    await broken.close();
  });

  it("keeps one worker warm and lets it go after a while", async () => {
    const short = createWorkerLoader({ idleMs: 1 });
    short.warm();
    await short.loadStack(request(STACK));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await short.loadStack(request(STACK));
    await short.close();
    await short.loadStack(request(STACK));
  });
});

it.each([
  { busyMs: 60_000, workers: 1 },
  { busyMs: 0, workers: 2 },
])(
  "reads two definitions at once with $workers worker(s) when a load waits $busyMs ms for one",
  async ({ busyMs, workers }) => {
    const started = join(base, `started-${workers}`);
    const program = join(base, `program-${workers}.mjs`);
    const real = pathToFileURL(resolve("dist/load-worker.js")).href;
    writeFileSync(
      program,
      `import { appendFileSync } from "node:fs";\nappendFileSync(${JSON.stringify(started)}, "x");\nawait import(${JSON.stringify(real)});\n`,
    );
    const own = createWorkerLoader({ program, busyMs });
    const names = await Promise.all([own.loadStack(request(STACK)), own.loadStack(request(STACK))]);
    expect(names.map(({ name }) => name)).toEqual(["shop", "shop"]);
    await own.close();
    expect(readFileSync(started, "utf8")).toHaveLength(workers);
  },
);

it("a copy between threads keeps objects without prototypes and buffers", () => {
  const bare = Object.assign(Object.create(null), { constructor: { list: [Buffer.from("x"), null, 1] } });
  const copy = unpacked(structuredClone(packed({ bare }))) as { bare: typeof bare };
  expect(copy).toEqual({ bare });
  expect(Object.getPrototypeOf(copy.bare)).toBeNull();
  expect(Buffer.isBuffer(copy.bare.constructor.list[0])).toBe(true);
});
