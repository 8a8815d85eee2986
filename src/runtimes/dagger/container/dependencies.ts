/**
 * Dependencies of the project's own programs (`x-local.install`), installed as the service's user in a layer on top of
 * the image. The engine reuses that layer while image and manifest are unchanged.
 */

import { createHash } from "node:crypto";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { Container, Directory } from "@dagger.io/dagger";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { isBeneath } from "../../../system/is-beneath.js";
import { statBeneath } from "../../../system/read-regular-file.js";
import { retryMessage, withRetry } from "../../../system/retry.js";
import { isTransient } from "../../shared/install-faults.js";
import { type Installation, installFailed } from "../../shared/installation.js";
import { NODE_LOCKS, type NodeManifest, readNodeManifest } from "../../shared/manifests/node.js";
import { readRequirements } from "../../shared/manifests/python.js";
import { isLoopbackMirror, mirrorSettings } from "../../shared/mirror-settings.js";
import { pipInstall, virtualEnvironmentCommand } from "../../shared/virtual-environment.js";
import { execFailure, isTransientFault } from "../engine/engine-errors.js";
import { type UploadOptions, uploadFiles, uploadFolder } from "./uploads.js";

export const DEPENDENCIES = "/.stackwarden/deps";
const DOWNLOADS = "/.stackwarden/downloads";
const MANIFEST = "/.stackwarden/manifest";
/** A copy of the project, for requirements that include packages of the project. */
const SOURCES = "/.stackwarden/project";
const NPM_SETTINGS = `${DEPENDENCIES}/.npmrc`;

export interface InstallOptions extends UploadOptions {
  project: string;
  service: ServiceDefinition;
  /** The image's PATH. */
  path: string;
  user: string;
  /** The server's environment, for the operator's mirrors. */
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  retry: { maxRetries: number; baseDelayMs: number };
  phase(message: string): void;
  notice(type: "retrying" | "warning", message: string): void;
}

export interface Installed {
  container: Container;
  environment: Record<string, string>;
  /** A file of the project. A link to node_modules is placed beside it. */
  linkBeside?: string;
}

/**
 * Mirror settings that work on the engine too: without files of this machine and addresses on its loopback interface.
 */
function mirrors(env: NodeJS.ProcessEnv): [name: string, value: string][] {
  return Object.entries(mirrorSettings(env)).filter(
    ([name, value]) => !/CERT|CA_BUNDLE|CERTS$|cafile|FIND_LINKS|CONSTRAINT/i.test(name) && !isLoopbackMirror(value),
  );
}

/** The image with a dependency folder that belongs to the user, and with the download cache. */
function ready(
  { client, project, user, env }: InstallOptions,
  base: Container,
  kind: string,
  seed: Directory,
): Container {
  let container = base
    .withDirectory(dirname(DEPENDENCIES), client.directory().withDirectory(basename(DEPENDENCIES), seed), {
      owner: user,
    })
    .withUser(user)
    .withMountedCache(DOWNLOADS, client.cacheVolume(`stackwarden-${project}-${kind}-downloads`), { owner: user })
    .withEnvVariable("HOME", "/tmp")
    .withEnvVariable("PIP_CACHE_DIR", DOWNLOADS)
    .withEnvVariable("npm_config_cache", DOWNLOADS);
  for (const [name, value] of mirrors(env))
    container = container.withSecretVariable(name, client.setSecret(`installer.${name}`, value));
  return container;
}

/** The operator's mirrors may contain credentials: only the installer gets them, not the service. */
const withoutMirrors = ({ env }: InstallOptions, container: Container): Container =>
  mirrors(env).reduce((one, [name]) => one.withoutSecretVariable(name), container);

async function run(options: InstallOptions, what: string, container: Container): Promise<Container> {
  const { service, signal, retry, phase, notice } = options;
  phase("installing dependencies");
  try {
    return await withRetry(() => withoutMirrors(options, container).sync(), {
      ...retry,
      signal,
      classify: (error) => {
        const failure = execFailure(error);
        return failure === null ? isTransientFault(error) : isTransient(failure.stdout + failure.stderr);
      },
      onRetry: (again) =>
        notice("retrying", retryMessage(`${what} for ${service.name} failed because of the network`, again)),
    });
  } catch (error) {
    const failure = execFailure(error);
    if (failure === null) throw error;
    const lines = `${failure.stdout}\n${failure.stderr}`.split(/\r?\n/).filter((line) => line.trim() !== "");
    throw installFailed(`${what} for "${service.name}" ended with ${failure.exitCode}.`, lines.slice(-15), error);
  }
}

async function python(options: InstallOptions, base: Container, manifest: string): Promise<Installed> {
  const { client, folder, path, user } = options;
  if (!isBeneath(folder, manifest)) throw installFailed(`${manifest} is outside the project's folder.`);
  const { files, usesSources } = readRequirements(manifest, folder);
  const include = files.map(({ path }) => relative(folder, path));
  const prepared = ready(options, base, "pip", client.directory());
  const requirements = join(usesSources ? SOURCES : MANIFEST, relative(folder, manifest));
  // pip builds packages of the project in their own folders and links to editable ones, so that it needs a permanent
  // copy.
  const readable = usesSources
    ? prepared.withDirectory(SOURCES, await uploadFolder(options, folder), { owner: user })
    : prepared.withMountedDirectory(MANIFEST, await uploadFiles(options, folder, include), { readOnly: true });
  const installed = readable
    .withExec(virtualEnvironmentCommand("python3", DEPENDENCIES))
    // Paths in a requirements file are relative to the working directory.
    .withWorkdir(dirname(requirements))
    .withExec([`${DEPENDENCIES}/bin/python`, ...pipInstall(true), "-r", requirements])
    .withWorkdir((await base.workdir()) || "/")
    .withoutMount(DOWNLOADS);
  const container = usesSources ? installed : installed.withoutMount(MANIFEST);
  return {
    container: await run(options, "pip install", container),
    environment: {
      VIRTUAL_ENV: DEPENDENCIES,
      PATH: `${DEPENDENCIES}/bin:${path}`,
      PYTHONUNBUFFERED: "1",
      PYTHONDONTWRITEBYTECODE: "1",
    },
  };
}

/**
 * A name derived from the settings: the engine caches a layer by the names of its secrets, so other settings need
 * another name, which does not reveal them.
 */
async function secretSettings(
  { definition, folder }: InstallOptions,
  root: string,
  files: NodeManifest["files"],
): Promise<{ name: string; value: string } | null> {
  const value = files.find(([name]) => name === ".npmrc")?.[1];
  const path = value === undefined ? undefined : statBeneath(join(root, ".npmrc"), folder)?.path;
  if (path === undefined || value === undefined || definition.privateFiles?.includes(path) !== true) return null;
  return { name: `installer.npmrc.${createHash("sha256").update(value).digest("hex").slice(0, 16)}`, value };
}

async function node(options: InstallOptions, base: Container, manifest: string): Promise<Installed> {
  const { client, folder, service, notice } = options;
  if (!isBeneath(folder, manifest)) throw installFailed(`${manifest} is outside the project's folder.`);
  const root = dirname(manifest);
  const { files, ownScripts, withoutScripts, empty, locked } = readNodeManifest(manifest, folder);
  if (empty) return { container: base, environment: {} };
  const settings = await secretSettings(options, root, files);
  const include = ["package.json", ...NODE_LOCKS, ...(settings === null ? [".npmrc"] : [])];
  let seed = await uploadFiles(options, root, include);
  if (ownScripts.length > 0) {
    notice(
      "warning",
      `${service.name}: its own scripts ${ownScripts.join(", ")} were not run: dependencies are installed away from the sources.`,
    );
    seed = seed.withNewFile("package.json", withoutScripts);
  }
  let bare = ready(options, base, "npm", seed);
  // Only for the installation: the cached layer and the service do not have them.
  if (settings !== null)
    bare = bare.withMountedSecret(NPM_SETTINGS, client.setSecret(settings.name, settings.value), {
      owner: options.user,
      mode: 0o400,
    });
  const container = bare
    .withExec([
      "npm",
      locked ? "ci" : "install",
      "--prefix",
      DEPENDENCIES,
      "--no-audit",
      "--no-fund",
      "--no-update-notifier",
    ])
    .withoutMount(NPM_SETTINGS)
    .withoutMount(DOWNLOADS);
  return {
    container: await run(options, locked ? "npm ci" : "npm install", container),
    environment: {},
    linkBeside: manifest,
  };
}

/** @throws DEPENDENCY_INSTALL_FAILED with the last lines */
export function installDependencies(
  options: InstallOptions,
  base: Container,
  install: Installation,
): Promise<Installed> {
  const manifest = resolve(options.folder, install.manifest);
  return install.kind === "python" ? python(options, base, manifest) : node(options, base, manifest);
}
