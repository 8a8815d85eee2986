import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TOOL_COMMANDS, type ToolRequest, toolProgram } from "../../../../src/runtimes/local/install/tools.js";
import { Preparation } from "../support/preparation.js";

describe("toolProgram", () => {
  let preparation: Preparation;
  let node: string;
  beforeEach(() => {
    preparation = new Preparation();
    node = preparation.program("node");
    const cli = join(preparation.dir.path, "client/lib/node_modules/npm/bin/npm-cli.js");
    mkdirSync(dirname(cli), { recursive: true });
    writeFileSync(cli, "");
  });
  afterEach(() => preparation.close());

  const tool = async (request: ToolRequest) => {
    const context = await preparation.installing();
    const client = { PATH: preparation.bin };
    return toolProgram(context, request, { user: context.user, host: preparation.host, client });
  };
  const environments = () => join(preparation.stateDir, "deps/environments/");

  it("the client's own tool comes first", async () => {
    const program = preparation.program("pnpm");
    expect(await tool({ name: "pnpm", node, version: "9.1.0" })).toMatchObject({ argv: [program] });
    expect(preparation.host.specs).toEqual([]);
  });

  it.each([
    ["pnpm", "9.1.0", "pnpm@9.1.0"],
    ["pnpm", undefined, "pnpm"],
    ["yarn", "1.22.19", "yarn@1.22.19"],
    ["yarn", "4.1.0", "@yarnpkg/cli-dist@4.1.0"],
    ["turbo", undefined, "turbo"],
  ])("npm installs %s %s from the package %s", async (name, version, npmPackage) => {
    const { argv, path } = await tool({ name, node, ...(version === undefined ? {} : { version }) });
    const bin = dirname(argv[0] ?? "");
    expect(argv[0]).toMatch(new RegExp(`^${environments()}[0-9a-f]{20}/node_modules/.bin/${name}$`));
    expect(path).toEqual([bin, preparation.bin]);
    const [spec] = preparation.host.specs;
    expect(spec?.argv.slice(-2)).toEqual(["--no-fund", npmPackage]);
    expect(spec?.env).toMatchObject({
      npm_config_cache: join(preparation.stateDir, "deps/downloads/web/npm"),
      npm_config_update_notifier: "false",
    });
  });

  it.each(["uv", "poetry", "pipenv"])("pip installs %s into a separate environment", async (name) => {
    const python = preparation.program("python3");
    const { argv, path } = await tool({ name, python });
    expect(argv[0]).toMatch(new RegExp(`^${environments()}[0-9a-f]{20}/bin/${name}$`));
    expect(path).toEqual([dirname(argv[0] ?? ""), preparation.bin]);
    expect(preparation.host.specs.at(-1)?.argv.slice(1)).toEqual([
      ...["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"],
      ...["--no-warn-conflicts", name],
    ]);
  });

  it("a tool that nothing here can install is refused with the command that installs it", async () => {
    for (const name of ["bun", "pnpm", "uv"]) {
      const refused = {
        code: "RUNTIME_UNAVAILABLE",
        message: `"web" needs ${name}, which is not on the client's PATH.`,
        hint: `Install it: ${TOOL_COMMANDS[name]}`,
        details: { service: "web", program: name },
      };
      // Without Node.js or Python of the service.
      await expect(tool({ name })).rejects.toMatchObject(refused);
    }
    await expect(tool({ name: "just", node })).rejects.toMatchObject({ hint: "Install just, then start again." });
  });
});
