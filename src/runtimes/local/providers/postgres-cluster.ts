/**
 * Creates a database cluster in a temporary directory and moves it to its place when it is complete, so that an
 * incomplete one is never used.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { findIn } from "../../../system/find-program.js";
import { ensureDir, moveInto, namesIn, ownerOf, writePrivateFile } from "../files/create.js";
import { removeTree } from "../files/remove-tree.js";
import { withStorage } from "../files/storage.js";
import { firstRunnable, SERVICE_PATH } from "../toolchain/binaries.js";
import { installCommand, PSQL } from "../toolchain/install-command.js";
import type { ProcessHost, RunResult, RunSpec } from "../types.js";
import { clusterTemplate, copyTemplate, removeTemplate, throwawayPassword } from "./cluster-template.js";
import { type InitScripts, RUN_INIT_SCRIPTS } from "./init-scripts.js";
import { initStep } from "./init-step.js";
import type { PrepareContext } from "./launch-plan.js";
import { type AuthMethod, localeCandidates } from "./postgres-options.js";
import { SHORT_FOLDER } from "./short-socket-folder.js";

const TIMEOUT_MS = 120_000;
const SCRIPTS_TIMEOUT_MS = 30 * 60_000;

interface Cluster {
  base: string;
  data: string;
  bin: string;
  login: { user: string; password: string; database: string; method: AuthMethod };
  /** Additional options of initdb. */
  options: string[];
  /** Scripts that run once, in the new database. */
  scripts?: InitScripts | undefined;
}

/** @throws RUNTIME_UNAVAILABLE when the service's user cannot access the program */
export async function reachable(program: string, context: PrepareContext): Promise<void> {
  if (await context.host.accessible(program, context.user, "execute")) return;
  throw new StackwardenError("RUNTIME_UNAVAILABLE", `Services cannot reach ${program}.`, {
    hint: "A folder above the state directory is closed to other users: choose another with STACKWARDEN_STATE_DIR, such as /var/lib/stackwarden.",
  });
}

const isFull = ({ output }: RunResult): boolean => /No space left on device|Disk quota exceeded/i.test(output);

function failure(step: string, service: string, result: RunResult): StackwardenError {
  const last_lines = result.output.trim().split("\n").slice(-15);
  if (/could not look up effective user ID/.test(result.output))
    return new StackwardenError("UNSUPPORTED", "PostgreSQL cannot be initialised by a user that has no name.", {
      hint: "Run stackwarden as a user that /etc/passwd names, or as root.",
      details: { service, last_lines },
    });
  return isFull(result)
    ? new StackwardenError("STORAGE_FAILED", `Initialising the database of "${service}" filled the disk.`, {
        hint: "Free some space on the state directory's disk, then call again.",
        details: { last_lines },
      })
    : new StackwardenError("SERVICE_START_FAILED", `${step} for "${service}" failed.`, {
        hint: "The last lines in details say why.",
        details: { service, last_lines },
      });
}

/** Removes remains of a server that was killed during the creation; they contain the password. */
export async function removeHalfMade(base: string, { stack }: PrepareContext): Promise<void> {
  for (const name of await namesIn(base))
    if (name.startsWith(".init-")) await removeTree(join(base, name), stack.stateDir);
}

/**
 * Lines with which initdb, or the server that it runs, refuses a locale. Each run also reports the locale that it uses.
 */
const refusesLocale = ({ output }: RunResult): boolean =>
  /^initdb: .*(?:locale|\bICU\b)|\bFATAL: .*(?:locale|\bICU\b)|unrecognized option/im.test(output);

type Step = Omit<RunSpec, "argv" | "stdin">;

/** Tries the locales in order, because the available ones differ between machines. */
async function makeCluster(
  { host, stack }: { host: ProcessHost; stack: { stateDir: string } },
  step: Step,
  { fresh, work, bin, login, options }: Pick<Cluster, "bin" | "login" | "options"> & { fresh: string; work: string },
): Promise<RunResult> {
  // The password is passed in a file: arguments are visible in the process list.
  const password =
    login.password === ""
      ? []
      : [`--pwfile=${await writePrivateFile(join(work, "password"), `${login.password}\n`, step.user)}`];
  const candidates = localeCandidates(options);
  for (const [index, locale] of candidates.entries()) {
    const result = await host.run({
      ...step,
      argv: [
        join(bin, "initdb"),
        `--pgdata=${fresh}`,
        `--username=${login.user}`,
        ...password,
        `--auth-local=${login.password === "" ? "trust" : "scram-sha-256"}`,
        `--auth-host=${login.method}`,
        ...(options.some((option) => option.startsWith("--encoding")) ? [] : ["--encoding=UTF8"]),
        ...locale,
        ...options,
        "--no-instructions",
      ],
    });
    const isLast = index === candidates.length - 1;
    if (result.exitCode === 0 || isLast || !refusesLocale(result)) return result;
    step.signal.throwIfAborted();
    await removeTree(fresh, stack.stateDir);
  }
  throw new Error("There is always a locale to try.");
}

/**
 * Starts the server on a socket in a private folder, runs the scripts as the official image does, and stops it.
 * Parameters: bin, data, socket folder (empty: a short path of the working directory), psql, then the scripts.
 */
const RUN_SCRIPTS = `bin=$1; data=$2; socket=$3; psql=$4; shift 4
if [ -z "$socket" ]; then
${SHORT_FOLDER}
socket=$folder
fi
export PGHOST="$socket"
"$bin/postgres" -D "$data" -c listen_addresses= -c unix_socket_directories="$socket" -c dynamic_shared_memory_type=mmap >&2 &
server=$!
tries=0
until "$psql" -X -q -d postgres -c 'select 1' >/dev/null 2>&1; do
  kill -0 $server 2>/dev/null || { echo "The server ended." >&2; exit 1; }
  tries=$((tries + 1)); [ $tries -lt 600 ] || { echo "The server does not answer." >&2; exit 1; }
  sleep 0.1
done
stop() { kill -INT $server 2>/dev/null; wait $server; }
sql() { "$psql" -X -v ON_ERROR_STOP=1 --no-password "$@"; }
sql_file() { sql -f "$1"; }
${RUN_INIT_SCRIPTS}`;

/** Longest path of a Unix socket's folder. */
const MAX_SOCKET_FOLDER = 90;

async function runScripts(
  context: PrepareContext,
  step: Step,
  {
    work,
    fresh,
    bin,
    login,
    scripts,
  }: Omit<Cluster, "base" | "data" | "options"> & { work: string; fresh: string; scripts: InitScripts },
): Promise<void> {
  const { host, request, user } = context;
  const psql = await firstRunnable([join(bin, "psql"), await findIn(["psql"], SERVICE_PATH)], user, host);
  if (psql === null && scripts.names.some((name) => /\.(sql(\.\w+)?|sh)$/.test(name)))
    throw new StackwardenError(
      "RUNTIME_UNAVAILABLE",
      `The initialisation scripts of "${request.service.name}" need psql, which is not installed.`,
      {
        hint: `Install it: ${installCommand(PSQL)}`,
        details: { service: request.service.name, scripts: scripts.names },
      },
    );
  request.phase("running initialisation scripts");
  const places = await scripts.copy(join(work, "scripts"));
  // In namespaces /tmp is private. Else the private folder of the initialisation, unless its path is too long.
  const isOwn = host.sandboxEnforcement().level === "enforced";
  const socket = isOwn ? "/tmp" : work.length <= MAX_SOCKET_FOLDER ? work : "";
  const { user: name, password, database } = login;
  const shell = (await findIn(["bash"], SERVICE_PATH)) ?? "/bin/sh";
  const result = await host.run({
    ...step,
    argv: [shell, "-c", RUN_SCRIPTS, "initdb", bin, fresh, socket, psql ?? "psql", ...places],
    env: {
      ...request.service.environment,
      ...step.env,
      PATH: [bin, ...SERVICE_PATH].join(":"),
      PGUSER: name,
      PGDATABASE: database,
      ...(password === "" ? {} : { PGPASSWORD: password, POSTGRES_PASSWORD: password }),
      POSTGRES_USER: name,
      POSTGRES_DB: database,
      PGDATA: fresh,
    },
    timeoutMs: SCRIPTS_TIMEOUT_MS,
    sink: request.sink,
  });
  step.signal.throwIfAborted();
  if (result.exitCode !== 0) throw failure("An initialisation script", request.service.name, result);
}

/** Databases that initdb creates. */
const BUILT_IN = ["postgres", "template0", "template1"];
/** The role that initdb creates. */
const FIRST_ROLE = { oid: 10, name: "postgres" };

const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const createDatabase = (name: string): string => `CREATE DATABASE ${identifier(name)}`;

/** PostgreSQL without connections. It reads statements, each followed by a semicolon and an empty line. */
const singleUser = (bin: string, data: string): string[] => [
  join(bin, "postgres"),
  "--single",
  "-j",
  ...["dynamic_shared_memory_type=mmap", "log_min_error_statement=panic"].flatMap((setting) => ["-c", setting]),
  ...["-D", data, "template1"],
];

const hasFailed = ({ exitCode, output }: RunResult): boolean => exitCode !== 0 || /\b(ERROR|FATAL|PANIC):/.test(output);

/** @returns null when initdb has to run */
async function copiedCluster(
  context: PrepareContext,
  step: Step,
  { fresh, work, bin, login }: Pick<Cluster, "bin" | "login"> & { fresh: string; work: string },
): Promise<RunResult | null> {
  const { host, request, stack, serverStateDir } = context;
  const { user: role, password, database, method } = login;
  // initdb refuses such a name.
  if (role.startsWith("pg_")) return null;
  const variant = `${password === "" ? "trust" : "scram"}-${method}`;
  const template = await clusterTemplate({ bin, variant }, context, (user, folder, signal) =>
    makeCluster(
      { host, stack: { stateDir: serverStateDir } },
      {
        cwd: folder,
        env: { ...step.env, HOME: folder, TMPDIR: folder },
        user,
        signal,
        timeoutMs: TIMEOUT_MS,
        visible: [folder],
        named: true,
      },
      {
        fresh: join(folder, "pgdata"),
        work: folder,
        bin,
        login: { ...login, user: FIRST_ROLE.name, password: password === "" ? "" : throwawayPassword() },
        options: [],
      },
    ),
  );
  if (template === null) return null;
  const statements = [
    // ALTER ROLE cannot rename the role of the current session.
    ...(role === FIRST_ROLE.name
      ? []
      : [`UPDATE pg_authid SET rolname = ${literal(role)} WHERE oid = ${FIRST_ROLE.oid}`]),
    ...(password === "" ? [] : [`ALTER ROLE ${identifier(role)} PASSWORD ${literal(password)}`]),
    ...(BUILT_IN.includes(database) ? [] : [createDatabase(database)]),
  ];
  const result = await copyTemplate(template, context, step, {
    work,
    fresh,
    use: singleUser(bin, fresh),
    stdin: statements.map((statement) => `${statement};\n\n`).join(""),
  });
  request.signal.throwIfAborted();
  if (result !== null && !hasFailed(result)) return result;
  if (result !== null && isFull(result)) throw failure("Copying an empty database", request.service.name, result);
  // The template is damaged.
  await removeTree(fresh, stack.stateDir);
  await removeTemplate(template);
  return null;
}

/** @throws SERVICE_START_FAILED, STORAGE_FAILED */
export async function initialiseCluster(
  context: PrepareContext,
  { base, data, bin, login, options, scripts }: Cluster,
): Promise<void> {
  const { host, request, user } = context;
  const { signal } = request;
  const work = await ensureDir(join(base, `.init-${randomBytes(6).toString("hex")}`), 0o700, user);
  const fresh = join(work, "pgdata");
  const env = { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", LC_ALL: "C", TZ: "UTC" };
  const step = initStep(context, { work, env, timeoutMs: TIMEOUT_MS });
  try {
    const cluster = { fresh, work, bin, login };
    const copy = options.length === 0 ? await copiedCluster(context, step, cluster) : null;
    if (copy === null) {
      const creation = await makeCluster(context, step, { ...cluster, options });
      signal.throwIfAborted();
      if (creation.exitCode !== 0) throw failure("initdb", request.service.name, creation);
      if (!BUILT_IN.includes(login.database)) {
        const created = await host.run({
          ...step,
          argv: singleUser(bin, fresh),
          stdin: `${createDatabase(login.database)};\n\n`,
        });
        signal.throwIfAborted();
        if (hasFailed(created)) throw failure("CREATE DATABASE", request.service.name, created);
      }
    }
    if (scripts !== undefined) await runScripts(context, step, { work, fresh, bin, login, scripts });
    await withStorage("Initialising the database", async () => {
      if ((await ownerOf(fresh))?.isFolder !== true)
        throw new StackwardenError("SERVICE_START_FAILED", `initdb for "${request.service.name}" made no folder.`);
      await moveInto(fresh, data);
    });
  } finally {
    await removeTree(work, context.stack.stateDir).catch(() => {});
  }
}
