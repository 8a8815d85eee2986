/** Every form in which Compose accepts an attribute, and the errors for other forms. */
import { describe, expect, it } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import { hostSettings } from "../../../src/runtimes/docker/container/compose-settings.js";
import { limitFields } from "../../../src/runtimes/docker/service/limits.js";
import { withDefaults } from "../../../src/runtimes/shared/default-limits.js";
import { splitCommand } from "../../../src/stack/definition/attributes/read-command.js";
import { forRuntime } from "../../../src/stack/definition/for-runtime.js";
import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import { load as loadProject } from "./project.js";

const load = async (fields: string): Promise<ServiceDefinition> => (await loadAll(fields)).service;

async function loadAll(fields: string): Promise<{ service: ServiceDefinition; notes: string[] }> {
  const indented = fields.replace(/^/gm, "    ");
  const definition = await loadProject({
    "compose.yaml": `services:\n  app:\n    image: example/app\n${indented}\nvolumes: { vol: {} }\n`,
    "data/file": "",
  });
  const { notes } = forRuntime(definition, "docker");
  return { service: definition.services.app as ServiceDefinition, notes };
}

describe("command and entrypoint", () => {
  it.each<[string, string[] | null]>([
    ["run --fast  now", ["run", "--fast", "now"]],
    [`sh -c 'a "b" \\c'`, ["sh", "-c", 'a "b" \\c']],
    [`say "a \\"b\\" \\$c \\d"`, ["say", 'a "b" $c d']],
    [String.raw`a\ b c\\d`, ["a b", "c\\d"]],
    ["say ''", ["say", ""]],
    ["", []],
    ["a\\", null],
    ["sh -c one && two", ["sh", "-c", "one"]],
    ["run $(date) `x y`", ["run", "$(date)", "`x y`"]],
    [`say "never closed`, null],
    ["say 'never closed", null],
  ])("splitCommand(%j) splits a text as a shell does, and expands nothing", (text, words) => {
    expect(splitCommand(text)?.words ?? null).toEqual(words);
  });

  it("command and entrypoint accept a list or text, and refuse other forms", async () => {
    expect(await load(`command: run "one word"\nentrypoint: [a, "b c"]`)).toMatchObject({
      command: ["run", "one word"],
      entrypoint: ["a", "b c"],
    });
    await expect(load(`command: 'run "never'`)).rejects.toThrow(/has a quote that is not closed/);
    await expect(load("command: { a: b }")).rejects.toThrow(/command/);
  });
});

describe("volumes and tmpfs", () => {
  it.each<[string, object[]]>([
    ["volumes: [vol:/d]", [{ type: "volume", source: "vol", target: "/d", readOnly: false }]],
    ["volumes: ['vol:/d:ro,z']", [{ type: "volume", source: "vol", target: "/d", readOnly: true }]],
    ["volumes: [/anonymous]", [{ type: "volume", source: "app-anonymous", target: "/anonymous", anonymous: true }]],
    ["volumes: ['vol:/d:rx']", [{ type: "volume", source: "vol", target: "/d" }]],
    ["volumes: ['vol:/d:nocopy']", [{ noCopy: true }]],
    ["volumes: [vol:/d, ./data:/d/]", [{ type: "bind", target: "/d" }]],
    ["volumes: [{ type: volume, source: vol, target: /d, volume: { subpath: a/b } }]", [{ subpath: "a/b" }]],
    ["volumes: [./data:/d:cached]", [{ type: "bind", target: "/d", readOnly: false }]],
    ["volumes: [./not/there/yet:/d]", [{ type: "bind", target: "/d" }]],
    ["volumes: [{ source: vol, target: /d, read_only: true }]", [{ type: "volume", source: "vol", readOnly: true }]],
    ["volumes: [{ type: bind, source: data, target: /d }]", [{ type: "bind", target: "/d" }]],
    ["volumes: [{ type: bind, source: ./data, target: /d, bind: {} }]", [{ type: "bind", target: "/d" }]],
    [
      "volumes: [{ type: tmpfs, target: /t, tmpfs: { size: 64m } }]",
      [{ type: "tmpfs", target: "/t", sizeBytes: 67_108_864 }],
    ],
    ["volumes: [{ type: tmpfs, target: /t }]", [{ type: "tmpfs", target: "/t" }]],
    ["tmpfs: /run", [{ type: "tmpfs", target: "/run" }]],
    [
      "tmpfs: ['/run:size=1m,mode=700', /tmp]",
      [{ target: "/run", sizeBytes: 1_048_576, mode: 0o700 }, { target: "/tmp" }],
    ],
  ])("%s gives the mounts that Compose defines", async (text, mounts) => {
    expect((await load(text)).mounts).toMatchObject(mounts);
  });

  it.each<[string, RegExp]>([
    ["volumes: [vol:/b:ro:x]", /is not `source:target/],
    ["volumes: [vol:relative]", /no absolute path inside/],
    ["volumes: [vol:/a/../b]", /no absolute path inside/],
    ["volumes: ['-v:/d']", /names no volume and no path/],
    ["volumes: [~/x:/d]", /home folder/],
    ["volumes: [../x:/d]", /outside the project/],
    ["volumes: [/var/run/docker.sock:/d]", /container engine's socket/],
    ["volumes: [other:/d]", /which is not declared/],
    ["volumes: [{ type: npipe, source: a, target: /d }]", /pipe of the machine/],
    ["volumes: [{ type: volume, source: ./data, target: /d }]", /is a path/],
    ["volumes: [{ target: /d }]", /has no source/],
    ["volumes: [{ source: vol }]", /no absolute path inside/],
    ["volumes: [{ type: tmpfs, target: /t, tmpfs: { size: much } }]", /must be a size/],
    ["volumes: [{ source: vol, target: /d, read_only: maybe }]", /read_only/],
    ["volumes: [[a]]", /volumes/],
    ["tmpfs: relative", /no absolute path inside/],
    ["tmpfs: ['/run:size=lots']", /size such as 64m/],
  ])("%s is refused as a mount, with the reason", async (text, message) => {
    await expect(load(text)).rejects.toThrow(message);
  });
});

describe("policy", () => {
  it.each([
    "privileged: false",
    "cap_add: []",
    "cap_drop: [ALL]",
    "security_opt: ['no-new-privileges:true']",
    "network_mode: bridge",
    "ipc: private",
    "cgroup: private",
    "user: '1000:1000'",
    "use_api_socket: false",
    "devices:",
    "sysctls: {}",
    "sysctls: { net.core.somaxconn: 1024 }",
    "cap_add: [NET_BIND_SERVICE, CAP_CHOWN]",
    "network_mode: none",
  ])("%s is accepted", async (text) => {
    expect((await load(text)).name).toBe("app");
  });

  it.each([
    "privileged: true",
    "cap_add: [NET_ADMIN]",
    "security_opt: ['seccomp:unconfined']",
    "network_mode: host",
    "network_mode: { a: b }",
    "pid: host",
    "ipc: host",
    "uts: host",
    "userns_mode: host",
    "cgroup: host",
    "cgroup_parent: /x",
    "devices: [/dev/kmsg]",
    "device_cgroup_rules: ['c 1:3 mr']",
    "gpus: all",
    "sysctls: { vm.max_map_count: 262144 }",
    "sysctls: { net/../kernel/core_pattern: x }",
    "sysctls: { net..ipv4.ip_forward: 1 }",
    "sysctls: ['kernel.semaphore=1']",
    "security_opt: ['systempaths=unconfined']",
    "security_opt: ['label:disable', 'no-new-privileges:true']",
    "pid: 'service:db'",
    "ipc: 'container:other'",
    "cap_add: [all]",
    "runtime: nvidia",
    "deploy: { resources: { reservations: { devices: [{ capabilities: [gpu] }] } } }",
    "volumes_from: [other]",
    "external_links: [other]",
    "use_api_socket: true",
    "user: root",
    "user: '0:0'",
    "user: ':0'",
    "user: ''",
    // A value of null would not show that the attribute is refused.
    "privileged:",
  ])("%s is a POLICY_VIOLATION with its line", async (text) => {
    const error = await load(text).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StackwardenError);
    expect((error as StackwardenError).code).toBe("POLICY_VIOLATION");
    expect((error as StackwardenError).message).toMatch(/compose\.yaml:\d+: services\.app/);
  });
});

describe("attributes that would give a service precedence or other rights", () => {
  it("no such attribute reaches the container's settings, and a note names each", async () => {
    const { service, notes } = await loadAll(
      [
        "oom_score_adj: -900",
        "ulimits: { rtprio: 99, nice: { soft: 40, hard: 40 }, memlock: -1 }",
        "annotations: { org.systemd.property.TasksMax: infinity }",
        "storage_opt: { size: 1T }",
        "isolation: hyperv",
        "credential_spec: { file: spec.json }",
        "blkio_config: { weight: 1000 }",
        "cpu_rt_runtime: 950000",
        "oom_kill_disable: true",
        "memswap_limit: -1",
        "pids_limit: -1",
      ].join("\n"),
    );
    expect(hostSettings(service)).toEqual({ Ulimits: [{ Name: "memlock", Soft: -1, Hard: -1 }] });
    expect(limitFields(withDefaults(service.limits))).toEqual({ PidsLimit: 2048 });
    for (const name of ["oom_score_adj", "ulimits.rtprio", "ulimits.nice", "annotations", "storage_opt", "isolation"])
      expect(notes.filter((note) => note.includes(name) && note.includes("no effect"))).toHaveLength(1);
    for (const name of ["credential_spec", "blkio_config", "cpu_rt_runtime", "oom_kill_disable", "memswap_limit"])
      expect(notes.filter((note) => note.includes(name) && note.includes("no effect"))).toHaveLength(1);
    // Not an attack: a service may lower its own precedence.
    expect(hostSettings(await load("oom_score_adj: 500"))).toEqual({ OomScoreAdj: 500 });
  });
});

describe("ports, health checks, limits and other attributes", () => {
  it.each<[string, object]>([
    ["ports: ['8000']", { ports: [{ containerPort: 8000 }] }],
    ["ports: ['53:53/udp']", { ports: [{ containerPort: 53, hostPort: 53, protocol: "udp" }] }],
    ["ports: ['0:80']", { ports: [{ containerPort: 80, protocol: "tcp" }] }],
    ["ports: [80, '81:80']", { ports: [{ containerPort: 80 }, { containerPort: 80, hostPort: 81 }] }],
    [
      "ports: ['9000-9001:80-81']",
      {
        ports: [
          { containerPort: 80, hostPort: 9000 },
          { containerPort: 81, hostPort: 9001 },
        ],
      },
    ],
    ["ports: ['9000-9010:80']", { ports: [{ containerPort: 80, hostPort: 9000, hostPortEnd: 9010 }] }],
    ["expose: [8080/tcp, 53/udp, 90-91]", { expose: [8080, 90, 91], exposeUdp: [53] }],
    ["healthcheck: { interval: 5s }", { healthTimings: { intervalMs: 5000, retries: 3 } }],
    ["cpu_quota: 50000", { limits: { cpus: 0.5 } }],
    ["deploy: { restart_policy: { condition: on-failure, max_attempts: 2 } }", { restart: { maxRetries: 2 } }],
    ["scale: 3", { replicas: 3 }],
    ["ports: ['127.0.0.1:9000:8000']", { ports: [{ containerPort: 8000, hostPort: 9000 }] }],
    ["ports: ['9000:8000/tcp']", { ports: [{ containerPort: 8000, hostPort: 9000 }] }],
    ["ports: [{ target: 8000, published: '9000', protocol: tcp }]", { ports: [{ hostPort: 9000 }] }],
    ["expose: ['8000', 9000]", { expose: [8000, 9000] }],
    ["healthcheck: { disable: true }", { healthcheck: { test: { kind: "none" } } }],
    ["healthcheck: { test: [NONE] }", { healthcheck: { test: { kind: "none" } } }],
    [
      "healthcheck: { test: curl localhost }",
      { healthcheck: { test: { kind: "cmd-shell", command: "curl localhost" } } },
    ],
    [
      "deploy: { resources: { limits: { cpus: '0.5', memory: 64M, pids: 9 } } }",
      { limits: { cpus: 0.5, memory_mb: 64, pids: 9 } },
    ],
    ["mem_limit: 1g\ncpus: 2\npids_limit: 7", { limits: { cpus: 2, memory_mb: 1024, pids: 7 } }],
    [
      "healthcheck: { x-probe: { type: tcp, port: 8000 }, interval: 1s }",
      { healthcheck: { test: { kind: "tcp", port: 8000 } } },
    ],
    [
      "healthcheck: { x-probe: { type: http, port: 8000, path: /up, status: 204 } }",
      { healthcheck: { test: { kind: "http", port: 8000, path: "/up", status: 204 } } },
    ],
    ["ports: [{ target: 8000, published: '' }]", { ports: [{ containerPort: 8000, protocol: "tcp" }] }],
    // YAML 1.1 tools write an unquoted `no` as false, and quote booleans.
    ["restart: false", { restart: { policy: "no" } }],
    ["read_only: 'true'\ninit: 'False'", { readOnly: true, init: false }],
    ["labels: { a: , b: 1 }", { labels: { a: "", b: "1" } }],
    ["restart: 'on-failure:3'", { restart: { policy: "on-failure", maxRetries: 3 } }],
    ["stop_grace_period: 1m30s", { stopGracePeriodMs: 90_000 }],
    ["labels: [a=b]", { labels: { a: "b" } }],
    ["labels: { a: b }", { labels: { a: "b" } }],
  ])("%s gives the values that Compose defines", async (text, expected) => {
    expect(await load(text)).toMatchObject(expected);
  });

  it.each<[string, RegExp]>([
    ["ports: ['8000/sctp']", /neither tcp nor udp/],
    ["ports: ['8000-8010:9000-9005']", /different lengths/],
    ["ports: ['8010-8000']", /not a port mapping/],
    ["ports: ['70000']", /ports/],
    ["ports: [{ published: '9000' }]", /ports/],
    ["ports: [[8000]]", /ports/],
    ["ports: [{ target: 8000, protocol: sctp }]", /protocol/],
    ["ports: [{ target: 8000, published: high }]", /published/],
    ["ports: [{ target: 0 }]", /target/],
    ["healthcheck: { test: { a: b } }", /test/],
    ["healthcheck: { test: [CMD, x], interval: [5s] }", /interval/],
    ["healthcheck: { x-probe: { type: tcp, port: web } }", /port/],
    ["healthcheck: { x-probe: { type: http, port: 80, status: ok } }", /status/],
    ["healthcheck: { x-probe: { type: http, port: 80, path: up } }", /absolute URL path/],
    ["env_file: [data]", /the file data cannot be read: \w+/],
    ["env_file: { required: false }", /env_file/],
    ["env_file: ../x", /outside the project/],
    ["build: { context: ., dockerfile: ../Dockerfile }", /outside the project/],
    ["environment: [[A]]", /environment/],
    ["labels: { a: [b] }", /labels/],
    ["secrets: [{ target: x }]", /secrets/],
    ["restart: [always]", /restart/],
    ["? [a]\n: b", /has a key that is not text/],
    ["expose: [many]", /expose/],
    ["healthcheck: { test: [CMD] }", /test/],
    ["healthcheck: { test: [RUN, x] }", /test/],
    ["healthcheck: { test: [CMD, x], interval: soon }", /interval/],
    ["healthcheck: { test: [CMD, x], retries: -1 }", /retries/],
    ["healthcheck: { x-probe: { type: ftp } }", /type/],
    ["healthcheck: { x-probe: { type: http } }", /port/],
    ["mem_limit: much", /mem_limit/],
    ["cpus: none", /cpus/],
    ["pids_limit: 1.5", /pids_limit/],
    ["restart: sometimes", /restart/],
    ["stop_signal: [a]", /stop_signal/],
    ["stop_grace_period: later", /stop_grace_period/],
    ["depends_on: { nobody: { condition: service_healthy } }", /nobody/],
    ["depends_on: [app]", /app/],
    ["x-local: { provider: mysql }", /provider/],
    ["x-local: { working_dir: ../x }", /outside the project/],
    ["x-local: { install: { kind: ruby, manifest: Gemfile } }", /kind/],
    ["networks: [a]", /uses the network a, which is not declared/],
    ["frobnicate: 1", /frobnicate/],
  ])("%s is refused with the reason", async (text, message) => {
    await expect(load(text)).rejects.toThrow(message);
  });
});
