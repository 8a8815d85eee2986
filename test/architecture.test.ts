/** The borders of docs/ARCHITECTURE.md are a lint rule (biome.json); here is shown that it holds. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

const BIOME = join("node_modules", "@biomejs", "biome", "bin", "biome");

function lint(file: string, from: string): string {
  const input = `import { x } from "${from}";\n\nexport const y = x;\n`;
  const { stdout, stderr } = spawnSync(process.execPath, [BIOME, "lint", `--stdin-file-path=${file}`], {
    input,
    encoding: "utf8",
  });
  return stdout + stderr;
}

it.each([
  ["src/stack/x.ts", "@modelcontextprotocol/sdk/server/mcp.js"],
  ["src/stack/x.ts", "@dagger.io/dagger"],
  ["src/stack/x.ts", "../operations/index.js"],
  ["src/stack/definition/x.ts", "../../runtimes/local/local-runtime.js"],
  ["src/stack/x.ts", "node:child_process"],
  ["src/stack/x.ts", "../config/types.js"],
  ["src/operations/x.ts", "../mcp/server.js"],
  ["src/operations/x.ts", "../runtimes/local/types.js"],
  ["src/runtimes/local/x.ts", "@dagger.io/dagger"],
  ["src/runtimes/local/x.ts", "../../operations/index.js"],
  ["src/runtimes/dagger/x.ts", "../local/types.js"],
  ["src/mcp/x.ts", "../runtimes/local/types.js"],
  ["src/mcp/x.ts", "../cli/session.js"],
  ["src/http/x.ts", "@modelcontextprotocol/sdk/server/mcp.js"],
  ["src/cli/x.ts", "../runtimes/local/types.js"],
  ["src/config/x.ts", "../mcp/server.js"],
])("%s may not import %s", (file, from) => {
  expect(lint(file, from)).toContain("noRestrictedImports");
});

it.each([
  ["src/mcp/x.ts", "@modelcontextprotocol/sdk/server/mcp.js"],
  ["src/runtimes/dagger/x.ts", "@dagger.io/dagger"],
  ["src/runtimes/local/x.ts", "../../stack/runtime.js"],
  ["src/operations/x.ts", "../stack/model.js"],
  ["src/composition.ts", "./runtimes/local/local-runtime.js"],
])("%s may import %s", (file, from) => {
  expect(lint(file, from)).not.toContain("noRestrictedImports");
});
