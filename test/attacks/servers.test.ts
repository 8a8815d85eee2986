/** Servers of this machine that the local runtime runs: another user of the machine connects to their ports. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Server, TestBench } from "../e2e/support/bench.js";
import { asUser } from "../e2e/support/ordinary-user.js";
import { isRoot } from "./support/processes.js";

const STRANGER = 12_345;
const hasMariaDb = isRoot && existsSync("/usr/sbin/mariadbd") && existsSync("/usr/bin/mariadb");
const hasRabbit = isRoot && existsSync("/usr/lib/rabbitmq/bin/rabbitmq-server");

describe.skipIf(!hasMariaDb && !hasRabbit)("servers and another user of the machine", () => {
  let bench: TestBench;
  let server: Server;
  beforeEach(() => {
    bench = new TestBench("standalone");
  });
  afterEach(() => bench.close());

  const start = async (name: string, lines: string[], env: Record<string, string> = {}): Promise<number> => {
    const compose = ["services:", `  ${name}:`, ...lines.map((line) => `    ${line}`), "volumes: { data: {} }"];
    bench.project(name, { "compose.yaml": compose.join("\n"), "init/a.sql": "create table made (a int);" });
    server = await bench.server(env);
    const { after } = await server.call("start_stack", { project: name, folder: name });
    return after.services[name].endpoints[0].host_port as number;
  };

  describe.runIf(hasMariaDb)("MariaDB", () => {
    const login = (port: number, user: string, ...more: string[]) => {
      const words = [...asUser(STRANGER), "/usr/bin/mariadb", "--no-defaults", "-h127.0.0.1", `-P${port}`, `-u${user}`];
      const [command = "", ...args] = [...words, ...more, "-e", "select current_user()"];
      const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
      return stdout + stderr;
    };

    // Before, the login as root succeeded in 2 of 2 runs.
    it("MariaDB refuses root without its password, also when it resolves no names", async () => {
      const port = await start("db", [
        "image: mariadb:10.11",
        'command: ["--skip-name-resolve"]',
        'environment: { MARIADB_ROOT_PASSWORD: the-root-0815, MARIADB_USER: app, MARIADB_DATABASE: "my shop" }',
        'ports: ["3306"]',
        'volumes: ["data:/var/lib/mysql", "./init:/docker-entrypoint-initdb.d"]',
      ]);
      for (const user of ["root", "app", ""]) expect(login(port, user)).toContain("Access denied");
      // Not an attack: a name with a space, and the password.
      expect(login(port, "root", "-pthe-root-0815")).toContain("root@%");
      expect(login(port, "root", "-pthe-root-0815", "-Dmy shop", "-e", "show tables;")).toContain("made");
      const { stacks } = await server.call("list_stacks");
      expect(JSON.stringify(stacks[0].services.db.notes)).toContain("The user app is not created");
    });
  });

  describe.runIf(hasRabbit)("RabbitMQ", () => {
    // Before, Erlang's distribution listened on every address with a cookie of 36 random bits.
    it("RabbitMQ lets no other machine run code in its node", async () => {
      const port = await start(
        "mq",
        ["image: rabbitmq:3", 'ports: ["5672"]', 'volumes: ["data:/var/lib/rabbitmq"]'],
        // Without a separate network the node is on this machine's.
        { STACKWARDEN_NAMESPACES: "off" },
      );
      const command = ["sh", "-c", "cat ~/.erlang.cookie; ss -Hltn 2>/dev/null | cut -c1-60"];
      const { stdout } = await server.call("run_command", { project: "mq", service: "mq", command });
      expect(stdout).toMatch(/^[0-9a-f]{64}/);
      const distribution = 20_000 + (port % 20_000);
      expect(stdout).toMatch(new RegExp(`127\\.0\\.0\\.1:${distribution}\\s`));
      const { stacks } = await server.call("list_stacks");
      expect(JSON.stringify(stacks)).not.toMatch(/all addresses|0\.0\.0\.0/);
    });
  });
});
