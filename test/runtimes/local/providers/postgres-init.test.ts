import { existsSync, readdirSync } from "node:fs";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ServiceDefinition } from "../../../../src/stack/definition/types.js";
import { findIn } from "../../../../src/system/find-program.js";
import { withPostgresCache } from "../../../support/postgres-cache.js";
import { freePort, healthcheck } from "../../contract/bench.js";
import { Fixture, service, untilHealthy } from "../support/fixture.js";

const check = healthcheck({ kind: "postgres" });
const psql = await findIn(["psql"], ["/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"]);
if (psql === null) process.stderr.write("postgres-init.test.ts: skipped, psql is not installed\n");

describe.skipIf(psql === null)("initialisation scripts of postgres", () => {
  const fixture = new Fixture();
  beforeAll(() => withPostgresCache(fixture.serverState));
  afterAll(() => fixture.close());

  const database = async (folder: string, volume: string): Promise<ServiceDefinition & { port: number }> => {
    const port = await freePort();
    const db = service("db", {
      image: "postgres:15",
      environment: { POSTGRES_USER: "shop", POSTGRES_PASSWORD: "s3cret", GREETING: "hello" },
      ports: [{ containerPort: 5432, hostPort: port, protocol: "tcp" }],
      mounts: [
        { type: "volume", source: volume, target: "/var/lib/postgresql/data", readOnly: false },
        { type: "bind", source: join(fixture.folder, folder), target: "/docker-entrypoint-initdb.d", readOnly: true },
      ],
    });
    return { ...db, port };
  };

  it("initialisation scripts run once, in the order of their names", async () => {
    fixture.file(
      "initdb/01-table.sql",
      "create table item (name text);\n\\set name 'meta'\ninsert into item values (:'name');\n",
    );
    const script = fixture.file(
      "initdb/02-script.sh",
      '#!/bin/bash\nset -e\npsql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<-SQL\n\tinsert into item values (\'$GREETING\');\nSQL\n',
    );
    await chmod(script, 0o755);
    await writeFile(join(fixture.folder, "initdb/03-more.sql.gz"), gzipSync("insert into item values ('zipped');"));
    fixture.file("initdb/README.md", "not a script");
    const { port, ...db } = await database("initdb", "first");
    const stack = await fixture.open([db]);
    const rows = async (): Promise<string[]> => {
      const client = new pg.Client({ host: "127.0.0.1", port, user: "shop", password: "s3cret", database: "shop" });
      await client.connect();
      const { rows: all } = await client.query("select name from item");
      await client.end();
      return all.map(({ name }) => name);
    };
    for (let start = 1; start <= 2; start++) {
      const running = await fixture.start(stack, db);
      expect(await untilHealthy(running, check)).toMatchObject({ healthy: true });
      expect(await rows()).toEqual(["meta", "hello", "zipped"]);
      if (start === 1) expect(fixture.log("db")).toContain("running 02-script.sh");
      await running.stop({ graceMs: 10_000 });
    }
    await stack.close();
  });

  it("a failed initialisation script fails the start with its output and leaves no database", async () => {
    fixture.file("broken/01.sql", "create table item (name text);\nselect no_such_function();\n");
    const { port: _, ...db } = await database("broken", "second");
    const stack = await fixture.open([db]);
    await expect(fixture.start(stack, db)).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: 'An initialisation script for "db" failed.',
      details: { last_lines: expect.arrayContaining([expect.stringContaining("no_such_function")]) },
    });
    expect(readdirSync(join(fixture.stateDir, "volumes/second"))).toEqual([]);
    expect(existsSync(join(fixture.stateDir, "volumes/second/pgdata"))).toBe(false);
    await stack.close();
  });
});
