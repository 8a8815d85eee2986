import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AddressBook } from "../../../../src/runtimes/local/addresses/address-rewrite.js";
import { SERVERS, serverInstallCommand, serverOfImage } from "../../../../src/runtimes/local/servers/images.js";
import { accountStatements, serverOptions } from "../../../../src/runtimes/local/servers/mysql.js";
import { rewriteConfig } from "../../../../src/runtimes/local/servers/nginx.js";
import type { OpenStackRequest } from "../../../../src/stack/runtime.js";
import { findIn, systemDirs } from "../../../../src/system/find-program.js";
import { processorClock } from "../../../support/processor-time.js";
import { freePort, healthcheck } from "../../contract/bench.js";
import { definition, Fixture, service, untilHealthy } from "../support/fixture.js";

const missing: string[] = [];
const installed = async (program: string): Promise<boolean> => {
  const found = (await findIn([program], systemDirs())) !== null;
  if (!found) missing.push(program);
  return found;
};
const [hasNginx, hasMemcached, hasMariaDb] = [
  await installed("nginx"),
  await installed("memcached"),
  await installed("mariadbd"),
];
if (missing.length > 0) process.stderr.write(`servers.test.ts: tests skipped, not installed: ${missing.join(", ")}\n`);

describe("images of servers", () => {
  it("serverOfImage recognises official images only", () => {
    expect(serverOfImage("mysql:8")).toBe("mysql");
    expect(serverOfImage("docker.io/library/nginx:alpine")).toBe("nginx");
    expect(serverOfImage("axllent/mailpit")).toBe("mailpit");
    expect(serverOfImage("bitnami/mysql:8")).toBeNull();
    expect(serverOfImage("ghcr.io/acme/nginx")).toBeNull();
  });

  it("every server has one install command for macOS and one for Linux", () => {
    for (const name of Object.keys(SERVERS) as (keyof typeof SERVERS)[]) {
      expect(serverInstallCommand(name, "darwin")).toMatch(/^brew install \S+$/);
      expect(serverInstallCommand(name, "linux")).toMatch(/apt-get install -y|^go install/);
    }
  });
});

describe("MySQL", () => {
  it("accountStatements creates the accounts of the image's variables and quotes their values", () => {
    const sql = accountStatements({ rootPassword: "a'b\\", database: "sh`op", user: "app", password: "x" });
    expect(sql).toContain("ALTER USER 'root'@'localhost' IDENTIFIED BY 'a\\'b\\\\';");
    expect(sql).toContain("CREATE DATABASE IF NOT EXISTS `sh``op`;");
    expect(sql).toContain("GRANT ALL ON `sh``op`.* TO 'app'@'%';");
  });

  it("accountStatements creates no user without a password, and removes accounts of the installation first", () => {
    const sql = accountStatements({ rootPassword: "x", database: "shop", user: "app", password: "" });
    expect(sql).not.toContain("'app'");
    expect(sql.indexOf("EXECUTE remove_open;")).toBeGreaterThan(0);
    expect(sql.indexOf("EXECUTE remove_open;")).toBeLessThan(sql.indexOf("CREATE USER 'root'@'%'"));
  });

  it("serverOptions keeps the options of the command except those that the runtime sets", () => {
    const command = ["mysqld", "--character-set-server=utf8mb4", "--port=1", "--default-authentication-plugin=x"];
    expect(serverOptions(service("db", { command }))).toEqual([
      "--loose-character-set-server=utf8mb4",
      "--loose-default-authentication-plugin=x",
    ]);
    expect(() => serverOptions(service("db", { command: ["bash", "x"] }))).toThrowError(/"bash"/);
  });
});

describe("the nginx configuration", () => {
  const book: AddressBook = {
    services: () => ["proxy", "api"],
    hostPort: (name, port) =>
      new Map([
        ["proxy:80", 8088],
        ["api:5000", 41_000],
      ]).get(`${name}:${port}`),
    ports: (name) => (name === "api" ? [5000] : [80]),
  };
  const rewrite = (text: string) =>
    rewriteConfig(text, { service: "proxy", book, paths: [{ container: "/usr/share/nginx/html", host: "/p/public" }] })
      .text;

  it("listen becomes the service's host port on 127.0.0.1", () => {
    expect(rewrite("listen 80;")).toBe("listen 127.0.0.1:8088;");
    expect(rewrite("listen 0.0.0.0:80 default_server;")).toBe("listen 127.0.0.1:8088 default_server;");
    expect(rewrite("listen [::]:80;").trim()).toBe("");
  });

  // In an earlier version 20,000 lines blocked the server for 7 to 30 s.
  it("a hostile configuration is rewritten in time linear in its length", () => {
    const lines = ["access_log x\n", "user x\n", "error_log x\n", "listen [\n", "resolver 127.0.0.11 \n", "server  "];
    const elapsed = processorClock();
    for (const line of lines) rewrite(line.repeat(20_000));
    expect(elapsed()).toBeLessThan(5000);
  });

  // In an earlier version each service and each mount read the whole text: 5 s of processor time for 1 MB.
  it("the time that a configuration takes does not grow with the number of services and mounts", () => {
    const names = Array.from({ length: 499 }, (_, index) => `s${index}`);
    const mounts = names.map((name) => ({ container: `/${name}`, host: "/p" }));
    const text = `${names.join(" ")} ${"# server a_pass server x://y:1 /a ;\n".repeat(28_000)}`;
    const milliseconds = (services: string[], paths: typeof mounts): number => {
      const elapsed = processorClock();
      rewriteConfig(text, { service: "proxy", book: { ...book, services: () => services }, paths });
      return elapsed();
    };
    expect(milliseconds(names, mounts)).toBeLessThan(5 * milliseconds(["proxy"], []) + 300);
  });

  it("paths of mounts become those of this machine, the innermost first, and others stay", () => {
    const paths = [
      { container: "/srv", host: "/p/srv" },
      { container: "/srv/inner", host: "/p/inner" },
    ];
    const text = 'root /srv; alias /srv/inner/x/; try "/srv" /srvx /x/srv; include=/srv/*.conf;';
    expect(rewriteConfig(text, { service: "proxy", book, paths }).text).toBe(
      'root /p/srv; alias /p/inner/x/; try "/p/srv" /srvx /x/srv; include=/p/srv/*.conf;',
    );
  });

  it("addresses of other services become their host ports", () => {
    expect(rewrite("proxy_pass http://api:5000/;")).toBe("proxy_pass http://127.0.0.1:41000/;");
    expect(rewrite("upstream x { server api:5000 weight=2; }")).toContain("server 127.0.0.1:41000 weight=2;");
  });

  it("a port that the target service does not have becomes an address that refuses connections", () => {
    expect(rewrite("proxy_pass http://api:3001/;")).toBe("proxy_pass http://127.0.0.1:1/;");
    expect(rewrite("upstream x { server api:3001; }")).toBe("upstream x { server 127.0.0.1:1; }");
    const separate = { ...book, isSeparate: true };
    expect(rewriteConfig("proxy_pass http://api:3001;", { service: "proxy", book: separate, paths: [] }).text).toBe(
      "proxy_pass http://127.0.0.1:3001;",
    );
    expect(rewrite("server_name api;")).toBe("server_name api;");
  });

  it("paths become folders of the project, and logs go to the service's output", () => {
    expect(rewrite("root /usr/share/nginx/html;")).toBe("root /p/public;");
    expect(rewrite("root /usr/share/nginx/html/app;")).toBe("root /p/public/app;");
    expect(rewrite("user nginx;\npid /run/x;\n").trim()).toBe("");
    expect(rewrite("access_log /var/log/nginx/a.log main;")).toBe("access_log off;");
    expect(rewrite("error_log /var/log/nginx/e.log warn;")).toBe("error_log stderr warn;");
  });
});

describe("servers that are installed", () => {
  let fixture: Fixture;
  let port: number;
  beforeEach(async () => {
    fixture = new Fixture();
    port = await freePort();
  });
  afterEach(() => fixture.close());
  const published = (containerPort: number) => [{ containerPort, hostPort: port, protocol: "tcp" as const }];

  it.skipIf(!hasMemcached)("memcached runs with the options of its command and refuses unsupported ones", async () => {
    const cache = service("cache", {
      image: "memcached:1.6",
      command: ["memcached", "-m", "32"],
      ports: published(11_211),
    });
    const stack = await fixture.open([cache]);
    const running = await fixture.start(stack, cache);
    expect(await untilHealthy(running, healthcheck({ kind: "tcp", port: 11_211 }))).toMatchObject({ healthy: true });
    await running.stop({ graceMs: 2000 });
    await expect(fixture.start(stack, { ...cache, command: ["-S"] })).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  it.skipIf(!hasNginx)("nginx serves the project's files with the project's configuration", async () => {
    fixture.file("public/index.html", "from the project");
    fixture.file(
      "site.conf",
      "server { listen 80; root /usr/share/nginx/html; location /x { return 200 'configured'; } }",
    );
    const bind = (path: string, target: string) =>
      ({ type: "bind", source: `${fixture.folder}/${path}`, target, readOnly: true }) as const;
    const web = service("web", {
      image: "nginx:alpine",
      ports: published(80),
      mounts: [bind("site.conf", "/etc/nginx/conf.d/default.conf"), bind("public", "/usr/share/nginx/html")],
    });
    const stack = await fixture.open([web]);
    const running = await fixture.start(stack, web);
    const health = await untilHealthy(running, healthcheck({ kind: "http", port: 80, path: "/", status: 200 }));
    expect(health, fixture.log("web")).toMatchObject({ healthy: true });
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("from the project");
    expect(await (await fetch(`http://127.0.0.1:${port}/x`)).text()).toBe("configured");
  });

  it.skipIf(!hasMariaDb)(
    "MariaDB has the accounts, the database and the data of its scripts, also after a restart",
    async () => {
      // The path of a socket in it would be too long.
      const volume = "data-of-the-todo-list-in-the-database";
      fixture.file("init/01.sql", "create table todo (title text); insert into todo values ('kept');");
      const db = service("db", {
        image: "mysql:8",
        environment: {
          MYSQL_ROOT_PASSWORD: "r'oot",
          MYSQL_DATABASE: "todos",
          MYSQL_USER: "todo",
          MYSQL_PASSWORD: "s3cret",
        },
        ports: published(3306),
        mounts: [
          { type: "volume", source: volume, target: "/var/lib/mysql", readOnly: false },
          { type: "bind", source: `${fixture.folder}/init`, target: "/docker-entrypoint-initdb.d", readOnly: true },
        ],
      });
      const stack = await fixture.open([db]);
      const ping = healthcheck({ kind: "cmd", argv: ["mysqladmin", "ping", "-h", "localhost"] });
      const query = healthcheck({
        kind: "cmd-shell",
        command: "mysql -h 127.0.0.1 -utodo -ps3cret todos -Ne 'select title from todo' | grep -q kept",
      });
      for (let start = 1; start <= 2; start += 1) {
        const running = await fixture.start(stack, db);
        expect(await untilHealthy(running, ping), fixture.log("db")).toMatchObject({ healthy: true });
        expect(await untilHealthy(running, query)).toMatchObject({ healthy: true });
        expect(running.notes.join("\n")).toContain("instead of mysql:8");
        await running.stop({ graceMs: 10_000 });
      }
    },
  );

  it("the commands of a client's own server find its program by its name and by its path in the image", async () => {
    // A stub that serves like Mailpit and whose `readyz` reads the same variable.
    const program = `#!/bin/sh
if [ "$1" = readyz ]; then test "$MP_UI_BIND_ADDR" = "$(cat "$MP_DATABASE.address")"; exit; fi
address=""; while [ $# -gt 0 ]; do [ "$1" = --listen ] && address=$2; [ "$1" = --database ] && file=$2; shift; done
printf %s "$address" >"$file.address"
exec sleep 600
`;
    const bin = join(fixture.dir.path, "client/bin");
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, "mailpit"), program, { mode: 0o755 });
    const mail = service("mail", { image: "axllent/mailpit", environment: { MP_UI_BIND_ADDR: "[::]:8025" } });
    const stack = await fixture.runtime.open(
      fixture.request(definition([mail]), {
        settings: { clientEnvironment: { PATH: bin } } as unknown as NonNullable<OpenStackRequest["settings"]>,
      }),
    );
    const running = await fixture.start(stack, mail);
    for (const argv of [
      ["/mailpit", "readyz"],
      ["mailpit", "readyz"],
    ])
      expect(await untilHealthy(running, healthcheck({ kind: "cmd", argv }))).toMatchObject({ healthy: true });
    const { exitCode } = await running.exec({
      command: ["sh", "-c", 'test "$(command -v mailpit)" = "$0" && mailpit readyz', join(bin, "mailpit")],
      signal: AbortSignal.timeout(10_000),
      onOutput: () => {},
    });
    expect(exitCode).toBe(0);
    await stack.close();
  });

  it("a server that is not installed fails the start, and the hint names its install command", async () => {
    const mail = service("mail", { image: "axllent/mailpit" });
    const stack = await fixture.open([mail]);
    await expect(fixture.start(stack, mail)).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("Mailpit (axllent/mailpit), which is not installed"),
      hint: expect.stringMatching(/^Install it: (go install|brew install)/),
    });
  });
});
