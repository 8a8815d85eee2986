import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkServices } from "../../../src/runtimes/local/check-services.js";
import { findPostgresPackage } from "../../../src/runtimes/local/toolchain/binaries.js";
import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import { findIn, systemDirs } from "../../../src/system/find-program.js";
import { definition, service } from "./support/fixture.js";
import { Preparation } from "./support/preparation.js";

const installed = await findPostgresPackage();
/** A command that installs a Debian package, or a program of macOS. */
const installing = (name: string) => expect.stringMatching(new RegExp(`^(.*apt-get install .*|brew install )${name}`));

describe("checkServices of programs", () => {
  let preparation: Preparation;
  let client: Record<string, string>;
  beforeEach(() => {
    preparation = new Preparation();
    client = { PATH: preparation.bin };
    preparation.host.answer = ({ argv }) => ({ output: VERSIONS[argv[0]?.split("/").at(-1) ?? ""] ?? "" });
  });
  afterEach(() => preparation.close());

  const VERSIONS: Readonly<Record<string, string>> = {
    node: "v22.1.0",
    python3: "3.12.4",
    bun: "1.1.0",
    go: "go version go1.22.3",
  };
  const check = async (one: ServiceDefinition) => {
    const [found] = await checkServices({
      definition: definition([one]),
      folder: preparation.folder,
      stateDir: preparation.serverState,
      host: preparation.host,
      client,
    });
    return found;
  };
  const built = (...lines: string[]): ServiceDefinition => {
    preparation.file("Dockerfile", lines.join("\n"));
    return service("web", { build: { context: preparation.folder, args: {} } });
  };

  it("a language that is missing is named with the command that installs its version", async () => {
    expect(await check(service("web", { image: "golang:1.22", command: ["go", "run", "."] }))).toEqual({
      service: "web",
      runs: "Go",
      missing: [
        {
          message: "Go (golang:1.22) is not installed where a service can run it.",
          fix: "apt-get install -y golang-go (macOS: brew install go)",
        },
      ],
      notes: [],
    });
    const node = await check(service("web", { image: "node:21", command: ["node", "x.js"] }));
    expect(node?.missing[0]?.fix).toBe("nvm install 21");
    const python = await check(service("web", { image: "python", command: ["python", "x.py"] }));
    expect(python?.missing[0]?.fix).toBe("uv python install 3");
  });

  it("another version of the language is noted", async () => {
    const node = preparation.program("node");
    expect(await check(service("web", { image: "node:20", command: ["node", "x.js"] }))).toMatchObject({
      runs: `Node.js 22.1.0 (${node})`,
      missing: [],
      notes: ["Runs Node.js 22.1.0 instead of node:20."],
    });
  });

  it("package managers that are fetched are not missing, and others are", async () => {
    const node = preparation.program("node");
    const fetched = built("FROM node:22", "WORKDIR /app", "COPY . .", "RUN pnpm install", 'CMD ["node", "x"]');
    expect(await check(fetched)).toMatchObject({ runs: `Node.js 22.1.0 (${node}), pnpm`, missing: [] });
    const bun = built("FROM node:22", "WORKDIR /app", "COPY . .", "RUN bun install", 'CMD ["node", "x"]');
    expect((await check(bun))?.missing).toEqual([{ message: "bun is not installed.", fix: "npm install -g bun" }]);
    const other = built("FROM node:22", "COPY --from=x/y /pnpm /tini /bin/", "COPY . /app", 'CMD ["node", "x"]');
    expect((await check(other))?.missing).toEqual([{ message: "tini is not installed.", fix: "Install tini." }]);
    preparation.program("tini");
    expect((await check(other))?.missing).toEqual([]);
  });

  it("Bun installs with itself", async () => {
    const program = preparation.program("bun");
    const bun = built("FROM oven/bun:1", "WORKDIR /app", "COPY . .", "RUN bun install", 'CMD ["bun", "x.ts"]');
    expect(await check(bun)).toMatchObject({ runs: `Bun 1.1.0 (${program}), bun`, missing: [] });
  });

  it("the program of an image without a language is looked up on the client's PATH", async () => {
    const other = built("FROM alpine", "WORKDIR /app", "COPY . .", 'CMD ["caddy", "run"]');
    expect(await check(other)).toMatchObject({
      runs: "caddy run",
      missing: [{ message: "caddy is not installed.", fix: "Install caddy." }],
    });
    const program = preparation.program("caddy");
    expect(await check(other)).toMatchObject({ runs: program, missing: [] });
    const own = built("FROM alpine", "WORKDIR /app", "COPY . .", 'CMD ["./serve", "-v"]');
    expect(await check(own)).toMatchObject({ runs: "./serve -v", missing: [] });
  });

  it("a server is named with its program, or with the command that installs it", async () => {
    const cache = service("cache", { image: "memcached:1" });
    expect(await check(cache)).toMatchObject({
      runs: "memcached",
      missing: [{ message: "memcached is not installed.", fix: installing("(memcached)$") }],
    });
    const program = preparation.program("memcached");
    expect(await check(cache)).toMatchObject({ runs: `memcached (${program})`, missing: [] });
  });

  it("a command of x-local is named with the version of its interpreter", async () => {
    const local = (command: string[]) => service("web", { local: { command, environment: {} } });
    expect((await check(local(["uvicorn", "app:app"])))?.runs).toBe("uvicorn app:app");
    const python =
      (await findIn(["python3"], ["/usr/local/bin", "/usr/bin", "/bin"])) ?? preparation.program("python3");
    expect((await check(local(["python3", "x.py"])))?.runs).toBe(`python3 x.py (${python} 3.12.4)`);
    const npx = await check(local(["npx", "serve"]));
    expect(npx?.runs).toMatch(/^npx serve( \(\/\S+\))?$/);
  });

  it("a command of a program that is missing is named alone", async () => {
    const path = await findIn(["npx"], ["/usr/local/bin", "/usr/bin", "/bin"]);
    const npx = await check(service("web", { local: { command: ["npx", "serve"], environment: {} } }));
    expect(npx?.runs).toBe(path === null ? "npx serve" : `npx serve (${path})`);
    const program = preparation.program("npx");
    const found = await check(service("web", { local: { command: ["npx", "serve"], environment: {} } }));
    expect(found?.runs).toBe(`npx serve (${path ?? program})`);
  });

  it("a command that an image does not run is that of the compose file", async () => {
    const one = service("web", { entrypoint: ["flask"], command: ["run"], local: { environment: {} } });
    expect(await check(one)).toMatchObject({ runs: "flask run", missing: [] });
  });

  it.skipIf(installed === null)(
    "a version of PostgreSQL is the installed one, a downloaded one, or noted",
    async () => {
      const runs = async (image: string) => (await check(service("db", { image })))?.runs;
      expect(await runs("postgres")).toBe(`PostgreSQL ${installed?.major} (installed package)`);
      const file = join(preparation.serverState, "cache/postgres-17.1.0-beta.1/bin/postgres");
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, "", { mode: 0o755 });
      expect(await runs("postgres:17")).toMatch(
        /^PostgreSQL 17 \((downloaded|downloaded at the first start|system)\)$/,
      );
      const old = await check(service("db", { image: "postgres:9.6" }));
      expect(old).toMatchObject({
        runs: `PostgreSQL ${installed?.major} (installed package)`,
        notes: [`Runs PostgreSQL ${installed?.major} instead of postgres:9.6.`],
      });
    },
  );

  it("a missing Redis is named with the command that installs it", async () => {
    const before = process.env.STACKWARDEN_PROGRAM_DIRS;
    const path = process.env.PATH;
    try {
      process.env.STACKWARDEN_PROGRAM_DIRS = preparation.bin;
      process.env.PATH = preparation.bin;
      expect(systemDirs()).toEqual([preparation.bin]);
      expect(await check(service("cache", { image: "redis:7" }))).toMatchObject({
        runs: "redis",
        missing: [{ message: "Neither redis-server nor valkey-server is installed.", fix: installing("redis") }],
      });
      const program = preparation.program("valkey-server");
      expect((await check(service("cache", { image: "redis:7" })))?.runs).toBe(`valkey-server (${program})`);
    } finally {
      process.env.PATH = path;
      if (before === undefined) delete process.env.STACKWARDEN_PROGRAM_DIRS;
      else process.env.STACKWARDEN_PROGRAM_DIRS = before;
    }
  });
});
