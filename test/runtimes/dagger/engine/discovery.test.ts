/** Discovery of the CLI and the engine, with stub programs on PATH and real sockets. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDaggerRuntime } from "../../../../src/runtimes/dagger/dagger-runtime.js";
import { cliFinding, engineFinding, findCli } from "../../../../src/runtimes/dagger/engine/discovery.js";
import { engineOf } from "../../../../src/runtimes/dagger/engine/engines.js";
import { ask } from "../../../../src/runtimes/dagger/engine/programs.js";
import { SETTINGS } from "../support/parts.js";

let folder: string;
let bin: string;
let env: NodeJS.ProcessEnv;
let servers: Server[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-discovery-"));
  bin = join(folder, "bin");
  mkdirSync(bin);
  // The stub programs need only a shell.
  env = { PATH: bin, STACKWARDEN_PROGRAM_DIRS: bin };
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  rmSync(folder, { recursive: true, force: true });
});

/** Creates a program that records its arguments, then runs `script`. */
function stub(name: string, script: string): string {
  const path = join(bin, name);
  writeFileSync(path, `#!/bin/sh\nprintf '%s\\n' "$*" >> ${folder}/${name}.calls\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}
const calls = (name: string): string[] =>
  readFileSync(join(folder, `${name}.calls`), "utf8")
    .trim()
    .split("\n");

const listening = (where: { path: string } | { host: string; port: number }): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    servers.push(server);
    server.listen(where, () => resolve(server));
  });

describe("ask", () => {
  it("a program's output is an answer, its failure is a refusal, and its timeout is silence", async () => {
    expect(await ask(stub("good", "echo ' yes '"), ["a"], env, 5000)).toEqual({ kind: "answer", text: "yes" });
    expect(await ask(stub("bad", "echo first >&2; echo last >&2; exit 3"), [], env, 5000)).toEqual({
      kind: "refusal",
      reason: "last",
    });
    expect(await ask(stub("mute", "exit 3"), [], env, 5000)).toEqual({ kind: "refusal", reason: "it ended with 3" });
    expect(await ask(stub("slow", "exec /bin/sleep 60"), [], env, 150)).toEqual({ kind: "silence" });
    expect((await ask("/nowhere/at-all", [], env, 5000)).kind).toBe("refusal");
  });
});

describe("the Dagger CLI", () => {
  it("findCli uses the program that the environment variable names, else the one on PATH", async () => {
    expect(await findCli(env)).toEqual({ missing: "The Dagger CLI was not found on PATH.", named: false, refused: "" });
    const found = stub("dagger", "echo dagger v0.21.8");
    expect(await findCli(env)).toEqual({ path: found });
    const other = stub("other", "echo dagger v0.21.8");
    expect(await findCli({ ...env, _EXPERIMENTAL_DAGGER_CLI_BIN: other })).toEqual({ path: other });
    const named = await findCli({ ...env, _EXPERIMENTAL_DAGGER_CLI_BIN: "/nowhere/dagger" });
    expect(named).toEqual({ missing: expect.stringContaining("/nowhere/dagger"), named: true, refused: "" });
  });

  it("cliFinding accepts version 0.21 or newer and a slow CLI, and names an untested version", async () => {
    const finding = async (script: string, deadlineMs = 5000) => {
      stub("dagger", script);
      return cliFinding(env, deadlineMs);
    };
    expect((await cliFinding(env)).finding).toMatchObject({ ok: false, fix: expect.stringContaining("0.21.8") });
    const same = await finding("echo 'dagger v0.21.8 (image://engine:v0.21.8) linux/amd64'");
    expect(same).toEqual({
      path: join(bin, "dagger"),
      finding: { check: "dagger CLI", ok: true, message: `Dagger CLI 0.21.8 (${join(bin, "dagger")})` },
    });
    expect(calls("dagger")).toEqual(["version"]);
    expect((await finding("echo dagger v0.22.1")).finding).toMatchObject({
      ok: true,
      message: expect.stringContaining("0.22.1; stackwarden is tested with 0.21.8"),
    });
    expect((await finding("echo dagger devel")).finding).toMatchObject({
      ok: true,
      message: expect.stringContaining("development build"),
    });
    expect(await finding("echo dagger v0.13.0")).toMatchObject({
      path: null,
      finding: { ok: false, message: expect.stringContaining("of version 0.21.0 or newer, got 0.13.0") },
    });
    expect(await finding("echo broken >&2; exit 1")).toMatchObject({
      path: null,
      finding: { ok: false, message: expect.stringContaining("broken") },
    });
    expect(await finding("exec /bin/sleep 60", 150)).toMatchObject({
      path: join(bin, "dagger"),
      finding: { ok: true },
    });
  });
});

describe("engineOf", () => {
  const settings = {
    engines: { big: "tcp://big:1", small: "tcp://small:1" },
    projects: { shop: { engine: "big" }, plain: {} },
  };

  it("the engine comes from the project, the configuration, the environment or the CLI, in this order", () => {
    const variable = { _EXPERIMENTAL_DAGGER_RUNNER_HOST: "unix:///engine.sock" };
    const configured = { ...settings, engine: "small" };
    expect(engineOf(configured, variable, "shop")).toMatchObject({ runnerHost: "tcp://big:1" });
    for (const project of ["plain", "unknown", "constructor", undefined])
      expect(engineOf(configured, variable, project)).toMatchObject({
        runnerHost: "tcp://small:1",
        source: "engines.small in the configuration",
      });
    expect(engineOf(settings, variable, "plain")).toEqual({
      runnerHost: "unix:///engine.sock",
      source: "_EXPERIMENTAL_DAGGER_RUNNER_HOST",
    });
    expect(engineOf(settings, { _EXPERIMENTAL_DAGGER_RUNNER_HOST: "" }).runnerHost).toBeNull();
  });

  it("an unknown engine name is refused with the configured names", () => {
    expect(() => engineOf({ ...settings, engine: "toString" }, {})).toThrow(
      expect.objectContaining({ code: "INVALID_INPUT", hint: expect.stringContaining("big, small") }),
    );
    expect(() => engineOf({ engines: {}, projects: { shop: { engine: "gone" } } }, {}, "shop")).toThrow(
      expect.objectContaining({ message: expect.stringContaining('project shop names the engine "gone"') }),
    );
  });
});

describe("engineFinding", () => {
  const found = (runnerHost: string | null, deadlineMs = 5000) =>
    engineFinding({ runnerHost, source: "the test" }, env, deadlineMs);

  it("an image address requires a container runtime that answers", async () => {
    expect(await found(null)).toMatchObject({
      ok: false,
      message: expect.stringMatching(/docker was not found.*podman was not found.*nerdctl was not found/),
      fix: expect.stringContaining("docker or podman or nerdctl"),
    });
    stub("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1");
    expect(await found(null)).toMatchObject({ ok: false, message: expect.stringContaining("Cannot connect") });
    stub("docker", "exec /bin/sleep 60");
    expect(await found(null, 150)).toMatchObject({ ok: false, message: expect.stringContaining("within 150 ms") });
    stub("podman", ":");
    expect(await found(null, 300)).toMatchObject({ ok: true, message: expect.stringContaining("podman answers") });
    expect(calls("podman")).toEqual(["ps -q"]);
    expect(await found("podman-image://engine:v0.21.8")).toMatchObject({ ok: true });
    expect(await found("nerdctl-image://engine:v0.21.8")).toMatchObject({ ok: false });
    expect(await found("image://engine:v0.21.8", 300)).toMatchObject({ ok: true });
  });

  it("a socket address requires a socket that accepts a connection", async () => {
    const path = join(folder, "engine.sock");
    expect(await found(`unix://${path}`)).toMatchObject({ ok: false, message: expect.stringContaining("ENOENT") });
    await listening({ path });
    expect(await found(`unix://${path}`)).toMatchObject({ ok: true, message: expect.stringContaining("(the test)") });
    const server = await listening({ host: "127.0.0.1", port: 0 });
    const { port } = server.address() as { port: number };
    expect(await found(`tcp://127.0.0.1:${port}`)).toMatchObject({ ok: true });
    await new Promise((resolve) => servers.pop()?.close(resolve));
    expect(await found(`tcp://127.0.0.1:${port}`)).toMatchObject({
      ok: false,
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it("a container address requires a running container, and its name is never read as an option", async () => {
    expect(await found("docker-container://engine")).toMatchObject({ ok: false, fix: "Install docker." });
    stub("docker", "echo true");
    expect(await found("docker-container://engine")).toMatchObject({ ok: true });
    expect(calls("docker")).toEqual(["inspect --format {{.State.Running}} -- engine"]);
    stub("docker", "echo false");
    expect(await found("docker-container://engine")).toMatchObject({
      ok: false,
      message: expect.stringContaining("stopped"),
    });
    stub("docker", "echo 'No such object: engine' >&2; exit 1");
    expect(await found("docker-container://engine")).toMatchObject({
      ok: false,
      message: expect.stringContaining("No such object"),
    });
    stub("podman", "exec /bin/sleep 60");
    expect(await found("podman-container://engine", 150)).toMatchObject({
      ok: false,
      message: expect.stringContaining("in time"),
    });
    stub("nerdctl", "echo true");
    expect(await found("container://engine", 300)).toMatchObject({
      ok: true,
      message: expect.stringContaining("nerdctl"),
    });
    stub("nerdctl", "exit 1");
    expect(await found("container://engine", 150)).toMatchObject({ ok: false });
  });

  it("a pod address requires a running pod, and a slow cluster is not reported as a failure", async () => {
    expect(await found("kube-pod://engine-0")).toMatchObject({ ok: false, fix: "Install kubectl." });
    stub("kubectl", "printf Running");
    expect(await found("kube-pod://engine-0?context=prod&namespace=dagger")).toMatchObject({ ok: true });
    expect(calls("kubectl")).toEqual([
      "get pod --context=prod --namespace=dagger -o jsonpath={.status.phase} -- engine-0",
    ]);
    stub("kubectl", "printf Pending");
    expect(await found("kube-pod://engine-0")).toMatchObject({
      ok: false,
      message: expect.stringContaining("Pending"),
    });
    stub("kubectl", ":");
    expect(await found("kube-pod://engine-0")).toMatchObject({
      ok: false,
      message: expect.stringContaining("unknown"),
    });
    stub("kubectl", "echo 'pods not found' >&2; exit 1");
    expect(await found("kube-pod://engine-0")).toMatchObject({
      ok: false,
      message: expect.stringContaining("not found"),
    });
    stub("kubectl", "exec /bin/sleep 60");
    expect(await found("kube-pod://engine-0", 150)).toMatchObject({
      ok: true,
      message: expect.stringContaining("a start shows"),
    });
  });

  it("an invalid address is refused with the valid forms, and an unknown form is left to the CLI", async () => {
    for (const wrong of [
      "engine",
      "",
      "tcp://host",
      "tcp://:1",
      "docker-container://",
      "docker-container://-it",
      "kube-pod://-A",
      "container://--rm",
    ])
      expect(await found(wrong), wrong).toMatchObject({ ok: false, fix: expect.stringContaining("kube-pod://") });
    expect(await found("ssh://somewhere")).toMatchObject({
      ok: true,
      message: expect.stringContaining("the first use shows"),
    });
  });
});

it("checks of a runtime that run at the same time start each query once", async () => {
  stub("docker", ":");
  stub("dagger", "echo 'dagger v0.21.8'");
  const runtime = createDaggerRuntime({ settings: SETTINGS, env, warn: () => undefined });
  const queries = ["ps -q", expect.stringMatching(/^ps --filter /)];
  const [one, two] = await Promise.all([runtime.check(), runtime.check("shop")]);
  expect(one.findings).toEqual(two.findings);
  expect(calls("docker").sort()).toEqual(queries.reverse());
  expect(calls("dagger")).toEqual(["version"]);
  await runtime.check();
  expect(calls("docker")).toHaveLength(4);
});
