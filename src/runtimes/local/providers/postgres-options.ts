/** PostgreSQL settings of a definition: server settings, options for creating the cluster, and authentication. */
import { StackwardenError } from "../../../errors.js";
import type { ServiceDefinition } from "../../../stack/definition/types.js";
import { shellWords } from "./shell-words.js";

/** Settings that the runtime controls; a definition's `-c` cannot change them. */
const OURS = new Set(["listen_addresses", "port", "unix_socket_directories", "fsync", "data_directory", "hba_file"]);

/**
 * `-c name=value` settings of the definition's command.
 * @throws UNSUPPORTED for anything else
 */
export function postgresSettings(service: ServiceDefinition): string[] {
  const words = [...(service.entrypoint === undefined ? [] : service.entrypoint), ...(service.command ?? [])];
  const refuse = (what: string): never => {
    throw new StackwardenError("UNSUPPORTED", `The local runtime cannot run ${what} for "${service.name}".`, {
      hint: "Only `postgres -c name=value …` is supported; give the service an x-local.command, or use the dagger runtime.",
    });
  };
  const settings: string[] = [];
  let rest = words[0] === "docker-entrypoint.sh" ? words.slice(1) : words;
  if (rest[0] === "postgres") rest = rest.slice(1);
  for (let index = 0; index < rest.length; index++) {
    const word = rest[index] ?? "";
    const pair = word === "-c" ? rest[++index] : word.startsWith("-c") ? word.slice(2) : word.replace(/^--/, "");
    const name = /^([a-z_.]+)=/i.exec(pair ?? "")?.[1];
    if (!word.startsWith("-") || pair === undefined || name === undefined) return refuse(`"${word}"`);
    if (OURS.has(name.toLowerCase().replaceAll("-", "_"))) return refuse(`the setting ${name}`);
    settings.push("-c", pair);
  }
  return settings;
}

/** Authentication method of clients, as named by POSTGRES_HOST_AUTH_METHOD of the official image. */
const AUTH_METHODS = ["scram-sha-256", "md5", "password", "trust"] as const;
export type AuthMethod = (typeof AUTH_METHODS)[number];

/** @throws INVALID_STACK */
export function authMethod(service: Pick<ServiceDefinition, "name" | "environment">): AuthMethod {
  const text = service.environment.POSTGRES_HOST_AUTH_METHOD || "scram-sha-256";
  const method = AUTH_METHODS.find((one) => one === text);
  if (method !== undefined) return method;
  throw new StackwardenError("INVALID_STACK", `Invalid POSTGRES_HOST_AUTH_METHOD of "${service.name}": ${text}.`, {
    hint: `Use one of ${AUTH_METHODS.join(", ")}.`,
  });
}

/** Options of initdb that determine properties of the cluster; none of them names a file or grants access. */
const INIT_OPTIONS =
  /^(?:--(?:encoding|locale|lc-(?:collate|ctype|messages|monetary|numeric|time)|icu-locale|locale-provider|text-search-config|wal-segsize)=.+|--no-locale|--data-checksums|-k)$/;
/** The same options, with the value as the next word. */
const WITH_VALUE =
  /^(?:-E|-T|--(?:encoding|locale|lc-[a-z]+|icu-locale|locale-provider|text-search-config|wal-segsize))$/;
const SHORT: Readonly<Record<string, string>> = { "-E": "--encoding", "-T": "--text-search-config" };
/** Options that the runtime already sets, or that have no effect. */
const IGNORED = /^(?:--auth(?:-host|-local)?=scram-sha-256|--no-instructions)$/;

/** @throws UNSUPPORTED for an option that the local runtime does not pass on */
export function initdbOptions(service: Pick<ServiceDefinition, "name" | "environment">): string[] {
  const text = service.environment.POSTGRES_INITDB_ARGS ?? "";
  const words = shellWords(text, {});
  const refuse = (what: string): never => {
    throw new StackwardenError("UNSUPPORTED", `The local runtime cannot give ${what} to initdb ("${service.name}").`, {
      hint: "POSTGRES_INITDB_ARGS may hold --encoding, --locale, --lc-…, --icu-locale, --locale-provider, --text-search-config, --wal-segsize, --no-locale and --data-checksums. For logins set POSTGRES_HOST_AUTH_METHOD.",
    });
  };
  if (words === null) return refuse("POSTGRES_INITDB_ARGS with shell expressions");
  const options: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] as string;
    const value = words[index + 1];
    if (WITH_VALUE.test(word) && value !== undefined) {
      options.push(`${SHORT[word] ?? word}=${value}`);
      index += 1;
    } else if (INIT_OPTIONS.test(word)) options.push(word);
    else if (!IGNORED.test(word)) return refuse(`"${word}"`);
  }
  return options;
}

const LOCALE = /^--(?:no-locale|locale|lc-|icu-locale)/;

/**
 * Locales in the order in which they are tried: collation and case mapping for all languages from the ICU library in
 * PostgreSQL's package, else from the machine, else for ASCII only. A locale in the definition is used exclusively.
 */
export function localeCandidates(options: string[]): string[][] {
  if (options.some((option) => LOCALE.test(option))) return [[]];
  return [
    ["--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8"],
    ["--locale-provider=icu", "--icu-locale=en-US", "--locale=C"],
    ["--locale=en_US.UTF-8"],
    ["--locale=C.UTF-8"],
    ["--locale=C"],
  ];
}
