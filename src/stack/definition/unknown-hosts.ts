/**
 * Finds hosts in URLs of the environment that are no name of a service of the files: misspelt names. A name that another
 * source could resolve is not reported.
 */
import { hostname } from "node:os";
import { nearest } from "../../system/nearest.js";
import type { ServiceDefinition, UnknownHost } from "./types.js";

/** Schemes of servers that a stack usually contains. */
const SERVER = /^(?:postgres(?:ql)?|mysql|mariadb|rediss?|valkeys?|mongodb|amqps?)$/;
/** Schemes of which the host can also be a name on the caller's own network. */
const WEB = /^(?:https?|wss?|tcp|grpc|nats|mqtts?|clickhouse)$/;
/** A value that is one URL, such as `jdbc:mysql://db:3306/shop` or `postgresql+asyncpg://user:password@db/shop`. */
const URL_VALUE = /^(?:jdbc:|r2dbc:)?([a-z][a-z0-9]{1,20})(?:\+[a-z0-9]{1,20})?:\/\/([^\s/?#"']{1,1000})(.{0,2000})$/i;
/** A name without a dot that is not a number, with an optional port. */
const HOST = /^([a-z0-9][a-z0-9_-]{0,62})(?::\d{1,5})?$/i;
const NUMBER = /^(?:\d+|0x[0-9a-f]+)$/i;

/** Hosts of the URL, with whether its scheme is that of a server. Nothing for a text that is not clearly a URL. */
function hostsOf(value: string): { host: string; ofServer: boolean }[] {
  const [, scheme = "", authority = "", rest = ""] = URL_VALUE.exec(value.trim()) ?? [];
  const ofServer = SERVER.test(scheme.toLowerCase());
  // An `@` after the authority can belong to a password that is not encoded.
  if (!(ofServer || WEB.test(scheme.toLowerCase())) || rest.includes("@") || value.trim().includes(" ")) return [];
  const hosts = authority.slice(authority.lastIndexOf("@") + 1).split(",");
  const names = hosts.flatMap((host) => HOST.exec(host)?.[1]?.toLowerCase() ?? []);
  // With another text in the list, such as a second URL, the value is not one URL.
  if (names.length < hosts.length) return [];
  return names.filter((host) => !NUMBER.test(host)).map((host) => ({ host, ofServer }));
}

/** Names, in addition to that of the service, under which services can reach it or that its file gives to addresses. */
const namesOf = ({ containerName, hostname, networks, links, extraHosts }: ServiceDefinition): string[] => [
  ...[containerName, hostname].flatMap((one) => one ?? []),
  ...Object.values(networks ?? {}).flatMap(({ aliases }) => aliases),
  ...Object.keys(links ?? {}),
  ...Object.keys(extraHosts ?? {}),
];

/**
 * @param services the active services
 * @param others the services of the files that are not active and can be read
 * @param serviceNames names of all services of the files
 * @param external true for a network that the files do not create: it can have further names
 */
export function unknownHosts(
  services: Readonly<Record<string, ServiceDefinition>>,
  others: readonly ServiceDefinition[],
  serviceNames: readonly string[],
  external: (network: string) => boolean,
): UnknownHost[] {
  const all = [...Object.values(services), ...others];
  const names = [...serviceNames, ...all.flatMap(namesOf), "localhost", hostname()];
  const known = new Set(names.map((name) => name.toLowerCase()));
  /** `shop-db-1`, as Compose names containers. */
  const isInstance = (host: string): boolean => {
    const base = /^(.+)[-_]\d+$/.exec(host)?.[1];
    return serviceNames.some((name) => {
      const service = name.toLowerCase();
      return base === service || base?.endsWith(`-${service}`) === true || base?.endsWith(`_${service}`) === true;
    });
  };
  const unknown: UnknownHost[] = [];
  for (const { name, environment, networks, networkMode, dns, dnsSearch, domainName } of Object.values(services)) {
    const resolvesMore =
      networkMode !== undefined ||
      [dns, dnsSearch, domainName].some((one) => one !== undefined) ||
      Object.keys(networks ?? { default: null }).some(external);
    if (resolvesMore) continue;
    for (const [variable, value] of Object.entries(environment))
      for (const { host, ofServer } of hostsOf(value)) {
        if (known.has(host) || isInstance(host)) continue;
        const near = nearest(host, serviceNames);
        if (near === undefined && !ofServer) continue;
        unknown.push({ service: name, variable, host, ...(near === undefined ? {} : { near }) });
      }
  }
  return unknown;
}
