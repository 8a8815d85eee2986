import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StackwardenError } from "../../../src/errors.js";
import { loadStack } from "../../../src/stack/definition/load.js";
import type { LoadRequest } from "../../../src/stack/definition/types.js";

let folder: string;
let made: string[];
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-load-")));
  made = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const load = (more: Partial<LoadRequest> = {}) =>
  loadStack({
    projectId: "p",
    folder,
    profiles: [],
    allowRoot: [],
    generateSecret: async (name) => {
      made.push(name);
      return `generated-${name}-value`;
    },
    ...more,
  });
const write = (text: string, name = "compose.yaml") => writeFileSync(join(folder, name), text);
const refusal = async (text?: string, more: Partial<LoadRequest> = {}): Promise<StackwardenError> => {
  if (text !== undefined) write(text);
  return load(more).then(
    () => Promise.reject(new Error("it was accepted")),
    (error) => error as StackwardenError,
  );
};
const service = (body: string) => `services:\n  web:\n    image: nginx\n${body.replace(/^/gm, "    ")}\n`;

describe("loadStack: built-in stack", () => {
  it("the built-in stack has four services with their checks, limits and generated secrets", async () => {
    mkdirSync(join(folder, "backend"));
    mkdirSync(join(folder, "frontend"));
    const stack = await load();
    expect(stack.source).toBe("built-in:commandcenter");
    expect(Object.keys(stack.services)).toEqual(["postgres", "redis", "backend", "frontend"]);
    const { postgres, redis, backend, frontend } = stack.services;
    expect(postgres).toMatchObject({
      image: "postgres:15-alpine",
      user: "70",
      limits: { cpus: 1, memory_mb: 2048 },
      ports: [{ containerPort: 5432 }],
      healthcheck: { test: { kind: "postgres" } },
      environment: { POSTGRES_USER: "commandcenter", POSTGRES_DB: "commandcenter" },
      local: { provider: "postgres" },
    });
    expect(postgres?.ports[0]?.hostPort).toBeUndefined();
    expect(redis).toMatchObject({ limits: { cpus: 0.5, memory_mb: 512 }, local: { provider: "redis" } });
    expect(backend).toMatchObject({
      limits: { cpus: 1, memory_mb: 1024 },
      healthcheck: { test: { kind: "http", port: 8000, path: "/health", status: 200 } },
      dependsOn: { postgres: { condition: "service_healthy" }, redis: { condition: "service_healthy" } },
      secretEnvironment: expect.arrayContaining(["DATABASE_URL", "REDIS_URL", "SECRET_KEY"]),
      environment: {
        DATABASE_URL: "postgresql://commandcenter:generated-postgres-password-value@postgres:5432/commandcenter",
        PROJECT_NAME: "CommandCenter",
      },
      local: { install: { kind: "python", manifest: join(folder, "backend/requirements.txt") } },
    });
    expect(frontend).toMatchObject({
      limits: { cpus: 0.5, memory_mb: 512 },
      environment: { VITE_API_BASE_URL: "http://{published:backend:8000}" },
      dependsOn: { backend: { condition: "service_healthy" } },
    });
    expect(stack.secretValues).toEqual(expect.arrayContaining(["generated-secret-key-value"]));
    expect(made).toEqual(["postgres-password", "redis-password", "secret-key"]);
  });

  it("the built-in stack contains only services whose folder exists", async () => {
    mkdirSync(join(folder, "frontend"));
    const stack = await load();
    expect(Object.keys(stack.services)).toEqual(["postgres", "redis", "frontend"]);
    expect(stack.services.frontend?.dependsOn).toEqual({});
    expect(stack.services.frontend?.environment).toEqual({ VITE_PROJECT_NAME: "CommandCenter" });
    expect(stack.notes.join("\n")).toContain("no folder backend/");
  });

  it(".env sets ports and passwords, and only missing secrets are generated", async () => {
    write("POSTGRES_PORT=15432\nPOSTGRES_PASSWORD=from-the-env-file\nPROJECT_NAME=Mine\n", ".env");
    const stack = await load();
    expect(stack.services.postgres?.ports[0]?.hostPort).toBe(15_432);
    expect(stack.services.postgres?.environment.POSTGRES_PASSWORD).toBe("from-the-env-file");
    expect(stack.secretValues).toContain("from-the-env-file");
    expect(made).not.toContain("postgres-password");
  });

  it("interpolation never reads the server's environment", async () => {
    process.env.STACKWARDEN_TEST_LEAK = "leak";
    try {
      write(service("environment: [STACKWARDEN_TEST_LEAK, 'B=${STACKWARDEN_TEST_LEAK:-none}', 'HOME_IS=${HOME}']"));
      const stack = await load();
      expect({ ...stack.services.web?.environment }).toEqual({ B: "none", HOME_IS: "" });
      expect(stack.notes.join()).toContain("HOME is not set");
    } finally {
      delete process.env.STACKWARDEN_TEST_LEAK;
    }
  });
});

describe("loadStack: published compose files", () => {
  const corpus = (name: string) => readFileSync(new URL(`./corpus/${name}.yaml`, import.meta.url), "utf8");

  it("flask-redis is loaded", async () => {
    write(corpus("flask-redis"));
    const { services } = await load();
    expect(services.web).toMatchObject({
      build: { context: folder, target: "builder" },
      stopSignal: "SIGINT",
      mounts: [{ type: "bind", source: folder, target: "/code" }],
      dependsOn: { redis: { condition: "service_started", required: true } },
    });
  });

  it("wordpress-mysql is loaded, and its passwords are secrets", async () => {
    write(corpus("wordpress-mysql"), "docker-compose.yml");
    const stack = await load();
    expect(stack.volumes).toEqual(["db_data"]);
    expect(stack.secretValues).toEqual(expect.arrayContaining(["somewordpress", "wordpress"]));
    expect(stack.services.db).toMatchObject({ restart: { policy: "always" }, expose: [3306, 33_060] });
  });

  it("anchors and merge keys are resolved, and a note names an unused host address", async () => {
    write(corpus("anchors"));
    const stack = await load();
    expect({ ...stack.services.one?.environment }).toEqual({ A: "1", B: "3" });
    expect({ ...stack.services.two?.environment }).toEqual({ A: "1", B: "2" });
    expect(stack.notes.join("\n")).toMatch(
      /ports\[0\].*0\.0\.0\.0 is not used: ports are published on 127\.0\.0\.1, unless the operator/,
    );
    expect(stack.uses).toContainEqual({ attribute: "version" });
  });

  it("a secret is read from a file in the project's folder", async () => {
    mkdirSync(join(folder, "db"));
    write("hunter22\n", "db/password.txt");
    write(corpus("secret-file"));
    const stack = await load();
    expect({ ...stack.secrets }).toEqual({ "db-password": "hunter22" });
    expect(stack.secretValues).toEqual(["hunter22"]);
  });

  it.each([
    ["privileged", "POLICY_VIOLATION", /:4: services\.dind\.privileged/],
    ["docker-socket", "POLICY_VIOLATION", /:4: services\.traefik\.volumes\[0\]: reaches a container engine/],
    ["host-network", "POLICY_VIOLATION", /:4: services\.web\.network_mode/],
    ["outside-bind", "POLICY_VIOLATION", /leads outside the project/],
    ["cycle", "INVALID_STACK", /a → b → c → a/],
    ["secret-file", "INVALID_STACK", /names a file that does not exist/],
  ])("%s is refused with its line and a hint", async (name, code, message) => {
    const error = await refusal(corpus(name));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(join(folder, "compose.yaml"));
    expect(error.hint).not.toBe("");
  });
});

describe("loadStack: policy", () => {
  it.each([
    "privileged: yes-please",
    "cap_add: [SYS_ADMIN]",
    "devices: ['/dev/sda:/dev/sda']",
    "pid: host",
    "ipc: host",
    "network_mode: container:x",
    "security_opt: ['seccomp:unconfined']",
    "userns_mode: host",
    "user: root",
    "user: '0:0'",
    "user: ''",
    "user: ':0'",
    "volumes: ['~/x:/x']",
    "volumes: ['/:/host']",
    "volumes: [{ type: bind, source: ../x, target: /x }]",
    "volumes: ['./docker.sock:/s']",
    "env_file: ../other.env",
    "build: ../other",
    "x-local: { command: [x], working_dir: / }",
  ])("%s is a POLICY_VIOLATION", async (body) => expect((await refusal(service(body))).code).toBe("POLICY_VIOLATION"));

  it("a bind through a symbolic link that leads outside is refused", async () => {
    symlinkSync("/etc", join(folder, "link"));
    expect((await refusal(service("volumes: ['./link:/x']"))).code).toBe("POLICY_VIOLATION");
  });

  it("only the server's configuration allows root", async () => {
    write(service("user: root\nx-allow-root: true"));
    await expect(load()).rejects.toMatchObject({ code: "POLICY_VIOLATION" });
    expect((await load({ allowRoot: ["p/web"] })).services.web?.allowRoot).toBe(true);
    await expect(load({ allowRoot: ["q/web"] })).rejects.toMatchObject({ code: "POLICY_VIOLATION" });
  });

  it("attributes that harden a service are accepted", async () => {
    write(
      service(
        "privileged: false\ncap_drop: [ALL]\nsecurity_opt: ['no-new-privileges:true']\nread_only: true\ninit: true",
      ),
    );
    expect((await load()).services.web).toMatchObject({ readOnly: true, init: true });
  });

  it("a refused file generates no secret", async () => {
    const secrets = "secrets: { key: { environment: KEY, x-generate: true } }\n";
    await refusal(`${service("privileged: true")}${secrets}`);
    expect(made).toEqual([]);
  });
});

describe("loadStack: attributes", () => {
  it("every attribute of a service is read", async () => {
    write("A=1\n", "web.env");
    write(
      `${service(`
command: run --name "a b" 'c'
entrypoint: [/init]
environment: { B: "2", PASSWORD: hunter222 }
env_file: [web.env, { path: absent.env, required: false }]
working_dir: /srv
ports: [80, "8080:81", "127.0.0.1:9000:82/tcp", { target: 83, published: "9001", protocol: tcp, host_ip: 127.0.0.1 }]
healthcheck: { test: curl localhost, interval: 10s, timeout: 1m, retries: 4, start_period: 2s, start_interval: 1s }
restart: on-failure:3
volumes: ["data:/data:ro", "./conf:/conf", { type: tmpfs, target: /t, tmpfs: { size: 1m } }]
tmpfs: ["/run:size=64m", /tmp]
deploy: { resources: { limits: { cpus: "0.5", memory: 64M, pids: 10 }, reservations: { memory: 32m } } }
mem_limit: 128m
stop_signal: QUIT
stop_grace_period: 1m30s
labels: [a=b]
x-local: { command: "node server.js", environment: { C: "3" }, install: { kind: node, manifest: package.json } }
`)}volumes: { data: {} }\n`,
    );
    const { web } = (await load()).services;
    expect(web).toMatchObject({
      command: ["run", "--name", "a b", "c"],
      entrypoint: ["/init"],
      environment: { A: "1", B: "2", PASSWORD: "hunter222" },
      secretEnvironment: ["PASSWORD"],
      workingDir: "/srv",
      ports: [
        { containerPort: 80 },
        { containerPort: 81, hostPort: 8080 },
        { containerPort: 82, hostPort: 9000 },
        { containerPort: 83, hostPort: 9001 },
      ],
      healthcheck: {
        test: { kind: "cmd-shell", command: "curl localhost" },
        intervalMs: 10_000,
        timeoutMs: 60_000,
        retries: 4,
        startPeriodMs: 2000,
        startIntervalMs: 1000,
      },
      restart: { policy: "on-failure", maxRetries: 3 },
      limits: { cpus: 0.5, memory_mb: 128, pids: 10 },
      reservations: { memory_mb: 32 },
      stopSignal: "SIGQUIT",
      stopGracePeriodMs: 90_000,
      labels: { a: "b" },
      local: { command: ["node", "server.js"], environment: { C: "3" }, install: { kind: "node" } },
    });
    expect(web?.mounts).toEqual([
      { type: "volume", source: "data", target: "/data", readOnly: true },
      { type: "bind", source: join(folder, "conf"), target: "/conf", readOnly: false },
      { type: "tmpfs", target: "/t", sizeBytes: 1_048_576 },
      { type: "tmpfs", target: "/run", sizeBytes: 67_108_864 },
      { type: "tmpfs", target: "/tmp" },
    ]);
  });

  it.each([
    ["unknown: 1", /is not a key that Compose has here/],
    ["ports: ['99999:80']", /has the port 99999/],
    ["ports: ['80:80:80:80']", /port mapping/],
    ["ports: ['example.test:80:80']", /port mapping/],
    ["ports: ['80:80/tcp/udp']", /neither tcp nor udp/],
    ["ports: [{ target: 80, host_ip: nowhere }]", /not an IP address/],
    ["ports: 80", /must be a list/],
    ["ports: [{ published: 80 }]", /no target/],
    ["depends_on: [nobody]", /does not exist/],
    ["depends_on: { web: { condition: service_ready } }", /service_healthy/],
    ["healthcheck: { test: [RUN, x] }", /not a healthcheck test/],
    ["healthcheck: { test: x, interval: 5 }", /duration/],
    ["healthcheck: { x-probe: { type: ftp } }", /http, tcp, postgres, redis/],
    ["healthcheck: { x-probe: { type: http, port: 80, path: health } }", /absolute URL path/],
    ["healthcheck: { x-probe: { type: tcp } }", /no port/],
    ["healthcheck: { x-probe: { port: 1 } }", /no type/],
    ["restart: sometimes", /unless-stopped/],
    ["cpus: lots", /number from/],
    ["mem_limit: 1m", /at least 6 MB/],
    ["pids_limit: -2", /whole number/],
    ["deploy: { replicas: -1 }", /whole number/],
    ["volumes: ['data:/data']", /not declared/],
    ["volumes: ['./a:relative']", /absolute path/],
    ["volumes: ['./a:/x/../etc']", /absolute path/],
    ["volumes: [x]", /absolute path/],
    ["volumes: [{ type: volume, source: ./x, target: /x }]", /is a path/],
    ["volumes: [{ target: /x }]", /no source/],
    ["tmpfs: ['/run:size=big']", /size such as/],
    ["secrets: [nobody]", /not declared/],
    ["secrets: [{ source: x, target: ../x }]", /not a file's path/],
    ["stop_signal: STOP", /signal/],
    ["stop_grace_period: forever", /duration/],
    ["command: 'a \"b'", /quote/],
    ["environment: { 'A=B': x }", /variable name/],
    ["environment: { X: [1] }", /must be text/],
    ["environment: { X: 'http://{published:db:5432}' }", /no service publishes/],
    ["environment: { X: '${' }", /variable name/],
    ["env_file: nowhere.env", /does not exist/],
    ["working_dir: relative", /absolute path/],
    ["read_only: maybe", /true or false/],
    ["x-local: { provider: mysql }", /postgres, redis/],
    ["x-local: { install: { kind: python } }", /kind and manifest/],
  ])("%s is refused with its line", async (body, message) => {
    const error = await refusal(service(body));
    expect(error.code).toBe("INVALID_STACK");
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/compose\.yaml:\d+: /);
    expect(error.hint.length).toBeGreaterThan(5);
  });

  it.each([
    ["services:\n\tweb: {}\n", "2: a tab indents the line", "Indent with spaces: YAML does not accept tabs."],
    [
      "services:\n  web:\n    image: x\n   ports: []\n",
      "4: the line is indented differently from the keys of the same mapping",
      "Indent it like the lines above that belong together.",
    ],
    [
      "services:\n  web: { image: x }\n  command: echo a: b\n",
      '3: the value contains ": ", which begins another value',
      /^Quote the whole value/,
    ],
    ['services:\n  web:\n    image: "x\n', "4: a quote that begins here or above has no end", "Add the closing quote."],
    [
      'services:\n  web:\n    ports:\n    -"80:80"\n    image: x\n',
      "4: the line is neither `key: value` nor a list item",
      /^Write a colon and a space after the key/,
    ],
    ["services:\n  web: [x\n", "3: a { or [ that begins above has no end", /^Close it/],
    [
      "services:\n  web:\n    image: @x\n",
      "3: a value without quotes cannot begin with this character",
      "Quote the value.",
    ],
    ["services:\n  web:\n    image: 'it's'\n", "3: text follows the end of a value", /^Quote the whole value/],
    [
      service("enviroment: { A: b }"),
      "4: services.web.enviroment: is not a key that Compose has here",
      "Did you mean environment?",
    ],
    [
      service("zzz: 1"),
      "4: services.web.zzz: is not a key that Compose has here",
      /docs\/COMPOSE\.md lists the valid keys/,
    ],
    [
      "web:\n  image: x\n",
      "2: web: is not a key that Compose has here",
      "Write the service below `services:`, indented by two spaces.",
    ],
    [
      "services:\n  - web: { image: x }\n",
      "2: services: must be a mapping",
      "Write `name: value` pairs, without a dash.",
    ],
    [service("ports: 8080"), "4: services.web.ports: must be a list", 'Write it as a list: ["8080"].'],
    [service("ports: [80:70000]"), "4: services.web.ports[0]: has the port 70000", /from 1 to 65535/],
    [service("stop_grace_period: 10"), /stop_grace_period: must be a duration/, "Add the unit: 10s."],
    [
      service("depends_on: [wep]"),
      "4: services.web.depends_on: depends on wep, which does not exist",
      /^Did you mean web\?/,
    ],
    [service("volumes: ['/etc/passwd:/x']"), /leads outside the project's folder/, /allow_binds/],
    [
      "services:\n  a: { extends: b }\n  b: { extends: a }\n",
      "2: services.a.extends: extends itself: a → b → a",
      /Remove one/,
    ],
    [
      "services:\n  web:\n    image: 'x:${TAG'\n",
      '3: services.web.image: "${TAG" has no closing brace',
      /^Correct the expression/,
    ],
  ])("%j is refused with the reason, the line and a hint", async (text, message, hint) => {
    const error = await refusal(text);
    const [, where] = error.message.split("/compose.yaml:");
    if (typeof message === "string") expect(where).toBe(message);
    else expect(where).toMatch(message);
    if (typeof hint === "string") expect(error.hint).toBe(hint);
    else expect(error.hint).toMatch(hint);
    expect(error.details?.problems).toHaveLength(1);
  });

  it.each([
    ["services: [", /compose\.yaml:\d+/],
    ["services: {}", /yaml:1: defines no active service/],
    ["services:\n  a: { image: x }\n  a: { image: y }", /the key "a" appears twice/],
    ["services: { '--rm': { image: x } }", /not a service name/],
    ["services: { __proto__: { image: x } }", /not a service name/],
    ["services: { a: { image: '--rm' } }", /image reference/],
    ["services: { a: {} }", /neither image nor build/],
    ["services: { a: { image: x } }\ninclude: [x]", /x does not exist/],
    ["services: { a: { image: x } }\nsecrets: { s: {} }", /no source/],
    [
      "services: { a: { image: x, secrets: [s] } }\nsecrets: { s: { environment: NOT_SET } }",
      /NOT_SET; that is not set/,
    ],
    ["just text", /must be a mapping/],
    ['services: { a: { image: "x\\0y" } }', /NUL/],
  ])("%j is refused with the reason", async (text, message) => expect((await refusal(text)).message).toMatch(message));

  it("all problems are listed, and the code is POLICY_VIOLATION when one is the policy's", async () => {
    const error = await refusal(service("unknown: 1\nprivileged: true\ncpus: x"));
    expect(error.code).toBe("POLICY_VIOLATION");
    expect(error.message).toMatch(/and 2 more/);
    expect(error.details?.problems).toHaveLength(3);
  });

  it("aliases that expand exponentially are refused", async () => {
    const lines = ["x-a: &a [x, x, x, x, x, x, x, x, x, x]"];
    for (let at = 1; at < 8; at += 1) {
      const before = String.fromCharCode(96 + at);
      const name = String.fromCharCode(97 + at);
      lines.push(`x-${name}: &${name} [${Array(10).fill(`*${before}`).join(", ")}]`);
    }
    const error = await refusal(`${lines.join("\n")}\nservices: { web: { image: x, command: *h } }\n`);
    expect(error.code).toBe("INVALID_STACK");
  });

  it("a compose file over 1 MiB, and a folder in place of a file, are refused", async () => {
    write(`#${"x".repeat(1_100_000)}`);
    expect((await refusal()).message).toMatch(/1 MiB/);
    rmSync(join(folder, "compose.yaml"));
    mkdirSync(join(folder, "compose.yaml"));
    expect((await refusal()).message).toMatch(/regular file/);
    rmSync(join(folder, "compose.yaml"), { recursive: true });
    mkdirSync(join(folder, ".env"));
    expect((await refusal()).message).toMatch(/\.env: cannot be used: it is a folder; expected a regular file/);
  });
});

describe("loadStack: profiles", () => {
  // Before, a selected service with the project's folder got these files of the other ones.
  it("files with secrets of services that do not run are private, too", async () => {
    mkdirSync(join(folder, "page"));
    write("DB_PASSWORD=of-the-database\n", "db.env");
    write("{}", "page/package.json");
    write("//registry.test/:_authToken=of-the-registry\n", "page/.npmrc");
    write(`services:
  app: { image: node, working_dir: /src, volumes: ["./:/src"], command: node app.js }
  page: { image: node, command: npm start, profiles: [more], x-local: { install: { kind: node, manifest: page/package.json } } }
  db: { image: postgres, env_file: db.env, environment: { POSTGRES_PASSWORD: written-in-the-file }, restart: 5 }
`);
    const { services, privateFiles } = await load({ services: ["app"] });
    expect(Object.keys(services)).toEqual(["app"]);
    const names = ["compose.yaml", "db.env", "page/.npmrc"];
    expect(privateFiles?.toSorted()).toEqual(names.map((name) => join(folder, name)));
  });

  const text =
    "services:\n  a: { image: x }\n  b: { image: x, profiles: [debug] }\n  c: { image: x, profiles: [all], depends_on: { b: { condition: service_started, required: false } } }\n";
  it("a service with profiles is loaded only when one of them is active", async () => {
    write(text);
    expect(Object.keys((await load()).services)).toEqual(["a"]);
    expect(Object.keys((await load({ profiles: ["debug"] })).services)).toEqual(["a", "b"]);
    expect((await load({ profiles: ["all"] })).services.c?.dependsOn).toEqual({});
  });

  it("a dependency whose profile is not active is refused by that reason", async () => {
    const error = await refusal(
      "services:\n  a: { image: x, depends_on: [b] }\n  b: { image: x, profiles: [debug] }\n",
    );
    expect(error.message).toMatch(/profile is not active/);
  });
});

it("a refusal's hint names the variables that are not set", async () => {
  const { code, hint } = await refusal(service('user: "${UID_OF_ME}:${GID_OF_ME}"'));
  expect(code).toBe("POLICY_VIOLATION");
  expect(hint).toContain("are not set, and were replaced by the empty text: UID_OF_ME, GID_OF_ME. Set them in .env.");
  expect((await refusal(service('user: "0"'))).hint).not.toContain("not set");
});
