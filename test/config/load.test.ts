import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { useClientRoots } from "../../src/config/client-roots.js";
import { loadConfig } from "../../src/config/load.js";
import { settingKeys } from "../../src/config/schema.js";
import { WORKING_DIRECTORY_RULES } from "../../src/config/working-directory.js";
import { rejection } from "../support/rejection.js";

let cwd: string;
let home: string;
let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "stackwarden-config-")));
  cwd = join(base, "work");
  home = join(base, "home");
  mkdirSync(cwd);
  mkdirSync(join(home, ".config", "stackwarden"), { recursive: true });
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const env = (more: Record<string, string> = {}): NodeJS.ProcessEnv => ({ HOME: home, ...more });
const local = (text: string) => writeFileSync(join(cwd, "stackwarden.yaml"), text);
const own = (text: string) => writeFileSync(join(home, ".config", "stackwarden", "stackwarden.yaml"), text);

describe("loadConfig: defaults", () => {
  it("every setting has its default without a file, variable or flag", async () => {
    const config = await loadConfig({ env: env({ XDG_STATE_HOME: "/x/state" }), cwd });
    expect(config).toMatchObject({
      runtime: "auto",
      roots: [cwd],
      readOnly: false,
      requireEnforcedLimits: false,
      allowRoot: [],
      allowBinds: [],
      restartBudget: 3,
      startTimeoutMs: 300_000,
      logLevel: "info",
      projects: {},
      retry: { maxRetries: 3, baseDelayMs: 1000 },
      logs: { ringBytes: 8 * 1024 * 1024, spoolBytes: 64 * 1024 * 1024 },
    });
    expect(config.stateDir).toBe(process.getuid?.() === 0 ? "/var/lib/stackwarden" : "/x/state/stackwarden");
  });
});

describe("loadConfig: user without a home folder", () => {
  it.runIf(process.getuid?.() === 0)(
    "a user without a home folder gets an error that asks for a state directory, and nothing else",
    () => {
      const program = `
      import { defaultStateDir, userConfigFile } from "./src/config/default-paths.ts";
      process.setgid(79_992); process.setuid(79_992);
      delete process.env.HOME;
      const result = (run) => { try { return run(); } catch (error) { return error.report(); } };
      console.log(JSON.stringify([
        result(() => userConfigFile({ env: {} })),
        result(() => userConfigFile({ env: { XDG_CONFIG_HOME: "/x" } })),
        result(() => defaultStateDir({ env: { XDG_STATE_HOME: "/x" } })),
        result(() => defaultStateDir({ env: {} })),
      ]));`;
      const { outputFiles } = buildSync({
        stdin: { contents: program, resolveDir: process.cwd(), loader: "ts" },
        bundle: true,
        write: false,
        format: "esm",
        platform: "node",
      });
      const code = outputFiles[0]?.text ?? "";
      const output = execFileSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
      const [file, given, state, refused] = JSON.parse(output);
      expect([file, given, state]).toEqual([null, "/x/stackwarden/stackwarden.yaml", "/x/stackwarden"]);
      expect(refused).toMatchObject({ code: "INVALID_INPUT", hint: expect.stringContaining("STACKWARDEN_STATE_DIR") });
    },
  );
});

describe("loadConfig: precedence", () => {
  it("a flag precedes a variable, the user's file, the working directory's file and the default", async () => {
    local("log_level: error\nretry: {max_retries: 2}\nruntime: dagger\n");
    expect(await loadConfig({ env: env(), cwd })).toMatchObject({ logLevel: "error", runtime: "dagger" });
    own("log_level: fatal\nstart_timeout_seconds: 10\nretry: {max_retries: 7, base_delay_ms: 5}\nruntime: local\n");
    expect(await loadConfig({ env: env(), cwd })).toMatchObject({
      logLevel: "fatal",
      runtime: "local",
      retry: { maxRetries: 2 },
    });
    const variables = env({ STACKWARDEN_LOG_LEVEL: "warn", STACKWARDEN_RETRY_MAX_RETRIES: "9" });
    const config = await loadConfig({ env: variables, cwd });
    expect(config.logLevel).toBe("warn");
    expect(config.retry).toEqual({ maxRetries: 9, baseDelayMs: 5 });
    expect(config.startTimeoutMs).toBe(10_000);
    expect(config.runtime).toBe("local");
    expect((await loadConfig({ env: variables, cwd, flags: { logLevel: "debug" } })).logLevel).toBe("debug");
  });

  it("--config names the only file that is read, and relative paths begin at its folder", async () => {
    own("log_level: fatal\n");
    local("log_level: error\n");
    mkdirSync(join(base, "etc", "app"), { recursive: true });
    writeFileSync(
      join(base, "etc", "s.yaml"),
      "state_dir: state\nroots: [app]\nallow_root: [db, shop/web]\nprojects: {shop: {folder: app}}\n",
    );
    const config = await loadConfig({ env: env(), cwd, flags: { config: "../etc/s.yaml" } });
    expect(config.logLevel).toBe("info");
    expect(config.stateDir).toBe(join(base, "etc", "state"));
    expect(config.roots).toEqual([join(base, "etc", "app")]);
    expect(config.allowRoot).toEqual(["db", "shop/web"]);
    expect(config.projects).toEqual({ shop: { folder: join(base, "etc", "app") } });
  });

  it("an empty variable counts as unset, and variables hold booleans, lists and paths", async () => {
    mkdirSync(join(base, "b"));
    const config = await loadConfig({
      env: env({
        STACKWARDEN_LOG_LEVEL: "",
        STACKWARDEN_READ_ONLY: "yes",
        STACKWARDEN_REQUIRE_ENFORCED_LIMITS: "0",
        STACKWARDEN_ALLOW_ROOT: "a, b/c,",
        STACKWARDEN_ROOTS: `${cwd}:${join(base, "b")}`,
      }),
      cwd,
    });
    expect(config).toMatchObject({ logLevel: "info", readOnly: true, requireEnforcedLimits: false });
    expect(config.allowRoot).toEqual(["a", "b/c"]);
    expect(config.roots).toEqual([cwd, join(base, "b")]);
  });

  it("roots are real paths, and --folder is the root without --root", async () => {
    mkdirSync(join(base, "real"));
    symlinkSync(join(base, "real"), join(base, "link"));
    expect((await loadConfig({ env: env(), cwd, flags: { folder: "../link" } })).roots).toEqual([join(base, "real")]);
    expect((await loadConfig({ env: env(), cwd, flags: { folder: "../link", root: [".."] } })).roots).toEqual([base]);
  });
});

describe("loadConfig: errors", () => {
  it.each([
    ["an invalid flag", { flags: { logLevel: "loud" } }, "--log-level: log_level"],
    ["a number flag with text", { flags: { startTimeout: "soon" } }, "--start-timeout: start_timeout_seconds"],
    ["a state directory with NUL", { flags: { stateDir: "a\u0000b" } }, "--state-dir: state_dir"],
    ["an invalid variable", { vars: { STACKWARDEN_READ_ONLY: "maybe" } }, "STACKWARDEN_READ_ONLY: read_only"],
    [
      "a nested variable out of range",
      { vars: { STACKWARDEN_LOGS_RING_MB: "-1" } },
      "STACKWARDEN_LOGS_RING_MB: logs.ring_mb",
    ],
    [
      "an invalid entry of a list",
      { vars: { STACKWARDEN_ALLOW_ROOT: "ok,--rm" } },
      "STACKWARDEN_ALLOW_ROOT: allow_root.1",
    ],
    [
      "an invalid line of the file",
      { file: "runtime: local\nretry:\n  max_retries: many\n" },
      "stackwarden.yaml:3: retry.max_retries",
    ],
    ["an unknown key", { file: "runtime: local\nstat_dir: /x\n" }, "stackwarden.yaml:2: stat_dir: is not a setting"],
    ["an unknown nested key", { file: "logs:\n  ring: 3\n" }, "stackwarden.yaml:2: logs.ring: is not a setting"],
    ["an invalid project id", { file: "projects:\n  A/b: {folder: .}\n" }, "stackwarden.yaml:2: projects.A/b"],
    ["broken YAML", { file: "a: [1\n" }, "stackwarden.yaml:2"],
    ["a key given twice", { file: "runtime: local\nruntime: local\n" }, "stackwarden.yaml:2"],
    [
      "a file of 200,000 nested lists",
      { file: `a: ${"[".repeat(200_000)}` },
      "stackwarden.yaml nests deeper than 100 levels",
    ],
    ["a file that is not a mapping", { file: "- a\n" }, "stackwarden.yaml:1: the file must be a mapping"],
    ["a prototype key", { file: "__proto__: {read_only: false}\n" }, "__proto__"],
  ])("the error for %s names its source", async (_name, given, expected) => {
    const { flags, vars, file } = given as { flags?: object; vars?: Record<string, string>; file?: string };
    if (file !== undefined) local(file);
    const error = await rejection(loadConfig({ env: env(vars), cwd, ...(flags ? { flags } : {}) }));
    expect(error.code).toBe("INVALID_INPUT");
    expect(error.message).toContain(expected);
    expect(error.hint).not.toBe("");
  });

  it("the error for a missing file or root names it", async () => {
    expect((await rejection(loadConfig({ env: env(), cwd, flags: { config: "no.yaml" } }))).message).toContain(
      "no.yaml",
    );
    const error = await rejection(loadConfig({ env: env({ STACKWARDEN_ROOTS: "/no/such" }), cwd }));
    expect(error.message).toContain("STACKWARDEN_ROOTS: the folder /no/such does not exist");
  });
});

it("an OAuth issuer requires an audience, and a scope must be one word", async () => {
  const issuer = { STACKWARDEN_OAUTH_ISSUER: "https://login.example" };
  const half = await rejection(loadConfig({ env: env(issuer), cwd }));
  expect(half).toMatchObject({ code: "INVALID_INPUT", message: expect.stringContaining("oauth.audience") });
  const audience = { STACKWARDEN_OAUTH_AUDIENCE: "https://stack.example/mcp" };
  expect((await loadConfig({ env: env({ ...issuer, ...audience }), cwd })).oauth).toEqual({
    issuer: "https://login.example",
    audience: "https://stack.example/mcp",
    readScope: "stackwarden:read",
    operateScope: "stackwarden:operate",
  });
  const scope = { STACKWARDEN_OAUTH_READ_SCOPE: "two words" };
  const bad = await rejection(loadConfig({ env: env({ ...issuer, ...audience, ...scope }), cwd }));
  expect(bad.message).toContain("STACKWARDEN_OAUTH_READ_SCOPE");
});

describe("loadConfig: default root", () => {
  it.each(["/", "/home", "/home/somebody", "/Users/somebody", "/root"])(
    "%s is never the default root",
    async (folder) => {
      const config = await loadConfig({ env: env(), cwd: folder });
      expect(config).toMatchObject({ roots: [], rootsByDefault: true });
    },
  );

  it("the home folder is a root only when it is named", async () => {
    expect((await loadConfig({ env: env(), cwd: home })).roots).toEqual([]);
    expect((await loadConfig({ env: env(), cwd: home, flags: { root: ["."] } })).roots).toEqual([home]);
    expect((await loadConfig({ env: env(), cwd: home, flags: { folder: "." } })).roots).toEqual([home]);
  });

  it("the client's root is the default when it is below the working directory, or that is no root", async () => {
    mkdirSync(join(cwd, "app"));
    mkdirSync(join(base, "other"));
    const uri = (folder: string) => `file://${folder}`;
    const offered = [
      uri(join(cwd, "app")),
      uri(join(base, "other")),
      uri("/"),
      uri(home),
      uri("/no/such"),
      "https://x/",
      "",
    ];
    const used = async (from: string, flags = {}) => {
      const config = await loadConfig({ env: env(), cwd: from, flags });
      useClientRoots(config, [...config.roots], offered, env());
      return config.roots;
    };
    expect(await used(cwd)).toEqual([join(cwd, "app")]);
    expect(await used(home)).toEqual([join(cwd, "app"), join(base, "other")]);
    expect(await used(join(base, "other"))).toEqual([join(base, "other")]);
    expect(await used(cwd, { root: ["."] })).toEqual([cwd]);
    const config = await loadConfig({ env: env(), cwd });
    useClientRoots(config, [cwd], [uri(base)], env());
    expect(config.roots).toEqual([cwd]);
  });
});

describe("loadConfig: idle_stop", () => {
  it.each([
    ["2h", 7_200_000],
    ["90m", 5_400_000],
    ["30", 30_000],
  ])("idle_stop %s is read as a duration", async (text, idleStopMs) => {
    own(`idle_stop: ${text}\n`);
    expect(await loadConfig({ env: env(), cwd })).toMatchObject({ idleStopMs });
    own("");
    expect(await loadConfig({ env: env({ STACKWARDEN_IDLE_STOP: text }), cwd })).toMatchObject({ idleStopMs });
  });

  it.each(["0", "-1", "soon", "500ms", "400d", "true", "[2h]"])("idle_stop %s is refused", async (text) => {
    own(`idle_stop: ${text}\n`);
    expect(await rejection(loadConfig({ env: env(), cwd }))).toMatchObject({
      code: "INVALID_INPUT",
      message: expect.stringContaining("idle_stop"),
    });
  });

  it("idle_stop is absent by default", async () => {
    expect(await loadConfig({ env: env(), cwd })).not.toHaveProperty("idleStopMs");
  });
});

describe("loadConfig: unknown variables", () => {
  it("an unknown STACKWARDEN_ variable has a warning that suggests the right name", async () => {
    const { warnings } = await loadConfig({
      env: env({
        STACKWARDEN_READONLY: "1",
        STACKWARDEN_ROOT: cwd,
        STACKWARDEN_SOMETHING_ELSE: "1",
        STACKWARDEN_LOG_LEVEL: "warn",
      }),
      cwd,
    });
    expect(warnings).toEqual([
      "The environment variable STACKWARDEN_READONLY is not a setting and has no effect. Did you mean STACKWARDEN_READ_ONLY?",
      "The environment variable STACKWARDEN_ROOT is not a setting and has no effect. Did you mean STACKWARDEN_ROOTS?",
      "The environment variable STACKWARDEN_SOMETHING_ELSE is not a setting and has no effect.",
    ]);
    expect((await loadConfig({ env: env({ STACKWARDEN_PROGRAM_DIRS: "/x" }), cwd })).warnings).toEqual([]);
  });
});

describe("loadConfig: stackwarden.yaml of the working directory", () => {
  it("every setting has a rule for the working directory's file", () => {
    expect(Object.keys(WORKING_DIRECTORY_RULES).sort()).toEqual(settingKeys().sort());
  });

  it.each([
    ["restart_budget: 4", "restart_budget: 2", { restartBudget: 2 }],
    ["start_timeout_seconds: 301", "start_timeout_seconds: 20", { startTimeoutMs: 20_000 }],
    ["server_idle_seconds: 601", "server_idle_seconds: 5", { serverIdleMs: 5000 }],
    ["retry: {max_retries: 4}", "retry: {max_retries: 0}", { retry: { maxRetries: 0 } }],
    ["retry: {base_delay_ms: 1}", "retry: {base_delay_ms: 2000}", { retry: { baseDelayMs: 2000 } }],
    ["commands: any", "commands: off", { commands: "off" }, "commands: declared"],
    ["logs: {ring_mb: 9}", "logs: {ring_mb: 1}", { logs: { ringBytes: 1_048_576 } }],
    ["logs: {spool_mb: 65}", "logs: {spool_mb: 1}", { logs: { spoolBytes: 1_048_576 } }],
  ])("the working directory's file cannot widen a setting (%s), and can narrow it", async (...row) => {
    const [wider, narrower, expected, operator = ""] = row as [string, string, object, string?];
    own(operator);
    local(wider);
    expect((await rejection(loadConfig({ env: env(), cwd }))).code).toBe("POLICY_VIOLATION");
    // The operator's own file allows the wider value.
    own(wider);
    await expect(loadConfig({ env: env(), cwd })).resolves.toBeDefined();
    local(narrower);
    expect(await loadConfig({ env: env(), cwd })).toMatchObject(expected);
  });

  it("the working directory's file cannot replace the operator's runtime, roots or projects", async () => {
    mkdirSync(join(cwd, "app"));
    mkdirSync(join(base, "mine"));
    own(`runtime: local\nroots: [${join(base, "mine")}]\n`);
    local("roots: [app]\n");
    expect(await rejection(loadConfig({ env: env(), cwd }))).toMatchObject({
      code: "POLICY_VIOLATION",
      message: expect.stringContaining("not below a root of the operator's configuration"),
    });
    local("runtime: dagger\n");
    expect(await loadConfig({ env: env(), cwd })).toMatchObject({ runtime: "local", roots: [join(base, "mine")] });
    own("");
    local("projects: {x: {folder: ../mine}}\n");
    for (const flags of [{}, { root: ["app"] }])
      expect(await rejection(loadConfig({ env: env(), cwd, flags }))).toMatchObject({
        code: "POLICY_VIOLATION",
        message: expect.stringContaining("stackwarden.yaml:1: projects.x.folder leads out of the allowed roots"),
      });
    local("projects: {x: {folder: app}}\n");
    expect((await loadConfig({ env: env(), cwd })).projects).toEqual({
      x: { folder: join(cwd, "app"), suggested: true },
    });
    own(`projects: {x: {folder: ${join(base, "mine")}}}\n`);
    expect((await loadConfig({ env: env(), cwd })).projects).toEqual({ x: { folder: join(base, "mine") } });
  });

  it.each([
    "allow_root: [db]",
    "allow_binds: [/srv]",
    "state_dir: /tmp/x",
    "restart_budget: 900",
    "oauth: {issuer: https://login.example, audience: https://stack.example/mcp}",
    "read_only: false",
    "require_enforced_limits: false",
    "roots: [..]",
    "roots: [/]",
  ])("the working directory's file cannot set %s, and a file of the operator can", async (line) => {
    local(`runtime: local\n${line}\n`);
    const error = await rejection(loadConfig({ env: env(), cwd }));
    expect(error.code).toBe("POLICY_VIOLATION");
    expect(error.message).toContain("stackwarden.yaml:2");
    writeFileSync(join(base, "mine.yaml"), `${line}\n`);
    await expect(loadConfig({ env: env(), cwd, flags: { config: "../mine.yaml" } })).resolves.toBeDefined();
  });

  it("the working directory's file cannot name a root through a symbolic link", async () => {
    symlinkSync("/", join(cwd, "all"));
    local("roots: [all]\n");
    expect((await rejection(loadConfig({ env: env(), cwd }))).code).toBe("POLICY_VIOLATION");
  });

  it("the working directory's file can make settings stricter", async () => {
    mkdirSync(join(cwd, "app"));
    local("read_only: true\nrequire_enforced_limits: true\nroots: [app]\n");
    const config = await loadConfig({ env: env(), cwd });
    expect(config).toMatchObject({ readOnly: true, requireEnforcedLimits: true, roots: [join(cwd, "app")] });
  });
});

describe("loadConfig: engines", () => {
  it("the user's file names engines, and the default or a project refers to one", async () => {
    own(
      "engines: {big: 'tcp://10.0.0.5:8080', cluster: 'kube-pod://engine-0?namespace=dagger'}\nengine: big\n" +
        "projects: {shop: {folder: shop, engine: cluster}}\ngateway_image: node:22-alpine\n",
    );
    const config = await loadConfig({ env: env(), cwd });
    expect(config.dagger).toEqual({
      engines: { big: "tcp://10.0.0.5:8080", cluster: "kube-pod://engine-0?namespace=dagger" },
      cliDownload: true,
      cliSource: "https://dl.dagger.io/dagger/releases",
      engine: "big",
      gatewayImage: "node:22-alpine",
      tunnel: false,
    });
    expect(config.projects.shop?.engine).toBe("cluster");
    const other = await loadConfig({ env: env({ STACKWARDEN_ENGINE: "cluster" }), cwd });
    expect(other.dagger.engine).toBe("cluster");
  });

  it("an unknown engine, an invalid address and an invalid image are refused with their line", async () => {
    const cases: [string, RegExp][] = [
      ["engine: gone\n", /stackwarden\.yaml:1: engine: no engine is named gone/],
      ["projects: {shop: {folder: shop, engine: gone}}\n", /projects\.shop\.engine: no engine is named gone/],
      ["engines: {big: '10.0.0.5:8080'}\n", /engines\.big/],
      ["engines: {'--rm': 'tcp://a:1'}\n", /engines/],
      ["gateway_image: --privileged\n", /gateway_image/],
      ["gateway_image: node@sha256:abc\n", /gateway_image: must be an image's name.*64 hexadecimal digits/],
      ["dagger_tunnel: maybe\n", /dagger_tunnel/],
      ["dagger_cli_source: http://mirror.example/dagger\n", /dagger_cli_source/],
      ["dagger_cli_source: https://me:word@mirror.example/dagger\n", /dagger_cli_source/],
    ];
    for (const [text, message] of cases) {
      own(text);
      const error = await rejection(loadConfig({ env: env(), cwd }));
      expect(error.code, text).toBe("INVALID_INPUT");
      expect(error.message, text).toMatch(message);
    }
  });

  it("the gateway's image can be pinned by a digest", async () => {
    const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
    for (const image of [`node@${digest}`, `registry.example:5000/team/node:20-alpine@${digest}`]) {
      own(`gateway_image: ${image}\n`);
      expect((await loadConfig({ env: env(), cwd })).dagger.gatewayImage).toBe(image);
      const given = await loadConfig({ env: env({ STACKWARDEN_GATEWAY_IMAGE: image }), cwd });
      expect(given.dagger.gatewayImage).toBe(image);
    }
  });

  it("only the operator enables dagger_tunnel, and the working directory's file can disable it", async () => {
    const tunnel = async (more: Record<string, string> = {}) =>
      (await loadConfig({ env: env(more), cwd })).dagger.tunnel;
    expect(await tunnel()).toBe(false);
    expect(await tunnel({ STACKWARDEN_DAGGER_TUNNEL: "on" })).toBe(true);
    own("dagger_tunnel: true\n");
    expect(await tunnel()).toBe(true);
    local("dagger_tunnel: false\n");
    expect(await tunnel()).toBe(false);
    own("");
    local("dagger_tunnel: true\n");
    expect(await rejection(loadConfig({ env: env(), cwd }))).toMatchObject({
      code: "POLICY_VIOLATION",
      message: expect.stringMatching(/stackwarden\.yaml:1: dagger_tunnel can only be switched off here/),
    });
  });

  it("dagger_cli_source is the operator's, and the working directory's file can only forbid downloads", async () => {
    own("dagger_cli_source: https://mirror.example/dagger\n");
    expect((await loadConfig({ env: env(), cwd })).dagger).toMatchObject({
      cliDownload: true,
      cliSource: "https://mirror.example/dagger",
    });
    local("dagger_cli_download: false\n");
    expect((await loadConfig({ env: env(), cwd })).dagger.cliDownload).toBe(false);
    own("dagger_cli_download: false\n");
    for (const text of ["dagger_cli_download: true\n", "dagger_cli_source: https://other.example\n"]) {
      local(text);
      await expect(loadConfig({ env: env(), cwd })).rejects.toMatchObject({ code: "POLICY_VIOLATION" });
    }
  });

  it("the working directory's file can choose a configured engine and cannot add one", async () => {
    own("engines: {big: 'tcp://10.0.0.5:8080'}\n");
    local("engine: big\n");
    expect((await loadConfig({ env: env(), cwd })).dagger.engine).toBe("big");
    for (const text of ["engines: {mine: 'tcp://evil:1'}\n", "gateway_image: evil/image\n"]) {
      local(text);
      expect((await rejection(loadConfig({ env: env(), cwd }))).code).toBe("POLICY_VIOLATION");
    }
  });
});
