/**
 * Docker Compose's reading of a project: a small Go program on compose-go (test/reference/compose-go), built once for
 * each version of its sources and kept in the user's cache folder.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export interface ReferenceRequest {
  folder: string;
  files?: string[];
  profiles?: string[];
}

// biome-ignore lint/suspicious/noExplicitAny: the model of another program, read field by field.
export type ReferenceAnswer = { error?: string; project?: any };

const SOURCES = join(import.meta.dirname, "..", "reference", "compose-go");

function goProgram(): string | null {
  for (const go of ["go", "/usr/local/go/bin/go"])
    if (spawnSync(go, ["version"], { stdio: "ignore" }).status === 0) return go;
  return null;
}

/** The built program, or the reason why it cannot be built. */
export function buildReference(): { program: string } | { reason: string } {
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
    execFileSync(go, ["build", "-o", made, "."], {
      cwd: SOURCES,
      stdio: ["ignore", "ignore", "pipe"],
      timeout: 300_000,
    });
  } catch (error) {
    const text = String((error as { stderr?: Buffer }).stderr ?? error);
    // A build without its modules is skipped; a compile error fails the test.
    if (/dial tcp|no such host|proxyconnect|connection refused|i\/o timeout/.test(text))
      return { reason: "the Go modules cannot be fetched" };
    throw new Error(`The reference program does not build: ${text}`);
  }
  renameSync(made, program);
  return { program };
}

/** In the order of the requests. */
export function askReference(program: string, requests: readonly ReferenceRequest[]): ReferenceAnswer[] {
  const input = requests.map((request) => `${JSON.stringify(request)}\n`).join("");
  const { stdout } = spawnSync(program, [], {
    input,
    env: { HOME: "/nonexistent" },
    encoding: "utf8",
    maxBuffer: 1 << 29,
  });
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as ReferenceAnswer);
}
