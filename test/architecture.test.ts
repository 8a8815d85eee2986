/** Shows that the import rules of .dependency-cruiser.mjs report what they forbid and nothing that they allow. */
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
  ["src/stack", "../daemon/daemon.js"],
  ["src/operations", "../daemon/daemon.js"],
  ["src/mcp", "../daemon/connect.js"],
  ["src/http", "../daemon/connect.js"],
  ["src/daemon", "../cli/session.js"],
  ["src/control", "../cli/session.js"],
  ["src/system", "../stack/model.js"],
  ["src/runtimes/docker", "../dagger/types.js"],
  ["src/stack/definition", "node:fs"],
  ["src/stack/definition", "node:fs/promises"],
  ["src/runtimes/local", "node:fs/promises"],
  ["src/runtimes/local/providers", "node:fs"],
  ["src/runtimes/local/install", "node:fs/promises"],
  ["src/runtimes/shared/manifests", "node:fs"],
  ["src/runtimes/docker/image", "node:fs/promises"],
  ["src/runtimes/docker/container", "node:fs"],
  ["src/runtimes/docker/volumes", "node:fs"],
  ["src/runtimes/dagger/container", "node:fs/promises"],
];
const ALLOWED: [folder: string, from: string][] = [
  ["src/mcp", "@modelcontextprotocol/sdk/server/mcp.js"],
  ["src/runtimes/dagger", "@dagger.io/dagger"],
  ["src/runtimes/local", "../../stack/runtime.js"],
  ["src/runtimes/dagger", "../shared/port-ledger.js"],
  ["src/operations", "../stack/model.js"],
  ["src/stack/definition", "../../system/read-regular-file.js"],
  ["src/runtimes/local/files", "node:fs/promises"],
  ["src/runtimes/local/process", "node:fs"],
  ["src", "./runtimes/local/local-runtime.js"],
];

it("the import rules report each forbidden import and no allowed one", () => {
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-borders-"));
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  };
  try {
    for (const name of [".dependency-cruiser.mjs", "tsconfig.json"]) copyFileSync(name, join(folder, name));
    const example = (kind: string) => (pair: [string, string], index: number) => {
      const [place, from] = pair;
      const file = join(place, `${kind}-${index}.ts`);
      write(file, `import { x } from "${from}";\n\nexport const y = x;\n`);
      // The linter resolves relative imports, so that the imported file has to exist.
      if (from.startsWith(".")) write(join(place, from).replace(/\.js$/, ".ts"), "export const x = 1;\n");
      return file;
    };
    const forbidden = FORBIDDEN.map(example("forbidden"));
    write("src/system/circle.ts", 'import type { Other } from "./other.js";\n\nexport type One = Other[];\n');
    write("src/system/other.ts", 'import type { One } from "./circle.js";\n\nexport type Other = One | null;\n');
    forbidden.push("src/system/circle.ts");
    ALLOWED.map(example("allowed"));
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [
        resolve("node_modules/dependency-cruiser/bin/dependency-cruise.mjs"),
        "src",
        "--config=.dependency-cruiser.mjs",
        "--output-type=json",
      ],
      { cwd: folder, encoding: "utf8" },
    );
    expect(stderr).toBe("");
    const { summary } = JSON.parse(stdout) as { summary: { violations: { from: string }[] } };
    expect(summary.violations.map(({ from }) => from).sort()).toEqual(forbidden.sort());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
