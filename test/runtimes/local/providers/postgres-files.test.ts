/** PostgreSQL's files: the copy of its package that services can run, and the creation of a cluster. */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PrepareContext } from "../../../../src/runtimes/local/providers/launch-plan.js";
import { initialiseCluster } from "../../../../src/runtimes/local/providers/postgres-cluster.js";
import type { PostgresPackage } from "../../../../src/runtimes/local/toolchain/binaries.js";
import { postgresBinaries } from "../../../../src/runtimes/local/toolchain/postgres-binaries.js";
import type { RunSpec } from "../../../../src/runtimes/local/types.js";
import { tempDir } from "../support/fixture.js";

let dir: ReturnType<typeof tempDir>;
beforeEach(() => {
  dir = tempDir();
});
afterEach(() => dir.remove());

describe("postgresBinaries", () => {
  const file = (path: string, text: string, mode = 0o600) => {
    const full = join(dir.path, path);
    mkdirSync(dirname(full), { recursive: true, mode: 0o700 });
    writeFileSync(full, text, { mode });
  };
  const cache = () => join(dir.path, "state/cache");
  const found = (): PostgresPackage => ({ native: join(dir.path, "native"), version: "15.0.1", major: 15 });
  const mode = (path: string) => lstatSync(path).mode & 0o777;

  beforeEach(() => {
    file("native/bin/postgres", "server");
    file("native/lib/libpq.so.5", "library");
    file("native/lib/libpq.a", "not needed");
    file("native/include/pg.h", "not needed");
    const links = [
      { source: "native/lib/libpq.so.5", target: "native/lib/libpq.so" },
      { source: "native/lib/libpq.so.5", target: "native/lib/libpq.so.5" },
      // A modified package must not write outside of its folder.
      { source: "native/../../etc/passwd", target: "native/lib/passwd" },
      { source: "native/lib/libpq.so.5", target: "native/../../evil" },
    ];
    file("native/pg-symlinks.json", JSON.stringify(links));
  });

  it("the copy of the package is readable for all users and has no link that leads out of it", async () => {
    const binaries = await postgresBinaries(join(dir.path, "state"), async () => found());
    expect(binaries).toEqual({ bin: join(cache(), "postgres-15.0.1/bin"), version: "15.0.1", major: 15 });
    expect(mode(join(binaries.bin, "postgres"))).toBe(0o755);
    const lib = join(binaries.bin, "../lib");
    expect(mode(join(lib, "libpq.so.5")) & 0o444).toBe(0o444);
    expect(readlinkSync(join(lib, "libpq.so"))).toBe("libpq.so.5");
    expect(readdirSync(lib).sort()).toEqual(["libpq.so", "libpq.so.5"]);
    expect(readdirSync(join(binaries.bin, "..")).sort()).toEqual(["bin", "lib"]);
    expect(existsSync(join(dir.path, "evil"))).toBe(false);
  });

  it("concurrent calls make one copy, and copies of dead processes are removed", async () => {
    const [dead, alive] = [
      join(cache(), `.postgres-15.0.1-${2 ** 22 + 1}`),
      join(cache(), `.postgres-15.0.1-${process.ppid}`),
    ];
    for (const one of [dead, alive]) mkdirSync(one, { recursive: true });
    mkdirSync(join(cache(), "other"));
    const ask = () => postgresBinaries(join(dir.path, "state"), async () => found());
    const [one, other] = await Promise.all([ask(), ask()]);
    expect(one).toEqual(other);
    expect([existsSync(dead), existsSync(alive)]).toEqual([false, true]);
    expect(readdirSync(cache()).sort()).toEqual([alive.slice(cache().length + 1), "other", "postgres-15.0.1"].sort());
    // The copy exists: the package is not read again.
    writeFileSync(join(dir.path, "native/bin/postgres"), "changed");
    expect(readFileSync(join((await ask()).bin, "postgres"), "utf8")).toBe("server");
  });

  it("a copy that fails reports the cause and leaves no files", async () => {
    await expect(postgresBinaries(dir.path, async () => null)).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      hint: expect.stringContaining("--include=optional"),
    });
    file("native/pg-symlinks.json", "[{ torn");
    await expect(postgresBinaries(join(dir.path, "state"), async () => found())).rejects.toThrow();
    expect(readdirSync(cache())).toEqual([]);
  });
});

describe("initialiseCluster", () => {
  /** @param outcomes of initdb, then of the database's creation */
  async function make(...outcomes: { exitCode: number; output: string }[]) {
    const ran: RunSpec[] = [];
    const base = join(dir.path, "data");
    mkdirSync(base);
    const context = {
      host: {
        run: async (spec: RunSpec) => {
          ran.push(spec);
          if (ran.length === 1) mkdirSync(join(spec.cwd, "pgdata"));
          return { signal: null, timedOut: false, ...(outcomes[ran.length - 1] ?? outcomes.at(-1)) };
        },
      },
      user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, name: "db" },
      stack: { stateDir: dir.path },
      serverStateDir: join(dir.path, "state"),
      request: { service: { name: "db" }, signal: new AbortController().signal },
    } as unknown as PrepareContext;
    const login = { user: "app", password: "s3cret-pw", database: 'odd"name', method: "scram-sha-256" as const };
    const failure = await initialiseCluster(context, {
      base,
      data: join(base, "pgdata"),
      bin: "/pg/bin",
      login,
      options: [],
    }).then(
      () => null,
      (error: unknown) => error,
    );
    return { failure, ran, left: readdirSync(base) };
  }
  const fine = { exitCode: 0, output: "" };

  it.each([
    ["a full disk", "initdb: error: could not write: No space left on device", "STORAGE_FAILED", /filled the disk/],
    ["a user without a name", "initdb: could not look up effective user ID 4242", "UNSUPPORTED", /no name/],
    ["another error", "line\ninitdb: error: invalid locale", "SERVICE_START_FAILED", /initdb for "db" failed/],
  ])(
    "a failure of initdb because of %s is reported with its last lines and leaves no files",
    async (_what, output, code, message) => {
      const { failure, ran, left } = await make({ exitCode: 1, output });
      expect(failure).toMatchObject({
        code,
        message: expect.stringMatching(message),
        details: { last_lines: output.split("\n") },
      });
      expect(left).toEqual([]);
      expect(JSON.stringify(ran.map(({ argv, env }) => [argv, env]))).not.toContain("s3cret-pw");
    },
  );

  it("a refused CREATE DATABASE leaves no cluster although the server exits with code 0", async () => {
    const { failure, ran, left } = await make(fine, { exitCode: 0, output: "ERROR:  permission denied" });
    expect(failure).toMatchObject({ code: "SERVICE_START_FAILED", message: 'CREATE DATABASE for "db" failed.' });
    expect(ran[1]?.stdin).toBe('CREATE DATABASE "odd""name";\n\n');
    expect(left).toEqual([]);
  });

  it("the folder holds only the cluster after initdb and CREATE DATABASE succeed", async () => {
    const { failure, left } = await make(fine, fine);
    expect([failure, left]).toEqual([null, ["pgdata"]]);
  });
});
