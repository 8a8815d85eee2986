/** Checks of the host ports that a start would use. */
import { expect, it } from "vitest";
import { checkPorts } from "../../../src/runtimes/shared/check-ports.js";
import { PortLedger, type RequestsOf } from "../../../src/runtimes/shared/port-ledger.js";
import type { PortMapping, ServiceDefinition, StackDefinition } from "../../../src/stack/definition/types.js";
import { freePort } from "../contract/bench.js";

const requestsOf: RequestsOf = ({ name, ports }) =>
  ports.map(({ protocol: _protocol, ...mapping }) => ({ service: name, published: true, ...mapping }));
const stack = (ports: Omit<PortMapping, "protocol">[]): StackDefinition => {
  const web = { name: "web", ports: ports.map((one) => ({ protocol: "tcp", ...one })) } as unknown as ServiceDefinition;
  return { services: { web } } as unknown as StackDefinition;
};

it("checkPorts names the stack that holds a port, suggests a free port and holds no port", async () => {
  const [taken, free] = [await freePort(), await freePort()];
  const other = new PortLedger(requestsOf, { project: "other" });
  await other.apply(stack([{ containerPort: 80, hostPort: taken }]));
  try {
    const busy = stack([
      { containerPort: 80, hostPort: taken },
      { containerPort: 81, hostPort: free },
    ]);
    await expect(checkPorts(busy, requestsOf)).rejects.toMatchObject({
      code: "PORT_IN_USE",
      message: `Host port in use: ${taken} (web, held by service web of the project other).`,
      details: { free_ports: { "web:80": expect.any(Number) } },
    });
    const [moved] = await checkPorts(stack([{ containerPort: 80, preferredPort: taken }]), requestsOf);
    expect(moved?.host_port).not.toBe(taken);
    // The second check shows that the first one holds no port.
    for (let round = 0; round < 2; round += 1)
      expect(await checkPorts(stack([{ containerPort: 81, hostPort: free }]), requestsOf)).toMatchObject([
        { service: "web", container_port: 81, host_port: free },
      ]);
  } finally {
    await other.close();
  }
});

it("a start gets its fixed and preferred ports during concurrent checks", async () => {
  const [fixed, preferred] = [await freePort(), await freePort()];
  const both = stack([
    { containerPort: 80, hostPort: fixed },
    { containerPort: 81, preferredPort: preferred },
  ]);
  for (let round = 0; round < 20; round += 1) {
    const ledger = new PortLedger(requestsOf);
    const check = (): Promise<unknown> => checkPorts(both, requestsOf).catch(() => undefined);
    const checks = Array.from({ length: 4 }, check);
    const start = ledger.apply(both);
    checks.push(check());
    try {
      await start;
      expect(ledger.endpoints().map(({ host_port }) => host_port)).toEqual([fixed, preferred]);
    } finally {
      await Promise.all(checks);
      await ledger.close();
    }
  }
});
