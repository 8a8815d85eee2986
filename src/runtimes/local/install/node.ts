/** Node dependencies: a node_modules for each content of package.json and its lock, outside the project's folder. */
import { readFile, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { nodeFor, npmScript } from "../binaries.js";
import { withStorage, writePrivateFile } from "../state-files.js";
import {
  cachedDependencies,
  dependencyDir,
  downloadCache,
  hashOf,
  type InstallContext,
  installStep,
} from "./dependency-cache.js";
import { installerEnvironment } from "./installer-environment.js";

const RECIPE = "2";
const LOCKS = ["package-lock.json", "npm-shrinkwrap.json"];
const GROUPS = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];

interface NodeManifest {
  /** Name and text of everything npm reads. */
  files: [name: string, text: string][];
  locked: boolean;
  empty: boolean;
  /** Scripts of the package itself that npm would run at an installation. */
  ownScripts: string[];
}

/** They expect the package's sources beside them, which are not there: dependencies are installed on their own. */
const OWN_SCRIPTS = ["preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare", "prepublish"];

const LOCAL_PACKAGE = /^(?:file|link|workspace):(?!\/)|^\.{1,2}\//;

/** @throws DEPENDENCY_INSTALL_FAILED when package.json is missing or is no JSON object, UNSUPPORTED for local packages */
export async function readNodeManifest(manifest: string): Promise<NodeManifest> {
  const dir = dirname(manifest);
  const failed = (problem: string, cause?: unknown) =>
    new StackwardenError("DEPENDENCY_INSTALL_FAILED", `${manifest} ${problem}.`, {
      hint: "Correct the file, or the path in x-local.install.manifest.",
      cause,
    });
  const text = await readFile(manifest, "utf8").catch((error: unknown) => {
    throw failed("cannot be read", error);
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw failed("is not valid JSON", error);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw failed("is not a JSON object");
  const files: [string, string][] = [["package.json", text]];
  for (const name of [...LOCKS, ".npmrc"]) {
    const found = await readFile(join(dir, name), "utf8").catch(() => null);
    if (found !== null) files.push([name, found]);
  }
  const groups = parsed as Record<string, unknown>;
  const wanted = GROUPS.flatMap((group) => Object.entries((groups[group] as object | undefined) ?? {}));
  const local = wanted.filter(([, spec]) => LOCAL_PACKAGE.test(String(spec))).map(([name]) => name);
  if (local.length > 0) {
    throw new StackwardenError(
      "UNSUPPORTED",
      `${manifest} uses packages of the project's own folders: ${local.join(", ")}.`,
      {
        hint: "Leave x-local.install out and run npm install in the folder yourself, or use the dagger runtime.",
      },
    );
  }
  const scripts = Object.keys((groups.scripts as object | undefined) ?? {});
  return {
    files,
    locked: files.some(([name]) => LOCKS.includes(name)),
    empty: wanted.length === 0,
    ownScripts: OWN_SCRIPTS.filter((name) => scripts.includes(name)),
  };
}

const withoutScripts = (text: string): string => JSON.stringify({ ...JSON.parse(text), scripts: {} });

/**
 * @param link where a link to the node_modules directory is made. It is made before anything of the service's user runs
 *   (install scripts do), who could otherwise send the server's write elsewhere.
 * @returns the node_modules directory, or null when the package has no dependencies
 */
export async function installNode(
  context: InstallContext,
  manifest: string,
  link?: string,
): Promise<{ nodeModules: string; installed: boolean } | null> {
  const { files, locked, empty, ownScripts } = await readNodeManifest(manifest);
  if (empty) return null;
  const node = await nodeFor(context.user, context.host);
  const npm = await npmScript(node);
  if (npm === null) {
    throw new StackwardenError("RUNTIME_UNAVAILABLE", "npm was not found beside Node.js.", {
      hint: "Install npm for the Node.js that runs stackwarden (on Debian or Ubuntu: sudo apt-get install -y npm).",
    });
  }
  const hash = hashOf([RECIPE, process.version, process.arch, ...files.flat()]);
  if (link !== undefined) {
    const target = join(dependencyDir(context, hash), "node_modules");
    await withStorage("Linking node_modules", () => symlink(target, link));
  }
  const { dir, installed } = await cachedDependencies(context, hash, async (target) => {
    for (const [name, text] of files) {
      const written = name === "package.json" && ownScripts.length > 0 ? withoutScripts(text) : text;
      await writePrivateFile(join(target, name), written, context.user);
    }
    if (ownScripts.length > 0) {
      const message = `Its own scripts ${ownScripts.join(", ")} were not run: dependencies are installed away from the sources.`;
      context.notice({ type: "warning", service: context.service, message });
      context.sink.line("stderr", `[stackwarden] ${message}`);
    }
    await installStep(context, locked ? "npm ci" : "npm install", {
      // Install scripts run: many packages need theirs, and they get no more rights than the service itself has.
      argv: [node, npm, locked ? "ci" : "install", "--no-audit", "--no-fund", "--no-update-notifier"],
      cwd: target,
      env: {
        ...installerEnvironment({ ...context, path: [dirname(node)] }),
        npm_config_cache: await downloadCache(context),
      },
    });
  });
  return { nodeModules: join(dir, "node_modules"), installed };
}
