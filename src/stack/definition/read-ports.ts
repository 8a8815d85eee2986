/**
 * Compose's short and long port syntax. Whatever host address a file asks for: where ports listen is the operator's
 * decision alone (S2).
 */
import { isIP } from "node:net";
import type { NodeReader } from "./node-reader.js";
import type { PortMapping } from "./types.js";

const port = (text: string): number | null => {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= 65_535 ? value : null;
};

const LOOPBACK = new Set(["", "127.0.0.1", "localhost"]);
const isAddress = (host: string): boolean => LOOPBACK.has(host) || isIP(host) !== 0;
const ignored = (path: string, host: string): string =>
  `${path}: the host address ${host} is not used: ports are published on 127.0.0.1, unless the operator's configuration opens them (dagger_tunnel).`;
const HOW = 'Write "8080:80", "127.0.0.1:8080:80", "80", or ":80" for the next free host port.';

function short(reader: NodeReader, note: (text: string) => void): PortMapping | undefined {
  const text = reader.string("a port");
  if (text === undefined) return undefined;
  const [address = "", protocol = "tcp"] = text.split(/\/(.*)/s);
  if (protocol !== "tcp")
    return reader.invalid(`publishes ${protocol}; only tcp is supported`, "Remove the port, or use tcp.");
  const found = /^(?:(?:(.*):)?([^:]*):)?([^:]+)$/.exec(address);
  const [, given = "", published = "", target = ""] = found ?? [];
  const host = given.replace(/^\[(.*)\]$/, "$1");
  if (address.includes("-")) return reader.invalid("is a port range", "Write one entry for each port.");
  const containerPort = port(target);
  const hostPort = published === "" ? undefined : port(published);
  if (containerPort === null || hostPort === null || !isAddress(host))
    return reader.invalid("is not a port mapping", HOW);
  if (!LOOPBACK.has(host)) note(ignored(reader.path, host));
  return { containerPort, protocol: "tcp", ...(hostPort === undefined ? {} : { hostPort }) };
}

function long(reader: NodeReader, note: (text: string) => void): PortMapping | undefined {
  const { target, published, protocol, host_ip } = reader.fields([
    "target",
    "published",
    "protocol",
    "host_ip",
    "mode",
    "name",
    "app_protocol",
  ]);
  if (protocol !== undefined && protocol.oneOf(["tcp"]) === undefined) return undefined;
  if (target === undefined) return reader.invalid("has no target", "Give `target`, the port inside the service.");
  const containerPort = target.number(1, 65_535);
  const wanted = published === undefined || published.empty || published.string() === "" ? undefined : published;
  const hostPort = wanted?.number(1, 65_535);
  if (containerPort === undefined || (wanted !== undefined && hostPort === undefined)) return undefined;
  const host = host_ip?.string() ?? "";
  if (!isAddress(host)) return host_ip?.invalid("is no IP address", "Leave it out, or give 127.0.0.1.");
  if (!LOOPBACK.has(host)) note(ignored(reader.path, host));
  return { containerPort, protocol: "tcp", ...(hostPort === undefined ? {} : { hostPort }) };
}

/** `note` is told of every host address that is not used. */
export function readPorts(reader: NodeReader, note: (text: string) => void): PortMapping[] {
  const ports: PortMapping[] = [];
  for (const item of reader.list()) {
    const mapping = item.isMap ? long(item, note) : short(item, note);
    if (mapping === undefined) continue;
    if (ports.some((other) => other.containerPort === mapping.containerPort))
      item.invalid(`publishes port ${mapping.containerPort} a second time`, "Publish each port once.");
    else ports.push(mapping);
  }
  return ports;
}
