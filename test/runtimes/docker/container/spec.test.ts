/** The requests to the engine, and what is read from an image and its files. */

import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { hostSettings, serviceAliases } from "../../../../src/runtimes/docker/container/compose-settings.js";
import { containerEnvironment } from "../../../../src/runtimes/docker/container/environment.js";
import { containerSpec } from "../../../../src/runtimes/docker/container/spec.js";
import { resolveUser } from "../../../../src/runtimes/docker/container/user-ids.js";
import { readInfo } from "../../../../src/runtimes/docker/engine/engine.js";
import { jsonLines } from "../../../../src/runtimes/docker/engine/json-lines.js";
import { environmentOf, type Image } from "../../../../src/runtimes/docker/image/image.js";
import { serverId } from "../../../../src/runtimes/docker/leftovers/labels.js";
import { serverLives } from "../../../../src/runtimes/docker/leftovers/sweep.js";
import { networkNames } from "../../../../src/runtimes/docker/stack/network.js";
import { portRequests } from "../../../../src/runtimes/docker/stack/ports.js";
import type { ServiceDefinition, StackDefinition } from "../../../../src/stack/definition/types.js";
import { serviceDefinition as service } from "../../../support/service.js";

const IMAGE: Image = {
  id: "sha256:image",
  name: "image",
  platform: "linux/amd64",
  taggedAt: null,
  built: false,
  user: "",
  environment: {},
  workingDir: "/",
  volumes: [],
  healthcheck: null,
  stopSignal: null,
  entrypoint: [],
  command: [],
};
const spec = (fields: Partial<ServiceDefinition>, more: Partial<Parameters<typeof containerSpec>[0]> = {}) =>
  containerSpec({
    name: "project-web-1",
    service: service(fields),
    image: IMAGE,
    user: "1000",
    environment: ["A=1"],
    limits: {},
    labels: { own: "label" },
    networks: [{ name: "net", aliases: ["web"] }],
    ports: [],
    volumes: [],
    secrets: [],
    definition: { services: {} },
    info: readInfo({ InitBinary: "docker-init" }),
    ...more,
  });

describe("containerSpec", () => {
  it("the container has the settings of the compose file and the hardening", () => {
    const requested = spec(
      {
        command: ["run"],
        entrypoint: ["entry"],
        workingDir: "/app",
        labels: { theirs: "x", own: "forged" },
        readOnly: true,
        tty: true,
        stdinOpen: true,
        hostname: "host",
        domainName: "domain",
        mounts: [
          { type: "bind", source: "/src", target: "/app", readOnly: true },
          { type: "tmpfs", target: "/tmp" },
          { type: "tmpfs", target: "/run", sizeBytes: 1024, mode: 0o1777 },
        ],
      },
      {
        stdin: true,
        ports: [
          { containerPort: 80, protocol: "tcp", hostPort: 8080 },
          { containerPort: 80, protocol: "tcp", hostPort: 0 },
        ],
        volumes: [
          { name: "v", target: "/data", readOnly: false, noCopy: true, fresh: false },
          { name: "w", target: "/more", readOnly: true, noCopy: false, fresh: false },
        ],
        secrets: [{ source: "/s", target: "/run/secrets/s" }],
      },
    );
    expect(requested).toMatchObject({
      Entrypoint: ["entry"],
      Cmd: ["run"],
      WorkingDir: "/app",
      Labels: { theirs: "x", own: "label" },
      Tty: true,
      OpenStdin: true,
      Hostname: "host",
      Domainname: "domain",
      HostConfig: {
        CapDrop: ["ALL"],
        Privileged: false,
        ReadonlyRootfs: true,
        Tmpfs: { "/tmp": "rw,nosuid,nodev", "/run": "rw,nosuid,nodev,size=1024,mode=1777" },
        PortBindings: {
          "80/tcp": [
            { HostIp: "127.0.0.1", HostPort: "8080" },
            { HostIp: "127.0.0.1", HostPort: "" },
          ],
        },
      },
    });
    expect(requested.HostConfig?.Mounts).toHaveLength(4);
    const bare = spec({}, { networks: [] });
    expect(bare.HostConfig?.NetworkMode).toBe("none");
    for (const field of ["Entrypoint", "Cmd", "WorkingDir", "NetworkingConfig"]) expect(bare).not.toHaveProperty(field);
  });

  it("hostSettings translates engine settings of the compose file", () => {
    expect(hostSettings(service())).toEqual({});
    expect(
      hostSettings(
        service({
          ulimits: { nofile: { soft: 1, hard: 2 } },
          extraHosts: { db: ["10.0.0.1", "10.0.0.2"] },
          dns: ["1.1.1.1"],
          dnsSearch: ["example"],
          dnsOptions: ["ndots:1"],
          shmSizeBytes: 1,
          sysctls: { "net.core.somaxconn": "1" },
          groupAdd: ["1"],
          oomScoreAdj: 1,
          memorySwappiness: 0,
          cpuset: "0",
          cpuShares: 2,
        }),
      ),
    ).toMatchObject({ ExtraHosts: ["db:10.0.0.1", "db:10.0.0.2"], ShmSize: 1, MemorySwappiness: 0, CpuShares: 2 });
  });

  it("serviceAliases returns each name once and no name of another service", () => {
    const web = service({
      containerName: "shop-web",
      hostname: "db",
      networks: { front: { aliases: ["www", "web"] }, back: { aliases: ["inner"] } },
    });
    const db = service({ name: "db", links: { site: "web", other: "db" } });
    const definition = { services: { web, db } } as unknown as StackDefinition;
    expect(serviceAliases(web, definition, "front")).toEqual(["web", "shop-web", "www", "site"]);
    expect(serviceAliases(web, definition, "back")).toEqual(["web", "shop-web", "inner", "site"]);
    expect(networkNames(web)).toEqual(["front", "back"]);
    expect(networkNames(service())).toEqual(["default"]);
    expect(networkNames(service({ networkMode: "none" }))).toEqual([]);
  });

  it("containerEnvironment fills in published addresses and sets HOME for a user without a home", () => {
    const environment = { URL: "http://{published:db:1}/ {published:db:2}" };
    const of = (fields: Partial<ServiceDefinition>, image: Record<string, string> = {}, homeless = true) =>
      containerEnvironment({
        service: service(fields),
        image: { environment: image },
        homeless,
        hostPort: (_name, port) => (port === 1 ? 5000 : undefined),
      });
    expect(of({ environment })).toEqual(["HOME=/tmp", "URL=http://127.0.0.1:5000/ db:2"]);
    expect(of({ environment: { HOME: "/x" } })).toEqual(["HOME=/x"]);
    expect(of({}, { HOME: "/y" })).toEqual([]);
    expect(of({}, {}, false)).toEqual([]);
  });

  it("portRequests keeps several host ports of one container port and removes duplicates", () => {
    const ports = [8080, 8081, 8080, undefined].map((hostPort) => ({
      containerPort: 80,
      protocol: "tcp" as const,
      ...(hostPort === undefined ? {} : { hostPort }),
    }));
    expect(portRequests(service({ ports })).map(({ hostPort }) => hostPort)).toEqual([8080, 8081, undefined]);
  });
});

describe("users and environment of an image", () => {
  const PASSWD = "root:x:0:0::/:/bin/sh\napp:x:100:101::/:/bin/sh\n";
  const GROUP = "staff:x:50:\n";
  it("resolveUser finds uid and gid by name or number, with and without a group", () => {
    const of = (user: string) => resolveUser(user, PASSWD, GROUP);
    expect(of("app")).toEqual({ uid: 100, gid: 101 });
    expect(of("app:staff")).toEqual({ uid: 100, gid: 50 });
    expect(of("100")).toEqual({ uid: 100, gid: 101 });
    expect(of("7:8")).toEqual({ uid: 7, gid: 8 });
    expect(of("7")).toEqual({ uid: 7, gid: 0 });
    expect(of("")).toEqual({ uid: 0, gid: 0 });
    expect(of("gone")).toBeNull();
    expect(of("app:gone")).toBeNull();
  });

  it("environmentOf keeps equals signs and newlines in values", () => {
    expect({ ...environmentOf(["A=b=c\nd", "E="]) }).toEqual({ A: "b=c\nd", E: "" });
    expect({ ...environmentOf(null) }).toEqual({});
  });
});

describe("streams and servers", () => {
  it("jsonLines returns whole objects for every chunking and refuses a line above 16 MiB", async () => {
    const all: unknown[] = [];
    for await (const one of jsonLines(Readable.from([Buffer.from('{"a"'), Buffer.from(':1}\r\n\n{"b":2}')])))
      all.push(one);
    expect(all).toEqual([{ a: 1 }, { b: 2 }]);
    const endless = Readable.from(Array.from({ length: 20 }, () => Buffer.alloc(1 << 20, 120)));
    await expect(jsonLines(endless).next()).rejects.toThrow("16 MiB");
  });

  it("serverLives is true only for a running process with the recorded start time", () => {
    expect(serverLives(serverId())).toBe(true);
    expect(serverLives(`${process.pid}@1`)).toBe(process.platform !== "linux");
    expect(serverLives("999999999@")).toBe(false);
    expect(serverLives(undefined)).toBe(false);
    expect(serverLives("nonsense")).toBe(false);
    expect(serverId(999_999_999)).toBe("999999999@");
  });
});
