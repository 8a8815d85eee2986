import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sandboxArgs } from "../../../../src/runtimes/local/process/sandbox.js";
import { appCommand, prepareApp, resolveProgram } from "../../../../src/runtimes/local/providers/app.js";
import { postgresCommandEnv } from "../../../../src/runtimes/local/providers/postgres.js";
import { prepareRedis, redisCommandEnv } from "../../../../src/runtimes/local/providers/redis.js";
import { service } from "../support/fixture.js";
import { Preparation } from "../support/preparation.js";

describe("preparations without a start", () => {
  let preparation: Preparation;
  beforeEach(() => {
    preparation = new Preparation();
  });
  afterEach(() => preparation.close());

  it("the command of an image runs with x-local, and counts as one of a container", () => {
    const one = service("web", { entrypoint: ["./run"], command: ["-v"], local: { environment: {} } });
    expect(appCommand(one)).toEqual({ argv: ["./run", "-v"], container: true });
    const own = service("web", { local: { command: ["a"], environment: {} } });
    expect(appCommand(own)).toEqual({ argv: ["a"], container: false });
  });

  it("a program of the client is the last one that is looked up", async () => {
    const program = preparation.program("stackwarden-own-tool");
    const context = await preparation.context(service("web"));
    const tools = { path: [], env: {} };
    expect(await resolveProgram(["stackwarden-own-tool", "x"], "/", tools, context)).toEqual([program, "x"]);
    await expect(resolveProgram(["stackwarden-other"], "/", tools, context)).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: 'The program "stackwarden-other" was not found.',
    });
  });

  it("a volume below the working directory of a container is mounted in the folder that stands for it", async () => {
    preparation.host.namespaces = true;
    preparation.program("server");
    const one = service("web", {
      workingDir: "/app",
      mounts: [{ type: "volume", source: "data", target: "/app/data", readOnly: false }],
      command: ["server", "/app/data"],
      local: { environment: {} },
    });
    const plan = await prepareApp(await preparation.context(one));
    const target = join(preparation.folder, "data");
    expect(plan.mounts).toMatchObject([{ target, readOnly: false }]);
    expect(plan.argv).toEqual([join(preparation.bin, "server"), target]);
  });

  it("commands of Redis and PostgreSQL get the address and the password, also without a host port", async () => {
    const redis = service("cache", { image: "redis:7", environment: { REDIS_PASSWORD: "s3cret" } });
    expect(redisCommandEnv(await preparation.context(redis, { ports: { "cache:6379": 41_379 } }))).toMatchObject({
      REDIS_HOST: "127.0.0.1",
      REDIS_PORT: "41379",
      REDISCLI_AUTH: "s3cret",
    });
    const open = redisCommandEnv(await preparation.context(service("cache", { image: "redis:7" })));
    expect(open.REDIS_PORT).toBe("6379");
    expect(open).not.toHaveProperty("REDISCLI_AUTH");
    const postgres = service("db", { image: "postgres:15", environment: { POSTGRES_PASSWORD: "s3cret" } });
    expect(postgresCommandEnv(await preparation.context(postgres))).toMatchObject({
      PGPORT: "5432",
      PGPASSWORD: "s3cret",
    });
  });

  it("a missing Redis fails the start with the command that installs it", async () => {
    const before = { dirs: process.env.STACKWARDEN_PROGRAM_DIRS, path: process.env.PATH };
    try {
      process.env.STACKWARDEN_PROGRAM_DIRS = preparation.bin;
      process.env.PATH = preparation.bin;
      await expect(
        prepareRedis(await preparation.context(service("cache", { image: "redis:7" }))),
      ).rejects.toMatchObject({
        code: "RUNTIME_UNAVAILABLE",
        message: "Neither redis-server nor valkey-server is installed.",
        hint: expect.stringMatching(/^Install it: ((sudo )?apt-get install .* redis-server|brew install redis)$/),
      });
    } finally {
      process.env.PATH = before.path;
      if (before.dirs === undefined) delete process.env.STACKWARDEN_PROGRAM_DIRS;
      else process.env.STACKWARDEN_PROGRAM_DIRS = before.dirs;
    }
  });

  it.runIf(existsSync("/usr/src"))(
    "a mount at a missing path of an existing folder replaces that folder by one with the same entries",
    () => {
      const tools = { bwrap: "bwrap", nsenter: "nsenter", system: [], users: null };
      const mounts = [{ source: preparation.folder, target: "/usr/src/stackwarden-absent/data", readOnly: true }];
      const args = sandboxArgs({ tools, hidden: [], shared: [] }, { visible: [], programs: [], mounts }).join(" ");
      expect(args).toMatch(/--perms \d+ --tmpfs \/usr\/src /);
      expect(args).toContain("--perms 0755 --dir /usr/src/stackwarden-absent");
      expect(args).toContain(`--ro-bind ${preparation.folder} /usr/src/stackwarden-absent/data`);
    },
  );
});
