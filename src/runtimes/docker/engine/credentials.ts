/** Registry credentials from the Docker CLI's configuration, including its credential helpers. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { findProgram, withTrustedPath } from "../../../system/find-program.js";
import { configFolder } from "./address.js";

export interface RegistryAuth {
  username?: string;
  password?: string;
  identitytoken?: string;
  serveraddress: string;
}

interface CliConfig {
  auths?: Record<string, { auth?: string; identitytoken?: string }>;
  credsStore?: string;
  credHelpers?: Record<string, string>;
}

const DOCKER_HUB = "https://index.docker.io/v1/";
const HELPER_MS = 10_000;
/** Characters that are allowed in the name of a helper, which becomes part of a program's name. */
const HELPER = /^[A-Za-z0-9._-]+$/;

/** Registry of an image name; Docker Hub when it names none. */
export function registryOf(image: string): string {
  const [first = "", ...rest] = image.split("/");
  return rest.length > 0 && (/[.:]/.test(first) || first === "localhost") ? first : DOCKER_HUB;
}

/** @returns null when the helper has no credentials, or cannot be run */
async function askHelper(helper: string, registry: string, env: NodeJS.ProcessEnv): Promise<RegistryAuth | null> {
  const program = await findProgram(`docker-credential-${helper}`, { env });
  if (program === null) return null;
  const trusted = await withTrustedPath(env);
  return new Promise((resolve) => {
    const child = execFile(
      program,
      ["get"],
      { env: trusted, timeout: HELPER_MS, maxBuffer: 1024 * 1024 },
      (error, stdout) => {
        if (error !== null) return resolve(null);
        try {
          const { Username, Secret } = JSON.parse(stdout) as { Username: string; Secret: string };
          resolve(
            Username === "<token>"
              ? { identitytoken: Secret, serveraddress: registry }
              : { username: Username, password: Secret, serveraddress: registry },
          );
        } catch {
          resolve(null);
        }
      },
    );
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(registry);
  });
}

function decoded(entry: { auth?: string; identitytoken?: string }, registry: string): RegistryAuth | null {
  if (entry.identitytoken) return { identitytoken: entry.identitytoken, serveraddress: registry };
  const pair = Buffer.from(entry.auth ?? "", "base64").toString();
  const at = pair.indexOf(":");
  if (at < 1) return null;
  return { username: pair.slice(0, at), password: pair.slice(at + 1), serveraddress: registry };
}

const bare = (name: string): string => name.replace(/^https?:\/\//, "").replace(/\/.*$/, "");

/** @returns null when there are no credentials for the image's registry */
export const credentialsFor = (image: string, env: NodeJS.ProcessEnv, home?: string): Promise<RegistryAuth | null> =>
  credentialsAt(registryOf(image), env, home);

/**
 * @param registryHost host of a registry; empty for Docker Hub
 * @returns null when there are no credentials for it
 */
export async function credentialsAt(
  registryHost: string,
  env: NodeJS.ProcessEnv,
  home?: string,
): Promise<RegistryAuth | null> {
  const registry = registryHost === "" ? DOCKER_HUB : registryHost;
  let config: CliConfig;
  try {
    config = JSON.parse(await readFile(join(configFolder(env, home), "config.json"), "utf8")) as CliConfig;
  } catch {
    return null;
  }
  const helper = config.credHelpers?.[registry] ?? config.credHelpers?.[bare(registry)] ?? config.credsStore;
  if (helper !== undefined && HELPER.test(helper)) {
    const auth = await askHelper(helper, registry, env);
    if (auth !== null) return auth;
  }
  const entry = Object.entries(config.auths ?? {}).find(([name]) => name === registry || bare(name) === bare(registry));
  return entry === undefined ? null : decoded(entry[1], registry);
}
