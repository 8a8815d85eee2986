/** `init` writes nothing without --yes and replaces no existing file. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parse } from "jsonc-parser";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CLIENTS, clientFile, serverCommand } from "../../src/cli/init/clients.js";
import { newFile, withClient, writePlanned } from "../../src/cli/init/planned-file.js";
import { BINARY } from "../e2e/support/bench.js";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-init-")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const place = () => ({
  folder,
  home: join(folder, "home"),
  platform: "linux" as const,
  env: {},
  program: "/opt/stackwarden/dist/stackwarden.js",
});
const run = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BINARY, "init", ...args], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, HOME: join(folder, "home"), XDG_CONFIG_HOME: "", NO_COLOR: "1" },
  });
  return { status, stdout, stderr };
};

describe("init: client configuration", () => {
  it.each(CLIENTS.map((client) => [client]))(
    "the configuration of %s is created where the client reads it",
    async (client) => {
      const file = clientFile(client, place());
      const planned = withClient(file, folder);
      expect(planned).toMatchObject({ action: "create", path: file.path });
      expect(existsSync(file.path)).toBe(false);
      await writePlanned(planned);
      const text = readFileSync(file.path, "utf8");
      if (file.format === "json")
        expect(JSON.parse(text)[file.keys[0] as string].stackwarden).toMatchObject(file.entry);
      else
        expect(text).toContain(
          '[mcp_servers.stackwarden]\ncommand = "node"\nargs = ["/opt/stackwarden/dist/stackwarden.js", "mcp"',
        );
      expect(withClient(file, folder)).toMatchObject({ action: "present" });
    },
  );

  it("an existing file keeps its other servers, comments, order and mode", async () => {
    const file = clientFile("zed", place());
    mkdirSync(dirname(file.path), { recursive: true });
    const before = '// mine\n{\n  "theme": "One", // dark\n  "context_servers": { "other": { "command": "x" }, },\n}\n';
    writeFileSync(file.path, before);
    chmodSync(file.path, 0o640);
    const planned = withClient(file, folder);
    expect(planned.action).toBe("add");
    await writePlanned(planned);
    const after = readFileSync(file.path, "utf8");
    for (const part of ["// mine", '"theme": "One", // dark', '"other"']) expect(after).toContain(part);
    expect(parse(after, [], { allowTrailingComma: true }).context_servers).toMatchObject({
      other: { command: "x" },
      stackwarden: file.entry,
    });
    expect(statSync(file.path).mode & 0o777).toBe(0o640);
  });

  it("a file that has the server is not changed, and TOML that cannot be edited is shown to the user", () => {
    const codex = clientFile("codex", place());
    mkdirSync(dirname(codex.path), { recursive: true });
    for (const header of [
      "[mcp_servers.stackwarden]",
      '[ mcp_servers . "stackwarden" ]',
      "[mcp_servers.stackwarden.env]",
    ]) {
      writeFileSync(codex.path, `model = "x"\n${header}\n`);
      expect(withClient(codex, folder)).toMatchObject({ action: "present" });
    }
    writeFileSync(codex.path, '[mcp_servers]\nother = { command = "x" }\n');
    expect(withClient(codex, folder)).toMatchObject({ action: "manual" });
    writeFileSync(codex.path, '[mcp_servers.other]\ncommand = "x"');
    expect(withClient(codex, folder)).toMatchObject({
      action: "add",
      text: expect.stringMatching(/^\[mcp_servers\.other\]\ncommand = "x"\n\n\[mcp_servers\.stackwarden\]/),
    });
  });

  it.each([
    ["broken JSON", (path: string) => writeFileSync(path, '{ "servers": ')],
    ["a list", (path: string) => writeFileSync(path, "[]")],
    ["a section of another type", (path: string) => writeFileSync(path, '{ "servers": 7 }')],
    ["a link", (path: string) => symlinkSync("/etc/hostname", path)],
    ["a folder", (path: string) => mkdirSync(path)],
    ["a device", (path: string) => symlinkSync("/dev/zero", path)],
  ])("a configuration that is %s is not written, and its text is shown to the user", (_name, make) => {
    const file = clientFile("vscode", place());
    mkdirSync(dirname(file.path), { recursive: true });
    make(file.path);
    expect(withClient(file, folder)).toMatchObject({
      action: "manual",
      text: expect.stringContaining('"stackwarden"'),
    });
  });

  it("the configuration runs npx for an installed package, and the program of a clone", () => {
    expect(serverCommand("/home/me/.npm/_npx/x/node_modules/stackwarden/dist/stackwarden.js")).toEqual([
      "npx",
      "-y",
      "stackwarden",
    ]);
    expect(serverCommand("/opt/stackwarden/dist/stackwarden.js")).toEqual([
      "node",
      "/opt/stackwarden/dist/stackwarden.js",
    ]);
  });
});

it("a file that another program creates meanwhile is not replaced", async () => {
  const planned = newFile(join(folder, "compose.stackwarden.yaml"), "mine");
  writeFileSync(planned.path, "theirs");
  await expect(writePlanned(planned)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  expect(readFileSync(planned.path, "utf8")).toBe("theirs");
});

describe("stackwarden init", () => {
  it("init shows what it would write, writes it with --yes, and does not change it again", () => {
    writeFileSync(join(folder, "package.json"), '{ "scripts": { "dev": "vite" }, "devDependencies": { "vite": "7" } }');
    const shown = run("--client", "claude-code", "--client", "codex");
    expect(shown).toMatchObject({ status: 0, stderr: "" });
    for (const part of [
      "holds a Vite project",
      "Create compose.stackwarden.yaml",
      "Create .mcp.json",
      "Nothing was written",
    ])
      expect(shown.stdout).toContain(part);
    expect(existsSync(join(folder, ".mcp.json"))).toBe(false);
    const written = run("--client", "claude-code", "--client", "codex", "--yes");
    expect(written.stdout).toContain("Created .mcp.json");
    expect(readFileSync(join(folder, "compose.stackwarden.yaml"), "utf8")).toContain("npm");
    const again = JSON.parse(run("--client", "claude-code", "--yes", "--json").stdout);
    expect(again.files.map(({ action }: { action: string }) => action)).toEqual(["present", "present"]);
  });

  it("init refuses an unknown client and names the valid ones", () => {
    expect(run("--client", "emacs")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("Expected one of claude-code"),
    });
  });
});
