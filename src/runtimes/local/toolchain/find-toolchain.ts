/** Finds the version of a language that an image names among the client's programs, in a form that a service can run. */
import { open, realpath } from "node:fs/promises";
import { dirname } from "node:path";
import { findIn } from "../../../system/find-program.js";
import type { Toolchain } from "../image/recipe.js";
import { isOtherVersion, programVersion } from "../providers/program-version.js";
import type { ProcessHost, ServiceUser } from "../types.js";
import { SERVICE_PATH } from "./binaries.js";
import { type Candidate, type ClientEnvironment, candidatesFor, clientPath, directoriesOf } from "./candidates.js";

export interface ToolchainContext {
  user: ServiceUser;
  host: ProcessHost;
  /** The client's PATH and the variables of its version managers. */
  client: ClientEnvironment;
}

export interface InstalledToolchain {
  program: string;
  version: string | null;
  /** Whether it is the version that the image names. */
  matches: boolean;
}

/** The folder that a program needs around it: `/opt/node` for `/opt/node/bin/node`. */
const prefixOf = (program: string): string => dirname(dirname(program));

/** Whether the service's user can run the program in the service's namespaces, or without them. */
export async function runnable(
  program: string,
  { user, host }: Pick<ToolchainContext, "user" | "host">,
): Promise<boolean> {
  const real = await realpath(program).catch(() => null);
  return real !== null && (await host.accessible(real, user, "execute", prefixOf(real)));
}

const NAMES = { node: "Node.js", python: "Python", go: "Go", bun: "Bun" } as const;

/** `Node.js`, `Python`, `Go`, `Bun`. */
export const languageName = ({ language }: Pick<Toolchain, "language">): string => NAMES[language];

/** @returns null when no program of the language can be run */
export async function findToolchain(
  toolchain: Toolchain,
  context: ToolchainContext,
): Promise<InstalledToolchain | null> {
  const own = toolchain.language === "node" ? [dirname(process.execPath)] : [];
  const go = toolchain.language === "go" ? ["/usr/local/go/bin"] : [];
  const dirs = [...clientPath(context.client), ...own, ...SERVICE_PATH, ...go];
  const candidates = await candidatesFor(toolchain, [...new Set(dirs)], context.client);
  let first: InstalledToolchain | null = null;
  for (const candidate of candidates) {
    // When no version is requested, the first one on PATH is right.
    const worth = first === null || candidate.version === null || fits(toolchain, candidate.version);
    if (!worth || !(await runnable(candidate.program, context))) continue;
    const version = await versionOf(candidate, toolchain, context);
    if (version === null) continue;
    const matches = fits(toolchain, version);
    if (matches) return { program: candidate.program, version, matches };
    first ??= { program: candidate.program, version, matches };
  }
  return first;
}

const fits = ({ version }: Pick<Toolchain, "version">, actual: string): boolean =>
  version === null || !isOtherVersion(version, actual);

const versionOf = async (
  { program, version }: Candidate,
  { language }: Toolchain,
  context: ToolchainContext,
): Promise<string | null> => version ?? programVersion(program, context, language === "go" ? "version" : "--version");

/** The first line of a script; empty for a program that is not one. */
async function firstLine(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(256), 0, 256, 0);
    return buffer.subarray(0, bytesRead).toString("latin1").split("\n")[0] ?? "";
  } finally {
    await file.close();
  }
}

export interface ClientTool {
  program: string;
  /** Directories for PATH. */
  path: string[];
}

/** A program of the client, such as a package manager, that the service's user can run; null when there is none. */
export async function findClientTool(name: string, context: ToolchainContext): Promise<ClientTool | null> {
  for (const dir of [...clientPath(context.client), ...SERVICE_PATH]) {
    const program = await findIn([name], [dir]);
    if (program === null || !(await runnable(program, context))) continue;
    return { program, path: await directoriesOf(program, firstLine) };
  }
  return null;
}
