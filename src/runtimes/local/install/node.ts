/**
 * Node.js dependencies: one node_modules for each content of package.json and its lock file, outside the project's
 * folder.
 */
import { dirname, join } from "node:path";
import { NODE_LOCKS, type NodeManifest, NPM_SETTINGS } from "../../shared/manifests/node.js";
import { namesIn, writePrivateFile } from "../files/create.js";
import { removeTree } from "../files/remove-tree.js";
import { nodeFor } from "../toolchain/binaries.js";
import { dependencies, downloadCache } from "./dependency-cache.js";
import type { InstallContext } from "./install-context.js";
import { installStep } from "./install-step.js";
import { installerEnvironment } from "./installer-environment.js";
import { npmOf } from "./node-modules.js";

const RECIPE = "3";

/** Packages that write into node_modules when a service starts; their node_modules cannot be shared. */
const GENERATORS = ["prisma", "@prisma/client"];

export interface NodeModules {
  dir: string;
  /** The entries of node_modules by name, for a folder of links beside the service's sources. */
  links: Map<string, string>;
  installed: boolean;
}

function reportOwnScripts(context: InstallContext, names: string[]): void {
  const message = `Its own scripts ${names.join(", ")} were not run: dependencies are installed away from the sources.`;
  context.notice({ type: "warning", service: context.service, message });
  context.sink.line("stderr", `[stackwarden] ${message}`);
}

/** @returns null when the package has no dependencies */
export async function installNode(context: InstallContext, manifest: NodeManifest): Promise<NodeModules | null> {
  const { files, locked, empty, ownScripts, packages, withoutScripts } = manifest;
  if (empty) return null;
  const node = await nodeFor(context.user, context.host);
  const npm = await npmOf(node);
  const { dir, installed } = await dependencies(context, {
    parts: [RECIPE, node, process.version, process.arch, ...files.flat()],
    exclusive: packages.some((name) => GENERATORS.includes(name)),
    build: async (target) => {
      for (const [name, text] of files) {
        const written = name === "package.json" && ownScripts.length > 0 ? withoutScripts : text;
        await writePrivateFile(join(target, name), written, context.user);
      }
      if (ownScripts.length > 0) reportOwnScripts(context, ownScripts);
      await installStep(context, locked ? "npm ci" : "npm install", {
        // Install scripts run: many packages need theirs, and the scripts have the same permissions as the service
        // itself.
        argv: [...npm.argv, locked ? "ci" : "install", "--no-audit", "--no-fund"],
        cwd: target,
        env: {
          ...installerEnvironment({ ...context, path: [dirname(node)] }),
          npm_config_cache: await downloadCache(context),
        },
      });
      // npm's settings can contain credentials of registries, and other services may be able to read the environment.
      for (const name of [NPM_SETTINGS, ...NODE_LOCKS]) await removeTree(join(target, name), target);
    },
  });
  const modules = join(dir, "node_modules");
  const names = await namesIn(modules);
  return { dir: modules, installed, links: new Map(names.map((name) => [name, join(modules, name)])) };
}
