/** Redis or Valkey from the system: loopback only, password from a file, every acknowledged write is on disk. */
import { basename, join } from "node:path";
import { StackwardenError } from "../../../errors.js";
import { parseImageName } from "../../../stack/definition/image-name.js";
import type { ServiceDefinition, StackDefinition } from "../../../stack/definition/types.js";
import { LOOPBACK } from "../addresses/address-rewrite.js";
import { ensureDir, ownerOf, writePrivateFile } from "../files/create.js";
import { findRedis, SERVICE_PATH } from "../toolchain/binaries.js";
import { installCommand, REDIS } from "../toolchain/install-command.js";
import type { LaunchPlan, PrepareContext } from "./launch-plan.js";
import { reachable } from "./postgres-cluster.js";
import { isOtherVersion, programVersion } from "./program-version.js";
import { adopt, dataBase, variable } from "./provider-data.js";
import { redisCommand } from "./redis-command.js";
import type { Variables } from "./shell-words.js";

/** Quotes a word for redis.conf, so that no value can become another directive. */
export function quoted(value: string): string {
  const bytes = [...Buffer.from(value)].map((byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`,
  );
  return `"${bytes.join("")}"`;
}

/** The variables that a shell in the container would have. */
export const redisVariables = (
  service: ServiceDefinition,
  { secrets }: Pick<StackDefinition, "secrets">,
): Variables => ({
  environment: service.environment,
  file: (path) => {
    const mounted = service.secrets.find(({ target }) => `/run/secrets/${target}` === path);
    return mounted === undefined ? undefined : secrets[mounted.source];
  },
});

const variablesOf = ({ request: { service }, stack }: PrepareContext): Variables =>
  redisVariables(service, stack.definition);

/** redis-cli reads the password from a variable; it has none for the port. */
export function redisCommandEnv(context: PrepareContext): Record<string, string> {
  const { service } = context.request;
  const password = variable(context, "REDIS_PASSWORD") || redisCommand(service, variablesOf(context)).password || null;
  const port = context.book.hostPort(service.name, context.book.ports(service.name)[0] ?? 6379) ?? 6379;
  return {
    ...service.environment,
    PATH: SERVICE_PATH.join(":"),
    REDIS_HOST: LOOPBACK,
    REDIS_PORT: String(port),
    ...(password === null ? {} : { REDISCLI_AUTH: password }),
  };
}

export async function prepareRedis(context: PrepareContext): Promise<LaunchPlan> {
  const { service } = context.request;
  const command = redisCommand(service, variablesOf(context));
  const program = await findRedis();
  if (program === null) {
    throw new StackwardenError("RUNTIME_UNAVAILABLE", "Neither redis-server nor valkey-server is installed.", {
      hint: `Install it: ${installCommand(REDIS)}`,
    });
  }
  await reachable(program, context);
  const versionRun = programVersion(program, context);
  const password = variable(context, "REDIS_PASSWORD") || command.password || null;
  const { base, emptyVolumes } = await dataBase(context);
  const data = join(base, "redis");
  if ((await ownerOf(data)) === null) await ensureDir(data, 0o700, context.user);
  else await adopt(data, context);
  const port = context.book.hostPort(service.name, context.book.ports(service.name)[0] ?? 6379) ?? 6379;
  const lines: [string, ...string[]][] = [
    ["appendonly", "yes"],
    ["appendfsync", "always"],
    ...command.directives.map(([name, values]): [string, ...string[]] => [name, ...values]),
    // Last, so that no earlier directive can change them.
    ["bind", "127.0.0.1"],
    ["port", String(port)],
    ["protected-mode", "yes"],
    ["daemonize", "no"],
    ["logfile", ""],
    ["dir", data],
    ...(password === null ? [] : [["requirepass", password] as [string, string]]),
  ];
  // `save a b c d` is one directive with several words; each word is quoted separately.
  const text = lines.map(([name, ...values]) => `${name} ${values.map(quoted).join(" ")}\n`).join("");
  const config = await writePrivateFile(join(context.base, "redis.conf"), text, context.user);
  const notes: string[] = [];
  const version = await versionRun;
  const { image } = service;
  if (image !== undefined && version !== null && isOtherVersion(parseImageName(image).tag, version))
    notes.push(`Runs ${basename(program)} ${version} instead of ${image}.`);
  if (password === null)
    notes.push("Redis has no password: every local user of this machine can connect. Set REDIS_PASSWORD.");
  if (command.replaced)
    notes.push("The container's shell command is replaced by the local runtime's own start of redis.");
  return {
    argv: [program, config],
    cwd: data,
    env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", HOME: context.home, TMPDIR: context.tmp },
    commandEnv: redisCommandEnv(context),
    notes,
    emptyVolumes,
    access: { password },
    resolve: async (argv) => argv,
  };
}
