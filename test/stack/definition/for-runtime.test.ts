/** What each runtime makes of one project: what works, what a note says, what is taken out. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { forRuntime } from "../../../src/stack/definition/for-runtime.js";
import { loadStack } from "../../../src/stack/definition/load.js";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-runtime-")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const load = (text: string) => {
  writeFileSync(join(folder, "compose.yaml"), text);
  return loadStack({ projectId: "p", folder, profiles: [], allowRoot: [], generateSecret: async () => "secret-1" });
};

describe("a definition for one runtime", () => {
  it("has one note for each attribute without effect, with its services and the reason", async () => {
    const definition = await load(
      "services:\n  a: { image: a, logging: { driver: syslog } }\n  b: { image: b, logging: { driver: none }, tty: true, stdin_open: false }\n",
    );
    expect(forRuntime(definition, "local").notes).toEqual([
      "logging (a, b) has no effect on the local runtime: Stackwarden keeps what services print.",
      "tty (b) has no effect on the local runtime: Services have no terminal.",
    ]);
    expect(forRuntime(definition, "docker").notes).toEqual([
      "logging (a, b) has no effect on the docker runtime: Stackwarden keeps what services print.",
    ]);
  });

  it("publishes one port on several host ports on docker, and notes what has no effect", async () => {
    const definition = await load(
      "services: { dns: { image: d, scale: 2, ports: ['53:53/udp', '80:80', '8080:80'] } }\n",
    );
    const docker = forRuntime(definition, "docker").services.dns;
    expect(docker?.replicas).toBeUndefined();
    expect(docker?.ports).toEqual([
      { containerPort: 53, hostPort: 53, protocol: "udp" },
      { containerPort: 80, hostPort: 80, protocol: "tcp" },
      { containerPort: 80, hostPort: 8080, protocol: "tcp" },
    ]);
    const { services, notes } = forRuntime(definition, "local");
    expect(services.dns?.ports).toEqual([{ containerPort: 80, hostPort: 80, protocol: "tcp" }]);
    expect(services.dns?.replicas).toBeUndefined();
    expect(notes).toEqual([
      "Port 53/udp of dns is not published: this runtime publishes TCP ports alone.",
      "Port 80/tcp of dns is published once, not on 8080 as well: this runtime publishes each port once.",
      "scale (dns) has no effect on the local runtime: One instance runs: its state, log and limits are the service's.",
    ]);
  });

  it("keeps the definition itself as it was", async () => {
    const definition = await load("services: { a: { image: a, ports: ['53:53/udp'] } }\n");
    forRuntime(definition, "dagger");
    expect(definition.services.a?.ports).toHaveLength(1);
    expect(definition.notes).toEqual([]);
  });
});
