/** memcached, MongoDB, RabbitMQ and Mailpit of the machine: loopback only. */
import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { LOOPBACK } from "../addresses/address-rewrite.js";
import { ensureDir, ownerOf, writePrivateFile } from "../files/create.js";
import { readOwnFile } from "../files/read.js";
import type { LaunchPlan, PrepareContext } from "../providers/launch-plan.js";
import { adopt, dataBase, variable } from "../providers/provider-data.js";
import { SERVICE_PATH } from "../toolchain/binaries.js";
import { requireServer } from "./find-server.js";
import { SERVERS, type ServerName } from "./images.js";

/** The host port of one of the image's ports. */
const portOf = ({ book, request: { service } }: PrepareContext, containerPort: number): number =>
  book.hostPort(service.name, containerPort) ?? containerPort;

/** The definition's command without the program, or nothing when it has none. */
function wordsOf(service: ServiceDefinition, program: RegExp): string[] {
  const words = [...(service.entrypoint ?? []), ...(service.command ?? [])];
  if (words[0] === "docker-entrypoint.sh") words.shift();
  if (program.test(words[0] ?? "")) words.shift();
  return words;
}

function base(context: PrepareContext, fields: Pick<LaunchPlan, "argv" | "cwd"> & Partial<LaunchPlan>): LaunchPlan {
  const [program = ""] = fields.argv;
  return {
    commandEnv: { ...context.request.service.environment },
    notes: [],
    emptyVolumes: [],
    access: null,
    // The image has the program in another folder.
    resolve: async ([name = "", ...rest]) => [basename(name) === basename(program) ? program : name, ...rest],
    ...fields,
    env: {
      // Its folder comes first: the client's own program can be in any, and Debian's programs of RabbitMQ in /usr/sbin
      // refuse every user but root and rabbitmq.
      PATH: [...new Set([dirname(program), "/usr/sbin", ...SERVICE_PATH])].join(":"),
      LANG: "C.UTF-8",
      HOME: context.home,
      TMPDIR: context.tmp,
      ...fields.env,
    },
  };
}

async function dataFolder(
  context: PrepareContext,
  name: ServerName,
): Promise<{ data: string } & Pick<LaunchPlan, "notes" | "emptyVolumes">> {
  const folder = await dataBase(context, () => false, SERVERS[name].data);
  const data = join(folder.base, name);
  if ((await ownerOf(data)) === null) await ensureDir(data, 0o700, context.user);
  else await adopt(data, context);
  return { data, notes: folder.notes, emptyVolumes: folder.emptyVolumes };
}

/** @throws UNSUPPORTED for an option that the local runtime does not pass on */
export function memcachedOptions(service: ServiceDefinition): string[] {
  const options: string[] = [];
  const words = wordsOf(service, /^memcached$/);
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] as string;
    const value = words[at + 1];
    if (/^-[mcItRnf]$/.test(word) && value !== undefined) {
      options.push(word, value);
      at += 1;
    } else if (/^-[mcItRnf]\d/.test(word) || /^--(memory-limit|conn-limit|max-item-size|threads)=/.test(word))
      options.push(word);
    else if (!/^(-[vM]+|-[lpU]|[\d.]+)$/.test(word))
      throw new StackwardenError(
        "UNSUPPORTED",
        `The local runtime cannot give "${word}" to memcached ("${service.name}").`,
        {
          hint: "Use -m, -c, -I, -t or their long forms.",
        },
      );
  }
  return options;
}

export async function prepareMemcached(context: PrepareContext): Promise<LaunchPlan> {
  const program = await requireServer("memcached", context);
  const options = memcachedOptions(context.request.service);
  return base(context, {
    argv: [program, "-l", LOOPBACK, "-p", String(portOf(context, 11_211)), "-U", "0", ...options],
    cwd: context.tmp,
    notes: ["memcached has no password: every local user of this machine can connect."],
  });
}

/** @throws UNSUPPORTED */
export function requireNoRootUser({ name, environment }: ServiceDefinition): void {
  if (environment.MONGO_INITDB_ROOT_USERNAME || environment.MONGO_INITDB_ROOT_USERNAME_FILE)
    throw new StackwardenError("UNSUPPORTED", `The local runtime cannot create the root user of "${name}".`, {
      hint: "Leave MONGO_INITDB_ROOT_USERNAME and its password out on the local runtime, or use a runtime with containers.",
    });
}

export async function prepareMongo(context: PrepareContext): Promise<LaunchPlan> {
  const program = await requireServer("mongo", context);
  requireNoRootUser(context.request.service);
  const { data, notes, emptyVolumes } = await dataFolder(context, "mongo");
  const port = String(portOf(context, 27_017));
  return base(context, {
    argv: [program, "--dbpath", data, "--port", port, "--bind_ip", LOOPBACK, "--unixSocketPrefix", context.tmp],
    cwd: data,
    emptyVolumes,
    notes: [...notes, "MongoDB has no password: every local user of this machine can connect."],
  });
}

export async function prepareMailpit(context: PrepareContext): Promise<LaunchPlan> {
  const program = await requireServer("mailpit", context);
  const { data, notes, emptyVolumes } = await dataFolder(context, "mailpit");
  const { environment } = context.request.service;
  const settings = Object.entries(environment).filter(([name]) => /^MP_(?!DATA_FILE|DATABASE|.*_BIND_ADDR)/.test(name));
  const web = `${LOOPBACK}:${portOf(context, 8025)}`;
  const database = join(data, "mailpit.db");
  // Its commands, such as `mailpit readyz` of a health check, read them.
  const own = { MP_UI_BIND_ADDR: web, MP_DATABASE: database };
  return base(context, {
    argv: [
      program,
      ...["--smtp", `${LOOPBACK}:${portOf(context, 1025)}`],
      ...["--listen", web],
      ...["--database", database],
    ],
    cwd: data,
    env: { ...Object.fromEntries(settings), ...own },
    commandEnv: { ...environment, ...own },
    notes,
    emptyVolumes,
  });
}

const COOKIE = ".erlang.cookie";
/** The form of the cookies that Erlang makes, which have at most 36 random bits. */
const WEAK_COOKIE = /^[A-Z]{20}$/;

/** The cookie is a password: with it a program can run any code in the node. */
async function ensureCookie(data: string, { user }: PrepareContext): Promise<void> {
  const cookie = (await readOwnFile(data, COOKIE)) ?? "";
  if (cookie === "" || WEAK_COOKIE.test(cookie))
    await writePrivateFile(join(data, COOKIE), randomBytes(32).toString("hex"), user);
}

export async function prepareRabbitmq(context: PrepareContext): Promise<LaunchPlan> {
  const program = await requireServer("rabbitmq", context);
  const { data, notes, emptyVolumes } = await dataFolder(context, "rabbitmq");
  const { service } = context.request;
  const quoted = (text: string): string => `<<${JSON.stringify(text)}>>`;
  const management = /management/.test(service.image ?? "");
  const lines = [
    `{rabbit, [{tcp_listeners, [{"${LOOPBACK}", ${portOf(context, 5672)}}]}`,
    `, {default_user, ${quoted(variable(context, "RABBITMQ_DEFAULT_USER") || "guest")}}`,
    `, {default_pass, ${quoted(variable(context, "RABBITMQ_DEFAULT_PASS") || "guest")}}`,
    `, {default_vhost, ${quoted(variable(context, "RABBITMQ_DEFAULT_VHOST") || "/")}}, {loopback_users, []}]}`,
    ...(management
      ? [`, {rabbitmq_management, [{listener, [{ip, "${LOOPBACK}"}, {port, ${portOf(context, 15_672)}}]}]}`]
      : []),
  ];
  const config = await writePrivateFile(join(context.base, "advanced.config"), `[${lines.join("")}].\n`, context.user);
  const plugins = await writePrivateFile(
    join(context.base, "enabled_plugins"),
    `[${management ? "rabbitmq_management" : ""}].\n`,
    context.user,
  );
  await ensureCookie(data, context);
  const node = `rabbit-${service.name.replace(/[^A-Za-z0-9]/g, "")}-${portOf(context, 5672)}@localhost`;
  return base(context, {
    argv: [program],
    cwd: data,
    env: {
      HOME: data,
      RABBITMQ_NODENAME: node,
      RABBITMQ_MNESIA_BASE: data,
      RABBITMQ_LOGS: "-",
      RABBITMQ_LOG_BASE: context.tmp,
      RABBITMQ_ADVANCED_CONFIG_FILE: config,
      RABBITMQ_CONFIG_FILE: join(context.base, "none.conf"),
      RABBITMQ_CONF_ENV_FILE: "/dev/null",
      RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
      RABBITMQ_GENERATED_CONFIG_DIR: context.tmp,
      RABBITMQ_PID_FILE: join(context.tmp, "pid"),
      // The distribution port follows the service's own, so that several nodes of the machine do not meet.
      RABBITMQ_DIST_PORT: String(20_000 + (portOf(context, 5672) % 20_000)),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-kernel inet_dist_use_interface {${LOOPBACK.replaceAll(".", ",")}}`,
      ERL_EPMD_ADDRESS: LOOPBACK,
    },
    notes,
    emptyVolumes,
  });
}
