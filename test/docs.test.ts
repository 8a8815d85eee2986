/** Files, variables, commands and compose keys that the documentation names exist. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { DEFAULT_PORT } from "../src/cli/commands/serve.js";
import { EXIT } from "../src/cli/exit-codes.js";
import { SETTINGS } from "../src/config/settings.js";
import { loadStack } from "../src/stack/definition/load.js";

const DOCS = [
  "README.md",
  "SECURITY.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...readdirSync("docs").map((name) => join("docs", name)),
].filter((file) => file.endsWith(".md"));
const text = (file: string) => readFileSync(file, "utf8");
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");

let commands: (string | undefined)[];
beforeAll(() => {
  const help = execFileSync(process.execPath, ["dist/stackwarden.js", "--help"], { encoding: "utf8" });
  commands = [...help.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
});

describe.each(DOCS)("%s", (file) => {
  it(`${file} links only to files and headings that exist`, () => {
    for (const [, target = ""] of text(file).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = "", fragment] = target.split("#");
      const full = path === "" ? file : join(dirname(file), path);
      expect(existsSync(full), `${file}: ${target}`).toBe(true);
      if (fragment === undefined) continue;
      const anchors = [...text(full).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
        anchor(heading.replaceAll("`", "")),
      );
      expect(anchors, `${file}: ${target}`).toContain(fragment);
    }
  });

  it(`${file} names only commands that exist`, () => {
    for (const [, name = ""] of text(file).matchAll(/^stackwarden ([a-z]+)/gm)) expect(commands).toContain(name);
    for (const [, name = ""] of text(file).matchAll(/`stackwarden ([a-z]+)/g)) expect(commands).toContain(name);
  });
});

it("OPERATIONS.md lists every setting and exit code", () => {
  const operations = text("docs/OPERATIONS.md");
  for (const { key, env } of SETTINGS) {
    expect(operations).toContain(env === null ? `\`${key}.<` : `\`${key}\``);
    if (env !== null) expect(operations).toContain(`\`${env}\``);
  }
  for (const code of Object.values(EXIT)) expect(operations).toContain(`| ${code} |`);
});

it("the compose file of COMPOSE.md can be loaded", async () => {
  const [, yaml = ""] = /```yaml\n([\s\S]*?)```/.exec(text("docs/COMPOSE.md")) ?? [];
  const folder = mkdtempSync(join(tmpdir(), "stackwarden-docs-"));
  try {
    writeFileSync(join(folder, "compose.yaml"), yaml);
    execFileSync("mkdir", [join(folder, "backend")]);
    writeFileSync(join(folder, "backend", "requirements.txt"), "");
    const stack = await loadStack({
      projectId: "docs",
      folder,
      profiles: [],
      allowRoot: [],
      generateSecret: async () => "generated-secret",
    });
    expect(Object.keys(stack.services)).toEqual(["backend", "db"]);
    expect(stack.services.backend?.environment.DATABASE_URL).toContain("generated-secret@db:5432");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it("the client configurations of CLIENTS.md run the command of mcp.json", () => {
  const { mcpServers } = JSON.parse(text("mcp.json"));
  expect(mcpServers.stackwarden.args.at(-1)).toBe("mcp");
  const blocks = [...text("docs/CLIENTS.md").matchAll(/```json\n([\s\S]*?)```/g)].map(([, json = ""]) =>
    JSON.parse(json),
  );
  expect(blocks).toHaveLength(4);
  for (const block of blocks) {
    const { stackwarden } = block.mcpServers ?? block.servers;
    if (stackwarden.type === "http") {
      expect(stackwarden.url).toBe(`http://127.0.0.1:${DEFAULT_PORT}/mcp`);
      continue;
    }
    expect(stackwarden.command).toBe(mcpServers.stackwarden.command);
    expect(stackwarden.args.slice(0, 2)).toEqual(["/opt/stackwarden/dist/stackwarden.js", "mcp"]);
  }
});

it("server.json and package.json name the same server and version", () => {
  const { name, version, packages } = JSON.parse(text("server.json"));
  const own = JSON.parse(text("package.json"));
  expect([name, version]).toEqual([own.mcpName, own.version]);
  expect(packages[0]).toMatchObject({ identifier: own.name, version: own.version, transport: { type: "stdio" } });
  expect(Object.keys(own.bin)).toEqual(["stackwarden"]);
});
