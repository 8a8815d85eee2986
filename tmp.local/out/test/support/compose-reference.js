import { createRequire } from 'module'; const require = createRequire(import.meta.url);

// test/support/compose-reference.ts
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
var SOURCES = join("/work/wt/compose/test/support", "..", "reference", "compose-go");
function goProgram() {
  for (const go of ["go", "/usr/local/go/bin/go"])
    if (spawnSync(go, ["version"], { stdio: "ignore" }).status === 0) return go;
  return null;
}
function buildReference() {
  const hash = createHash("sha256");
  for (const file of ["main.go", "go.mod", "go.sum"]) hash.update(readFileSync(join(SOURCES, file)));
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "stackwarden-test");
  const program = join(cache, `compose-go-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(program)) return { program };
  const go = goProgram();
  if (go === null) return { reason: "Go is not installed" };
  mkdirSync(cache, { recursive: true });
  const made = `${program}.${process.pid}`;
  try {
    execFileSync(go, ["build", "-o", made, "."], { cwd: SOURCES, stdio: ["ignore", "ignore", "pipe"], timeout: 3e5 });
  } catch (error) {
    const text = String(error.stderr ?? error);
    if (/dial tcp|no such host|proxyconnect|connection refused|i\/o timeout/.test(text))
      return { reason: "the Go modules cannot be fetched" };
    throw new Error(`The reference program does not build: ${text}`);
  }
  renameSync(made, program);
  return { program };
}
function askReference(program, requests) {
  const input = requests.map((request) => `${JSON.stringify(request)}
`).join("");
  const { stdout } = spawnSync(program, [], {
    input,
    env: { HOME: "/nonexistent" },
    encoding: "utf8",
    maxBuffer: 1 << 29
  });
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}
export {
  askReference,
  buildReference
};
