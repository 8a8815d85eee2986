/** Hooks, labels, configs and override files, read from project folders. */
import { describe, expect, it } from "vitest";
import type { ServiceDefinition, StackDefinition } from "../../../src/stack/definition/types.js";
import { load, problem } from "./project.js";

const app = async (fields: string, files: Record<string, string> = {}): Promise<ServiceDefinition> => {
  const { services } = await load({
    "compose.yaml": `services:\n  app: { image: example/app, ${fields} }\n`,
    ...files,
  });
  return services.app as ServiceDefinition;
};

describe("hooks", () => {
  it("a hook has a command, and keeps the user, folder and environment that it names", async () => {
    const hook = "{ command: [./migrate.sh], user: '1000', working_dir: /app, environment: { LEVEL: debug } }";
    const service = await app(`post_start: [${hook}], pre_stop: [{ command: ./end.sh now }]`);
    expect(service.postStart).toEqual([
      { command: ["./migrate.sh"], user: "1000", workingDir: "/app", environment: { LEVEL: "debug" } },
    ]);
    expect(service.preStop).toEqual([{ command: ["./end.sh", "now"], environment: {} }]);
  });

  it.each([
    ["{ user: '1000' }", "INVALID_STACK", "", "has no command"],
    ["{ command: [] }", "INVALID_STACK", "", "has no command"],
    ["5", "INVALID_STACK", "", "must be a mapping"],
    ["{ command: a, privileged: true }", "POLICY_VIOLATION", ".privileged", "gives the hook the whole machine"],
    ["{ command: a, user: root }", "POLICY_VIOLATION", ".user", "runs the service as root"],
    ["{ command: a, working_dir: app }", "INVALID_STACK", ".working_dir", "must be an absolute path"],
    ["{ command: a, nope: 1 }", "INVALID_STACK", ".nope", "is not a key that Compose has here"],
  ])("a hook %s is refused with %s", async (hook, code, field, message) => {
    const path = `services.app.post_start[0]${field}`;
    expect(await problem(app(`post_start: [${hook}]`))).toMatchObject({ code, path, message, line: 2 });
  });
});

describe("labels", () => {
  it("labels are a mapping or a list, and a later label file replaces values of earlier ones", async () => {
    expect((await app("labels: [a=b=c, bare]")).labels).toEqual({ a: "b=c", bare: "" });
    expect((await app("annotations: { a: b, empty: }")).annotations).toEqual({ a: "b", empty: "" });
    const files = { one: "A=1\nB=2\n", two: "B=3\n" };
    expect((await app("label_file: [one, two]", files)).labels).toEqual({ A: "1", B: "3" });
    expect((await app("label_file: one, labels: { A: own }", files)).labels).toEqual({ A: "own", B: "2" });
  });

  it.each([
    ["none", "INVALID_STACK", "the file none does not exist"],
    ["../outside", "POLICY_VIOLATION", "leads outside the project's folder (../outside)"],
    ["broken", "INVALID_STACK", expect.stringMatching(/^the file broken cannot be read: /)],
  ])("a label file %s is refused with %s", async (file, code, message) => {
    expect(await problem(app(`label_file: ${file}`, { broken: "=value\n" }))).toMatchObject({ code, message });
  });
});

describe("configs", () => {
  const configs = (source: string, files: Record<string, string> = {}): Promise<StackDefinition> => {
    const service = "  app: { image: example/app, configs: [one] }";
    const text = `services:\n${service}\nconfigs:\n  one: ${source}\n  unused: { file: ./none }\n`;
    return load({ "compose.yaml": text, ...files });
  };

  it.each([
    ["{ content: hello }", "hello"],
    ["{ file: ./text }", "from a file"],
    ["{ environment: VALUE }", "from .env"],
    ["{ external: true }", ""],
  ])("the content of a config %s is %j", async (source, content) => {
    const files = { text: "from a file", ".env": "VALUE='from .env'\n" };
    const { configs: contents } = await configs(source, files);
    expect(Object.entries(contents ?? {}).map(([name, bytes]) => [name, bytes.toString()])).toEqual([["one", content]]);
  });

  it.each([
    ["{ environment: NONE }", ".environment", "needs NONE, which is not set"],
    ["{ file: ./none }", ".file", "./none does not exist"],
    ["{ file: . }", ".file", ". cannot be used: it is a folder; expected a regular file"],
    ["{ name: one }", "", "has no source"],
  ])("a config %s is refused", async (source, field, message) => {
    const path = `configs.one${field}`;
    expect(await problem(configs(source))).toMatchObject({ code: "INVALID_STACK", path, message, line: 4 });
  });
});

describe("an override file", () => {
  const merged = async (base: string, over: string): Promise<ServiceDefinition> => {
    const text = (fields: string): string => `services:\n  app: { ${fields} }\n`;
    const files = {
      "compose.yaml": `${text(`image: example/app, ${base}`)}  db: { image: example/db, healthcheck: { test: a } }\n`,
      "compose.override.yaml": text(over),
    };
    return (await load({ ...files, one: "A=1\nB=1\n", two: "B=2\n" })).services.app as ServiceDefinition;
  };

  it.each<[base: string, over: string, key: keyof ServiceDefinition, value: unknown]>([
    ["environment: [A=1, B=1]", "environment: { B: '2' }", "environment", { A: "1", B: "2" }],
    ["environment: { A: '1' }", "environment:", "environment", { A: "1" }],
    ["labels: { a: '1', b: '1' }", "labels: [b=2]", "labels", { a: "1", b: "2" }],
    ["env_file: one", "env_file: [two]", "environment", { A: "1", B: "2" }],
    ["command: [a, b]", "command: c", "command", ["c"]],
    ["expose: ['80']", "expose: ['80', '81']", "expose", [80, 81]],
    ["expose: ['80']", "expose: !override ['81']", "expose", [81]],
    ["labels: { a: '1' }", "labels: !reset {}", "labels", {}],
    ["stop_signal: SIGINT", "stop_signal: SIGQUIT", "stopSignal", "SIGQUIT"],
    ["labels: [a=1, bare]", "labels:", "labels", { a: "1", bare: "" }],
    ["labels:", "labels: { a: '1' }", "labels", { a: "1" }],
    ["environment: { A: '1', B: '1' }", "environment: { B: !reset null }", "environment", { A: "1" }],
    [
      "depends_on: [db]",
      "depends_on: { db: { condition: service_healthy } }",
      "dependsOn",
      { db: { condition: "service_healthy", restart: false, required: true } },
    ],
    ["networks: [default]", "networks: { default: { aliases: [api] } }", "networks", { default: { aliases: ["api"] } }],
    [
      "ulimits: { nofile: 10 }",
      "ulimits: { nofile: { soft: 1, hard: 2 } }",
      "ulimits",
      { nofile: { soft: 1, hard: 2 } },
    ],
    [
      "ulimits: { nofile: { soft: 1, hard: 2 } }",
      "ulimits: { nofile: { hard: 3 } }",
      "ulimits",
      { nofile: { soft: 1, hard: 3 } },
    ],
    ["build: .", "build: { target: test }", "build", { context: expect.any(String), args: {}, target: "test" }],
    [
      "build: { args: [A=1] }",
      "build: { args: { B: '2' } }",
      "build",
      { context: expect.any(String), args: { A: "1", B: "2" } },
    ],
    ["dns: 192.0.2.1", "dns: [192.0.2.1, 192.0.2.2]", "dns", ["192.0.2.1", "192.0.2.2"]],
    [
      "extra_hosts: { a: 192.0.2.1 }",
      "extra_hosts: ['b=192.0.2.2']",
      "extraHosts",
      { a: ["192.0.2.1"], b: ["192.0.2.2"] },
    ],
    [
      "ports: [{ target: 80, published: '8080' }]",
      "ports: [{ target: 80, published: '8080' }]",
      "ports",
      [{ containerPort: 80, hostPort: 8080, protocol: "tcp" }],
    ],
    [
      "tmpfs: /a",
      "tmpfs: [/b]",
      "mounts",
      [
        { type: "tmpfs", target: "/a" },
        { type: "tmpfs", target: "/b" },
      ],
    ],
  ])("%s and %s are merged", async (base, over, key, value) => {
    expect((await merged(base, over))[key]).toEqual(value);
  });

  it("a value of another form than in the file before is refused", async () => {
    expect(await problem(merged("deploy: { resources: { limits: { cpus: '1' } } }", "deploy: []"))).toMatchObject({
      code: "INVALID_STACK",
      path: "services.app.deploy",
      message: "has another form than in the file that it is merged into",
    });
  });
});

describe("a value that an attribute does not have", () => {
  it.each([
    ["ports: ['70000:80']", "ports[0]", "has the port 70000"],
    ["ports: [{ target: x }]", "ports[0].target", "must be a whole number from 1 to 65535"],
    ["ports: ['80-81:90-92']", "ports[0]", "has ranges of different lengths"],
    ["ports: 80", "ports", "must be a list"],
    ["expose: [x]", "expose[0]", "is not a port"],
    ["volumes: [{ type: nope, target: /a }]", "volumes[0].type", "is not a type of mount"],
    ["volumes: [{ type: bind, target: /a }]", "volumes[0]", "has no source"],
    ["volumes: ['./a:b']", "volumes[0]", "has no absolute path inside the service"],
    [
      "volumes: [{ type: tmpfs, target: /t, tmpfs: { size: x } }]",
      "volumes[0].tmpfs.size",
      "must be a size such as 64m",
    ],
    ["tmpfs: /a:size=x", "tmpfs", "must be a size such as 64m"],
    ["networks: [nope]", "networks", "uses the network nope, which is not declared"],
    ["configs: [{ source: nope }]", "configs", "uses the config nope, which is not declared"],
    ["extra_hosts: [x]", "extra_hosts[0]", "is not a name and an address"],
    ["hostname: a b", "hostname", "is not a host name"],
    ["healthcheck: { test: [FOO, a] }", "healthcheck.test", "is not a healthcheck test"],
    ["healthcheck: { test: a, interval: x }", "healthcheck.interval", "must be a duration from 0 ms to 24 h"],
    ["healthcheck: { test: a, retries: -1 }", "healthcheck.retries", "must be a whole number from 0 to 1000"],
    ["restart: on-failure:x", "restart", "must be one of: no, always, on-failure, unless-stopped"],
    ["stop_signal: NOPE", "stop_signal", "is not a signal that ends a service"],
    [
      "deploy: { resources: { limits: { cpus: x } } }",
      "deploy.resources.limits.cpus",
      "must be a number from 0.01 to 4096",
    ],
    ["mem_limit: x", "mem_limit", "must be a size of at least 6 MB"],
    ["shm_size: x", "shm_size", "must be a size"],
    ["scale: x", "scale", "must be a whole number from 0 to 100"],
    ["ulimits: { nofile: { soft: 1 } }", "ulimits.nofile", "needs soft and hard"],
    ["depends_on: { nope: { condition: service_healthy } }", "depends_on", "depends on nope, which does not exist"],
    ["build: { context: ., args: 5 }", "build.args", "must be a mapping"],
    ["build: { dockerfile: x, dockerfile_inline: y }", "build.dockerfile_inline", "and dockerfile exclude each other"],
    ["environment: [=x]", "environment[0]", '"" is not a variable name'],
    ["environment: { a: [b] }", "environment.a", "must be text"],
    ["env_file: [{ path: none }]", "env_file[0]", "the file none does not exist"],
    ["read_only: maybe", "read_only", "must be true or false"],
    ["working_dir: a", "working_dir", "must be an absolute path"],
    ["develop: { watch: [{ action: sync }] }", "develop.watch[0]", "needs path and action"],
  ])("%s is refused", async (fields, attribute, message) => {
    const path = `services.app.${attribute}`;
    expect(await problem(app(fields))).toMatchObject({ code: "INVALID_STACK", path, message, line: 2 });
  });

  it.each([
    ["network_mode: host", "network_mode", "leaves the stack's own network"],
    ["build: { context: ../x }", "build.context", "leads outside the project's folder (../x)"],
    ["cap_add: [SYS_ADMIN]", "cap_add[0]", "adds the kernel capability SYS_ADMIN"],
    ["privileged: true", "privileged", "gives the service the whole machine"],
    ["devices: [/dev/sda]", "devices", "gives the service the machine's devices"],
    ["gpus: all", "gpus", "gives the service the machine's devices"],
    ["sysctls: [vm.swappiness=1]", "sysctls[0]", "vm.swappiness is a kernel parameter of the whole machine"],
    ["volumes_from: [other]", "volumes_from", "takes another container's volumes"],
  ])("%s violates the policy", async (fields, attribute, message) => {
    const path = `services.app.${attribute}`;
    expect(await problem(app(fields))).toMatchObject({ code: "POLICY_VIOLATION", path, message, line: 2 });
  });
});
