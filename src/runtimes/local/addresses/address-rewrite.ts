/**
 * Rewrites addresses for the local runtime, which has no network in which the name of a service is an address. Where a
 * definition names a sibling (`postgres:5432`) or its own port (`{port}`), the loopback address replaces it.
 */
import type { ServiceDefinition } from "../../../stack/definition/types.js";

/** Addresses from the port ledger. */
export interface AddressBook {
  /** True when only services of the stack listen on 127.0.0.1. */
  isSeparate?: boolean;
  services(): string[];
  hostPort(service: string, containerPort: number): number | undefined;
  /** The machine's port that leads to a container port, where services have a separate network. */
  publishedPort?(service: string, containerPort: number): number | undefined;
  /** Container ports, published first. */
  ports(service: string): number[];
  /** An address of the stack on which the service accepts its container port; undefined when it has none. */
  address?(service: string, containerPort: number): string | undefined;
}

export const LOOPBACK = "127.0.0.1";

const DEFAULT_PORTS: Record<string, number> = {
  postgres: 5432,
  postgresql: 5432,
  redis: 6379,
  http: 80,
  https: 443,
  mysql: 3306,
  mongodb: 27_017,
  amqp: 5672,
};

const OWN = /\{port(?::(\d{1,5}))?\}/g;
const PUBLISHED = /\{published:([^:{}]+):(\d{1,5})\}/g;
const HOST_KEY = /^(.*?)(?:HOSTNAME|HOST|SERVER|ADDRESS|ADDR)$/i;

/** Container ports named by the placeholders of a service's own command and environment; 0 for a bare `{port}`. */
export function ownPlaceholders(service: ServiceDefinition): number[] {
  const texts = [
    ...(service.local?.command ?? []),
    ...Object.values(service.local?.environment ?? {}),
    ...Object.values(service.environment),
  ];
  return texts.flatMap((text) => [...text.matchAll(OWN)].map((match) => Number(match[1] ?? 0)));
}

/** A name followed by a port. */
const NAMED_PORT = /(?<![\w.-])([A-Za-z0-9][\w.-]*):(\d{1,5})(?!\d)/g;
/** A URL without a port: scheme, what comes before the name, and the name. */
const NAMED_URL = /\b([a-z][a-z0-9]*)((?:\+[a-z0-9]+)?:\/\/(?:[^\s/?#@]*@)?)([a-z0-9][\w.-]*)(?=[/?#\s]|$)/gi;

/** Reads the text once, however many services there are: the project chooses the number and the length. */
function siblings(text: string, book: AddressBook): string {
  const names = new Map(book.services().map((service) => [service.toLowerCase(), service]));
  const exact = new Set(names.values());
  return text
    .replace(NAMED_PORT, (whole, name: string, port: string) => {
      const hostPort = exact.has(name) ? book.hostPort(name, Number(port)) : undefined;
      return hostPort === undefined ? whole : `${LOOPBACK}:${hostPort}`;
    })
    .replace(NAMED_URL, (whole, scheme: string, rest: string, name: string) => {
      // The default port of its scheme, else the service's only port.
      const service = exact.has(name) ? name : names.get(name.toLowerCase());
      const ports = service === undefined ? [] : book.ports(service);
      const usual = DEFAULT_PORTS[scheme.toLowerCase()];
      const port = usual !== undefined && ports.includes(usual) ? usual : ports.length === 1 ? ports[0] : undefined;
      const hostPort = service === undefined || port === undefined ? undefined : book.hostPort(service, port);
      return hostPort === undefined ? whole : `${scheme}${rest}${LOOPBACK}:${hostPort}`;
    });
}

/** Rewrites one value or argument of `service`: placeholders, published addresses, and addresses of siblings. */
export function rewriteText(text: string, service: string, book: AddressBook): string {
  const first = book.ports(service)[0];
  const named = text
    .replace(PUBLISHED, (whole, name: string, port: string) => {
      const hostPort = book.publishedPort?.(name, Number(port)) ?? book.hostPort(name, Number(port));
      return hostPort === undefined ? whole : `${LOOPBACK}:${hostPort}`;
    })
    .replaceAll("{host}", LOOPBACK)
    .replace(OWN, (whole, port: string | undefined) => {
      const containerPort = port === undefined ? first : Number(port);
      const hostPort = containerPort === undefined ? undefined : book.hostPort(service, containerPort);
      return hostPort === undefined ? whole : String(hostPort);
    });
  return siblings(named, book);
}

/**
 * The environment of `service`. A host-like variable (`DB_HOST`, `PGHOST`) whose whole value is a sibling's name becomes
 * the loopback address, and its `…PORT` sibling the host port. Where the definition leaves the port to a default, the
 * variable becomes the sibling's own address, or the host port is added.
 */
export function rewriteEnvironment(
  environment: Record<string, string>,
  service: string,
  book: AddressBook,
): { environment: Record<string, string>; notes: string[] } {
  const result: Record<string, string> = Object.create(null);
  const notes: string[] = [];
  for (const [key, value] of Object.entries(environment)) result[key] = rewriteText(value, service, book);
  const names = new Set(book.services());
  for (const [key, value] of Object.entries(environment)) {
    if (!names.has(value)) continue;
    const prefix = HOST_KEY.exec(key)?.[1];
    const portKey = prefix === undefined ? `${key}_PORT` : `${prefix}PORT`;
    const port = environment[portKey];
    // `POSTGRES_USER=postgres` is not an address: only a host-like name, or a variable with a matching `…PORT`, counts
    // as one.
    if (prefix === undefined && port === undefined) continue;
    result[key] = LOOPBACK;
    const ports = book.ports(value);
    const containerPort = port === undefined ? ports[0] : Number(port);
    const hostPort = containerPort === undefined ? undefined : book.hostPort(value, containerPort);
    if (hostPort === undefined) continue;
    const address =
      port === undefined && containerPort !== undefined ? book.address?.(value, containerPort) : undefined;
    if (address !== undefined) {
      // The program has the port in its code or as a default: on 127.0.0.1 that port can belong to another stack.
      result[key] = address;
      notes.push(`${key} is ${address}, an address of this stack on which ${value} accepts port ${containerPort}.`);
      continue;
    }
    result[portKey] = String(hostPort);
    if (port === undefined) notes.push(`${portKey}=${hostPort} was added: ${value} listens there on this runtime.`);
  }
  return { environment: result, notes };
}

const PORT_FLAG = /^(?:-p|--?[\w-]*port)$/i;
const ANY_ADDRESS = /^(?:0\.0\.0\.0|::|\[::\])$/;

/**
 * Rewrites a container's command for the loopback interface: an any-address becomes 127.0.0.1 (services listen only
 * there), and the container port after a port option becomes the host port.
 */
export function rewriteContainerCommand(argv: string[], service: string, book: AddressBook): string[] {
  const own = (text: string): string => {
    const port = /^\d{1,5}$/.test(text) ? book.hostPort(service, Number(text)) : undefined;
    return port === undefined ? text : String(port);
  };
  const address = (text: string): string => {
    if (ANY_ADDRESS.test(text)) return LOOPBACK;
    const both = /^(0\.0\.0\.0|\[::\]|127\.0\.0\.1|localhost|):(\d{1,5})$/.exec(text);
    return both === null ? text : `${LOOPBACK}:${own(both[2] as string)}`;
  };
  return argv.map((text, index) => {
    const option = /^(--?[\w-]+)=(.*)$/.exec(text);
    if (option !== null) {
      const [, flag = "", value = ""] = option;
      return `${flag}=${PORT_FLAG.test(flag) ? own(value) : rewriteText(address(value), service, book)}`;
    }
    if (PORT_FLAG.test(argv[index - 1] ?? "")) return own(text);
    return rewriteText(address(text), service, book);
  });
}

/** Services and container ports that `{published:service:port}` names in a stack's commands and environments. */
export function publishedPlaceholders(services: readonly ServiceDefinition[]): { service: string; port: number }[] {
  const texts = services.flatMap(({ environment, local }) => [
    ...Object.values(environment),
    ...(local?.command ?? []),
    ...Object.values(local?.environment ?? {}),
  ]);
  return texts.flatMap((text) =>
    [...text.matchAll(PUBLISHED)].map(([, service = "", port]) => ({ service, port: Number(port) })),
  );
}
