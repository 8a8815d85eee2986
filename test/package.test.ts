/** The npm package as users get it: its files, the links of its documents, its installed size. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { registryEnvironment } from "./support/per-run.mjs";

const MB = 1_000_000;
const MAX_INSTALLED_MB = 65;
const npm = process.platform === "win32" ? "npm.cmd" : "npm";
let folder: string;
let tarball: string;
/** The unpacked package. */
let unpacked: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-package-"));
  const packed = execFileSync(npm, ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], {
    encoding: "utf8",
  });
  tarball = join(folder, (JSON.parse(packed) as [{ filename: string }])[0].filename);
  execFileSync("tar", ["-xzf", tarball, "-C", folder]);
  unpacked = join(folder, "package");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Bytes of all regular files below a folder. */
function bytesBelow(path: string): number {
  return readdirSync(path, { withFileTypes: true }).reduce((sum, entry) => {
    const child = join(path, entry.name);
    if (entry.isDirectory()) return sum + bytesBelow(child);
    return entry.isFile() ? sum + statSync(child).size : sum;
  }, 0);
}

it("the package contains every file that its documents link to", () => {
  const documents = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"].concat(
    readdirSync(join(unpacked, "docs")).map((file) => join("docs", file)),
  );
  const broken = documents.flatMap((document) =>
    [...readFileSync(join(unpacked, document), "utf8").matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, target]) => target as string)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(join(unpacked, dirname(document), target)))
      .map((target) => `${document}: ${target}`),
  );
  expect(broken).toEqual([]);
});

it("the program contains zod's messages in English only, so that commands do not read 50 translations", () => {
  const chunks = join(unpacked, "dist/chunks");
  const messages = readdirSync(chunks).flatMap((name) => [
    ...readFileSync(join(chunks, name), "utf8").matchAll(/^\/\/ node_modules\/zod\/v4\/locales\/(.*)$/gm),
  ]);
  expect(messages.map(([, file]) => file)).toEqual(["en.js"]);
});

/** The chunks that a chunk loads before it runs, itself included, and the packages whose code they contain. */
function startOf(entry: string): { chunks: number; packages: string[] } {
  const chunks = join(unpacked, "dist/chunks");
  const loaded = new Set([entry]);
  const packages = new Set<string>();
  for (const name of loaded) {
    const text = readFileSync(join(chunks, name), "utf8");
    for (const [, file = ""] of text.matchAll(/^(?:import|\} from) .*"\.\/(.+)";$/gm)) loaded.add(file);
    for (const [, one = ""] of text.matchAll(/^\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)\//gm)) packages.add(one);
  }
  return { chunks: loaded.size, packages: [...packages].sort() };
}

it("a server loads few chunks, and no CLI parser, YAML reader, database client or HTTP server", () => {
  const { chunks, packages } = startOf("run-server.mjs");
  expect(chunks).toBeGreaterThan(1);
  expect(chunks).toBeLessThanOrEqual(8);
  expect(packages).toEqual(["@modelcontextprotocol/sdk", "picocolors", "zod", "zod-to-json-schema"]);
});

it("the CLI parser loads few chunks, and no schema library", () => {
  const { chunks, packages } = startOf("run-command.mjs");
  expect(chunks).toBeGreaterThan(1);
  expect(chunks).toBeLessThanOrEqual(5);
  expect(packages).toEqual(["commander", "picocolors"]);
});

it("the package contains the licence notices of the bundled packages", () => {
  const notices = readFileSync(join(unpacked, "dist/THIRD_PARTY_NOTICES.txt"), "utf8");
  for (const name of [
    "@dagger.io/dagger",
    "@modelcontextprotocol/sdk",
    "commander",
    "express",
    "pg",
    "pino",
    "yaml",
    "zod",
  ])
    expect(notices).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, "m"));
});

it("all manifests name the same version and repository", () => {
  const read = (file: string) => JSON.parse(readFileSync(join(unpacked, file), "utf8"));
  const { version, repository, mcpName } = read("package.json");
  const server = read("server.json");
  expect([server.version, server.packages[0].version]).toEqual([version, version]);
  expect(repository.url).toBe(`git+${server.repository.url}.git`);
  expect(server.name).toBe(mcpName);
  expect(server.description.length).toBeLessThanOrEqual(100);
  expect(readFileSync(join(unpacked, "CHANGELOG.md"), "utf8")).toContain(`## ${version} `);
});

it(`the package installs with at most ${MAX_INSTALLED_MB} MB and answers an MCP client through npx`, async () => {
  const project = join(folder, "user");
  const { status, stderr } = spawnSync(npm, ["install", "--prefix", project, "--no-audit", "--no-fund", tarball], {
    encoding: "utf8",
    env: { ...process.env, ...registryEnvironment() },
  });
  expect(stderr).not.toMatch(/npm error/);
  expect(status).toBe(0);
  expect(bytesBelow(join(project, "node_modules")) / MB).toBeLessThan(MAX_INSTALLED_MB);
  const client = new Client({ name: "package-test", version: "1.0.0" });
  await client.connect(
    new StdioClientTransport({
      command: process.platform === "win32" ? "npx.cmd" : "npx",
      args: ["-y", "stackwarden", "mcp", "--standalone", "--state-dir", join(folder, "state")],
      cwd: project,
      stderr: "pipe",
    }),
  );
  try {
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toContain("start_stack");
  } finally {
    await client.close();
  }
});
