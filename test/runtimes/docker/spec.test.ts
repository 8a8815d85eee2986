/** The container that the engine is asked to create for a service of the compose file. */
import { expect, it } from "vitest";
import { serviceAliases } from "../../../src/runtimes/docker/container/compose-settings.js";
import { containerSpec, type SpecOptions } from "../../../src/runtimes/docker/container/spec.js";
import type { ServiceDefinition, StackDefinition } from "../../../src/stack/definition/types.js";
import { serviceDefinition } from "../../support/service.js";

const service = (more: Partial<ServiceDefinition> = {}) => serviceDefinition({ image: "nginx:1.27", ...more });

const spec = (more: Partial<ServiceDefinition> = {}, user = "nginx", pids = true, fields: Partial<SpecOptions> = {}) =>
  containerSpec({
    name: "shop-web-1",
    service: service(more),
    image: { id: "sha256:1" },
    user,
    environment: [],
    limits: {},
    labels: {},
    networks: [{ name: "shop", aliases: ["web"] }],
    ports: [],
    volumes: [],
    secrets: [],
    definition: { services: {} },
    info: { init: true, limits: { pids }, subpaths: true },
    ...fields,
  } as unknown as SpecOptions);

it("official images that drop root get the folders that they write to, unless the service mounts them", () => {
  expect(Object.keys(spec().HostConfig?.Tmpfs ?? {})).toEqual(["/var/cache/nginx", "/run"]);
  const mounted = spec({ mounts: [{ type: "volume", source: "cache", target: "/var/cache/nginx", readOnly: false }] });
  expect(Object.keys(mounted.HostConfig?.Tmpfs ?? {})).toEqual(["/run"]);
  expect(spec({}, "root").HostConfig?.Tmpfs).toEqual({});
  expect(spec({ image: "example.test/nginx" }).HostConfig?.Tmpfs).toEqual({});
  const templates = {
    type: "bind" as const,
    source: "/p/t",
    target: "/etc/nginx/templates/a.template",
    readOnly: true,
  };
  expect(Object.keys(spec({ mounts: [templates] }).HostConfig?.Tmpfs ?? {})).toContain("/etc/nginx/conf.d");
});

it("a container without pids_limit gets a limit on processes where the engine supports it", () => {
  expect(spec().HostConfig?.PidsLimit).toBe(2048);
  expect(spec({}, "nginx", false).HostConfig).not.toHaveProperty("PidsLimit");
});

it("a subpath of a volume is mounted where the engine supports it, and a fixed address is requested", () => {
  const volumes = [
    { name: "v", source: "data", target: "/d", readOnly: false, noCopy: false, fresh: false, subpath: "a/b" },
  ];
  const networks = [{ name: "shop", aliases: ["web"], address: "10.9.0.5" }];
  const present = spec({}, "nginx", true, { volumes, networks });
  expect(present.HostConfig?.Mounts).toMatchObject([{ Source: "v", VolumeOptions: { Subpath: "a/b" } }]);
  expect(present.NetworkingConfig?.EndpointsConfig?.shop).toEqual({
    Aliases: ["web"],
    IPAMConfig: { IPv4Address: "10.9.0.5" },
  });
  const info = { init: true, limits: { pids: true }, subpaths: false } as SpecOptions["info"];
  expect(spec({}, "nginx", true, { volumes, info }).HostConfig?.Mounts?.[0]).not.toHaveProperty("VolumeOptions");
});

it("settings of the compose file reach the engine, and the hardening stays", () => {
  const { HostConfig, ...container } = spec({
    image: "x",
    hostname: "host-a",
    tty: true,
    ulimits: { nofile: { soft: 1, hard: 2 } },
    extraHosts: { db: ["10.0.0.1"] },
    dns: ["10.0.0.2"],
    shmSizeBytes: 1024,
    sysctls: { "net.core.somaxconn": "1024" },
    groupAdd: ["audio"],
    mounts: [{ type: "tmpfs", target: "/t", sizeBytes: 4096, mode: 0o700 }],
  });
  expect(container).toMatchObject({ Hostname: "host-a", Tty: true });
  expect(HostConfig).toMatchObject({
    Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
    ExtraHosts: ["db:10.0.0.1"],
    Dns: ["10.0.0.2"],
    ShmSize: 1024,
    Sysctls: { "net.core.somaxconn": "1024" },
    GroupAdd: ["audio"],
    Tmpfs: { "/t": "rw,nosuid,nodev,size=4096,mode=700" },
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges"],
    Privileged: false,
  });
});

it("a service has aliases of its names, networks and links, but no name of another service", () => {
  const web = service({ containerName: "one", hostname: "db", networks: { n: { aliases: ["alias"] } } });
  const other = service({ name: "db", links: { linked: "web" } });
  const definition = { services: { web, db: other } } as unknown as StackDefinition;
  expect(serviceAliases(web, definition, "n")).toEqual(["web", "one", "alias", "linked"]);
});
