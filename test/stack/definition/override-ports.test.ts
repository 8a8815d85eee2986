import { describe, expect, it } from "vitest";
import { overridePorts } from "../../../src/stack/definition/override-ports.js";
import type { PortMapping, ServiceDefinition, StackDefinition } from "../../../src/stack/definition/types.js";

const stack = (ports: Record<string, PortMapping[]>): StackDefinition => ({
  name: "shop",
  source: "test",
  services: Object.fromEntries(
    Object.entries(ports).map(([name, list]) => [name, { name, ports: list } as unknown as ServiceDefinition]),
  ),
  volumes: [],
  secretValues: [],
  secrets: {},
  notes: [],
});

const tcp = (containerPort: number, hostPort?: number): PortMapping => ({
  containerPort,
  protocol: "tcp",
  ...(hostPort === undefined ? {} : { hostPort }),
});

describe("overridePorts", () => {
  const shop = stack({ web: [tcp(80, 8080), tcp(9090)], db: [] });

  it("a service's name sets its first published port, and service:port sets any", () => {
    const { web } = overridePorts(shop, { web: 8001, "web:9090": 9001 }).services;
    expect(web?.ports).toEqual([tcp(80, 8001), tcp(9090, 9001)]);
    expect(shop.services.web?.ports).toEqual([tcp(80, 8080), tcp(9090)]);
  });

  it("other ports of the definition become preferences when the call asks for free ones", () => {
    const { web } = overridePorts(shop, { "web:9090": 9001 }, true).services;
    expect(web?.ports).toEqual([{ containerPort: 80, preferredPort: 8080, protocol: "tcp" }, tcp(9090, 9001)]);
  });

  it("a port range remains a range when the call asks for free ports", () => {
    const range: PortMapping = { containerPort: 80, hostPort: 8000, hostPortEnd: 8010, protocol: "tcp" };
    expect(overridePorts(stack({ web: [range] }), {}, true).services.web?.ports).toEqual([range]);
  });

  it("an unknown service or port is refused with the valid ones", () => {
    const valid = { valid: ["web:80", "web:9090"] };
    for (const [ports, code] of [
      [{ nope: 1 }, "UNKNOWN_SERVICE"],
      [{ "nope:80": 1 }, "UNKNOWN_SERVICE"],
      [{ "web:81": 1 }, "INVALID_INPUT"],
      [{ db: 1 }, "INVALID_INPUT"],
      [{ __proto__x: 1 }, "UNKNOWN_SERVICE"],
    ] as const)
      expect(() => overridePorts(shop, ports)).toThrowError(expect.objectContaining({ code, details: valid }));
  });
});
