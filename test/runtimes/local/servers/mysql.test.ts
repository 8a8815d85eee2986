import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { prepareServer } from "../../../../src/runtimes/local/servers/prepare-server.js";
import type { RunSpec } from "../../../../src/runtimes/local/types.js";
import type { Mount, ServiceDefinition } from "../../../../src/stack/definition/types.js";
import { findIn, systemDirs } from "../../../../src/system/find-program.js";
import { service } from "../support/fixture.js";
import { Preparation } from "../support/preparation.js";

const VOLUME: Mount = { type: "volume", source: "db-data", target: "/var/lib/mysql", readOnly: false };
const ROOT = { MYSQL_ROOT_PASSWORD: "r'oot" };

describe("prepareServer of MySQL and MariaDB", () => {
  let preparation: Preparation;
  let accounts: string | undefined;
  beforeEach(() => {
    preparation = new Preparation();
    accounts = undefined;
  });
  afterEach(() => preparation.close());

  const isVersion = ({ argv }: RunSpec) => argv[1] === "--version";
  /** The commands of an initialisation: it creates the data, and the second one reads the accounts. */
  const answer = (spec: RunSpec) => {
    if (isVersion(spec)) return { output: "mariadbd  Ver 10.11.6-MariaDB for debian-linux-gnu" };
    const data = spec.argv.find((word) => word.startsWith("--datadir="))?.slice("--datadir=".length);
    if (data !== undefined) mkdirSync(data, { recursive: true });
    else accounts = readFileSync(spec.argv[8] ?? "", "utf8");
    return {};
  };
  const commands = () => preparation.host.specs.filter((spec) => !isVersion(spec));
  const mariaDb = () => {
    for (const name of ["mariadbd", "mariadb", "mariadb-install-db"]) preparation.program(name);
    preparation.host.answer = answer;
  };
  const prepare = async (
    fields: Partial<ServiceDefinition>,
    server: "mysql" | "mariadb" = "mysql",
    secrets: Record<string, string> = {},
  ) =>
    prepareServer(
      server,
      await preparation.context(
        { ...service("db", { image: "mysql:8", mounts: [VOLUME], ...fields }), server },
        { ports: { "db:3306": 41_306 }, secrets },
      ),
    );

  it("a new database is created beside its place, and gets the accounts of the variables", async () => {
    mariaDb();
    const environment = { ...ROOT, MYSQL_DATABASE: "todos", MYSQL_USER: "todo", MYSQL_PASSWORD: "s3cret" };
    const plan = await prepare({ environment });
    const base = join(preparation.stateDir, "volumes/db-data");
    const [create, initialise] = commands();
    const datadir = create?.argv[2]?.slice("--datadir=".length) ?? "";
    expect(create?.argv).toEqual([
      join(preparation.bin, "mariadb-install-db"),
      "--no-defaults",
      `--datadir=${datadir}`,
      "--auth-root-authentication-method=normal",
      "--skip-test-db",
    ]);
    expect(datadir).toMatch(new RegExp(`^${base}/\\.init-[0-9a-f]{12}/mysql$`));
    expect(initialise?.argv.slice(3, 7)).toEqual([
      "init",
      join(preparation.bin, "mariadbd"),
      join(preparation.bin, "mariadb"),
      datadir,
    ]);
    expect(initialise?.argv.slice(9)).toEqual(["todos"]);
    expect(initialise?.env).toMatchObject({ MYSQL_ROOT_PASSWORD: "r'oot", MYSQL_DATABASE: "todos" });
    expect(accounts).toContain("ALTER USER 'root'@'localhost' IDENTIFIED BY 'r\\'oot';");
    expect(accounts).toContain("CREATE USER 'todo'@'localhost' IDENTIFIED BY 's3cret';");
    // The folder of the initialisation is gone.
    expect(readdirSync(base)).toEqual(["mysql"]);
    expect(preparation.phases).toEqual(["initialising the database"]);
    expect(plan.emptyVolumes).toEqual(["db-data"]);
    expect(plan.notes).toEqual(["Runs MariaDB 10.11.6 instead of mysql:8."]);
    expect(plan.commandEnv).toEqual({ ...environment, MYSQL_HOST: "127.0.0.1" });
  });

  it("the server listens on the service's host port of 127.0.0.1, and its clients find it there", async () => {
    mariaDb();
    const plan = await prepare({
      environment: ROOT,
      command: ["docker-entrypoint.sh", "mysqld", "--max-connections=9"],
    });
    const run = join(preparation.stateDir, "run/db");
    const socket = join(run, "tmp/m.sock");
    const hasSocket = Buffer.byteLength(socket) < 108;
    expect(plan.argv).toEqual([
      join(preparation.bin, "mariadbd"),
      "--no-defaults",
      "--loose-max-connections=9",
      `--datadir=${join(preparation.stateDir, "volumes/db-data/mysql")}`,
      "--port=41306",
      "--bind-address=127.0.0.1",
      `--socket=${hasSocket ? socket : "m.sock"}`,
      `--pid-file=${join(run, "tmp/mysqld.pid")}`,
    ]);
    expect(readFileSync(join(run, "home/.my.cnf"), "utf8")).toBe(
      `[client]\n${hasSocket ? `socket=${socket}` : "protocol=tcp"}\nport=41306\n`,
    );
    expect(await plan.resolve(["healthcheck.sh", "--connect"])).toEqual([
      expect.stringMatching(/(mariadb-admin|mysqladmin)$/),
      "ping",
    ]);
    expect((await plan.resolve(["sh", "-c", "x"]))[0]).toMatch(/\/bin\/sh$/);
    expect(await plan.resolve(["no-such-program", "x"])).toEqual(["no-such-program", "x"]);
  });

  it("without a host port it listens on the image's, and a long path has no socket", async () => {
    mariaDb();
    const one = service(`db-${"x".repeat(90)}`, {
      mounts: [VOLUME],
      environment: { ...ROOT, MYSQL_USER: "a", MYSQL_PASSWORD: "b" },
    });
    preparation.host.answer = (spec) => (isVersion(spec) ? { exitCode: 1 } : answer(spec));
    const plan = await prepareServer("mysql", await preparation.context({ ...one, server: "mysql" }));
    expect(plan.argv).toEqual(expect.arrayContaining(["--port=3306", "--socket=m.sock"]));
    const client = readFileSync(join(preparation.stateDir, "run", one.name, "home/.my.cnf"), "utf8");
    expect(client).toBe("[client]\nprotocol=tcp\nport=3306\n");
    expect(accounts).toContain("CREATE USER 'a'@'%' IDENTIFIED BY 'b';\nCREATE USER 'a'@'localhost'");
    expect(commands()[1]?.argv[9]).toBe("");
  });

  it("the socket is at a short path in namespaces", async () => {
    mariaDb();
    preparation.host.namespaces = true;
    const plan = await prepare({ environment: ROOT });
    expect(plan.argv).toContain("--socket=/tmp/mysqld.sock");
    expect(commands()[1]?.argv[7]).toBe("/tmp/mysqld.sock");
  });

  it("a database that exists is not initialised again, and remains of an initialisation are removed", async () => {
    mariaDb();
    await prepare({ environment: ROOT });
    const base = join(preparation.stateDir, "volumes/db-data");
    mkdirSync(join(base, ".init-0123"));
    const before = commands().length;
    const plan = await prepare({ environment: ROOT });
    expect(commands()).toHaveLength(before);
    expect(readdirSync(base)).toEqual(["mysql"]);
    expect(plan.emptyVolumes).toEqual([]);
  });

  it("MySQL creates its data itself, also beside MariaDB's programs, and its second protocol is off", async () => {
    for (const name of ["mysqld", "mysql", "mariadb-install-db"]) preparation.program(name);
    preparation.host.answer = (spec) => (isVersion(spec) ? { output: "mysqld  Ver 8.0.36 for Linux" } : answer(spec));
    const plan = await prepare({ environment: ROOT, image: "mysql:8.4" });
    expect(commands()[0]?.argv).toEqual([
      join(preparation.bin, "mysqld"),
      "--no-defaults",
      "--initialize-insecure",
      expect.stringMatching(/^--datadir=/),
    ]);
    expect(plan.argv.at(-1)).toBe("--mysqlx=OFF");
    expect(plan.notes).toEqual(["Runs MySQL 8.0.36 instead of mysql:8.4."]);
  });

  it("scripts run after the accounts, in the order of their names", async () => {
    mariaDb();
    preparation.file("init/02.sql", "select 2;");
    preparation.file("init/01.sh", "echo 1");
    let texts: string[] = [];
    preparation.host.answer = (spec) => {
      if (spec.argv.length > 10) texts = spec.argv.slice(10).map((path) => readFileSync(path, "utf8"));
      return answer(spec);
    };
    const bind: Mount = {
      type: "bind",
      source: join(preparation.folder, "init"),
      target: "/docker-entrypoint-initdb.d",
      readOnly: true,
    };
    await prepare({ environment: ROOT, mounts: [VOLUME, bind] });
    expect(texts).toEqual(["echo 1", "select 2;"]);
    expect(preparation.phases).toEqual(["initialising the database", "running initialisation scripts"]);
  });

  it.each([
    [1, "Creating the accounts"],
    [2, "Creating the accounts"],
    [3, "An initialisation script"],
  ])("an initialisation that ends with %i fails the start and leaves nothing", async (exitCode, step) => {
    mariaDb();
    preparation.host.answer = (spec) => ({
      ...answer(spec),
      ...(spec.argv[3] === "init" ? { exitCode, output: "first\nlast\n" } : {}),
    });
    await expect(prepare({ environment: ROOT })).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: `${step} for "db" failed.`,
      hint: "The last lines in details say why.",
      details: { service: "db", last_lines: ["first", "last"] },
    });
    expect(readdirSync(join(preparation.stateDir, "volumes/db-data"))).toEqual([]);
  });

  it("a full disk is reported as such", async () => {
    mariaDb();
    preparation.host.answer = (spec) =>
      isVersion(spec) ? answer(spec) : { exitCode: 1, output: "[ERROR] Can't create file (errno: 28)" };
    await expect(prepare({ environment: ROOT })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: 'Creating the database for "db" failed.',
      hint: expect.stringContaining("Free some space"),
    });
  });

  it("variables that allow no login are refused, with every variable that would allow one", async () => {
    mariaDb();
    await expect(prepare({ environment: { MYSQL_DATABASE: "x" } })).rejects.toMatchObject({
      code: "INVALID_STACK",
      message: 'Service "db" has no MYSQL_ROOT_PASSWORD.',
      hint: "Set services.db.environment.MYSQL_ROOT_PASSWORD, MYSQL_RANDOM_ROOT_PASSWORD or MYSQL_ALLOW_EMPTY_PASSWORD.",
    });
    expect(commands()).toEqual([]);
  });

  it("an empty root password is allowed with the variable of either image, and noted", async () => {
    mariaDb();
    for (const name of ["MYSQL_ALLOW_EMPTY_PASSWORD", "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD"]) {
      const plan = await prepare({ environment: { [name]: "1" }, mounts: [] }, "mariadb");
      expect(plan.notes).toContain("MariaDB has no root password: every local user of this machine can connect.");
      expect(plan.notes).toContain("Has no named volume: removing the stack's volumes deletes its data.");
    }
  });

  it("a random root password is a long one, and it differs for each database", async () => {
    mariaDb();
    const passwords = new Set<string>();
    for (const source of ["a", "b"]) {
      const plan = await prepare({
        environment: { MYSQL_RANDOM_ROOT_PASSWORD: "yes" },
        mounts: [{ ...VOLUME, source } as Mount],
      });
      expect(plan.notes.join()).not.toContain("no root password");
      passwords.add(/'root'@'localhost' IDENTIFIED BY '([\w-]{24})'/.exec(accounts ?? "")?.[1] ?? "");
    }
    expect(passwords.size).toBe(2);
    expect(passwords.has("")).toBe(false);
  });

  it("a user without a password is noted, and MariaDB's variables come before MySQL's", async () => {
    mariaDb();
    const environment = { ...ROOT, MYSQL_USER: "old", MARIADB_USER: "app" };
    const plan = await prepare({ environment, image: "mariadb:10" }, "mariadb");
    expect(plan.notes).toEqual(["The user app is not created: MYSQL_PASSWORD is missing or empty."]);
  });

  it("a password can come from a secret's file", async () => {
    mariaDb();
    await prepare(
      {
        environment: { MYSQL_ROOT_PASSWORD_FILE: "/run/secrets/root" },
        secrets: [{ source: "db-root", target: "root" }],
      },
      "mysql",
      { "db-root": "from the secret" },
    );
    expect(accounts).toContain("IDENTIFIED BY 'from the secret';");
  });

  it("the data of an earlier user belongs to the service's user afterwards", async () => {
    mariaDb();
    const data = join(preparation.stateDir, "volumes/db-data/mysql");
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, "ibdata1"), "");
    await prepare({ environment: ROOT });
    const { uid } = await preparation.host.userFor("test", "db");
    expect([statSync(data).uid, statSync(join(data, "ibdata1")).uid]).toEqual([uid, uid]);
  });

  it("data that is not a folder is refused", async () => {
    mariaDb();
    mkdirSync(join(preparation.stateDir, "volumes/db-data"), { recursive: true });
    writeFileSync(join(preparation.stateDir, "volumes/db-data/mysql"), "");
    await expect(prepare({ environment: ROOT })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: 'The data of "db" is not a folder.',
      hint: expect.stringContaining("Remove the volume"),
    });
  });

  it("a cancelled initialisation leaves nothing", async () => {
    mariaDb();
    const controller = new AbortController();
    preparation.host.answer = (spec) => {
      if (spec.argv[3] === "init") controller.abort(new Error("cancelled"));
      return answer(spec);
    };
    const one = {
      ...service("db", { image: "mysql:8", mounts: [VOLUME], environment: ROOT }),
      server: "mysql",
    } as const;
    const context = await preparation.context(one, { signal: controller.signal });
    await expect(prepareServer("mysql", context)).rejects.toThrow("cancelled");
    expect(readdirSync(join(preparation.stateDir, "volumes/db-data"))).toEqual([]);
  });

  it("a server without its client, and a missing server, fail the start with the command that installs them", async () => {
    await expect(prepare({ environment: ROOT }, "mariadb")).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: '"db" needs MariaDB (mysql:8), which is not installed.',
      hint: expect.stringMatching(/^Install it: (apt-get install .* mariadb-server|brew install mariadb)$/),
      details: { service: "db", program: "mariadbd" },
    });
    const server = preparation.program("mariadbd");
    const clients = await findIn(["mariadb", "mysql"], systemDirs());
    if (clients === null)
      await expect(prepare({ environment: ROOT })).rejects.toMatchObject({
        code: "RUNTIME_UNAVAILABLE",
        message: `"db" needs the client of ${server}.`,
        hint: expect.stringMatching(/^Install it: (apt-get install .* mariadb-client|brew install mariadb)$/),
      });
    expect(existsSync(join(preparation.stateDir, "volumes/db-data"))).toBe(false);
  });
});
