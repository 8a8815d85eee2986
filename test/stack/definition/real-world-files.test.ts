/** Patterns of public compose files, reduced and rewritten. Each is loaded, or refused with its line and a hint. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StackwardenError } from "../../../src/errors.js";
import { loadStack } from "../../../src/stack/definition/load.js";
import type { Problem } from "../../../src/stack/definition/problems.js";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-shapes-")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
const load = (text?: string, profiles: string[] = []) => {
  if (text !== undefined) write("compose.yaml", text);
  return loadStack({ projectId: "p", folder, profiles, allowRoot: [], generateSecret: async (name) => `made-${name}` });
};
const refusal = (text?: string): Promise<StackwardenError> =>
  load(text).then(
    () => Promise.reject(new Error("it was accepted")),
    (error) => error as StackwardenError,
  );

describe("accepted files", () => {
  it("a web server, an API and a database with a password file are loaded", async () => {
    mkdirSync(join(folder, "db"));
    write("db/password.txt", "from-the-file\n");
    const { services, secretValues } = await load(`
services:
  db:
    image: mariadb:10-focal
    command: '--default-authentication-plugin=mysql_native_password'
    restart: always
    healthcheck:
      test: ['CMD-SHELL', 'mysqladmin ping -h 127.0.0.1 --password="$$(cat /run/secrets/db-password)" --silent']
      interval: 3s
      retries: 5
      start_period: 30s
    secrets: [db-password]
    volumes: [db-data:/var/lib/mysql]
    environment: [MYSQL_DATABASE=example, MYSQL_ROOT_PASSWORD_FILE=/run/secrets/db-password]
    expose: [3306, '33060']
  api:
    build: { context: ., target: builder }
    depends_on: { db: { condition: service_healthy } }
  proxy:
    image: nginx
    volumes:
      - type: bind
        source: ./proxy/nginx.conf
        target: /etc/nginx/conf.d/default.conf
        read_only: true
    ports: ['80:80']
    depends_on: [api]
volumes: { db-data: }
secrets: { db-password: { file: db/password.txt } }
`);
    expect(services.db?.command).toEqual(["--default-authentication-plugin=mysql_native_password"]);
    expect(services.db?.healthcheck?.test).toMatchObject({ command: expect.stringContaining('"$(cat /run/') });
    expect(services.db?.expose).toEqual([3306, 33_060]);
    expect(services.proxy?.mounts[0]).toMatchObject({ type: "bind", readOnly: true });
    expect(secretValues).toContain("from-the-file");
  });

  it("an alias refers to the last anchor of its name above it, and thousands of aliases are loaded", async () => {
    const labels = Array.from({ length: 20 }, (_, at) => `L${at}: *text`).join(", ");
    const many = Array.from(
      { length: 400 },
      (_, at) => `  s${at}: { image: i, environment: *vars, labels: { ${labels} } }`,
    );
    const { services } = await load(
      [
        'x-one: &vars { A: "first $${A}" }',
        "x-text: &text same",
        "services:",
        "  one: { image: i, environment: *vars }",
        "  two: { image: i, environment: &vars { A: second } }",
        ...many,
      ].join("\n"),
    );
    expect(services.one?.environment).toMatchObject({ A: "first ${A}" });
    for (const name of ["two", "s0", "s399"]) expect(services[name]?.environment).toMatchObject({ A: "second" });
    expect(services.s399?.labels).toMatchObject({ L0: "same", L19: "same" });
  });

  it("services that share anchors and merge keys are loaded, and profiles come from .env", async () => {
    const text = `
x-app: &app
  build: .
  environment: &env { RAILS_ENV: development, WORKERS: 2, DEBUG: true }
  tmpfs: [/tmp, '/app/tmp/pids:size=8m']
x-more: &more { stop_grace_period: 3s }
services:
  web: { <<: [*app, *more], command: bundle exec rails s -b 0.0.0.0, ports: ['3000:3000'] }
  worker: { <<: *app, command: [bundle, exec, sidekiq], environment: { <<: *env, WORKERS: '5' } }
  console: { <<: *app, profiles: [tools], command: sleep infinity }
`;
    const { services } = await load(text);
    expect(Object.keys(services)).toEqual(["web", "worker"]);
    expect(services.web?.stopGracePeriodMs).toBe(3000);
    expect({ ...services.worker?.environment }).toEqual({ RAILS_ENV: "development", WORKERS: "5", DEBUG: "true" });
    write(".env", "COMPOSE_PROFILES=other,tools\n");
    expect(Object.keys((await load(text)).services)).toEqual(["web", "worker", "console"]);
  });

  it("environment from several files is merged in the order that Compose defines", async () => {
    write(".env", "HOST=db\nTAG=15\nURL=postgres://$HOST/x\nPASSED=yes\n");
    write("common.env", "export A=common\nB=common\nC=\"${HOST}:5432\" # where\nLITERAL='${HOST}'\nFROM_ENV\nPASSED\n");
    write("local.env", "B=local\nD=local\n");
    write("raw.env", 'E="${HOST}"\n');
    const { services } = await load(`
services:
  db: { image: 'postgres:\${TAG}-alpine' }
  app:
    image: app
    env_file:
      - common.env
      - local.env
      - { path: raw.env, format: raw }
      - { path: missing.env, required: false }
    environment: { D: own, URL: , NOT_SET: , F: '\${MISSING-fallback}' }
`);
    expect(services.db?.image).toBe("postgres:15-alpine");
    expect({ ...services.app?.environment }).toEqual({
      A: "common",
      B: "local",
      C: "db:5432",
      LITERAL: "${HOST}",
      PASSED: "yes",
      D: "own",
      E: '"${HOST}"',
      URL: "postgres://db/x",
      F: "fallback",
    });
  });

  it("a file with a byte order mark, CRLF and YAML 1.1 values is loaded", async () => {
    const { services, uses } = await load(
      '\ufeffversion: "3.8"\r\nservices:\r\n  app:\r\n    image: app\r\n    ports: [22:22]\r\n    restart: no\r\n    environment: { YES: yes, OCTAL: 0755, EMPTY: "" }\r\n',
    );
    expect(services.app?.ports).toEqual([{ containerPort: 22, hostPort: 22, protocol: "tcp" }]);
    expect({ ...services.app?.environment }).toEqual({ YES: "yes", OCTAL: "493", EMPTY: "" });
    expect(uses).toEqual([{ attribute: "version" }]);
  });

  it("two documents are merged, and a chain of 5,000 merge keys is resolved", async () => {
    const { services } = await load("services: { a: { image: a } }\n---\nservices: { b: { image: b } }");
    expect(Object.keys(services)).toEqual(["a", "b"]);
    const chain = Array.from({ length: 5000 }, (_, at) => `x-${at + 1}: &a${at + 1} { <<: *a${at} }`).join("\n");
    const merged = await load(
      `x-0: &a0 { image: x }\n${chain}\nservices: { app: { <<: *a5000 }, b: { !!merge <<: *a0 } }`,
    );
    expect(merged.services.app?.image).toBe("x");
    expect(merged.services.b?.image).toBe("x");
  });

  it("the first of several compose files is used, and a note names the other", async () => {
    write("docker-compose.yml", "services: { old: { image: old } }");
    write(".env", "COMPOSE_PROJECT_NAME=other\n");
    const { name, services, notes } = await load("services: { app: { image: app } }");
    expect(name).toBe("other");
    expect(Object.keys(services)).toEqual(["app"]);
    expect(notes).toEqual(["docker-compose.yml is not used: compose.yaml comes first."]);
  });
});

describe("refused files", () => {
  const one = (fields: string) => `services:\n  app:\n    image: app\n    ${fields}\n`;
  it.each<[string, string, string, number, string]>([
    ["a misspelt key", one("enviroment: { A: b }"), "services.app.enviroment", 4, "Did you mean environment?"],
    ["a missing env file", one("env_file: .env.local"), "services.app.env_file", 4, "required: false"],
    ["a required variable", one('command: "${PORT:?give one}"'), "services.app.command", 4, "set the variable in .env"],
  ])("%s is refused with its path, line and a hint", async (_what, text, path, line, hint) => {
    const error = await refusal(text);
    expect(error.code).toBe("INVALID_STACK");
    const problems = error.details?.problems as Problem[];
    expect(problems).toContainEqual(expect.objectContaining({ path, line, hint: expect.stringContaining(hint) }));
    for (const problem of problems) expect(problem.hint.length).toBeGreaterThan(5);
    expect(error.message).toContain(`compose.yaml:${line}: ${path}: `);
  });

  it.each([
    ["more capabilities", "cap_add: [NET_ADMIN]", "cap_add[0]"],
    ["the host's network", "network_mode: host", "network_mode"],
    ["the engine's socket", "volumes: ['/var/run/docker.sock:/var/run/docker.sock']", "volumes[0]"],
    ["a folder of the machine", "volumes: ['/media/films:/data']", "volumes[0]"],
    ["a home folder", "volumes: ['~/data:/data']", "volumes[0]"],
    ["kernel parameters", "sysctls: { vm.max_map_count: 262144 }", 'sysctls."vm.max_map_count"'],
    ["another container runtime", "runtime: io.containerd.wasmedge.v1", "runtime"],
    ["root as its user", "user: root", "user"],
  ])("a service with %s is a POLICY_VIOLATION with its path and line", async (_what, fields, path) => {
    const error = await refusal(one(fields));
    expect(error.code).toBe("POLICY_VIOLATION");
    expect(error.message).toContain(`compose.yaml:4: services.app.${path}: `);
    expect(error.hint.length).toBeGreaterThan(10);
  });

  it("links that lead out of the project are refused without quoting the file", async () => {
    const outside = mkdtempSync(join(tmpdir(), "stackwarden-outside-"));
    try {
      writeFileSync(join(outside, "secret"), "root:s3cr3t: [x\nTOKEN=s3cr3t\n");
      symlinkSync(join(outside, "secret"), join(folder, "compose.yaml"));
      const linked = await refusal();
      expect(linked.message).toMatch(/compose\.yaml leads outside the project's folder/);
      rmSync(join(folder, "compose.yaml"));
      symlinkSync(join(outside, "secret"), join(folder, ".env"));
      const variables = await refusal("services: { app: { image: a } }");
      expect(variables.message).toContain("it leads outside the project's folder");
      rmSync(join(folder, ".env"));
      symlinkSync(join(outside, "secret"), join(folder, "app.env"));
      const file = await refusal("services: { app: { image: a, env_file: app.env } }");
      expect(file.code).toBe("POLICY_VIOLATION");
      expect(JSON.stringify([linked, variables, file].map((error) => error.report()))).not.toContain("s3cr3t");
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  it.each([
    ["a key twice", "services:\n  a: { image: a }\n  a: { image: b }", /compose\.yaml:3: the key "a" appears twice/],
    ["tabs", "services:\n\ta: { image: a }", /compose\.yaml:2: /],
    ["a list", "- services", /compose\.yaml:1: .*must be a mapping/],
    ["no content", "", /compose\.yaml/],
    ["no services", "services: {}", /compose\.yaml.*service/],
    ["an alias without an anchor", "services: { a: *nowhere }", /compose\.yaml:1: services\.a: \*nowhere refers/],
  ])("a file with %s is refused", async (_what, text, message) => {
    const error = await refusal(text);
    expect(error.code).toBe("INVALID_STACK");
    expect(error.message).toMatch(message);
  });

  it.each([
    [
      "an anchor that merges itself",
      "services: { app: &a { <<: *a, image: x } }",
      /:1: services\.app.*inside the node/,
    ],
    [
      "a list that contains itself",
      "x-a: &a [*a]\nservices: { app: { image: x, command: *a } }",
      /:1: .*inside the node/,
    ],
    [
      "keys that are equal once read",
      'services: { a: { image: a, labels: { 1: x, "1": y } } }',
      /the key "1" appears twice/,
    ],
    [
      "9,000 services that depend on one another",
      `services:\n${Array.from({ length: 9000 }, (_, at) => `  s${at}: { image: a, depends_on: [s${at + 1}] }`).join("\n")}`,
      /services: has 9000 services; 500 are possible/,
    ],
    ["300,000 nested lists", "[".repeat(300_000), /compose\.yaml:1: nests deeper than 100 levels/],
    [
      "50,000 nested mappings",
      `services:\n  a: ${"{ a: ".repeat(50_000)}`,
      /compose\.yaml:2: nests deeper than 100 levels/,
    ],
    [
      "a line of 200,000 list marks",
      `services:\n${"- ".repeat(200_000)}`,
      /compose\.yaml:2: nests deeper than 100 levels/,
    ],
    [
      "300,000 tags of one value",
      `a: ${"!a ".repeat(300_000)}x`,
      /compose\.yaml:1: has more than 10 tags and anchors before one value/,
    ],
    [
      "40,000 volumes",
      `services: { a: { image: a } }\nvolumes:\n${Array.from({ length: 40_000 }, (_, at) => `  v${at}: {}\n`).join("")}`,
      /compose\.yaml:3: volumes: has more than 10000 entries/,
    ],
    [
      "400,000 items in a list's mapping",
      `services:\n  "a b":\n    volumes:\n    - a\n    - x: [${"a,".repeat(400_000)}]`,
      /compose\.yaml:5: services\."a b"\.volumes\[1\]\.x: has more than 10000 entries/,
    ],
  ])("a file with %s is refused in bounded time", async (_what, text, message) => {
    const error = await refusal(text);
    expect(error.code).toBe("INVALID_STACK");
    expect(error.message).toMatch(message);
  });

  it("aliases that expand exponentially are refused in bounded time", async () => {
    const level = (at: number) =>
      `x-${at}: &a${at} { ${[..."abcdefghi"].map((key) => `${key}: *a${at - 1}`).join(", ")} }`;
    const bomb = ["x-0: &a0 { k: v }", ...Array.from({ length: 12 }, (_, at) => level(at + 1))].join("\n");
    for (const use of ["{ image: a, environment: *a12 }", "{ image: a, labels: { <<: *a12 } }", "*a12"])
      expect((await refusal(`${bomb}\nservices: { app: ${use} }\n`)).code).toBe("INVALID_STACK");
    const merged = Array.from(
      { length: 14 },
      (_, at) => `x-${at + 1}: &m${at + 1} { <<: [*m${at}, *m${at}, *m${at}] }`,
    );
    const merge = await refusal(
      `x-0: &m0 { image: a, oops: 1 }\n${merged.join("\n")}\nservices: { app: { <<: *m14 } }\n`,
    );
    expect(merge.code).toBe("INVALID_STACK");
  });
});
