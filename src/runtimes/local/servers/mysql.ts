/** MySQL or MariaDB of the system: loopback only, created as the official images do. */
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { parseImageName } from "../../../stack/definition/image-name.js";
import { findIn, systemDirs } from "../../../system/find-program.js";
import { MAX_SOCKET_BYTES } from "../../../system/private-socket.js";
import { LOOPBACK } from "../addresses/address-rewrite.js";
import { ensureDir, moveInto, namesIn, ownerOf, writePrivateFile } from "../files/create.js";
import { removeTree } from "../files/remove-tree.js";
import { initScripts, isInitMount, RUN_INIT_SCRIPTS } from "../providers/init-scripts.js";
import { initStep } from "../providers/init-step.js";
import type { LaunchPlan, PrepareContext } from "../providers/launch-plan.js";
import { isOtherVersion, programVersion } from "../providers/program-version.js";
import { adopt, dataBase, NO_NAMED_VOLUME, variable } from "../providers/provider-data.js";
import { SHORT_FOLDER } from "../providers/short-socket-folder.js";
import { SERVICE_PATH } from "../toolchain/binaries.js";
import { installCommand, MARIADB_CLIENT } from "../toolchain/install-command.js";
import { programOutput } from "../toolchain/program-output.js";
import { requireServer } from "./find-server.js";
import { SERVERS } from "./images.js";

const TIMEOUT_MS = 30 * 60_000;

interface Accounts {
  rootPassword: string;
  database: string;
  user: string;
  password: string;
}

/** `MYSQL_DATABASE`, or `MARIADB_DATABASE`. */
const either = (context: PrepareContext, name: string): string =>
  variable(context, `MARIADB_${name}`) || variable(context, `MYSQL_${name}`) || "";

/** @throws INVALID_STACK when the variables allow no login */
function accounts(context: PrepareContext): Accounts {
  const { service } = context.request;
  const rootPassword = either(context, "ROOT_PASSWORD");
  const isOpen = either(context, "ALLOW_EMPTY_PASSWORD") !== "" || either(context, "ALLOW_EMPTY_ROOT_PASSWORD") !== "";
  const isRandom = either(context, "RANDOM_ROOT_PASSWORD") !== "";
  if (rootPassword === "" && !isOpen && !isRandom)
    throw new StackwardenError("INVALID_STACK", `Service "${service.name}" has no MYSQL_ROOT_PASSWORD.`, {
      hint: `Set services.${service.name}.environment.MYSQL_ROOT_PASSWORD, MYSQL_RANDOM_ROOT_PASSWORD or MYSQL_ALLOW_EMPTY_PASSWORD.`,
    });
  return {
    rootPassword: rootPassword === "" && isRandom ? randomBytes(18).toString("base64url") : rootPassword,
    database: either(context, "DATABASE"),
    user: either(context, "USER"),
    password: either(context, "PASSWORD"),
  };
}

const text = (value: string): string => `'${value.replace(/[\\']/g, (char) => `\\${char}`)}'`;
const name = (value: string): string => `\`${value.replaceAll("`", "``")}\``;

/**
 * MariaDB's installation also creates root for the machine's name and addresses, without a password. With
 * `skip-name-resolve` every local user could log in as that root.
 */
const REMOVE_OPEN_ACCOUNTS = [
  "SET @open = (SELECT CONCAT('DROP USER ', GROUP_CONCAT(QUOTE(User), '@', QUOTE(Host))) FROM mysql.user",
  "  WHERE User = '' OR (User = 'root' AND Host <> 'localhost'));",
  "SET @open = IFNULL(@open, 'DO 0');",
  "PREPARE remove_open FROM @open;",
  "EXECUTE remove_open;",
  "DEALLOCATE PREPARE remove_open;",
];

const isNamed = (user: string): boolean => user !== "" && user !== "root";

/** The statements that the official images run in a new database. */
export function accountStatements({ rootPassword, database, user, password }: Accounts): string {
  const lines = [
    ...REMOVE_OPEN_ACCOUNTS,
    `ALTER USER 'root'@'localhost' IDENTIFIED BY ${text(rootPassword)};`,
    `CREATE USER 'root'@'%' IDENTIFIED BY ${text(rootPassword)};`,
    "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;",
  ];
  if (database !== "") lines.push(`CREATE DATABASE IF NOT EXISTS ${name(database)};`);
  // The image does not create a user without a password either.
  if (isNamed(user) && password !== "") {
    for (const host of ["%", "localhost"]) {
      lines.push(`CREATE USER ${text(user)}@'${host}' IDENTIFIED BY ${text(password)};`);
      if (database !== "") lines.push(`GRANT ALL ON ${name(database)}.* TO ${text(user)}@'${host}';`);
    }
  }
  return `${lines.join("\n")}\nFLUSH PRIVILEGES;\n`;
}

/** Options that the runtime sets itself. */
const OURS = /^--(?:port|bind-address|datadir|socket|user|skip-networking|pid-file|basedir|defaults-file|daemonize)\b/;

/**
 * Options of the definition's command. MariaDB does not know every option of MySQL, so that an unknown one is ignored.
 * @throws UNSUPPORTED for anything else than options
 */
export function serverOptions(service: PrepareContext["request"]["service"]): string[] {
  let words = [...(service.entrypoint ?? []), ...(service.command ?? [])];
  if (words[0] === "docker-entrypoint.sh") words = words.slice(1);
  if (/^(mysqld|mariadbd)$/.test(words[0] ?? "")) words = words.slice(1);
  return words.flatMap((word) => {
    if (!/^--[a-z][\w-]*(=.*)?$/i.test(word))
      throw new StackwardenError("UNSUPPORTED", `The local runtime cannot give "${word}" to ${service.name}.`, {
        hint: "Use options such as --max-connections=200.",
      });
    return OURS.test(word) ? [] : [`--loose-${word.slice(2)}`];
  });
}

/** Parameters: server, client, data, socket, file with the accounts, database, then the scripts. */
const INITIALISE = `server=$1; client=$2; data=$3; socket=$4; accounts=$5; database=$6; shift 6
if [ -z "$socket" ]; then
${SHORT_FOLDER}
socket=$folder/m.sock
fi
"$server" --no-defaults --datadir="$data" --socket="$socket" --pid-file="$data/init.pid" --skip-networking >&2 &
pid=$!
tries=0
until "$client" --no-defaults --socket="$socket" -uroot -e 'select 1' >/dev/null 2>&1; do
  kill -0 $pid 2>/dev/null || { echo "The server ended." >&2; exit 1; }
  tries=$((tries + 1)); [ $tries -lt 1200 ] || { echo "The server does not answer." >&2; exit 1; }
  sleep 0.1
done
stop() { kill -TERM $pid 2>/dev/null; wait $pid; }
"$client" --no-defaults --socket="$socket" -uroot < "$accounts" || { stop; exit 2; }
export MYSQL_PWD="$MYSQL_ROOT_PASSWORD" MYSQL_UNIX_PORT="$socket"
sql() { "$client" --no-defaults --socket="$socket" -uroot --comments \${database:+"--database=$database"}; }
sql_file() { sql < "$1"; }
${RUN_INIT_SCRIPTS}`;

interface Programs {
  server: string;
  client: string;
  isMariaDb: boolean;
}

async function programs(context: PrepareContext): Promise<Programs> {
  const { service } = context.request;
  const server = await requireServer(service.server === "mariadb" ? "mariadb" : "mysql", context);
  const dirs = [dirname(server), ...systemDirs()];
  const client = await findIn(["mariadb", "mysql"], dirs);
  if (client === null)
    throw new StackwardenError("RUNTIME_UNAVAILABLE", `"${service.name}" needs the client of ${server}.`, {
      hint: `Install it: ${installCommand(MARIADB_CLIENT)}`,
    });
  // Programs of the other one can be installed as well.
  const isMariaDb = await programOutput(server, ["--version"], context).then(
    ({ output }) => /MariaDB/i.test(output),
    () => false,
  );
  return { server, client, isMariaDb };
}

function failure(step: string, service: string, output: string): StackwardenError {
  const last_lines = output.trim().split("\n").slice(-15);
  const isFull = /No space left on device|errno: 28/i.test(output);
  return new StackwardenError(isFull ? "STORAGE_FAILED" : "SERVICE_START_FAILED", `${step} for "${service}" failed.`, {
    hint: isFull
      ? "Free some space on the state directory's disk, then call again."
      : "The last lines in details say why.",
    details: { service, last_lines },
  });
}

/** Creates the data in a private folder and moves it to its place when it is complete. */
async function initialise(
  context: PrepareContext,
  base: string,
  data: string,
  { server, client, isMariaDb }: Programs,
) {
  const { host, request, user, stack } = context;
  const { service, signal, sink } = request;
  const login = accounts(context);
  request.phase("initialising the database");
  const work = await ensureDir(join(base, `.init-${randomBytes(6).toString("hex")}`), 0o700, user);
  const fresh = join(work, "mysql");
  const socket = socketIn(context, work);
  const env = { PATH: ["/usr/sbin", ...SERVICE_PATH].join(":"), LANG: "C.UTF-8" };
  const step = initStep(context, { work, env, timeoutMs: TIMEOUT_MS });
  try {
    const installer = await findIn(["mariadb-install-db", "mysql_install_db"], [dirname(server), ...systemDirs()]);
    const creation = await host.run({
      ...step,
      argv:
        isMariaDb && installer !== null
          ? [
              installer,
              "--no-defaults",
              `--datadir=${fresh}`,
              "--auth-root-authentication-method=normal",
              "--skip-test-db",
            ]
          : [server, "--no-defaults", "--initialize-insecure", `--datadir=${fresh}`],
    });
    signal.throwIfAborted();
    if (creation.exitCode !== 0) throw failure("Creating the database", service.name, creation.output);
    const file = await writePrivateFile(join(work, "accounts.sql"), accountStatements(login), user);
    const scripts = await initScripts(context);
    if (scripts !== undefined) request.phase("running initialisation scripts");
    const places = (await scripts?.copy(join(work, "scripts"))) ?? [];
    const shell = (await findIn(["bash"], SERVICE_PATH)) ?? "/bin/sh";
    const result = await host.run({
      ...step,
      argv: [shell, "-c", INITIALISE, "init", server, client, fresh, socket ?? "", file, login.database, ...places],
      env: { ...service.environment, ...env, MYSQL_ROOT_PASSWORD: login.rootPassword },
      sink,
    });
    signal.throwIfAborted();
    if (result.exitCode !== 0)
      throw failure(
        result.exitCode === 3 ? "An initialisation script" : "Creating the accounts",
        service.name,
        result.output,
      );
    await moveInto(fresh, data);
  } finally {
    await removeTree(work, stack.stateDir).catch(() => {});
  }
}

/** The socket's path; null where it would be too long. In namespaces /tmp is private and short. */
function socketIn({ host }: PrepareContext, folder: string): string | null {
  if (host.sandboxEnforcement().level === "enforced") return "/tmp/mysqld.sock";
  const socket = join(folder, "m.sock");
  return Buffer.byteLength(socket) > MAX_SOCKET_BYTES ? null : socket;
}

export async function prepareMysql(context: PrepareContext): Promise<LaunchPlan> {
  const { service } = context.request;
  const options = serverOptions(service);
  const binaries = await programs(context);
  const { base, volume, emptyVolumes, notes } = await dataBase(context, isInitMount, SERVERS.mysql.data);
  const data = join(base, "mysql");
  for (const one of await namesIn(base))
    if (one.startsWith(".init-")) await removeTree(join(base, one), context.stack.stateDir);
  if ((await ownerOf(data)) === null) await initialise(context, base, data, binaries);
  else await adopt(data, context);
  const port = context.book.hostPort(service.name, context.book.ports(service.name)[0] ?? 3306) ?? 3306;
  const socket = socketIn(context, context.tmp);
  const version = await programVersion(binaries.server, context);
  const title = binaries.isMariaDb ? "MariaDB" : "MySQL";
  const { image } = service;
  const isOther = image !== undefined && version !== null && isOtherVersion(parseImageName(image).tag, version);
  if (isOther || (binaries.isMariaDb && service.server === "mysql"))
    notes.push(`Runs ${title} ${version ?? ""} instead of ${image}.`);
  const login = accounts(context);
  if (isNamed(login.user) && login.password === "")
    notes.push(`The user ${login.user} is not created: MYSQL_PASSWORD is missing or empty.`);
  if (login.rootPassword === "")
    notes.push(`${title} has no root password: every local user of this machine can connect.`);
  if (volume === null) notes.push(NO_NAMED_VOLUME);
  // Health checks of the file name neither socket nor port.
  const socketLine = socket === null ? "protocol=tcp" : `socket=${socket}`;
  await writePrivateFile(join(context.home, ".my.cnf"), `[client]\n${socketLine}\nport=${port}\n`, context.user);
  const env = {
    ...service.environment,
    PATH: ["/usr/sbin", ...SERVICE_PATH].join(":"),
    LANG: "C.UTF-8",
    HOME: context.home,
    TMPDIR: context.tmp,
  };
  return {
    argv: [
      binaries.server,
      "--no-defaults",
      ...options,
      `--datadir=${data}`,
      `--port=${port}`,
      "--bind-address=127.0.0.1",
      // A relative path is one in the data folder.
      `--socket=${socket ?? "m.sock"}`,
      `--pid-file=${join(context.tmp, "mysqld.pid")}`,
      ...(binaries.isMariaDb ? [] : ["--mysqlx=OFF"]),
    ],
    cwd: data,
    env,
    commandEnv: { ...service.environment, MYSQL_HOST: LOOPBACK },
    notes,
    emptyVolumes,
    access: null,
    resolve: async ([program = "", ...rest]) => {
      // A script of MariaDB's image.
      if (program === "healthcheck.sh")
        return [(await findIn(["mariadb-admin", "mysqladmin"], SERVICE_PATH)) ?? "mysqladmin", "ping"];
      return [(await findIn([program], SERVICE_PATH)) ?? program, ...rest];
    },
  };
}
