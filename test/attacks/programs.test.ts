/** A repository with programs that have the names for which the server looks. */
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, it } from "vitest";
import { BINARY, TestBench } from "../e2e/support/bench.js";

const NAMES = ["redis-server", "valkey-server", "dagger", "docker", "podman", "nerdctl", "kubectl", "python3", "sh"];
const MORE = ["setpriv", "bwrap", "ipcrm", "apt-get", "runc", "node", "npm"];

const bench = new TestBench();
afterAll(() => bench.close());

/** As with `npm exec`, the repository's programs come first in PATH. */
async function run(folder: string, args: string[], env: Record<string, string> = {}) {
  const bin = join(folder, "node_modules/.bin");
  return promisify(execFile)(process.execPath, [BINARY, ...args], {
    cwd: folder,
    env: { PATH: `${bin}:node_modules/.bin:.:${process.env.PATH}`, NO_COLOR: "1", ...bench.environment(), ...env },
  }).then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  );
}

it("no command runs a program of the repository, whatever its name", async () => {
  const folder = bench.project("shop", {
    "package.json": "{}",
    "worker.js": "setInterval(() => {}, 1000);\n",
    "compose.yaml": "services:\n  web:\n    image: node:20\n    x-local: { command: node worker.js }\n",
  });
  const marks = join(bench.folder, "marks");
  mkdirSync(marks);
  for (const name of [...NAMES, ...MORE])
    bench.project("shop", { [`node_modules/.bin/${name}`]: `#!/bin/sh\n: > ${marks}/${name}\nexit 0\n` });
  await promisify(execFile)("chmod", ["-R", "755", join(folder, "node_modules/.bin")]);
  // A stub that reports that it ran.
  await promisify(execFile)(join(folder, "node_modules/.bin/redis-server"));
  expect(readdirSync(marks)).toEqual(["redis-server"]);
  await promisify(execFile)("rm", [join(marks, "redis-server")]);

  const doctor = await run(folder, ["doctor"]);
  expect(doctor).toContain("redis");
  for (const runtime of ["auto", "local"]) {
    await run(folder, ["up", "-d", "--runtime", runtime]);
    await run(folder, ["down"]);
  }
  expect(readdirSync(marks)).toEqual([]);

  // Where the system's folders lack the program, the repository's is skipped and named.
  const empty = join(bench.folder, "empty");
  mkdirSync(empty);
  const bare = await run(folder, ["doctor"], {
    STACKWARDEN_PROGRAM_DIRS: empty,
    PATH: join(folder, "node_modules/.bin"),
  });
  expect(bare).toContain(
    `Not used: ${join(folder, "node_modules/.bin/redis-server")} (below a folder that holds projects)`,
  );
  expect(bare).toContain(`Not used: ${join(folder, "node_modules/.bin/dagger")}`);
  expect(readdirSync(marks)).toEqual([]);
});
