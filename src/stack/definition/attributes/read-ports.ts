/**
 * Reads Compose's short and long port syntax. Host addresses in files are ignored: only the operator decides on which
 * address ports listen.
 */
import { isIP } from "node:net";
import type { PortMapping } from "../types.js";
import type { NodeReader } from "./node-reader.js";

const MOST_PORTS = 1000;
type Range = [first: number, last: number];

const port = (text: string, least = 1): number | null => {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  return value >= least && value <= 65_535 ? value : null;
};

function range(text: string, least = 1): Range | null {
  const [from = "", to = from, ...more] = text.split("-");
  const [first, last] = [port(from, least), port(to, least)];
  return first === null || last === null || last < first || more.length > 0 ? null : [first, last];
}

const LOOPBACK = new Set(["", "127.0.0.1", "localhost"]);
const isAddress = (host: string): boolean => LOOPBACK.has(host) || isIP(host) !== 0;
const ignored = (path: string, host: string): string =>
  `${path}: the host address ${host} is not used: ports are published on 127.0.0.1, unless the operator's configuration opens them (dagger_tunnel).`;
const HOW = 'Write "8080:80", "127.0.0.1:8080:80", "80", "9000-9010:9000-9010", or ":80" for the next free host port.';

function protocolOf(reader: NodeReader, text: string): PortMapping["protocol"] | undefined {
  if (text === "tcp" || text === "udp") return text;
  return reader.invalid(`publishes ${text}, which is neither tcp nor udp`, "Use tcp or udp.");
}

/** Host ports for a range of container ports: one each, or a range from which one is chosen. */
function mappings(
  reader: NodeReader,
  container: Range,
  host: Range | undefined,
  protocol: PortMapping["protocol"],
): PortMapping[] {
  const [first, last] = container;
  const count = last - first + 1;
  const hosts = host === undefined ? 0 : host[1] - host[0] + 1;
  if (hosts > 1 && count > 1 && hosts !== count) {
    reader.invalid("has ranges of different lengths", "Give as many host ports as container ports.");
    return [];
  }
  return Array.from({ length: count }, (_, at) => ({
    containerPort: first + at,
    protocol,
    ...(host === undefined
      ? {}
      : count === 1 && hosts > 1
        ? { hostPort: host[0], hostPortEnd: host[1] }
        : { hostPort: host[0] + (hosts === 1 && count > 1 ? 0 : at) }),
  }));
}

function short(reader: NodeReader, note: (text: string) => void): PortMapping[] {
  const text = reader.string("a port");
  if (text === undefined) return [];
  const [address = "", written = "tcp"] = text.split(/\/(.*)/s);
  const protocol = protocolOf(reader, written.toLowerCase());
  if (protocol === undefined) return [];
  const [, hostAddress = "", published = "", target = ""] = /^(?:(?:(.*):)?([^:]*):)?([^:]+)$/.exec(address) ?? [];
  const host = hostAddress.replace(/^\[(.*)\]$/, "$1");
  const container = range(target);
  const hostRange = published === "" ? undefined : range(published, 0);
  if (container === null || hostRange === null || !isAddress(host)) {
    const large = address.match(/\d+/g)?.find((number) => host === "" && Number(number) > 65_535);
    if (large === undefined) reader.invalid("is not a port mapping", HOW);
    else reader.invalid(`has the port ${large.slice(0, 20)}`, "Ports are whole numbers from 1 to 65535.");
    return [];
  }
  if (!LOOPBACK.has(host)) note(ignored(reader.path, host));
  return mappings(reader, container, hostRange?.[0] === 0 ? undefined : hostRange, protocol);
}

function long(reader: NodeReader, note: (text: string) => void): PortMapping[] {
  const fields = reader.fields(["target", "published", "protocol", "host_ip", "mode", "name", "app_protocol"]);
  const { target, published, host_ip } = fields;
  const protocol = protocolOf(fields.protocol ?? reader, fields.protocol?.string()?.toLowerCase() ?? "tcp");
  if (target === undefined) reader.invalid("has no target", "Give `target`, the port inside the service.");
  const container = target?.number(1, 65_535);
  const text = published === undefined || published.empty ? "" : (published.string("a port") ?? "");
  const hostRange = text === "" ? undefined : range(text, 0);
  if (hostRange === null) published?.invalid("is not a port", "Write a number from 0 to 65535, or a range of them.");
  const host = host_ip === undefined || host_ip.empty ? "" : (host_ip.string() ?? "");
  if (!isAddress(host)) host_ip?.invalid("is not an IP address", "Leave it out, or give 127.0.0.1.");
  if (protocol === undefined || container === undefined || hostRange === null || !isAddress(host)) return [];
  if (!LOOPBACK.has(host)) note(ignored(reader.path, host));
  return mappings(reader, [container, container], hostRange?.[0] === 0 ? undefined : hostRange, protocol);
}

const key = ({ containerPort, hostPort, hostPortEnd, protocol }: PortMapping): string =>
  [containerPort, hostPort, hostPortEnd, protocol].join(" ");

/** Reads `ports`; equal mappings count once. `note` receives a sentence for every host address that is ignored. */
export function readPorts(reader: NodeReader, note: (text: string) => void): PortMapping[] {
  const ports = new Map<string, PortMapping>();
  for (const item of reader.list()) {
    for (const mapping of item.isMap ? long(item, note) : short(item, note)) ports.set(key(mapping), mapping);
    if (ports.size > MOST_PORTS) {
      item.invalid(`publishes more than ${MOST_PORTS} ports`, "Publish fewer ports.");
      break;
    }
  }
  return [...ports.values()];
}

/** Reads `expose`: ports and ranges, by protocol. */
export function readExpose(reader: NodeReader | undefined): { tcp: number[]; udp: number[] } {
  const numbersByProtocol = { tcp: new Set<number>(), udp: new Set<number>() };
  for (const item of reader?.list() ?? []) {
    const text = item.string("a port");
    if (text === undefined) continue;
    const [ports = "", protocol = "tcp"] = text.split(/\/(.*)/s);
    const numbers = range(ports);
    const kind = protocolOf(item, protocol.toLowerCase());
    if (numbers === null) item.invalid("is not a port", "Write a number from 1 to 65535, as in 8080 or 8080/tcp.");
    if (numbers === null || kind === undefined) continue;
    if (numbers[1] - numbers[0] >= MOST_PORTS)
      item.invalid(`exposes more than ${MOST_PORTS} ports`, "Services reach every port of each other; leave it out.");
    else for (let one = numbers[0]; one <= numbers[1]; one += 1) numbersByProtocol[kind].add(one);
  }
  return { tcp: [...numbersByProtocol.tcp], udp: [...numbersByProtocol.udp] };
}
