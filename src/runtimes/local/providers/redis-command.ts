/** Parses the command of a definition for its Redis settings. */
import { StackwardenError } from "../../../errors.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { shellWords, type Variables } from "./shell-words.js";

/** Directives that a definition's command may set; none of them opens files, loads code or changes who can connect. */
const TAKEN =
  /^(maxmemory(-.*)?|save|appendonly|appendfsync|databases|timeout|tcp-keepalive|maxclients|notify-keyspace-events|loglevel|hz|lazyfree-.*|activedefrag|slowlog-.*|latency-.*|client-output-buffer-limit|(hash|list|set|zset|stream)-.*)$/;
/** Directives that the runtime already sets, or that have no effect here. */
const DROPPED = new Set(["bind", "port", "dir", "daemonize", "protected-mode", "requirepass"]);

const SERVER = /^(\/usr\/(local\/)?bin\/)?(redis|valkey)-server$/;
const PASSWORD_OPTION = /requirepass|masterauth|aclfile|\buser\b/i;

/** Settings that apply regardless of the command. */
const setsPasswordVariable = ({ environment }: ServiceDefinition): boolean =>
  Boolean(environment.REDIS_PASSWORD || environment.REDIS_PASSWORD_FILE);

export interface RedisCommand {
  password: string | null;
  directives: [name: string, values: string[]][];
  /** True when a shell wrapped the command: it is replaced as a whole. */
  replaced: boolean;
}

const SHELL = /^(\/bin\/)?(ba|da)?sh$/;

/**
 * The words of the server command inside `sh -c "exec redis-server --requirepass $$REDIS_PASSWORD"`.
 * @returns null when the script contains more than that
 */
function wordsOfScript(script: string, variables: Variables): string[] | null {
  const words = shellWords(script.trim(), variables);
  if (words?.[0] === "exec") words.shift();
  return words !== null && SERVER.test(words[0] ?? "") ? words : null;
}

/**
 * @param variables variables that a shell command of the service expands
 * @throws UNSUPPORTED for a directive that the local runtime does not support, and for a shell command whose way of
 * setting a password is not recognised: the server must not run without a password instead
 */
export function redisCommand(service: ServiceDefinition, variables: Variables): RedisCommand {
  const result: RedisCommand = { password: null, directives: [], replaced: false };
  let words = [...(service.entrypoint ?? []), ...(service.command ?? [])];
  if (words[0] === "docker-entrypoint.sh") words.shift();
  if (words.length === 0) return result;
  if (SHELL.test(words[0] as string)) {
    const script = words[words.findIndex((word) => /^-\w*c$/.test(word)) + 1] ?? "";
    const parsed = wordsOfScript(script, variables);
    if (parsed === null) {
      if (!PASSWORD_OPTION.test(script) || setsPasswordVariable(service)) return { ...result, replaced: true };
      throw new StackwardenError(
        "UNSUPPORTED",
        `The local runtime does not understand the shell command of redis ("${service.name}"), which sets a password.`,
        { hint: `Set services.${service.name}.environment.REDIS_PASSWORD, or write the command without a shell.` },
      );
    }
    words = parsed;
  }
  if (SERVER.test(words[0] as string)) words.shift();
  const refuse = (what: string): never => {
    throw new StackwardenError("UNSUPPORTED", `The local runtime cannot give "${what}" to redis ("${service.name}").`, {
      hint: "Use options such as --maxmemory 100mb, or the dagger runtime for configuration files and modules.",
    });
  };
  let current: [string, string[]] | undefined;
  for (const word of words) {
    if (word.startsWith("--")) {
      current = [word.slice(2).toLowerCase(), []];
      result.directives.push(current);
    } else if (current === undefined) refuse(word);
    else current[1].push(...(word === "" ? [""] : word.split(/\s+/)));
  }
  const given = result.directives;
  result.password = given.find(([name]) => name === "requirepass")?.[1].join(" ") ?? null;
  for (const [name] of given) if (!TAKEN.test(name) && !DROPPED.has(name)) refuse(`--${name}`);
  result.directives = given.filter(([name]) => !DROPPED.has(name));
  return result;
}
