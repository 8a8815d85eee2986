/** Which published ports of a service speak HTTP, and the addresses that reports give for them. */
import type { HealthTest, ServiceDefinition } from "../definition/types.js";
import type { Endpoint, WebProtocol } from "../runtime.js";

/** An HTTP address of the service itself in the command of its health check, as in `curl -f http://localhost:8000/`. */
const OWN_ADDRESS = /\b(https?):\/\/(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::(\d{1,5}))?(?![\w.:-])/g;
const DEFAULT_PORTS: Readonly<Record<WebProtocol, number>> = { http: 80, https: 443 };

/** Ports of servers that treat an HTTP request as an error of the client: SSH, databases, queues and caches. */
const OTHER_PROTOCOLS: ReadonlySet<number> = new Set([
  22, 25, 53, 389, 636, 1025, 1433, 1521, 1883, 2181, 3306, 4222, 5432, 5672, 6379, 7687, 9042, 9092, 11_211, 26_257,
  27_017, 33_060,
]);

const commandText = (test: HealthTest): string =>
  test.kind === "cmd" ? test.argv.join(" ") : test.kind === "cmd-shell" ? test.command : "";

/** The ports to which the service's health check sends HTTP. */
function checkedByHttp(test: HealthTest | undefined): Map<number, WebProtocol> {
  if (test === undefined) return new Map();
  if (test.kind === "http") return new Map([[test.port, "http"]]);
  return new Map(
    [...commandText(test).matchAll(OWN_ADDRESS)].map(([, scheme, port]) => {
      const protocol: WebProtocol = scheme === "https" ? "https" : "http";
      return [port === undefined ? DEFAULT_PORTS[protocol] : Number(port), protocol];
    }),
  );
}

/** Published ports whose protocol only an answer can show. */
export function unidentifiedPorts({ ports, healthcheck }: ServiceDefinition, ofImage?: HealthTest): number[] {
  const checked = checkedByHttp(healthcheck?.test ?? ofImage);
  const tcp = ports.filter(({ protocol }) => protocol === "tcp").map(({ containerPort }) => containerPort);
  return [...new Set(tcp)].filter((port) => !checked.has(port) && !OTHER_PROTOCOLS.has(port));
}

/** The host of addresses for clients: 0.0.0.0 is not an address that clients can connect to. */
const reachedAt = (host: Endpoint["host"]): string => (host === "0.0.0.0" ? "127.0.0.1" : host);

/** A URL where the port speaks HTTP; else host and port, with `/udp` for UDP. */
export function addressOf(
  { host, host_port, container_port, protocol }: Endpoint,
  check: HealthTest | undefined,
  observed: ReadonlyMap<number, WebProtocol> | undefined,
): string {
  const address = `${reachedAt(host)}:${host_port}`;
  if (protocol === "udp") return `${address}/udp`;
  const web = observed?.get(container_port) ?? checkedByHttp(check).get(container_port);
  return web === undefined ? address : `${web}://${address}`;
}
