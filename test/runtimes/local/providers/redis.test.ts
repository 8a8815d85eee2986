import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { quoted } from "../../../../src/runtimes/local/providers/redis.js";
import { redisCommand } from "../../../../src/runtimes/local/providers/redis-command.js";
import { findRedis } from "../../../../src/runtimes/local/toolchain/binaries.js";
import type { ServiceDefinition } from "../../../../src/stack/definition/types.js";
import type { RuntimeService, RuntimeStack } from "../../../../src/stack/runtime.js";
import { freePort, healthcheck } from "../../contract/bench.js";
import { Fixture, PASSWORD, service, untilHealthy } from "../support/fixture.js";

const check = healthcheck({
  kind: "cmd-shell",
  command: 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli ping | grep -q PONG',
});
const isRoot = process.getuid?.() === 0;
const available = (await findRedis()) !== null;

describe.runIf(available)("the redis provider", () => {
  const fixture = new Fixture();
  let stack: RuntimeStack;
  let running: RuntimeService;
  let cache: ServiceDefinition;
  let port: number;

  const client = async (password: string | undefined = PASSWORD) => {
    const one = new Redis({
      host: "127.0.0.1",
      port,
      lazyConnect: true,
      retryStrategy: () => null,
      ...(password === undefined ? {} : { password }),
    });
    one.on("error", () => {});
    await one.connect();
    return one;
  };

  beforeAll(async () => {
    port = await freePort();
    cache = service("redis", {
      image: "redis:7-alpine",
      environment: { REDIS_PASSWORD: PASSWORD },
      entrypoint: ["sh", "-c", 'printf "requirepass %s" "$REDIS_PASSWORD" | exec redis-server -'],
      ports: [{ containerPort: 6379, hostPort: port, protocol: "tcp" }],
      mounts: [{ type: "volume", source: "redis-data", target: "/data", readOnly: false }],
    });
    stack = await fixture.open([cache]);
    running = await fixture.start(stack, cache);
  });
  afterAll(() => fixture.close());

  it("redis-cli ping is replaced by stackwarden's own PING, and the replaced command is noted", async () => {
    expect(await untilHealthy(running, check)).toMatchObject({
      healthy: true,
      message: "PONG",
      check: `redis PING on 127.0.0.1:${port}`,
    });
    expect(running.notes.join()).toContain("shell command is replaced");
  });

  it("the server refuses clients without the password or with a wrong password", async () => {
    const open = new Redis({ host: "127.0.0.1", port, lazyConnect: true, retryStrategy: () => null });
    open.on("error", () => {});
    await expect(open.get("x")).rejects.toThrow(/NOAUTH/);
    open.disconnect();
    const wrong = new Redis({
      host: "127.0.0.1",
      port,
      password: "wrong",
      lazyConnect: true,
      retryStrategy: () => null,
    });
    wrong.on("error", () => {});
    await expect(wrong.get("x")).rejects.toThrow(/WRONGPASS|NOAUTH|closed/);
    wrong.disconnect();
    const good = await client();
    expect(await good.ping()).toBe("PONG");
    await good.quit();
  });

  it("the server listens on 127.0.0.1 only and syncs every write to disk", async () => {
    const lines = execFileSync("ss", ["-ltnH"], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.includes(`:${port} `));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`127.0.0.1:${port}`);
    const one = await client();
    const setting = async (name: string) => ((await one.config("GET", name)) as string[])[1];
    expect(await setting("appendonly")).toBe("yes");
    expect(await setting("appendfsync")).toBe("always");
    expect(await setting("protected-mode")).toBe("yes");
    await one.quit();
  });

  it("the password is not in the process list, in the environment or in the log", () => {
    const list = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
    expect(list).toContain(`127.0.0.1:${port}`);
    for (const text of [list, readFileSync(`/proc/${running.pid}/environ`, "utf8"), fixture.log("redis")])
      expect(text).not.toContain("s3cret");
    expect(JSON.stringify(fixture.host.spawned?.map(({ spec }) => [spec.argv, spec.env]))).not.toContain("s3cret");
  });

  it("the server runs as an unprivileged user, and only that user can read data and configuration", () => {
    const data = statSync(join(fixture.stateDir, "volumes/redis-data/redis"));
    expect(data.mode & 0o777).toBe(0o700);
    expect(running.user.uid).toBe(data.uid);
    if (isRoot) expect(data.uid).toBeGreaterThanOrEqual(70_000);
    expect(statSync(join(fixture.stateDir, "run/redis/redis.conf")).mode & 0o777).toBe(0o600);
  });

  it("acknowledged values survive SIGKILL and a stop", async () => {
    const one = await client();
    for (let n = 0; n < 50; n++) await one.set(`kept:${n}`, String(n));
    process.kill(running.pid ?? 0, "SIGKILL");
    expect(await running.exited).toMatchObject({ signal: "SIGKILL" });
    await running.stop({ graceMs: 1000 });
    one.disconnect();

    running = await fixture.start(stack, cache);
    await untilHealthy(running, check);
    const two = await client();
    expect(await two.mget(...Array.from({ length: 50 }, (_, n) => `kept:${n}`))).toEqual(
      Array.from({ length: 50 }, (_, n) => String(n)),
    );
    await two.set("more", "yes");
    expect(await running.stop({ graceMs: 10_000 })).toMatchObject({ exitCode: 0, signal: null });
    two.disconnect();

    running = await fixture.start(stack, cache);
    await untilHealthy(running, check);
    const three = await client();
    expect(await three.mget("kept:49", "more")).toEqual(["49", "yes"]);
    await three.quit();
  });

  it("a restart applies a new password and keeps the data", async () => {
    await running.stop({ graceMs: 10_000 });
    running = await fixture.start(stack, { ...cache, environment: { REDIS_PASSWORD: "other password" } });
    expect(await untilHealthy(running, check)).toMatchObject({ healthy: true });
    const one = await client("other password");
    expect(await one.get("more")).toBe("yes");
    await one.quit();
    await running.stop({ graceMs: 10_000 });
  });

  it.runIf(isRoot)("a start changes the owner of data that belongs to another uid", async () => {
    const data = join(fixture.stateDir, "volumes/redis-data/redis");
    chownSync(data, 69_999, 69_999);
    running = await fixture.start(stack, cache);
    expect(await untilHealthy(running, check)).toMatchObject({ healthy: true });
    expect(statSync(data).uid).toBe(running.user.uid);
    await running.stop({ graceMs: 10_000 });
  });

  it("options of the command apply, and a server without a password gets a note", async () => {
    const open = service("open", {
      image: "redis:7",
      command: ["redis-server", "--maxmemory", "64mb", "--save", "900 1", "--bind", "0.0.0.0", "--appendonly", "no"],
    });
    const second = await fixture.open([open]);
    const one = await fixture.start(second, open);
    expect(await untilHealthy(one, check)).toMatchObject({ healthy: true });
    expect(one.notes.join()).toContain("no password");
    const spec = fixture.host.spawned?.at(-1)?.spec;
    const config = readFileSync(spec?.argv[1] ?? "", "utf8");
    expect(config).toContain('maxmemory "64mb"');
    expect(config).toContain('save "900" "1"');
    expect(config.match(/^bind .*$/gm)).toEqual(['bind "127.0.0.1"']);
    expect(existsSync(join(fixture.stateDir, "anonymous/open/redis"))).toBe(true);
    await second.close();
  });

  it("the password is read from a Compose secret", async () => {
    const filed = service("filed", {
      image: "redis:7",
      environment: { REDIS_PASSWORD_FILE: "/run/secrets/pw" },
      secrets: [{ source: "cache", target: "pw" }],
    });
    const second = await fixture.open([filed], { cache: PASSWORD });
    const one = await fixture.start(second, filed);
    expect(await untilHealthy(one, check)).toMatchObject({ healthy: true });
    expect(one.notes).toEqual([]);
    await second.close();
  });

  it.each([
    [{ entrypoint: [], command: ["redis-server", "--loadmodule", "/x.so"] }, "UNSUPPORTED", "--loadmodule"],
    [{ entrypoint: [], command: ["redis-server", "/etc/redis.conf"] }, "UNSUPPORTED", "/etc/redis.conf"],
    [
      { mounts: [{ type: "bind" as const, source: "/x", target: "/usr/local/etc/redis", readOnly: true }] },
      "UNSUPPORTED",
      "/usr/local/etc/redis",
    ],
    [
      { mounts: [{ type: "volume" as const, source: "../up", target: "/data", readOnly: false }] },
      "INVALID_INPUT",
      "../up",
    ],
  ])("a start with %j is refused", async (fields, code, text) => {
    await expect(fixture.start(stack, { ...cache, ...fields } as ServiceDefinition)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(text),
      hint: expect.any(String),
    });
  });

  it.runIf(isRoot)("a server can use a data folder that root created", async () => {
    const data = join(fixture.stateDir, "volumes/foreign/redis");
    mkdirSync(data, { recursive: true });
    chmodSync(data, 0o700);
    const foreign = {
      ...cache,
      mounts: [{ type: "volume" as const, source: "foreign", target: "/x", readOnly: false }],
    };
    running = await fixture.start(stack, foreign);
    expect(await untilHealthy(running, check)).toMatchObject({ healthy: true });
    await running.stop({ graceMs: 10_000 });
  });
});

describe("redisCommand", () => {
  const command = (words: string[], entrypoint?: string[]) =>
    redisCommand(service("r", { command: words, ...(entrypoint === undefined ? {} : { entrypoint }) }), {
      environment: { PW: "from env" },
      file: (path) => (path === "/run/secrets/pw" ? "from file" : undefined),
    });

  it("redisCommand reads the command forms of the official images", () => {
    expect(command([])).toEqual({ password: null, directives: [], replaced: false });
    expect(command(["valkey-server", "--requirepass", "pass word"])).toMatchObject({
      password: "pass word",
      directives: [],
    });
    expect(command(["docker-entrypoint.sh", "redis-server", "--save", ""]).directives).toEqual([["save", [""]]]);
    expect(command(["--MaxMemory", "1mb", "--hash-max-listpack-entries", "2"]).directives).toEqual([
      ["maxmemory", ["1mb"]],
      ["hash-max-listpack-entries", ["2"]],
    ]);
    expect(command(["-c", "anything"], ["/bin/sh"])).toMatchObject({ replaced: true, directives: [] });
  });

  it.each([
    ['redis-server --requirepass "pass word"', "pass word"],
    ["exec redis-server --appendonly yes --requirepass $PW", "from env"],
    ['redis-server --requirepass "$(cat /run/secrets/pw)"', "from file"],
    ["redis-server --requirepass $" + "{ABSENT:-fallback}", "fallback"],
    ["redis-server --save ''", null],
  ])("redisCommand reads the password of the shell command %s", (script, password) => {
    expect(command(["sh", "-c", script])).toMatchObject({ password, replaced: false });
  });

  it.each([
    "redis-server --requirepass `cat x`",
    'echo "requirepass x" | redis-server -',
    "redis-server --requirepass $(pwd)",
  ])("a shell command whose password cannot be determined is refused without REDIS_PASSWORD: %s", (script) => {
    expect(() => command(["sh", "-c", script])).toThrowError(/which sets a password/);
    const withVariable = service("r", { command: ["sh", "-c", script], environment: { REDIS_PASSWORD: "known" } });
    expect(redisCommand(withVariable, {})).toMatchObject({ replaced: true });
  });

  it.each([[["--dbfilename", "x"]], [["--include", "/x"]], [["stray"]], [["--replicaof", "evil 6379"]]])(
    "the options %j are refused",
    (words) => {
      expect(() => command(words)).toThrowError(/cannot give/);
    },
  );
});

describe("quoted", () => {
  it("quoted escapes characters that would start another directive", () => {
    expect(quoted('a"b\\c\nrequirepass x')).toBe('"a\\x22b\\x5cc\\x0arequirepass x"');
    expect(quoted("ä\0")).toBe('"\\xc3\\xa4\\x00"');
    expect(quoted("")).toBe('""');
  });
});
