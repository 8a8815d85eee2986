/** Responses of an engine that a real daemon does not give on demand. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import type Docker from "dockerode";
import { extract, pack } from "tar-stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StackwardenError } from "../../../../src/errors.js";
import { copySecretFiles } from "../../../../src/runtimes/docker/container/secret-files.js";
import { readFileOf, resolveUser, userIds } from "../../../../src/runtimes/docker/container/user-ids.js";
import { recordDependencies, recordedDependencies } from "../../../../src/runtimes/docker/dependencies/record.js";
import { installerSettings } from "../../../../src/runtimes/docker/dependencies/settings.js";
import { type Engine, readInfo } from "../../../../src/runtimes/docker/engine/engine.js";
import { isConnectionError, serviceError, unreachable } from "../../../../src/runtimes/docker/engine/errors.js";
import { inspectImage } from "../../../../src/runtimes/docker/image/image.js";
import { copyFiles } from "../../../../src/runtimes/docker/service/copy-files.js";
import { DockerService, type DockerServiceOptions } from "../../../../src/runtimes/docker/service/docker-service.js";
import { execInContainer } from "../../../../src/runtimes/docker/service/exec.js";
import { kernelLimits, kernelUser, parseCgroup } from "../../../../src/runtimes/docker/service/kernel-view.js";
import { podmanResources, updateContainer } from "../../../../src/runtimes/docker/service/limits.js";
import { networkNames, StackNetworks } from "../../../../src/runtimes/docker/stack/network.js";
import { removeVolumes } from "../../../../src/runtimes/docker/volumes/remove.js";
import type { ServiceExit } from "../../../../src/stack/runtime.js";
import { serviceDefinition } from "../../../support/service.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-docker-answers-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** An error as the client library throws it. */
const answered = (statusCode: number, message = "no"): Error =>
  Object.assign(new Error(`(HTTP code ${statusCode}) unexpected - ${message}`), { statusCode, json: { message } });
const broken = (code = "ECONNRESET"): Error => Object.assign(new Error(code), { code });
const fails = (error: Error) => async (): Promise<never> => {
  throw error;
};
const stub = (methods: Record<string, unknown>): Docker => methods as unknown as Docker;
const identity = { projectId: "shop", stateDir: "/state" };
const signal = new AbortController().signal;

const networkOptions = (docker: Docker, late: boolean) => ({
  docker,
  identity,
  host: "unix:///x",
  late,
  sameMachine: true,
  warn: () => undefined,
});

describe("errors of an engine", () => {
  it("a connection error is distinguished from an error response", () => {
    expect(isConnectionError(broken())).toBe(true);
    expect(isConnectionError(answered(500))).toBe(false);
    expect(isConnectionError("text")).toBe(false);
    expect(unreachable("unix:///x", broken("EACCES"))).toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      hint: expect.stringContaining("group `docker`"),
    });
    expect(unreachable("unix:///x", new Error("odd")).message).toContain("odd");
    const own = new StackwardenError("STOP_FAILED", "x");
    expect(serviceError(own, "app", "starting", "unix:///x")).toBe(own);
    expect(serviceError(broken(), "app", "starting", "unix:///x").code).toBe("RUNTIME_UNAVAILABLE");
    expect(serviceError(answered(500, "odd"), "app", "starting", "unix:///x")).toMatchObject({
      code: "SERVICE_START_FAILED",
      message: "app: starting failed: odd",
    });
  });

  it("a network that cannot be created is refused with the reason and can be created later", async () => {
    const answers: unknown[] = [
      answered(500, "could not find an available, non-overlapping IPv4 address pool"),
      broken(),
      answered(403, "forbidden"),
      answered(500, "unable to remove jump rule: (iptables failed: iptables --wait -D FORWARD)"),
      { inspect: async () => ({ Id: "n" }) },
    ];
    const docker = stub({
      createNetwork: async () => {
        const answer = answers.shift();
        if (answer instanceof Error) throw answer;
        return answer;
      },
    });
    const networks = new StackNetworks(networkOptions(docker, false));
    const service = serviceDefinition({ name: "app" });
    const of = () => networks.of(service, { networks: {} } as never);
    await expect(of()).rejects.toMatchObject({ hint: expect.stringContaining("docker network prune") });
    await expect(of()).rejects.toMatchObject({ message: expect.stringContaining("ECONNRESET") });
    await expect(of()).rejects.toMatchObject({ message: expect.stringContaining("forbidden") });
    expect(await of()).toMatchObject([{ id: "n", direct: false }]);
    expect(await of()).toHaveLength(1);
    expect(networkNames({ ...service, networkMode: "none" })).toEqual([]);
  });

  it("a network on Podman is directly reachable before its first container", async () => {
    const inspect = async () => ({ Id: "n", IPAM: { Config: [{ Gateway: "203.0.113.1/24" }, {}] } });
    const docker = stub({ createNetwork: async () => ({ inspect }) });
    const service = serviceDefinition({ name: "app" });
    const definition = { networks: { default: { internal: true, external: false } } } as never;
    for (const late of [true, false])
      expect(await new StackNetworks(networkOptions(docker, late)).of(service, definition)).toMatchObject([
        { direct: late },
      ]);
  });
});

describe("volumes", () => {
  const docker = (volumes: unknown, remove: () => Promise<unknown>): Docker =>
    stub({
      listContainers: async () => [],
      listNetworks: async () => [],
      listVolumes: async () => ({ Volumes: volumes }),
      getVolume: () => ({ remove }),
    });

  it("deletion ignores a missing volume and fails for a volume in use", async () => {
    await removeVolumes(docker(null, fails(answered(500))), identity, ["data"]);
    const two = [
      { Name: "a", Labels: null },
      { Name: "b", Labels: { "io.github.stackwarden.volume": "other" } },
    ];
    await removeVolumes(docker(two, fails(answered(404))), identity, ["data"]);
    await expect(removeVolumes(docker(two, fails(answered(409, "in use"))), identity, [])).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("in use"),
    });
  });

  it("recorded dependencies are read by service, and a damaged record has none", async () => {
    await recordDependencies(folder, "web", { volume: "v", created: "now" });
    expect(await recordedDependencies(folder, "web")).toEqual({ volume: "v", created: "now" });
    expect(await recordedDependencies(folder, "toString")).toBeNull();
    writeFileSync(join(folder, "docker-dependencies.json"), "not JSON");
    expect(await recordedDependencies(folder, "web")).toBeNull();
  });
});

describe("installerSettings", () => {
  it("installers get the operator's mirrors and copies of the named certificate files", async () => {
    const file = join(folder, "ca.pem");
    writeFileSync(file, "certificate");
    const settings = await installerSettings({
      PIP_INDEX_URL: "https://mirror.example/simple",
      PIP_EXTRA_INDEX_URL: "http://localhost:3141/simple",
      PIP_CERT: file,
      SSL_CERT_FILE: file,
      NODE_EXTRA_CA_CERTS: "/nowhere/at-all.pem",
      SSL_CERT_DIR: folder,
      SECRET_KEY: "is not passed",
    });
    expect(settings).toEqual({
      environment: {
        PIP_INDEX_URL: "https://mirror.example/simple",
        PIP_CERT: "/.stackwarden/settings/0",
        SSL_CERT_FILE: "/.stackwarden/settings/0",
      },
      files: [["/.stackwarden/settings/0", Buffer.from("certificate")]],
    });
  });
});

describe("files of a container", () => {
  const archived = (files: Record<string, string>): Docker =>
    stub({
      getContainer: () => ({
        getArchive: async ({ path }: { path: string }) => {
          const text = files[path];
          if (text === undefined) throw answered(404);
          if (text === "broken") throw answered(500);
          const archive = pack();
          archive.entry({ name: path }, text);
          archive.finalize();
          return archive;
        },
      }),
    });

  it("resolveUser and userIds read uid and gid from the passwd and group files", async () => {
    const passwd = "root:x:0:0::/:/bin/sh\napp:x:4321:4322::/:/bin/sh\nodd:x:a:b";
    const group = "app:x:4322:\nstaff:x:50:";
    expect(resolveUser("app", passwd, group)).toEqual({ uid: 4321, gid: 4322 });
    expect(resolveUser("app:staff", passwd, group)).toEqual({ uid: 4321, gid: 50 });
    expect(resolveUser("4321", passwd, group)).toEqual({ uid: 4321, gid: 4322 });
    expect(resolveUser("7:8", passwd, group)).toEqual({ uid: 7, gid: 8 });
    expect(resolveUser(":staff", passwd, group)).toEqual({ uid: 0, gid: 50 });
    expect(resolveUser("", passwd, group)).toEqual({ uid: 0, gid: 0 });
    for (const user of ["none", "app:none", "odd"]) expect(resolveUser(user, passwd, group)).toBeNull();
    const docker = archived({ "/etc/passwd": passwd });
    expect(await userIds(docker, "c", "sha256:answers", "app")).toEqual({ uid: 4321, gid: 4322 });
    expect(await userIds(archived({}), "c", "sha256:answers", "app")).toEqual({ uid: 4321, gid: 4322 });
    expect(await userIds(archived({}), "c", "sha256:other", "app")).toBeNull();
    const both = archived({ "/etc/passwd": passwd, "/etc/group": group });
    expect(await userIds(both, "c", "sha256:answers", "app:staff")).toEqual({ uid: 4321, gid: 50 });
    // The second file is not read for them.
    const broken = archived({ "/etc/passwd": passwd, "/etc/group": "broken" });
    expect(await userIds(broken, "c", "sha256:first", "app")).toEqual({ uid: 4321, gid: 4322 });
    await expect(userIds(broken, "c", "sha256:first", "app:staff")).rejects.toThrow("500");
    expect(await readFileOf(docker, "c", "/none")).toBeNull();
    await expect(readFileOf(archived({ "/x": "broken" }), "c", "/x")).rejects.toThrow("500");
  });

  it("secret files are copied into a container and refused where the container would hide them", async () => {
    const entries: Record<string, unknown> = {};
    const docker = stub({
      getContainer: () => ({
        putArchive: (archive: Readable) =>
          new Promise<void>((resolve, reject) => {
            const reader = extract();
            reader.on("entry", ({ name, mode, uid }, entry, next) => {
              entries[name] = [mode, uid];
              entry.once("end", next);
              entry.resume();
            });
            reader.once("finish", resolve);
            archive.once("error", reject).pipe(reader);
          }),
      }),
    });
    const files = [
      { target: "token", value: "a" },
      { target: "deep/er", value: Buffer.from("b") },
      { target: "/etc/app/key", value: "c" },
    ];
    const service = serviceDefinition({ name: "app" });
    await copySecretFiles(docker, "c", service, [], null);
    expect(entries).toEqual({});
    await copySecretFiles(docker, "c", service, files, { uid: 7, gid: 8 });
    expect(entries).toMatchObject({
      "run/secrets/": [0o755, 0],
      "run/secrets/token": [0o400, 7],
      "run/secrets/deep/er": [0o400, 7],
      "etc/app/key": [0o400, 7],
    });
    await copySecretFiles(docker, "c", service, files, null);
    expect(entries["run/secrets/token"]).toEqual([0o444, 0]);
    const tmpfs = { type: "tmpfs" as const, target: "/run" };
    for (const hidden of [{ readOnly: true }, { mounts: [tmpfs] }])
      await expect(
        copySecretFiles(docker, "c", serviceDefinition({ name: "app", ...hidden } as never), files, null),
      ).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });
});

describe("inspectImage", () => {
  it("an image without settings runs as root with default values", async () => {
    const docker = stub({ getImage: () => ({ inspect: async () => ({ Id: "sha256:a" }) }) });
    expect(await inspectImage({ docker }, "bare")).toMatchObject({
      id: "sha256:a",
      name: "bare",
      built: false,
      user: "",
      environment: {},
      workingDir: "/",
      volumes: [],
      healthcheck: null,
      stopSignal: null,
      entrypoint: [],
      command: [],
    });
    const Config = {
      Entrypoint: "run it",
      Env: ["A=b=c"],
      Volumes: { "/data": {} },
      StopSignal: "SIGINT",
      User: "app",
    };
    const other = stub({ getImage: () => ({ inspect: async () => ({ Id: "sha256:b", Config }) }) });
    expect(await inspectImage({ docker: other }, "own", { name: "n", built: true, signal })).toMatchObject({
      entrypoint: ["run it"],
      environment: { A: "b=c" },
      volumes: ["/data"],
      stopSignal: "SIGINT",
      built: true,
    });
  });
});

const info = readInfo({ NCPU: 2, MemTotal: 4096 * 1_048_576 });
const podman = readInfo({ NCPU: 2, MemTotal: 4096 * 1_048_576 }, { podman: true });

describe("updateContainer", () => {
  it("limits on Podman are set with its own API where the Docker API has no update", async () => {
    const dialled: Record<string, unknown>[] = [];
    const engine = (update: () => Promise<unknown>, fault: unknown = null, of = podman): Engine =>
      ({
        info: of,
        docker: {
          getContainer: () => ({ update }),
          modem: {
            dial: (options: Record<string, unknown>, callback: (error: unknown) => void) => {
              dialled.push(options);
              callback(fault);
            },
          },
        },
      }) as unknown as Engine;
    const limits = { cpus: 0.5, memory_mb: 64, pids: 9 };
    await updateContainer(
      engine(async () => ({})),
      "c",
      limits,
      null,
    );
    expect(dialled).toEqual([]);
    await updateContainer(engine(fails(answered(404))), "c", limits, null);
    expect(dialled[0]).toMatchObject({
      path: "/v4.0.0/libpod/containers/c/update",
      options: { memory: { limit: 64 << 20, swap: 64 << 20 }, cpu: { quota: 50_000 }, pids: { limit: 9 } },
    });
    await expect(
      updateContainer(engine(fails(answered(404)), answered(500, "odd")), "c", limits, null),
    ).rejects.toThrow("odd");
    await expect(updateContainer(engine(fails(answered(404)), null, info), "c", limits, null)).rejects.toThrow("404");
    await expect(updateContainer(engine(fails(answered(500))), "c", limits, null)).rejects.toThrow("500");
    expect(podmanResources({})).toMatchObject({ cpu: { quota: 0 } });
  });
});

describe("kernelLimits of this process", () => {
  it("kernelLimits reads this process's own cgroups, and a value near 2^63 is no limit", async () => {
    const lines = readFileSync("/proc/self/cgroup", "utf8");
    const put = (path: string, text: string): void => {
      mkdirSync(join(folder, path, ".."), { recursive: true });
      writeFileSync(join(folder, path), text);
    };
    const at = (controller: string): string => parseCgroup(lines, controller) ?? "/";
    const old = parseCgroup(lines, "memory") !== null;
    const write = (memory: string, quota: string, pids: string): void => {
      if (old) {
        put(`memory${at("memory")}/memory.limit_in_bytes`, memory);
        put(`cpu${at("cpu")}/cpu.cfs_quota_us`, quota);
        put(`cpu${at("cpu")}/cpu.cfs_period_us`, "100000");
        put(`pids${at("pids")}/pids.max`, pids);
      } else {
        put(`${at("")}/memory.max`, memory);
        put(`${at("")}/cpu.max`, `${quota === "-1" ? "max" : quota} 100000`);
        put(`${at("")}/pids.max`, pids);
      }
    };
    write("67108864", "50000", "20");
    expect(await kernelLimits(process.pid, "", folder)).toEqual({
      version: old ? 1 : 2,
      memoryBytes: 64 << 20,
      cpus: 0.5,
      pids: 20,
    });
    write(old ? "9223372036854771712" : "max", "-1", "max");
    expect(await kernelLimits(process.pid, "", folder)).toEqual({
      version: old ? 1 : 2,
      memoryBytes: null,
      cpus: null,
      pids: null,
    });
  });
});

describe("kernelLimits and kernelUser of a container", () => {
  const put = (path: string, text: string): void => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  const limits = () => kernelLimits(77, "abc", join(folder, "cgroup"), join(folder, "proc"));
  const user = () => kernelUser(77, "abc", join(folder, "proc"));

  it("limits are read from the unified or the v1 cgroup, and a missing file gives no limit", async () => {
    put("proc/77/cgroup", "0::/docker/abc\n");
    expect(await limits()).toBeNull();
    put("cgroup/docker/abc/memory.max", "67108864\n");
    expect(await limits()).toEqual({ version: 2, memoryBytes: 64 << 20, cpus: null, pids: null });
    put("cgroup/docker/abc/memory.max", "max\n");
    put("cgroup/docker/abc/cpu.max", "50000 100000\n");
    put("cgroup/docker/abc/pids.max", "20\n");
    expect(await limits()).toEqual({ version: 2, memoryBytes: null, cpus: 0.5, pids: 20 });
    put("cgroup/docker/abc/cpu.max", "25000\n");
    expect((await limits())?.cpus).toBe(0.25);
    put("proc/77/cgroup", "4:memory:/docker/abc\n");
    put("cgroup/memory/docker/abc/memory.limit_in_bytes", "67108864");
    expect(await limits()).toEqual({ version: 1, memoryBytes: 64 << 20, cpus: null, pids: null });
    put("proc/77/cgroup", "4:memory:/docker/abc\n3:cpu:/docker/abc\n");
    put("cgroup/cpu/docker/abc/cpu.cfs_quota_us", "20000");
    expect((await limits())?.cpus).toBe(0.2);
    put("proc/77/cgroup", "3:cpu:/docker/abc\n");
    expect(await limits()).toBeNull();
  });

  it("the uid is translated into the container's user namespace", async () => {
    put("proc/77/cgroup", "0::/docker/abc\n");
    expect(await user()).toBeNull();
    put("proc/77/status", "Name:\tx\nUid:\t101000\t101000\t101000\t101000\nNoNewPrivs:\t1\n");
    expect(await user()).toEqual({ uid: 101_000, noNewPrivileges: true });
    put("proc/77/uid_map", "         0          5          1\n         1     100001      65535\n");
    expect((await user())?.uid).toBe(1000);
    put("proc/77/uid_map", "         0          5          1\n");
    expect((await user())?.uid).toBe(101_000);
  });
});

describe("DockerService", () => {
  const ended: ServiceExit = { exitCode: 0, signal: null, oomKilled: false, at: 1 };
  const service = (container: Record<string, unknown>, exit: ServiceExit | null = null): DockerService =>
    new DockerService({
      generation: 1,
      startedAt: 1,
      pid: null,
      enginePid: 0,
      user: { uid: 1, name: "app", enforcement: { level: "enforced", reason: "x" } },
      notes: [],
      newVolumes: [],
      imageHealthcheck: null,
      engine: { info, address: { host: "unix:///x", source: "x" }, docker: stub({ getContainer: () => container }) },
      container: "c",
      instance: { exit, exited: Promise.resolve(ended) },
      stats: { sample: fails(new Error("no statistics")) },
      probing: { service: serviceDefinition({ name: "app" }) },
    } as unknown as DockerServiceOptions);

  it("an ended instance has no limits and no usage, with the reason", async () => {
    const gone = service({}, ended);
    for (const limits of [await gone.setLimits({ cpus: 1 }), await gone.readLimits()])
      expect(limits.cpus).toMatchObject({ value: null, enforcement: { reason: "the instance has ended" } });
    expect((await gone.stats()).reason).toBe("the instance has ended");
  });

  it("an instance that ends during a call is not an error, but another failure is", async () => {
    for (const status of [404, 409]) {
      const ending = service({ update: fails(answered(status)), unpause: fails(answered(status)) });
      expect((await ending.setLimits({ cpus: 1 })).cpus.value).toBeNull();
      await ending.resume();
    }
    const failing = service({
      update: fails(answered(400, "too small")),
      inspect: fails(answered(500, "odd")),
      pause: fails(answered(500, "unable to freeze")),
      unpause: fails(broken()),
    });
    await expect(failing.setLimits({ memory_mb: 1 })).rejects.toMatchObject({
      message: expect.stringContaining("too small"),
    });
    expect((await failing.readLimits()).cpus.enforcement.reason).toContain("odd");
    expect((await failing.stats()).reason).toBe("no statistics");
    await expect(failing.pause()).rejects.toThrow("unable to freeze");
    await expect(failing.resume()).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect((await service({ inspect: fails(answered(404)) }).readLimits()).cpus.enforcement.reason).toContain("ended");
  });

  it("a missing program is distinguished from a container that does not run", async () => {
    const target = (exec: () => Promise<unknown>) => ({
      docker: stub({ getContainer: () => ({ exec }) }),
      container: "c",
      service: "app",
      sameMachine: false,
      init: true,
    });
    const request = { command: ["tool"], signal, onOutput: () => undefined };
    for (const [error, code] of [
      [answered(404), "SERVICE_NOT_STARTED"],
      [answered(409), "SERVICE_NOT_STARTED"],
      [answered(500, 'OCI runtime exec failed: exec: "tool": executable file not found'), "COMMAND_NOT_FOUND"],
    ] as const)
      await expect(execInContainer(target(fails(error)), request)).rejects.toMatchObject({ code });
    await expect(execInContainer(target(fails(answered(500, "odd"))), request)).rejects.toThrow("odd");
    const aborted = { ...request, signal: AbortSignal.abort() };
    expect(await execInContainer(target(fails(answered(500))), aborted)).toMatchObject({ signal: "SIGKILL" });
    const outputs = (stream: PassThrough, inspect: () => Promise<unknown>) => async () => ({
      start: async () => stream,
      inspect,
    });
    const silent = new PassThrough();
    expect(await execInContainer(target(outputs(silent, fails(answered(500)))), request)).toMatchObject({
      exitCode: null,
    });
  });
});

it("copyFiles refuses more than 64 MiB at once and reports a missing file", async () => {
  const target = { docker: stub({}), container: "c", service: "app", sameMachine: false, init: true };
  const files = ["one", "two"].map((path) => {
    writeFileSync(join(folder, path), "");
    truncateSync(join(folder, path), 40 * 1_048_576);
    return { target: `/app/${path}`, source: { path, within: folder } };
  });
  await expect(copyFiles(target, files, null)).rejects.toMatchObject({
    code: "SERVICE_START_FAILED",
    message: "More than 67108864 bytes changed at once.",
  });
  expect(await copyFiles(target, [{ target: "/app/x", source: { path: "gone", within: folder } }], null)).toEqual([
    { target: "/app/x", reason: "gone" },
  ]);
});
