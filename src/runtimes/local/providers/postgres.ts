/** PostgreSQL from the installed package: one cluster in the service's volume, loopback only, scram-sha-256. */

import { join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { callTo, hint } from "../../../hint.js";
import { findProgram } from "../../../system/find-program.js";
import { argumentsOf } from "../../../system/process-identity.js";
import { timeoutSignal } from "../../../system/wait.js";
import { LOOPBACK } from "../addresses/address-rewrite.js";
import { ownerOf, writePrivateFile } from "../files/create.js";
import { readOwnFile } from "../files/read.js";
import { removeTree } from "../files/remove-tree.js";
import { inFolders } from "../process/sandbox-host.js";
import { SERVICE_PATH } from "../toolchain/binaries.js";
import type { PostgresBinaries } from "../toolchain/postgres-binaries.js";
import { initScripts, isInitMount } from "./init-scripts.js";
import type { LaunchPlan, PrepareContext } from "./launch-plan.js";
import { initialiseCluster, reachable, removeHalfMade } from "./postgres-cluster.js";
import { type AuthMethod, authMethod, initdbOptions, postgresSettings } from "./postgres-options.js";
import { choosePostgres } from "./postgres-version.js";
import { adopt, dataBase, NO_NAMED_VOLUME, variable } from "./provider-data.js";

interface Login {
  user: string;
  /** Password; empty when all clients are trusted. */
  password: string;
  database: string;
  method: AuthMethod;
}

function access(context: PrepareContext): Login {
  const { service } = context.request;
  const user = variable(context, "POSTGRES_USER") || "postgres";
  const database = variable(context, "POSTGRES_DB") || user;
  const method = authMethod(service);
  const password = variable(context, "POSTGRES_PASSWORD") ?? "";
  if (password === "" && method !== "trust") {
    throw new StackwardenError("INVALID_STACK", `Service "${service.name}" has no POSTGRES_PASSWORD.`, {
      hint: `Set services.${service.name}.environment.POSTGRES_PASSWORD, for example to a top-level secret with x-generate: true.`,
    });
  }
  for (const [name, value] of Object.entries({ user, database, password })) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: The expression rejects control characters.
    if (/[\u0000-\u001f]/.test(value)) {
      throw new StackwardenError("INVALID_STACK", `The ${name} of "${service.name}" contains a control character.`);
    }
  }
  return { user, password, database, method };
}

const LOCK_FILE = "postmaster.pid";
const DATA_PATHS = ["/var/lib/postgresql", "/var/lib/postgresql/data"];

/**
 * Major version that made the cluster.
 * @throws STORAGE_FAILED, SERVICE_START_FAILED for a version before 10
 */
async function majorOf(data: string, service: string): Promise<number> {
  const version = (await readOwnFile(data, "PG_VERSION", 64))?.trim() ?? "";
  if (!/^\d{1,3}(?:\.\d{1,3})?$/.test(version))
    throw new StackwardenError("STORAGE_FAILED", `The data of "${service}" has no valid PG_VERSION file.`, {
      hint: "Restore the volume from a backup, or remove it (stop_stack with remove_volumes).",
    });
  return Number.parseInt(version, 10);
}

/** @throws SERVICE_START_FAILED when another major version made the cluster, and that version cannot be had */
function checkVersion(version: number | null, binaries: PostgresBinaries, service: string): void {
  if (version === null || version === binaries.major) return;
  throw new StackwardenError(
    "SERVICE_START_FAILED",
    `The data of "${service}" was made by PostgreSQL ${version}; this runtime runs ${binaries.major}.`,
    {
      hint: hint`Move the data with pg_dump from PostgreSQL ${version}, or delete it with ${callTo("stop_stack", { remove_volumes: true })}.`,
    },
  );
}

/**
 * Removes the lock file of a killed postmaster. The next postmaster would treat the id in it as a live postmaster when
 * it belongs to an unreaped zombie or, meanwhile, to another process of the same user. No instance of this server uses
 * the data now: the project's lock and the order of starts ensure that.
 */
async function removeStaleLock(data: string, context: PrepareContext): Promise<void> {
  const pid = /^\d{1,10}/.exec((await readOwnFile(data, LOCK_FILE)) ?? "")?.[0];
  if (pid === undefined || process.platform !== "linux") return;
  // The file is empty for a zombie.
  if (argumentsOf(Number(pid)).includes(data)) return;
  await removeSharedMemory(data, context);
  await removeTree(join(data, LOCK_FILE), context.stack.stateDir);
}

/** Removes System V shared memory of a killed postmaster: 56 bytes that only its next start would remove. */
async function removeSharedMemory(data: string, context: PrepareContext): Promise<void> {
  const lines = ((await readOwnFile(data, LOCK_FILE)) ?? "").split("\n");
  const id = /^\s*\d+\s+(\d+)\s*$/.exec(lines[6] ?? "")?.[1];
  const ipcrm = id === undefined ? null : await findProgram("ipcrm");
  if (id === undefined || ipcrm === null) return;
  // Runs as the service's own user, which can remove only its own segments.
  const { user, host } = context;
  await host
    .run({
      argv: [ipcrm, "-m", id],
      cwd: "/",
      env: {},
      user,
      project: context.stack.projectId,
      service: context.request.service.name,
      signal: timeoutSignal(5000),
      timeoutMs: 5000,
    })
    .catch(() => {});
}

/** Variables that PostgreSQL's own programs read, so that they reach the server without options. */
export function postgresCommandEnv(context: PrepareContext, bin?: string): Record<string, string> {
  const { service } = context.request;
  const { user, password, database } = access(context);
  const port = context.book.hostPort(service.name, context.book.ports(service.name)[0] ?? 5432) ?? 5432;
  return {
    ...service.environment,
    PATH: [...(bin === undefined ? [] : [bin]), ...SERVICE_PATH].join(":"),
    PGHOST: LOOPBACK,
    PGPORT: String(port),
    PGUSER: user,
    ...(password === "" ? {} : { PGPASSWORD: password }),
    PGDATABASE: database,
  };
}

/** File beside the cluster with the settings of its creation; it does not contain the password. */
const LOGIN_FILE = "created-with.json";
const loginText = ({ user, database, method }: Login): string =>
  `${JSON.stringify({ POSTGRES_USER: user, POSTGRES_DB: database, POSTGRES_HOST_AUTH_METHOD: method })}\n`;

function parsed(text: string): Record<string, string> {
  try {
    return JSON.parse(text) as Record<string, string>;
  } catch {
    return {};
  }
}

/** As in the official image, these variables apply only when the cluster is created. */
async function changedLogin(base: string, login: Login): Promise<string[]> {
  const text = await readOwnFile(base, LOGIN_FILE);
  if (text === null) return [];
  const before = parsed(text);
  const now = JSON.parse(loginText(login)) as Record<string, string>;
  return Object.keys(now)
    .filter((name) => before[name] !== undefined && before[name] !== now[name])
    .map(
      (name) =>
        `${name} is ${now[name]}, but the database was created with ${before[name]}: PostgreSQL applies it to a new volume only. Change it with SQL, or remove the volume.`,
    );
}

export async function preparePostgres(context: PrepareContext): Promise<LaunchPlan> {
  const { service } = context.request;
  const login = access(context);
  const settings = postgresSettings(service);
  const { base, volume, emptyVolumes, notes } = await dataBase(context, isInitMount, DATA_PATHS);
  const data = join(base, "pgdata");
  await removeHalfMade(base, context);
  const exists = (await ownerOf(data)) !== null;
  if (exists) await adopt(data, context);
  const dataMajor = exists ? await majorOf(data, service.name) : null;
  const choice = await choosePostgres(context, dataMajor);
  const { binaries } = choice;
  notes.push(...choice.notes);
  checkVersion(dataMajor, binaries, service.name);
  await reachable(join(binaries.bin, "postgres"), context);
  if (exists) {
    await removeStaleLock(data, context);
    notes.push(...(await changedLogin(base, login)));
  } else {
    context.request.phase("initialising the database");
    const scripts = await initScripts(context);
    await initialiseCluster(context, {
      base,
      data,
      bin: binaries.bin,
      login,
      options: initdbOptions(service),
      scripts,
    });
    await writePrivateFile(join(base, LOGIN_FILE), loginText(login));
  }
  if (login.method === "trust")
    notes.push("POSTGRES_HOST_AUTH_METHOD is trust: every local user of this machine can connect without a password.");
  if (volume === null) notes.push(NO_NAMED_VOLUME);
  const port = context.book.hostPort(service.name, context.book.ports(service.name)[0] ?? 5432) ?? 5432;
  const options = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    fsync: "on",
    // In the data directory instead of /dev/shm, so that a killed server leaves no files outside it.
    dynamic_shared_memory_type: "mmap",
    logging_collector: "off",
    log_destination: "stderr",
  };
  return {
    argv: [
      join(binaries.bin, "postgres"),
      "-D",
      data,
      ...settings,
      ...Object.entries(options).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    cwd: data,
    env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", HOME: context.home, TMPDIR: context.tmp, TZ: "UTC" },
    commandEnv: postgresCommandEnv(context, binaries.bin),
    programs: inFolders([binaries.bin]),
    notes,
    emptyVolumes,
    access: login,
    // Fast shutdown: SIGTERM would wait until every client has disconnected.
    stopSignal: "SIGINT",
    resolve: async (argv) => argv,
    cleanUp: () => removeSharedMemory(data, context),
  };
}
