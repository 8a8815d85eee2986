/** A project's definition on each runtime: what works, what a note names, and what is removed. */
import { describe, expect, it } from "vitest";
import { forRuntime } from "../../../src/stack/definition/for-runtime.js";
import { load as loadProject } from "./project.js";

const load = (text: string) => loadProject({ "compose.yaml": text });

describe("forRuntime", () => {
  it("one note names each attribute without effect, its services and the reason", async () => {
    const definition = await load(
      "services:\n  a: { image: a, logging: { driver: syslog } }\n  b: { image: b, logging: { driver: none }, tty: true, stdin_open: false }\n",
    );
    expect(forRuntime(definition, "local").notes).toEqual([
      "logging (a, b) has no effect on the local runtime: Stackwarden stores the output of services.",
      "tty (b) has no effect on the local runtime: Services have no terminal.",
    ]);
    expect(forRuntime(definition, "docker").notes).toEqual([
      "logging (a, b) has no effect on the docker runtime: Stackwarden stores the output of services.",
    ]);
  });

  it("docker publishes a port on several host ports, and notes name what local does not publish", async () => {
    const definition = await load(
      "services: { dns: { image: d, scale: 2, ports: ['53:53/udp', '80:80', '8080:80'] } }\n",
    );
    const docker = forRuntime(definition, "docker").services.dns;
    expect(docker?.ports).toEqual([
      { containerPort: 53, hostPort: 53, protocol: "udp" },
      { containerPort: 80, hostPort: 80, protocol: "tcp" },
      { containerPort: 80, hostPort: 8080, protocol: "tcp" },
    ]);
    const { services, notes } = forRuntime(definition, "local");
    expect(services.dns?.ports).toEqual([{ containerPort: 80, hostPort: 80, protocol: "tcp" }]);
    expect(notes).toEqual([
      "Port 53/udp of dns is not published: this runtime publishes only TCP ports.",
      "Port 80/tcp of dns is published once, not on 8080 as well: this runtime publishes each port once.",
      "scale (dns) has no effect on the local runtime: One instance runs: processes of this machine share its ports.",
    ]);
  });

  it("each instance of a scaled service has its own anonymous volumes, and dependents wait for all", async () => {
    const definition = await load(`services:
  web: { image: w, scale: 3, ports: [80, "8000-8002:90"], volumes: [/cache, "shared:/shared"], depends_on: [db], develop: { watch: [{ path: ., action: restart }] } }
  db: { image: d }
  proxy: { image: p, depends_on: { web: { condition: service_healthy } }, links: ["web:app"] }
volumes: { shared: {} }
`);
    const { services, volumes, notes } = forRuntime(definition, "docker");
    expect(Object.keys(services)).toEqual(["web", "web-2", "web-3", "db", "proxy"]);
    const { web, "web-2": second, proxy } = services;
    const { watch: _watch, ...first } = web ?? {};
    expect(second).toEqual({
      ...first,
      name: "web-2",
      instanceOf: "web",
      mounts: [{ ...web?.mounts[0], source: "web-cache-2" }, web?.mounts[1]],
    });
    expect(Object.keys(proxy?.dependsOn ?? {}).sort()).toEqual(["web", "web-2", "web-3"]);
    expect(proxy?.dependsOn["web-3"]).toMatchObject({ condition: "service_healthy" });
    expect(volumes.sort()).toEqual(["shared", "web-cache", "web-cache-2", "web-cache-3"]);
    expect(notes).toEqual(["web has 3 instances: web, web-2, web-3; the name web resolves to all of them."]);
    expect(Object.keys(forRuntime(definition, "local").services)).toEqual(["web", "db", "proxy"]);
  });

  it("a service whose instances would conflict runs once, and a note gives the reason", async () => {
    const notesOf = async (service: string, runtime: "docker" | "dagger" = "docker"): Promise<string[]> => {
      const text = `services: { a: { ${service} }, a-9: { image: x } }\nvolumes: { data: {} }\nnetworks: { n: {} }\n`;
      const { services, notes } = forRuntime(await load(text), runtime);
      return Object.keys(services).length === 2 ? notes : [];
    };
    const once = "a runs once, not 2 times: ";
    for (const [service, reason] of [
      [
        "image: x, scale: 2, ports: ['80:80']",
        "only one instance can use host port 80; write a range (80-81:80) or no host port.",
      ],
      [
        "image: x, scale: 2, ports: ['80-80:80']",
        "only one instance can use host port 80; write a range (80-81:80) or no host port.",
      ],
      [
        "image: 'postgres:16', scale: 2, volumes: ['data:/var/lib/postgresql/data']",
        "two databases cannot use the same data.",
      ],
    ])
      expect(await notesOf(service as string)).toEqual([once + reason]);
    expect(await notesOf("image: x, scale: 4, ports: ['80-82:80']")).toEqual([
      "a runs once, not 4 times: the host ports 80-82 are fewer than its 4 instances.",
    ]);
    expect(await notesOf("image: x, scale: 9")).toEqual([
      "a runs once, not 9 times: the stack has another service a-9.",
    ]);
    expect(await notesOf("image: x, scale: 2, expose: [80]", "dagger")).toEqual([
      `${once}it has ports, and on the dagger runtime its name resolves to one instance only.`,
    ]);
    const worker = forRuntime(await load("services: { a: { image: x, deploy: { replicas: 2 } } }"), "dagger");
    expect(worker.notes).toEqual(["a has 2 instances: a, a-2; the name a resolves to the first one."]);
  });

  it("forRuntime does not change the definition", async () => {
    const definition = await load("services: { a: { image: a, ports: ['53:53/udp'] } }\n");
    forRuntime(definition, "dagger");
    expect(definition.services.a?.ports).toHaveLength(1);
    expect(definition.notes).toEqual([]);
  });
});
