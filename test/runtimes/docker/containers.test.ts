/** Containers of the docker runtime on a separate Docker daemon. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pack } from "tar-stream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDockerRuntime } from "../../../src/runtimes/docker/docker-runtime.js";
import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import type { StackRuntime } from "../../../src/stack/runtime.js";
import { Commands } from "../../support/commands.js";
import { contents, dockerCli, startDaemon, type TestDaemon, whyNoDaemon } from "../../support/docker/daemon.mjs";
import { BUSYBOX } from "../../support/docker/images.mjs";
import { startRegistry } from "../../support/docker/registry.js";
import { Bench, type ContractTarget, freePort, RecordingSink, until, WAITS } from "../contract/bench.js";
import { type Given, once, shared } from "../contract/contract.js";
import { dependencyTests } from "./dependencies.js";
import { shellService } from "./shell-service.js";

const SERVER = 'require("node:http").createServer((q, r) => r.end("WORD")).listen(3000)';
const PYTHON = "python:3.11-slim";
const skip = whyNoDaemon();

describe.skipIf(skip !== null)(`containers of the docker runtime${skip === null ? "" : `: skipped, ${skip}`}`, () => {
  let daemon: TestDaemon;
  let runtime: StackRuntime;
  let target: ContractTarget;
  let bench: Bench;
  let home: string;
  const given: Given = Object.assign(() => bench, { target: () => target });
  /** Projects whose containers run during several tests. */
  const lasting = new Set<string>();

  beforeAll(async () => {
    daemon = await startDaemon({ bridge: true, shortFilter: true, firewall: false });
    home = mkdtempSync(join(tmpdir(), "stackwarden-docker-home-"));
    runtime = createDockerRuntime({
      settings: { host: daemon.host, retry: { maxRetries: 1, baseDelayMs: 20 } },
      env: { ...process.env, DOCKER_CONFIG: home },
      warn: () => {},
    });
    target = {
      runtime,
      images: { python: PYTHON, redis: "" },
      close: async () => {},
    };
  });
  afterAll(async () => {
    const left = daemon === undefined ? undefined : await contents(daemon.socket);
    await runtime?.close();
    await daemon?.close();
    if (home !== undefined) rmSync(home, { recursive: true, force: true });
    expect(left).toMatchObject({ containers: [], networks: [] });
  });
  beforeEach(() => {
    bench = new Bench(target);
  });
  afterEach(async () => {
    await bench.close();
    const { containers, networks } = await contents(daemon.socket);
    expect(containers.filter((name) => ![...lasting].some((project) => name.startsWith(project)))).toEqual([]);
    expect(networks).toEqual([]);
  });

  const shell = (script: string, fields?: Partial<ServiceDefinition>) =>
    shellService(bench, "busybox:latest", script, fields);
  /** Runs the service until it exits. @returns its output */
  const output = async (service: ServiceDefinition, ...more: Parameters<Bench["open"]>[1][]) => {
    const stack = await bench.open([service], ...more);
    const running = await bench.start(stack, service);
    await running.exited;
    return { text: bench.sink("app").all, running, stack };
  };

  it("a container runs without capabilities, with no-new-privileges, an init, seccomp and its limits", async () => {
    const service = shell("cat /proc/self/status; sleep 100");
    const { running, sink } = await bench.run(service, { limits: { cpus: 0.5, memory_mb: 64, pids: 50 } });
    await sink.shows("Seccomp:");
    for (const line of ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"])
      expect(sink.all).toContain(line);
    const [id = ""] = (await contents(daemon.socket)).containers;
    const { HostConfig, Config } = JSON.parse(dockerCli(daemon.socket, "inspect", id))[0];
    expect(HostConfig).toMatchObject({
      Privileged: false,
      Init: true,
      PidsLimit: 50,
      Memory: 64 << 20,
      MemorySwap: 64 << 20,
      NanoCpus: 500_000_000,
      RestartPolicy: { Name: "no" },
    });
    expect(Config.Labels).toMatchObject({
      "io.github.stackwarden.project": bench.projectId,
      "io.github.stackwarden.service": "app",
      "io.github.stackwarden.state-dir": bench.stateDir,
    });
    // A removed limit becomes the machine's size, which is not a limit of the service.
    const lifted = await running.setLimits({ pids: 20 });
    expect(lifted.pids.value).toBe(20);
    expect(lifted.memory_mb.value ?? 1e9).toBeGreaterThan(64);
    expect(lifted).toMatchObject({ cpus: { value: null }, memory_mb: { value: null } });
    await running.stop({ graceMs: 0 });
    expect((await running.setLimits({ cpus: 1 })).cpus.value).toBeNull();
  });

  it("a port in use names its container and Compose project, and a folder in use gets a warning", async () => {
    const [tcp, udp] = [await freePort(), await freePort()];
    const label = (name: string, value: string) => ["--label", `com.docker.compose.${name}=${value}`];
    const foreign = dockerCli(
      daemon.socket,
      ...["run", "--detach", "--name=shop-db-1", "--network=bridge", `--publish=127.0.0.1:${tcp}:80`],
      ...[...label("project", "shop"), ...label("project.working_dir", bench.folder)],
      ...["busybox:latest", "sleep", "1000"],
    ).trim();
    try {
      const port = (name: string, hostPort: number, protocol: "tcp" | "udp" = "tcp"): ServiceDefinition =>
        bench.python(name, WAITS, { ports: [{ containerPort: 80, hostPort, protocol }] });
      await expect(bench.open([port("web", tcp)])).rejects.toMatchObject({
        code: "PORT_IN_USE",
        message: `Host port in use: ${tcp} (web, held by the container shop-db-1 of the Docker Compose project shop).`,
        hint: expect.stringContaining("`docker compose -p shop stop`"),
        details: { ports: [{ port: tcp, owner: { container: "shop-db-1", compose_project: "shop" } }] },
      });
      const service = port("dns", udp, "udp");
      const stack = await bench.open([service]);
      expect(bench.notices).toContainEqual({
        type: "warning",
        message: expect.stringContaining("Docker Compose runs 1 container of this folder (project shop)"),
      });
      await bench.start(stack, service);
      const [id = ""] = (await contents(daemon.socket)).containers.filter((name) => name.includes("dns"));
      // Other programs group the containers of a stack by these labels.
      expect(JSON.parse(dockerCli(daemon.socket, "inspect", id))[0].Config.Labels).toMatchObject({
        "com.docker.compose.project": `stackwarden-${bench.projectId}`,
        "com.docker.compose.service": "dns",
      });
      await expect(bench.open([port("other", udp, "udp")])).rejects.toThrow(
        `${udp}/udp (other, held by service dns of the project ${bench.projectId})`,
      );
    } finally {
      dockerCli(daemon.socket, "rm", "--force", foreign);
    }
  });

  describe("the user of a container", () => {
    it("a service with a language image runs as the owner of its mounted folder", async () => {
      const source = join(bench.folder, "src");
      mkdirSync(source, { mode: 0o755 });
      chownSync(source, 2345, 2346);
      const mounts = [{ type: "bind" as const, source, target: "/src", readOnly: false }];
      const { user: _user, ...service } = bench.python("app", "open('/src/made', 'w').close()", {
        mounts,
        networkMode: "none",
      });
      const { running } = await output(service);
      expect(running.user.uid).toBe(2345);
      expect(running.notes[0]).toContain("2345:2346");
      expect(statSync(join(source, "made"))).toMatchObject({ uid: 2345, gid: 2346 });
    });

    it("a service never runs as root, by number or by name, unless the configuration allows it", async () => {
      for (const service of [shell("id", { user: "0" }), shell("id", { image: "root-by-name:1" })]) {
        const stack = await bench.open([service]);
        await expect(bench.start(stack, service)).rejects.toMatchObject({ code: "POLICY_VIOLATION" });
        await stack.close();
      }
      const { text } = await output(shell("id -u", { image: "root-by-name:1", allowRoot: true }));
      expect(text).toBe("0\n");
    });

    it("a user that the image lacks fails the start", async () => {
      const service = shell("id", { user: "nobody-knows" });
      const stack = await bench.open([service]);
      await expect(bench.start(stack, service)).rejects.toMatchObject({
        code: "SERVICE_START_FAILED",
        message: expect.stringContaining("no user nobody-knows"),
      });
    });
  });

  describe("user and volumes of a container", () => {
    const volume = (target: string, readOnly = false) => ({
      type: "volume" as const,
      source: "data",
      target,
      readOnly,
    });
    const volumes = { volumes: ["data"] };
    const NAMES = ["data", "outside", "bare"];

    /** What a service prints whose image would run as root, and in which every volume is new. */
    const first = shared(given, async (own) => {
      const script = [
        'echo "== user"; id -u; echo "$HOME"',
        'echo "== networks"; ls /sys/class/net',
        'echo "== filled"; cat /srv/data/sub/file; echo more > /srv/data/sub/own; stat -c %u /srv/data /srv/data/sub',
        'echo "== outside"; touch /new/file && stat -c %u /new/file',
        'echo "== empty"; ls /home/node; stat -c %u /home/node',
        'echo "== declared"; cat /extra/times 2>/dev/null; echo again >> /extra/times',
      ];
      const mounts = [
        volume("/srv/data"),
        { ...volume("/new/"), source: "outside" },
        { ...volume("/home/node"), source: "bare", noCopy: true as const },
      ];
      const service = shellService(own, "with-data:1", script.join("\n"), { mounts, readOnly: true });
      const stack = await own.open([service], { volumes: NAMES });
      const running = await own.start(stack, service);
      await running.exited;
      const [, ...texts] = own.sink("app").all.split(/^== (\w+)\n/m);
      const text = Object.fromEntries(texts.flatMap((name, at) => (at % 2 === 0 ? [[name, texts[at + 1]]] : [])));
      return { stack, running, text };
    });
    /** What a second service prints that has these volumes. */
    const second = once(async () => {
      const { bench: own, stack } = await first();
      const mounts = [{ ...volume("/new", true), source: "outside" }];
      const script = "cat /extra/times; touch /new/other || ls /new";
      await (await own.start(stack, shellService(own, "with-data:1", script, { mounts }))).exited;
      return own.sink("app");
    });

    it("a service runs as 1000 with HOME=/tmp when its image would run as root, with a note", async () => {
      const { text, running } = await first();
      expect(text.user).toBe("1000\n/tmp\n");
      expect(running.notes[0]).toContain("would run as root");
    });

    it("a service with network_mode none has only loopback", async () => {
      expect((await first()).text.networks).toBe("lo\n");
    });

    it("a new volume contains the image's files, which belong to the service's user", async () => {
      expect((await first()).text.filled).toBe("kept\n1000\n1000\n");
    });

    it("a new volume at a path outside of the image belongs to the service's user", async () => {
      expect((await first()).text.outside).toBe("1000\n");
      const sink = await second();
      expect(sink.text("stdout")).toMatch(/^file\n/m);
      expect(sink.text("stderr")).toContain("Read-only");
    });

    it("a volume with nocopy starts empty", async () => {
      expect((await first()).text.empty).toBe("1000\n");
    });

    it("a volume that the image declares keeps its data until volumes are removed", async () => {
      const { bench: own, stack, text } = await first();
      expect(text.declared).toBe("");
      expect((await second()).text("stdout")).toBe("again\nfile\n");
      await stack.close();
      expect((await contents(daemon.socket)).volumes.length).toBeGreaterThan(0);
      await runtime.removeVolumes(own.projectId, own.stateDir, []);
      const service = shellService(own, "with-data:1", "cat /extra/times 2>/dev/null; echo again >> /extra/times");
      const again = await own.open([service]);
      await (await own.start(again, service)).exited;
      expect(own.sink("app").all).toBe("");
      await again.close();
    });

    it("a volume in use by another program's container is not deleted", async () => {
      const { bench: own, stack } = await first();
      await second();
      await stack.close();
      const name = (await contents(daemon.socket)).volumes.find((one) => one.includes(`${own.projectId}_data`)) ?? "";
      dockerCli(daemon.socket, "create", "--name", "foreign", "-v", `${name}:/data`, "busybox:latest");
      const removing = () => runtime.removeVolumes(own.projectId, own.stateDir, NAMES);
      await expect(removing()).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      dockerCli(daemon.socket, "rm", "foreign");
      await removing();
      expect((await contents(daemon.socket)).volumes).not.toContain(name);
    });

    // Before, the engine refused the first two links: "invalid symlink".
    it("copies of volumes have a size limit, replace the data, and keep owners, modes, links, pipes and every name", async () => {
      const long = "n".repeat(150);
      const make = [
        "cd /data; echo one > file; ln file hard; mkfifo pipe; mkdir -m 750 folder; chmod 640 file; chmod 700 .",
        "ln -s /../../../etc absolute; ln -s ../../x relative; ln -s folder inside; ln -s ../hard folder/up",
        `mkdir ${long}; echo long > ${long}/${long}; ln ${long}/${long} ${long}/hard; ln -s /${long}/${long} to-long`,
        "echo bytes > $(printf 'caf\\351'); echo text > caf\u00e9",
      ];
      const look = [
        "cd /data; find . | sort; for link in absolute relative inside folder/up to-long; do readlink $link; done",
        "cat folder/up c* */*nnn; echo c* | od -c",
        "stat -c '%n %h %u %a %F' . file hard pipe folder n*/*",
      ].join("; ");
      const mounts = [volume("/data")];
      const first = await output(shell([...make, look].join("; "), { mounts }), volumes);
      expect(first.text).toContain("/../../../etc\n../../x\nfolder\n../hard\n");
      expect(first.text).toMatch(/^one\n/m);
      expect(first.text).toMatch(/^\. \d+ 1000 700 directory\nfile 2 1000 640 regular file\n/m);
      const signal = new AbortController().signal;
      const request = { projectId: bench.projectId, stateDir: bench.stateDir, volumes: ["data", "never"], signal };
      const [archive, damaged] = [join(bench.root, "archive"), join(bench.root, "damaged")];
      for (const folder of [archive, damaged]) mkdirSync(folder);
      await expect(runtime.copyVolumes({ ...request, maxBytes: 10 }, archive)).rejects.toMatchObject({
        code: "SNAPSHOT_TOO_LARGE",
      });
      const sizes = await runtime.copyVolumes({ ...request, maxBytes: 1 << 20 }, archive);
      expect(Object.keys(sizes)).toEqual(["data"]);
      const changed = shell("cd /data; echo two > file; touch more; rm -r folder", { mounts });
      await (await bench.start(first.stack, changed)).exited;
      await first.stack.close();
      await runtime.restoreVolumes(request, archive);
      // A damaged archive changes nothing.
      writeFileSync(join(damaged, "data.tar"), "no archive at all ".repeat(100));
      await expect(runtime.restoreVolumes(request, damaged)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      const second = await output(shell(look, { mounts }), volumes);
      expect(second.text).toBe(first.text);
      await second.stack.close();
      await runtime.removeVolumes(bench.projectId, bench.stateDir, ["data"]);
      await runtime.restoreVolumes(request, archive);
      const third = await output(shell(look, { mounts }), volumes);
      expect(third.text).toBe(first.text);
      await third.stack.close();
      // A link that an archive's later entry would pass through does not lead to the machine.
      const hostile = pack();
      hostile.entry({ name: "./", type: "directory" });
      hostile.entry({ name: "./link", type: "symlink", linkname: bench.root });
      hostile.entry({ name: "./link/written" }, "by the archive");
      hostile.finalize();
      await writeFile(join(archive, "data.tar"), hostile);
      await expect(runtime.restoreVolumes(request, archive)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      expect(existsSync(join(bench.root, "written"))).toBe(false);
    });
  });

  it("a tmpfs belongs to the service's user, also over a folder of root in the image", async () => {
    const mounts = [{ type: "tmpfs" as const, target: "/cache" }];
    const { text } = await output(shell("touch /cache/x && stat -c %u:%g /cache", { image: "root-folder:1", mounts }));
    expect(text).toBe("4321:4321\n");
    const numeric = shell("touch /cache/x && stat -c %u /cache", { image: "root-folder:1", mounts, user: "1234" });
    expect((await output(numeric)).text).toBe("1234\n");
  });

  describe("a read-only container with the user of its image, a secret and no limits", () => {
    const all = shared(given, async (own) => {
      const service = shellService(
        own,
        "own-user:1",
        "id -u; cat /run/secrets/token; stat -c '%u %a' /run/secrets/token; sleep 100",
        {
          secrets: [{ source: "token", target: "token" }],
          readOnly: true,
        },
      );
      lasting.add(own.projectId);
      const stack = await own.open([service], { secrets: { token: "s3cret-value\n" } });
      const running = await own.start(stack, service);
      await own.sink("app").shows("400");
      return { running, text: own.sink("app").all };
    });

    it("a service runs as the user of its image", async () => {
      const { text, running } = await all();
      expect(text).toMatch(/^4321\n/);
      expect(running.user).toMatchObject({ uid: 4321, name: "app" });
      expect(running.notes).toEqual([]);
      // The image has a health check. Timings of the compose file would replace the image's.
      expect(running.imageHealthcheck).toMatchObject({
        test: { kind: "cmd-shell", command: "true" },
        intervalMs: 1000,
        timeoutMs: 30_000,
        retries: 3,
      });
    });

    it("a limit is set on a container without limits, and the others stay unlimited", async () => {
      const changed = await (await all()).running.setLimits({ memory_mb: 96 });
      expect(changed).toMatchObject({ cpus: { value: null }, memory_mb: { value: 96 } });
    });

    it("files cannot be copied into a read-only container", async () => {
      const { bench: own, running } = await all();
      own.file("src/a b", "words");
      const source = { path: "src/a b", within: own.folder };
      await expect(running.copyFiles?.([{ source, target: "/home/node/a b" }])).rejects.toThrow("read-only");
    });

    it("secret files belong to the service's user and are deleted when the instance ends", async () => {
      const { bench: own, running, text } = await all();
      expect(text).toBe("4321\ns3cret-value\n4321 400\n");
      const id = (await contents(daemon.socket)).containers.find((name) => name.startsWith(own.projectId)) ?? "";
      const inspected = dockerCli(daemon.socket, "inspect", id);
      expect(inspected).not.toContain("s3cret-value");
      const source = /"Source": "([^"]*-secrets\/[^"]*)"/.exec(inspected)?.[1] ?? "";
      expect(source).not.toBe("");
      await running.stop({ graceMs: 0 });
      expect(existsSync(source)).toBe(false);
    });
  });

  describe("the image of a container", () => {
    const built = (dockerfile: string, fields: Partial<ServiceDefinition["build"]> = {}): ServiceDefinition => {
      bench.file("Dockerfile", dockerfile);
      const { image: _image, ...service } = shell("cat /built; id -u");
      return { ...service, build: { context: bench.folder, args: {}, ...fields } };
    };

    it("an image is built with arguments and target, again when its source changes, and for another service", async () => {
      bench.file(".env", "SECRET=1");
      const dockerfile = `FROM busybox:latest AS first
ARG SAYS
COPY . /src
RUN test ! -e /src/.env && echo "$SAYS" > /built
FROM first AS second
RUN echo second >> /built; cat /proc/sys/kernel/random/uuid >> /built
`;
      const command = ["sh", "-c", `# ${bench.mark}\ncat /built /src/source; id -u`];
      bench.file("source", "prepared\n");
      const service = { ...built(dockerfile, { args: { SAYS: "hello" }, target: "first" }), command };
      const worker: ServiceDefinition = { ...service, name: "worker", image: "shop/app", builtBy: service.name };
      const stack = await bench.open([service, worker]);
      const prepared = await stack.prepareService?.(bench.request(service));
      // A start uses the image of its preparation.
      bench.file("source", "changed\n");
      await (await stack.startService({ ...bench.request(service), prepared })).exited;
      expect(bench.sink("app").all).toContain("hello\nprepared\n1000\n");
      expect(bench.phases.some((phase) => phase.startsWith("building"))).toBe(true);
      const images = () => dockerCli(daemon.socket, "images", "--filter", "dangling=true", "-q").trim();
      const before = images();
      // The next one builds again.
      const again = { ...built(dockerfile, { args: { SAYS: "again" }, target: "second" }), command };
      await (await bench.start(stack, again)).exited;
      expect(bench.sink("app").all).toMatch(/again\nsecond\n[0-9a-f-]{36}\nchanged\n1000\n/);
      expect(images().split("\n").length).toBeLessThanOrEqual(before.split("\n").length + 2);
      const { build } = again;
      await (await bench.start(stack, { ...worker, ...(build === undefined ? {} : { build }) })).exited;
      expect(bench.sink("worker").text()).toMatch(/[0-9a-f-]{36}\n/);
      expect(bench.sink("worker").text()).toBe(bench.sink("app").text());
    });

    it("a failed build fails the start with the builder's last lines", async () => {
      const service = built("FROM busybox:latest\nRUN echo it broke; exit 7\n");
      const stack = await bench.open([service]);
      const error = await bench.start(stack, service).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "SERVICE_START_FAILED", details: { service: "app" } });
      expect(JSON.stringify((error as { details: unknown }).details)).toContain("it broke");
      const missing = built("FROM 127.0.0.1:1/no/such:1\n");
      await expect(bench.start(stack, missing)).rejects.toThrow("building its image failed");
      await expect(bench.start(stack, { ...missing, build: { context: "/nowhere", args: {} } })).rejects.toMatchObject({
        code: "INVALID_STACK",
      });
    });

    it("BuildKit builds a Dockerfile with mounts, using secrets, cache and registry credentials", async () => {
      const mount = "--mount=type=cache,target=/cache --mount=type=secret,id=token";
      const dockerfile = `FROM busybox:latest
RUN ${mount} sha256sum < /run/secrets/token > /built; printf '${bench.mark}'
COPY --chmod=640 Dockerfile /copied
RUN stat -c %a /copied >> /built
`;
      const service = built(dockerfile, {
        secrets: [{ source: "npm", target: "token" }],
        labels: { "app.label": "set" },
      });
      const secret = "0123456789abcdef".repeat(20);
      const stack = await bench.open([service], { secrets: { npm: secret } });
      await (await bench.start(stack, service)).exited;
      const digest = createHash("sha256").update(secret).digest("hex");
      expect(bench.sink("app").text("stdout")).toContain(`${digest}  -\n640\n1000\n`);
      expect(bench.phases).toContainEqual(expect.stringMatching(/^building: #\d+ \[.*2\/4\] RUN --mount/));
      expect(bench.sink("app").text("install")).toMatch(new RegExp(`#\\d+ ${bench.mark}\n#\\d+ DONE`));
      const image = dockerCli(
        daemon.socket,
        "images",
        "--format={{.Repository}}:{{.Tag}}",
        `stackwarden/${bench.projectId}-app`,
      ).trim();
      expect(dockerCli(daemon.socket, "history", "--no-trunc", image)).not.toContain(secret);
      expect(dockerCli(daemon.socket, "inspect", image)).toContain('"app.label": "set"');

      // Cached layers are used.
      await stack.prepareService?.(bench.request(service));
      expect(bench.sink("app").text("install")).toMatch(/#\d+ CACHED/);
      const broken = built(
        `FROM busybox:latest\nRUN ${mount},required echo begun\nRUN --mount=type=cache,target=/c exit 7\n`,
      );
      await expect(bench.start(stack, broken)).rejects.toMatchObject({
        code: "SERVICE_START_FAILED",
        message: expect.stringContaining("secret token"),
      });

      const registry = await startRegistry(BUSYBOX);
      try {
        registry.requirePassword("me", "letmein");
        const from = built(`FROM ${registry.image}\nCOPY --chmod=644 Dockerfile /built\n`);
        await expect(bench.start(stack, from)).rejects.toThrow("building its image failed");
        const auth = Buffer.from("me:letmein").toString("base64");
        writeFileSync(join(home, "config.json"), JSON.stringify({ auths: { [registry.host]: { auth } } }));
        await stack.prepareService?.(bench.request(from));
        expect(dockerCli(daemon.socket, "inspect", image)).toContain('"User": "1000"');
      } finally {
        rmSync(join(home, "config.json"), { force: true });
        await registry.close();
      }

      const controller = new AbortController();
      const slow = built(`FROM busybox:latest\nRUN --mount=type=cache,target=/c echo "# ${bench.mark}"; sleep 1000\n`);
      const start = bench.start(stack, slow, { signal: controller.signal });
      await bench.sink("app").shows(bench.mark, 20_000, "install");
      controller.abort(new Error("cancelled"));
      await expect(start).rejects.toThrow("cancelled");
    });

    it("changed files are copied into a running container and belong to the service's user", async () => {
      // Its user has the folder /home/node, and root the file "root" there.
      const service = { ...shell(""), command: ["sleep", "1000"] };
      const { running } = await bench.run(service);
      const copy = (path: string | null, target: string) => ({
        target,
        source: path === null ? null : { path, within: bench.folder },
      });
      bench.file("src/deep/script", "#!/bin/sh\necho new");
      chmodSync(join(bench.folder, "src/deep/script"), 0o755);
      bench.file("src/a b", "words");
      await running.copyFiles?.([
        copy("src/deep/script", "/home/node/deep/script"),
        copy("src/a b", "/home/node/a b"),
        copy("src/a b", "/home/node/root"),
        copy("gone", "/home/node/gone"),
        copy(null, "/home/node/removed"),
      ]);
      const look =
        "/home/node/deep/script; cat '/home/node/a b' /home/node/root; cd /home/node; ls; stat -c '%u:%g %a' deep deep/script root";
      let seen = "";
      await running.exec({
        command: ["sh", "-c", look],
        signal: new AbortController().signal,
        onOutput: (_stream, chunk) => {
          seen += chunk.toString();
        },
      });
      expect(seen).toBe("new\nwordswordsa b\ndeep\nroot\n1000:1000 755\n1000:1000 755\n1000:1000 644\n");
      await expect(running.copyFiles?.([copy(null, "/bin/busybox")])).rejects.toThrow(
        /could not be removed: .*busybox.*Permission denied/,
      );
      symlinkSync("/etc/passwd", join(bench.folder, "outside"));
      await expect(running.copyFiles?.([copy("outside", "/home/node/outside")])).rejects.toThrow("leads outside");
      await running.stop({ graceMs: 0 });
      await expect(running.copyFiles?.([copy("src/a b", "/home/node/a")])).rejects.toThrow(
        "app: copying files into it failed",
      );
    });

    it("an image is pulled once for two services, with credentials and retries", async () => {
      const registry = await startRegistry(BUSYBOX);
      try {
        registry.requirePassword("me", "my:password");
        const auth = Buffer.from("me:my:password").toString("base64");
        writeFileSync(join(home, "config.json"), JSON.stringify({ auths: { [registry.host]: { auth } } }));
        registry.busyFor(3);
        const services = ["one", "two"].map((name) => ({ ...shell("true", { image: registry.image }), name }));
        const stack = await bench.open(services);
        await Promise.all(services.map((service) => stack.prepareService?.(bench.request(service))));
        expect(registry.requests.filter((one) => one.startsWith("GET") && one.includes("/blobs/")).length).toBeLessThan(
          6,
        );
        expect(bench.notices.filter(({ type }) => type === "pulling")).toHaveLength(1);
        expect(bench.notices.some(({ type }) => type === "retrying")).toBe(true);
        expect(dockerCli(daemon.socket, "images", "-q", registry.image).trim()).not.toBe("");
      } finally {
        await registry.close();
      }
    });

    it("a missing image fails the start, and a busy registry is RUNTIME_UNAVAILABLE", async () => {
      const registry = await startRegistry(BUSYBOX);
      const start = async (image: string) => {
        const service = shell("true", { image });
        const stack = await bench.open([service]);
        try {
          return await bench.start(stack, service).catch((error: unknown) => error);
        } finally {
          await stack.close();
        }
      };
      try {
        const other = await start(`${registry.host}/team/other:1`);
        expect(other, String(other)).toMatchObject({
          code: "SERVICE_START_FAILED",
          hint: expect.stringContaining("docker login"),
        });
        registry.busyFor(1000);
        expect(await start(`${registry.host}/team/busy:1`)).toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
      } finally {
        await registry.close();
      }
      expect(await start("Not A Name")).toMatchObject({ code: "SERVICE_START_FAILED" });
      const { image: _image, ...nothing } = shell("true");
      const stack = await bench.open([nothing]);
      await expect(bench.start(stack, nothing)).rejects.toMatchObject({ code: "INVALID_STACK" });
    });
  });

  it("a service without a command is refused, and a container name in use is avoided", async () => {
    const { command: _none, ...bare } = shell("", { image: "localhost/stand-in:latest" });
    const stack = await bench.open([bare]);
    await expect(bench.start(stack, bare)).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      hint: "Add services.app.command.",
    });
    const name = `${bench.projectId}-app-9`;
    dockerCli(daemon.socket, "create", "--name", name, "busybox:latest");
    await (await bench.start(stack, shell("echo runs"), { generation: 9 })).exited;
    expect(bench.sink("app").all).toBe("runs\n");
    dockerCli(daemon.socket, "rm", name);
  });

  describe("one-off commands of a container", () => {
    const run = (
      stack: Awaited<ReturnType<Bench["open"]>>,
      service: ServiceDefinition,
      command: string[],
      signal?: AbortSignal,
    ) => {
      const sink = new RecordingSink();
      const request = bench.request(service, signal === undefined ? {} : { signal });
      const exec = { command, onOutput: (stream: "stdout" | "stderr", chunk: Buffer) => sink.write(stream, chunk) };
      return { sink, result: stack.runOneOff({ ...request, exec }) };
    };

    it("a one-off command is never root, ends with its container and is not run when cancelled", async () => {
      const service = shell("true");
      const stack = await bench.open([service]);
      const root = run(stack, shell("true", { image: "root-by-name:1" }), ["id"]);
      await expect(root.result).rejects.toMatchObject({ code: "POLICY_VIOLATION" });
      const removed = run(stack, service, ["sh", "-c", `# ${bench.mark}\necho up; sleep 1000`]);
      await removed.sink.shows("up");
      for (const one of (await contents(daemon.socket)).containers) dockerCli(daemon.socket, "rm", "-f", one);
      expect((await removed.result).exitCode).not.toBe(0);
      const late = run(stack, service, ["echo", "never"], AbortSignal.abort(new Error("cancelled by the test")));
      await late.result.then(
        ({ signal }) => expect(signal).toBe("SIGKILL"),
        (error: Error) => expect(error.message).toBe("cancelled by the test"),
      );
      expect(late.sink.all).toBe("");
    });
  });

  describe("networks of a container", () => {
    const resolver = (name: string, fields: Partial<ServiceDefinition>): ServiceDefinition => ({
      ...shell(`for n in alpha beta other db.local; do nslookup $n >/dev/null 2>&1 && echo "$n"; done; true`, fields),
      name,
    });
    const waiting = (name: string, fields: Partial<ServiceDefinition>): ServiceDefinition => ({
      ...shell("sleep 1000", fields),
      name,
    });
    const on = (...names: string[]) => ({ networks: Object.fromEntries(names.map((name) => [name, { aliases: [] }])) });

    it("a service resolves the names of services that share a network with it, and no others", async () => {
      const services = [
        waiting("alpha", { networks: { front: { aliases: ["db.local"] } } }),
        waiting("beta", { ...on("back", "inner"), containerName: "other" }),
        resolver("near", on("front")),
        resolver("both", on("back", "front")),
      ];
      const stack = await bench.open(services, { networks: { inner: { internal: true, external: false } } });
      const started = await Promise.all(services.map((service) => bench.start(stack, service)));
      await Promise.all(started.slice(2).map((one) => one.exited));
      expect(bench.sink("near").all).toBe("alpha\ndb.local\n");
      expect(bench.sink("both").all).toBe("alpha\nbeta\nother\ndb.local\n");
      // An internal network is created as internal.
      const [network = ""] = (await contents(daemon.socket)).networks.filter((name) => name.includes("_inner_"));
      const [seen] = JSON.parse(dockerCli(daemon.socket, "network", "inspect", network));
      expect(seen).toMatchObject({ Internal: true });
      expect(Object.keys(seen.Containers)).toHaveLength(1);
    });
  });

  dependencyTests(() => ({ bench, daemon }));

  describe("a project on the command line", () => {
    let state: string;
    const commands = new Commands();
    beforeAll(() => {
      state = mkdtempSync(join(tmpdir(), "stackwarden-docker-state-"));
    });
    afterAll(async () => {
      await run(state, "server", "stop", "--force");
      await commands.close();
      rmSync(state, { recursive: true, force: true });
    });

    const run = async (folder: string, ...words: string[]): Promise<{ code: number; text: string }> => {
      const env = {
        PATH: process.env.PATH ?? "",
        HOME: home,
        STACKWARDEN_STATE_DIR: state,
        STACKWARDEN_ROOTS: folder,
        STACKWARDEN_RUNTIME: "docker",
        STACKWARDEN_DOCKER_HOST: daemon.host,
      };
      const { code, stdout, stderr } = await commands.run(words, { cwd: folder, env });
      return { code, text: stdout + stderr };
    };

    it("up, health, exec and down work with an image's health check, live source, a port and an inactive profile", async () => {
      const folder = join(bench.folder, "live");
      const port = await freePort();
      bench.file("live/web/server.js", SERVER.replace("WORD", "first"));
      bench.file(
        "live/compose.yaml",
        `services:
  base: { image: own-user:1, command: sleep 1000, network_mode: none }
  web:
    image: node:20-alpine
    working_dir: /app
    command: node --watch server.js
    volumes: ["./web:/app"]
    ports: ["${port}:3000"]
    depends_on: { base: { condition: service_healthy } }
  tool:
    image: busybox
    profiles: [tools]
    volumes: ["own:/data"]
    networks: [own]
    configs: [text]
volumes: { own: {} }
networks: { own: {} }
configs: { text: { content: its-config } }
`,
      );
      const up = await run(folder, "up", "-d");
      expect(up.code, up.text).toBe(0);
      const answer = async () => (await fetch(`http://127.0.0.1:${port}`).catch(() => null))?.text() ?? "";
      await until("it answers", async () => (await answer()) === "first");
      bench.file("live/web/server.js", SERVER.replace("WORD", "second"));
      await until("the changed source runs", async () => (await answer()) === "second");
      const health = JSON.parse((await run(folder, "health", "--json")).text);
      expect(health.services.base).toMatchObject({ status: "healthy", check: "exec sh -c true" });
      // A service of an inactive profile has a volume, a config and a network that only it uses.
      const ran = await run(folder, "exec", "tool", "sh", "-c", "touch /data/x && ls /data && cat /text");
      expect(ran, ran.text).toMatchObject({ code: 0, text: expect.stringMatching(/x\n.*its-config/s) });
      await run(folder, "down");
    });

    it("up fails when a dependency with condition service_healthy has no health check", async () => {
      bench.file(
        "unchecked/compose.yaml",
        `services:
  base: { image: busybox, command: sleep 1000, network_mode: none }
  app: { image: busybox, command: sleep 1000, network_mode: none, depends_on: { base: { condition: service_healthy } } }
`,
      );
      const up = await run(join(bench.folder, "unchecked"), "up", "-d");
      expect(up.code).not.toBe(0);
      expect(up.text).toContain("nothing checks base");
    });
  });
});
