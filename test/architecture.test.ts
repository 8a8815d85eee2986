/** The borders of docs/ARCHITECTURE.md are a lint rule (biome.json); here is shown that it holds. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { expect, it } from "vitest";

const FORBIDDEN: [folder: string, from: string][] = [
  ["src/stack", "@modelcontextprotocol/sdk/server/mcp.js"],
  ["src/stack", "@dagger.io/dagger"],
  ["src/stack", "../operations/index.js"],
  ["src/stack/definition", "../../runtimes/local/local-runtime.js"],
  ["src/stack", "node:child_process"],
  ["src/stack", "../config/types.js"],
  ["src/operations", "../mcp/server.js"],
  ["src/operations", "../runtimes/local/types.js"],
  ["src/runtimes/local", "@dagger.io/dagger"],
  ["src/runtimes/local", "../../operations/index.js"],
  ["src/runtimes/dagger", "../local/types.js"],
  ["src/runtimes/shared", "../local/types.js"],
  ["src/runtimes/shared", "@dagger.io/dagger"],
  ["src/mcp", "../runtimes/local/types.js"],
  ["src/mcp", "../cli/session.js"],
  ["src/dashboard", "../http/app.js"],
  ["src/dashboard/client", "../../operations/index.js"],
  ["src/http", "@modelcontextprotocol/sdk/server/mcp.js"],
  ["src/cli", "../runtimes/local/types.js"],
  ["src/config", "../mcp/server.js"],
];
const ALLOWED: [folder: string, from: string][] = [
  ["src/mcp", "@modelcontextprotocol/sdk/server/mcp.js"],
  ["src/runtimes/dagger", "@dagger.io/dagger"],
  ["src/runtimes/local", "../../stack/runtime.js"],
  ["src/runtimes/dagger", "../shared/port-ledger.js"],
  ["src/operations", "../stack/model.js"],
  ["src", "./runtimes/local/local-runtime.js"],
];

it("keeps imports pointing downwards", () => {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-borders-"));
  try {
    copyFileSync("biome.json", join(folder, "biome.json"));
    const write = (kind: string) => (example: [string, string], index: number) => {
      const [place, from] = example;
      const file = join(place, `${kind}-${index}.ts`);
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), `import { x } from "${from}";\n\nexport const y = x;\n`);
      return file;
    };
    const forbidden = FORBIDDEN.map(write("forbidden"));
    ALLOWED.map(write("allowed"));
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [
        resolve("node_modules/@biomejs/biome/bin/biome"),
        "lint",
        "--vcs-enabled=false",
        "--max-diagnostics=none",
        "--colors=off",
        ".",
      ],
      { cwd: folder, encoding: "utf8" },
    );
    const refused = [...(stdout + stderr).matchAll(/^(\S+):\d+:\d+ lint\/style\/noRestrictedImports/gm)].map(
      ([, file]) => file,
    );
    expect(refused.sort()).toEqual(forbidden.sort());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
