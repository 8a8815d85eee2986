/**
 * Installed dependencies below `<project state>/deps/<service>/<hash>/`. The hash covers everything that decides the
 * result; `<hash>.complete` beside it (owned by the server) says that it was finished. Half a one is built again.
 */
import { createHash } from "node:crypto";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StackwardenError } from "../../../errors.js";
import type { Limits } from "../../../stack/definition/types.js";
import type { LogSink } from "../../../stack/logs/types.js";
import type { RuntimeNotice } from "../../../stack/runtime.js";
import { isTransient } from "../../shared/install-faults.js";
import { ensureDir, removeTree, writePrivateFile } from "../state-files.js";
import type { ProcessHost, RunSpec, ServiceUser } from "../types.js";

export interface InstallContext {
  project: string;
  projectStateDir: string;
  service: string;
  /** The service's own: they hold for installers too. */
  limits: Limits;
  user: ServiceUser;
  host: ProcessHost;
  sink: LogSink;
  signal: AbortSignal;
  home: string;
  tmp: string;
  notice(notice: RuntimeNotice): void;
  phase(message: string): void;
  /** First wait before another try; doubled each time. Default 1,000 ms. */
  baseDelayMs?: number;
}

const TIMEOUT_MS = 15 * 60_000;
const MAX_RETRIES = 3;

export function hashOf(parts: string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest("hex").slice(0, 20);
}

const exists = async (path: string): Promise<boolean> => (await lstat(path).catch(() => null)) !== null;

const running = new Map<string, Promise<unknown>>();

/** Where the dependencies of this hash lie, or will. */
export const dependencyDir = (context: Pick<InstallContext, "projectStateDir" | "service">, hash: string): string =>
  join(context.projectStateDir, "deps", context.service, hash);

/** Gives the directory of these dependencies; `build` fills it when that was not done yet. One build of a hash at a time. */
export async function cachedDependencies(
  context: InstallContext,
  hash: string,
  build: (dir: string) => Promise<void>,
): Promise<{ dir: string; installed: boolean }> {
  const base = join(context.projectStateDir, "deps", context.service);
  const dir = dependencyDir(context, hash);
  const before = running.get(base);
  const work = (async () => {
    await before?.catch(() => {});
    await ensureDir(join(context.projectStateDir, "deps"), 0o711);
    await ensureDir(base, 0o711);
    const marker = join(base, `${hash}.complete`);
    const owner = await lstat(dir).catch(() => null);
    const usable = owner !== null && (owner.uid === context.user.uid || context.user.uid < 0);
    if (usable && (await exists(marker))) return false;
    context.signal.throwIfAborted();
    context.phase("installing dependencies");
    context.notice({ type: "installing", service: context.service, message: "Installing dependencies." });
    await removeTree(marker, context.projectStateDir);
    await removeTree(dir, context.projectStateDir);
    await ensureDir(dir, 0o700, context.user);
    try {
      await build(dir);
    } catch (error) {
      await removeTree(dir, context.projectStateDir).catch(() => {});
      throw error;
    }
    await writePrivateFile(marker, `${new Date().toISOString()}\n`);
    await removeOthers(context, base, hash);
    return true;
  })();
  running.set(base, work);
  try {
    return { dir, installed: await work };
  } finally {
    if (running.get(base) === work) running.delete(base);
  }
}

/** Dependencies of former manifests; the installer's own download cache stays. */
async function removeOthers(context: InstallContext, base: string, hash: string): Promise<void> {
  for (const name of await readdir(base)) {
    if (name === hash || name === `${hash}.complete` || name === "cache") continue;
    await removeTree(join(base, name), context.projectStateDir).catch(() => {});
  }
}

/** The installer's download cache, owned by the service's user. */
export async function downloadCache(context: InstallContext): Promise<string> {
  await ensureDir(join(context.projectStateDir, "deps", context.service), 0o711);
  return ensureDir(join(context.projectStateDir, "deps", context.service, "cache"), 0o700, context.user);
}

const lastLines = (output: string, count: number): string[] =>
  output
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .slice(-count);

/** What every command of an installation has in common. */
export const installingAs = (
  context: InstallContext,
): Pick<RunSpec, "user" | "signal" | "project" | "service" | "limits"> => ({
  user: context.user,
  signal: context.signal,
  project: context.project,
  service: context.service,
  limits: context.limits,
});

/**
 * Runs one step of an installation; failures of the network are tried again.
 * @throws DEPENDENCY_INSTALL_FAILED with the last lines
 */
export async function installStep(
  context: InstallContext,
  what: string,
  spec: Pick<RunSpec, "argv" | "cwd" | "env">,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { host, sink, signal } = context;
    const result = await host.run({ ...spec, ...installingAs(context), sink, timeoutMs: TIMEOUT_MS });
    signal.throwIfAborted();
    if (result.exitCode === 0) return;
    const ended = result.timedOut
      ? "took longer than 15 minutes"
      : result.oomKilled
        ? "needs more memory than the service's limit allows"
        : `ended with ${result.exitCode ?? result.signal}`;
    if (attempt <= MAX_RETRIES && !result.timedOut && isTransient(result.output)) {
      const waitMs = (context.baseDelayMs ?? 1000) * 2 ** (attempt - 1);
      const message = `${what} ${ended}: a network failure; try ${attempt + 1} of ${MAX_RETRIES + 1} in ${waitMs} ms.`;
      context.notice({ type: "retrying", service: context.service, message });
      sink.line("stderr", `[stackwarden] ${message}`);
      await delay(waitMs, undefined, { signal });
      continue;
    }
    throw new StackwardenError("DEPENDENCY_INSTALL_FAILED", `${what} for "${context.service}" ${ended}.`, {
      hint: result.oomKilled
        ? "Installers run with the service's limits: raise its memory limit, then start again."
        : `Read its output (get_logs of ${context.service}), correct the manifest, then start again.`,
      details: { service: context.service, last_lines: lastLines(result.output, 15) },
    });
  }
}
