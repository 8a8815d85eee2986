/** Host names that a service's environment contains. */

const AUTHORITY = /[a-z][a-z0-9+.-]{0,40}:\/\/(?:[^\s/]{0,500}@)?([a-z0-9][a-z0-9._-]{0,253})/gi;
const PUBLISHED = /\{published:([^:}]{1,253}):/g;
const DSN = /\bhost=([a-z0-9][a-z0-9._-]{0,253})/gi;
/** `db:5432`, and several of them separated by commas. */
const HOST_AND_PORT = /(?:^|,)\s*([a-z0-9][a-z0-9._-]{0,253}):\d{1,5}(?=$|[,/])/gi;
const NAMES_HOST = /(?:HOST|HOSTNAME|ADDR|ADDRESS|SERVER)S?$/i;
const HOST = /^[a-z0-9][a-z0-9._-]{0,253}$/i;

/** @returns each host name with the variable that contains it first; values are never returned as a whole */
export function hostsIn(environment: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const hosts = new Map<string, string>();
  for (const [variable, value] of Object.entries(environment)) {
    const names = [AUTHORITY, PUBLISHED, DSN, HOST_AND_PORT].flatMap((pattern) =>
      [...value.matchAll(pattern)].map(([, host = ""]) => host),
    );
    if (NAMES_HOST.test(variable) && HOST.test(value)) names.push(value);
    for (const host of names) if (!hosts.has(host)) hosts.set(host, variable);
  }
  return hosts;
}

const NAME = /[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?/gi;

/** The first of these host names that a text contains as a word. */
export function hostNamed(text: string, hosts: Iterable<string>): string | undefined {
  const words = new Set(text.slice(0, 2000).match(NAME));
  for (const host of hosts) if (words.has(host)) return host;
  return undefined;
}
