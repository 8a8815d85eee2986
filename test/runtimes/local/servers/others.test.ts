import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ServerName } from "../../../../src/runtimes/local/servers/images.js";
import { memcachedOptions } from "../../../../src/runtimes/local/servers/others.js";
import { prepareServer } from "../../../../src/runtimes/local/servers/prepare-server.js";
import type { Mount, ServiceDefinition } from "../../../../src/stack/definition/types.js";
import { service } from "../support/fixture.js";
import { Preparation } from "../support/preparation.js";

const volume = (source: string, target: string): Mount => ({ type: "volume", source, target, readOnly: false });

describe("prepareServer", () => {
  let preparation: Preparation;
  beforeEach(() => {
    preparation = new Preparation();
  });
  afterEach(() => preparation.close());

  const prepare = async (
    server: ServerName,
    fields: Partial<ServiceDefinition> = {},
    ports: Record<string, number> = {},
  ) =>
    prepareServer(
      server,
      await preparation.context({ ...service("one", { image: server, ...fields }), server }, { ports }),
    );

  it("memcached listens on its host port of 127.0.0.1 only, without UDP", async () => {
    const program = preparation.program("memcached");
    const plan = await prepare("memcached", { command: ["-m", "32"] }, { "one:11211": 41_211 });
    expect(plan.argv).toEqual([program, "-l", "127.0.0.1", "-p", "41211", "-U", "0", "-m", "32"]);
    expect(plan.notes).toEqual(["memcached has no password: every local user of this machine can connect."]);
  });

  it("a command of the service finds the server by its path in the image, and other programs by their names", async () => {
    const program = preparation.program("memcached");
    const plan = await prepare("memcached");
    expect(await plan.resolve(["/usr/local/bin/memcached", "-V"])).toEqual([program, "-V"]);
    expect(await plan.resolve(["nc", "-z", "localhost"])).toEqual(["nc", "-z", "localhost"]);
    expect(plan.env.PATH?.split(":")[0]).toBe(preparation.bin);
  });

  it("memcachedOptions keeps limits, leaves out addresses and ports, and refuses everything else", () => {
    const options = (...command: string[]) => memcachedOptions(service("cache", { command }));
    expect(options("docker-entrypoint.sh", "memcached", "-m64", "-I", "2m", "--conn-limit=9")).toEqual([
      "-m64",
      ...["-I", "2m"],
      "--conn-limit=9",
    ]);
    expect(options("memcached", "-l", "0.0.0.0", "-p", "11211", "-vv")).toEqual([]);
    for (const [words, refused] of [
      [["-S"], "-S"],
      [["-m"], "-m"],
      [["-m", "64", "--extended"], "--extended"],
    ] as const)
      expect(() => options(...words)).toThrowError(
        expect.objectContaining({
          code: "UNSUPPORTED",
          message: `The local runtime cannot give "${refused}" to memcached ("cache").`,
          hint: "Use -m, -c, -I, -t or their long forms.",
        }),
      );
  });

  it("MongoDB keeps its data in the service's volume and listens on 127.0.0.1", async () => {
    const program = preparation.program("mongod");
    const plan = await prepare("mongo", { mounts: [volume("docs", "/data/db")] }, { "one:27017": 41_017 });
    const data = join(preparation.stateDir, "volumes/docs/mongo");
    expect(plan.argv).toEqual([
      program,
      ...["--dbpath", data, "--port", "41017", "--bind_ip", "127.0.0.1"],
      ...["--unixSocketPrefix", join(preparation.stateDir, "run/one/tmp")],
    ]);
    expect(plan.emptyVolumes).toEqual(["docs"]);
    expect(plan.notes).toEqual(["MongoDB has no password: every local user of this machine can connect."]);
    expect(statSync(data).mode & 0o777).toBe(0o700);
  });

  it("a root user of MongoDB is refused with either variable", async () => {
    preparation.program("mongod");
    for (const name of ["MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_USERNAME_FILE"])
      await expect(prepare("mongo", { environment: { [name]: "root" } })).rejects.toMatchObject({
        code: "UNSUPPORTED",
        message: 'The local runtime cannot create the root user of "one".',
        hint: expect.stringContaining("Leave MONGO_INITDB_ROOT_USERNAME and its password out"),
      });
  });

  it("a folder of the project at the place of MongoDB's data is noted, and other mounts are refused", async () => {
    preparation.program("mongod");
    const bind = (target: string): Mount => ({
      type: "bind",
      source: join(preparation.folder, "data"),
      target,
      readOnly: false,
    });
    const { notes } = await prepare("mongo", { mounts: [bind("/data/db/"), bind("/etc/localtime")] });
    expect(notes[0]).toBe(`Its data is kept in the state directory instead of ${join(preparation.folder, "data")}.`);
    const refused = (what: string) => ({
      code: "UNSUPPORTED",
      message: `The local runtime cannot mount ${what} into "one".`,
      hint: expect.stringContaining("Keep one named volume for its data"),
    });
    await expect(prepare("mongo", { mounts: [bind("/etc/mongo")] })).rejects.toMatchObject(refused("/etc/mongo"));
    const two = [volume("a", "/data/db"), volume("b", "/data/configdb")];
    await expect(prepare("mongo", { mounts: two })).rejects.toMatchObject(refused("/data/configdb"));
    const readOnly = { ...volume("a", "/data/db"), readOnly: true } as Mount;
    await expect(prepare("mongo", { mounts: [readOnly] })).rejects.toMatchObject(refused("/data/db"));
  });

  it("Mailpit gets its settings but not its addresses, and its commands get the address of its page", async () => {
    const program = preparation.program("mailpit");
    const environment = { MP_MAX_MESSAGES: "9", MP_DATABASE: "/x", MP_SMTP_BIND_ADDR: "[::]:1", OTHER: "y" };
    const plan = await prepare(
      "mailpit",
      { environment, mounts: [volume("mail", "/data")] },
      {
        "one:1025": 41_025,
        "one:8025": 48_025,
      },
    );
    const database = join(preparation.stateDir, "volumes/mail/mailpit/mailpit.db");
    expect(plan.argv).toEqual([
      program,
      ...["--smtp", "127.0.0.1:41025", "--listen", "127.0.0.1:48025", "--database", database],
    ]);
    expect(plan.env).toMatchObject({
      MP_MAX_MESSAGES: "9",
      MP_UI_BIND_ADDR: "127.0.0.1:48025",
      MP_DATABASE: database,
    });
    expect(plan.env).not.toHaveProperty("MP_SMTP_BIND_ADDR");
    expect(plan.env).not.toHaveProperty("OTHER");
    expect(plan.commandEnv).toMatchObject({ OTHER: "y", MP_UI_BIND_ADDR: "127.0.0.1:48025" });
  });

  const rabbit = () => {
    preparation.program("rabbitmq-server");
    const base = join(preparation.stateDir, "run/one");
    return {
      data: join(preparation.stateDir, "volumes/queue/rabbitmq"),
      config: () => readFileSync(join(base, "advanced.config"), "utf8"),
      plugins: () => readFileSync(join(base, "enabled_plugins"), "utf8"),
      start: (fields: Partial<ServiceDefinition> = {}) =>
        prepare(
          "rabbitmq",
          { image: "rabbitmq:3", mounts: [volume("queue", "/var/lib/rabbitmq")], ...fields },
          { "one:5672": 45_672, "one:15672": 46_672 },
        ),
    };
  };

  it("RabbitMQ has the image's default user on its host port of 127.0.0.1, and no plug-in", async () => {
    const { start, config, plugins } = rabbit();
    const { env } = await start();
    expect(config()).toBe(
      '[{rabbit, [{tcp_listeners, [{"127.0.0.1", 45672}]}, {default_user, <<"guest">>}, {default_pass, <<"guest">>}, {default_vhost, <<"/">>}, {loopback_users, []}]}].\n',
    );
    expect(plugins()).toBe("[].\n");
    expect(env).toMatchObject({
      RABBITMQ_NODENAME: "rabbit-one-45672@localhost",
      RABBITMQ_DIST_PORT: "25672",
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
      ERL_EPMD_ADDRESS: "127.0.0.1",
    });
  });

  it("RabbitMQ with management listens for its page, and quotes the user of the variables", async () => {
    const { start, config, plugins } = rabbit();
    await start({
      image: "rabbitmq:3-management",
      environment: {
        RABBITMQ_DEFAULT_USER: 'a"b',
        RABBITMQ_DEFAULT_PASS: "back\\slash",
        RABBITMQ_DEFAULT_VHOST: "shop",
      },
    });
    expect(config()).toContain('{default_user, <<"a\\"b">>}, {default_pass, <<"back\\\\slash">>}');
    expect(config()).toContain('{default_vhost, <<"shop">>}');
    expect(config()).toContain('{rabbitmq_management, [{listener, [{ip, "127.0.0.1"}, {port, 46672}]}]}');
    expect(plugins()).toBe("[rabbitmq_management].\n");
  });

  it("RabbitMQ's cookie is a long random one, which stays, and a weak one is replaced", async () => {
    const { start, data } = rabbit();
    const cookie = () => readFileSync(join(data, ".erlang.cookie"), "utf8");
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, ".erlang.cookie"), "ABCDEFGHIJKLMNOPQRST");
    await start();
    const first = cookie();
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    await start();
    expect(cookie()).toBe(first);
    expect(statSync(join(data, ".erlang.cookie")).mode & 0o777).toBe(0o600);
  });

  it("ports of the image are used where the stack has no others", async () => {
    preparation.program("mongod");
    expect((await prepare("mongo")).argv).toContain("27017");
  });
});
