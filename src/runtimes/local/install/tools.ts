/**
 * Package managers: the client's own, else the one that the image would have installed, from npm or PyPI into the
 * state directory.
 */
import { dirname, join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { pipInstall } from "../../shared/virtual-environment.js";
import { writePrivateFile } from "../files/create.js";
import { findClientTool, type ToolchainContext } from "../toolchain/find-toolchain.js";
import { dependencies, downloadCache } from "./dependency-cache.js";
import type { InstallContext } from "./install-context.js";
import { installStep } from "./install-step.js";
import { installerEnvironment } from "./installer-environment.js";
import { npmOf } from "./node-modules.js";
import { createVirtualEnvironment } from "./virtual-environment.js";

export interface ToolProgram {
  argv: string[];
  path: string[];
}

const NODE_TOOLS: Readonly<Record<string, string>> = { pnpm: "pnpm", yarn: "yarn", turbo: "turbo" };
const PYTHON_TOOLS: readonly string[] = ["uv", "poetry", "pipenv"];

/** The one command that installs a tool. */
export const TOOL_COMMANDS: Readonly<Record<string, string>> = {
  pnpm: "npm install -g pnpm",
  yarn: "npm install -g yarn",
  bun: "npm install -g bun",
  uv: "pipx install uv",
  poetry: "pipx install poetry",
  pipenv: "pipx install pipenv",
};

/** @throws RUNTIME_UNAVAILABLE */
function missing(name: string, service: string): never {
  const command = TOOL_COMMANDS[name];
  throw new StackwardenError("RUNTIME_UNAVAILABLE", `"${service}" needs ${name}, which is not on the client's PATH.`, {
    hint: command === undefined ? `Install ${name}, then start again.` : `Install it: ${command}`,
    details: { service, program: name },
  });
}

export interface ToolRequest {
  name: string;
  /** Version of `packageManager` in package.json. */
  version?: string;
  /** Node.js or Python that installs a missing tool. */
  node?: string;
  python?: string;
}

/** @throws RUNTIME_UNAVAILABLE, DEPENDENCY_INSTALL_FAILED */
export async function toolProgram(
  context: InstallContext,
  request: ToolRequest,
  search: ToolchainContext,
): Promise<ToolProgram> {
  const { name, node, python, version } = request;
  const tool = await findClientTool(name, search);
  if (tool !== null) return { argv: [tool.program], path: tool.path };
  const npmPackage = NODE_TOOLS[name];
  if (npmPackage !== undefined && node !== undefined) return nodeTool(context, npmPackage, version, node);
  if (PYTHON_TOOLS.includes(name) && python !== undefined) return pythonTool(context, name, python);
  return missing(name, context.service);
}

/** npm's package `yarn` ends with version 1; later ones have another package. */
const npmPackageOf = (name: string, version: string | undefined): string =>
  name === "yarn" && version !== undefined && !/^[01]\b/.test(version) ? "@yarnpkg/cli-dist" : name;

async function nodeTool(
  context: InstallContext,
  name: string,
  version: string | undefined,
  node: string,
): Promise<ToolProgram> {
  const npm = await npmOf(node);
  const npmPackage = npmPackageOf(name, version);
  const packageSpec = version === undefined ? npmPackage : `${npmPackage}@${version}`;
  const { dir } = await dependencies(
    { ...context, use: name },
    {
      parts: ["tool", packageSpec, node],
      exclusive: false,
      build: async (target) => {
        await writePrivateFile(join(target, "package.json"), '{"private":true}', context.user);
        await installStep(context, `Installing ${packageSpec}`, {
          argv: [...npm.argv, "install", "--no-audit", "--no-fund", packageSpec],
          cwd: target,
          env: {
            ...installerEnvironment({ ...context, path: npm.path }),
            npm_config_cache: join(await downloadCache(context), "npm"),
          },
        });
      },
    },
  );
  const bin = join(dir, "node_modules", ".bin");
  return { argv: [join(bin, name)], path: [bin, dirname(node)] };
}

async function pythonTool(context: InstallContext, name: string, python: string): Promise<ToolProgram> {
  const { dir } = await dependencies(
    { ...context, use: name },
    {
      parts: ["tool", name, python],
      exclusive: false,
      build: async (venv) => {
        const env = await createVirtualEnvironment(context, python, venv);
        await installStep(context, `Installing ${name}`, {
          argv: [join(venv, "bin", "python"), ...pipInstall(true), name],
          cwd: context.home,
          env,
        });
      },
    },
  );
  return { argv: [join(dir, "bin", name)], path: [join(dir, "bin"), dirname(python)] };
}
