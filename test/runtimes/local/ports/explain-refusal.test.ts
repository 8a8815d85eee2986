import { createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { explainRefusal } from "../../../../src/runtimes/local/ports/explain-refusal.js";
import { type Conflicting, explainConflict, OutputTail } from "../../../../src/runtimes/local/ports/port-conflict.js";
import { remember } from "../../../../src/runtimes/local/running-instances.js";
import { freePort, RecordingSink } from "../../contract/bench.js";

const isRoot = process.getuid?.() === 0;
const NET = "/proc/self/net";

describe.runIf(process.platform === "linux")("explanations of ports", () => {
  const servers: Server[] = [];
  const forget: (() => unknown)[] = [];
  afterEach(() => {
    for (const one of servers.splice(0)) one.close();
    for (const one of forget.splice(0)) one();
  });
  const listen = async (host: string): Promise<number> => {
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return (server.address() as { port: number }).port;
  };

  // The test's own sockets take the place of a service's.
  const refusal = (port: number) => explainRefusal({ pid: process.pid }, { uid: process.getuid?.() ?? 0 }, port);

  it.runIf(isRoot)(
    "the explanation distinguishes a service that listens only on [::1] from one that listens on another port",
    async () => {
      const port = await listen("::1");
      expect(await refusal(port)).toBe(
        `it listens on [::1]:${port} only; let it listen on 127.0.0.1 (HOST in its environment, {host} in x-local.command)`,
      );
      expect(await refusal(await freePort())).toMatch(
        /^it listens on (\S+:\d+(, )?){1,3} instead; configure it to listen on the port in PORT/,
      );
      expect(await explainRefusal({ pid: process.pid }, { uid: 524_012 }, port)).toBeNull();
    },
  );

  const conflict = (port: number, fields: Partial<Conflicting> = {}) => {
    const output = new OutputTail(new RecordingSink());
    output.write("stderr", Buffer.from(`EADDRINUSE: address already in use 0.0.0.0:${port}\n`));
    return explainConflict({
      project: "shop",
      service: "web",
      uid: 524_012,
      output,
      ports: [{ containerPort: port, hostPort: 41_000 }],
      netDir: NET,
      shared: true,
      ...fields,
    });
  };

  it("a conflict names the program that has the port, and the port to listen on", async () => {
    const port = await listen("127.0.0.1");
    expect(await conflict(port)).toMatch(
      new RegExp(
        `^port ${port}, on which it tried to listen, belongs to .*\\. Stacks share this machine's ports: configure it to listen on the port in PORT \\(41000\\), or stop what listens there$`,
      ),
    );
    expect(await conflict(port, { ports: [], shared: false })).toMatch(
      /The services of a stack share its ports: give it another port, or stop what listens there$/,
    );
    expect(await conflict(await freePort())).toBeNull();
  });

  it("a conflict names the service that has the port, and the project of another stack", async () => {
    const port = await listen("127.0.0.1");
    forget.push(remember({ project: "shop", service: "api", pid: process.pid, uid: 1 }));
    expect(await conflict(port)).toContain("belongs to service api of the same stack.");
    expect(await conflict(port, { project: "other" })).toMatch(
      /belongs to service api of the project shop\. .* or stop that stack$/,
    );
    // A service does not conflict with itself.
    expect(await conflict(port, { service: "api" })).toBeNull();
  });
});
