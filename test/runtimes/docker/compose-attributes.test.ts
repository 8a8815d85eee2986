/**
 * Attributes of a compose file in containers of the docker runtime: binds, hooks, inline Dockerfiles, pull policies.
 */
import { createSocket } from "node:dgram";
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDockerRuntime } from "../../../src/runtimes/docker/docker-runtime.js";
import { forRuntime } from "../../../src/stack/definition/for-runtime.js";
import type { ServiceDefinition } from "../../../src/stack/definition/types.js";
import type { StackRuntime } from "../../../src/stack/runtime.js";
import { contents, dockerCli, startDaemon, type TestDaemon, whyNoDaemon } from "../../support/docker/daemon.mjs";
import { engineCall } from "../../support/docker/engine-call.mjs";
import { BUSYBOX } from "../../support/docker/images.mjs";
import { startRegistry } from "../../support/docker/registry.js";
import { Bench, freePort, WEB_PORT } from "../contract/bench.js";
import { shellService } from "./shell-service.js";

const skip = whyNoDaemon();

describe.skipIf(skip !== null)(`compose attributes on docker${skip === null ? "" : `: skipped, ${skip}`}`, () => {
  let daemon: TestDaemon;
  let runtime: StackRuntime;
  let bench: Bench;
  let home: string;

  beforeAll(async () => {
    // BuildKit, the default builder of Docker Engine 23 and later, builds in the default network.
    daemon = await startDaemon({ bridge: true, shortFilter: true, firewall: false });
    home = mkdtempSync(join(tmpdir(), "stackwarden-docker-home-"));
    runtime = createDockerRuntime({
      settings: { host: daemon.host, retry: { maxRetries: 1, baseDelayMs: 20 } },
      env: { ...process.env, DOCKER_CONFIG: home },
      warn: () => {},
    });
  });
  afterAll(async () => {
    await runtime?.close();
    await daemon?.close();
    if (home !== undefined) rmSync(home, { recursive: true, force: true });
  });
  beforeEach(() => {
    bench = new Bench({
      runtime,
      images: { python: "python:3.11-slim", redis: "" },
    });
  });
  afterEach(async () => {
    await bench.close();
    expect((await contents(daemon.socket)).containers).toEqual([]);
  });

  const shell = (script: string, fields?: Partial<ServiceDefinition>) =>
    shellService(bench, "own-user:1", script, fields);
  const bind = (source: string, more: { createHostPath?: false; outside?: true } = {}) => ({
    type: "bind" as const,
    source,
    target: "/bound",
    readOnly: false,
    ...more,
  });

  it("a missing bind source is created for the service's user, and files have the owner and mode of the compose file", async () => {
    chownSync(bench.folder, 2345, 2346);
    const source = join(bench.folder, "var", "data");
    const files = "stat -c '%n %u:%g %a' /run/secrets/* /etc/made.conf; cat /run/secrets/plain";
    const service = shell(`${files}; echo kept >> /bound/file; cat /bound/file; sleep 100`, {
      mounts: [bind(source)],
      secrets: [
        { source: "s", target: "plain" },
        { source: "s", target: "named", uid: 103, gid: 104, mode: 0o440 },
      ],
      configs: [{ source: "c", target: "/etc/made.conf", mode: 0o444 }],
    });
    const stack = await bench.open([service], { secrets: { s: "value\n" }, configs: { c: Buffer.from("text") } });
    const running = await bench.start(stack, service);
    const sink = bench.sink("app");
    await sink.shows("kept");
    expect(sink.all).toBe(
      "/run/secrets/named 103:104 440\n/run/secrets/plain 4321:4321 400\n/etc/made.conf 4321:4321 444\nvalue\nkept\n",
    );
    expect(statSync(source)).toMatchObject({ uid: 4321, gid: 4321 });
    expect(statSync(join(bench.folder, "var"))).toMatchObject({ uid: 2345, gid: 2346 });
    expect(running.notes).toContainEqual(expect.stringMatching(/^var\/data did not exist and was created/));
    await running.stop({ graceMs: 0 });
    const again = await bench.start(stack, service);
    await bench.sink("app").shows("kept\nkept");
    expect(again.notes.join()).not.toContain("did not exist");
  });

  it("a missing bind source that must not be created or is outside of the project fails the start", async () => {
    const source = join(bench.folder, "missing");
    for (const mount of [bind(source, { createHostPath: false }), bind(source, { outside: true })]) {
      const service = shell("true", { mounts: [mount] });
      const stack = await bench.open([service]);
      await expect(bench.start(stack, service)).rejects.toMatchObject({
        code: "SERVICE_START_FAILED",
        message: `app: nothing exists at ${source}, which it binds.`,
      });
      await stack.close();
      expect(existsSync(source)).toBe(false);
    }
  });

  it("a data folder that the service cannot write fails the start", async () => {
    mkdirSync(join(bench.folder, "data"), { mode: 0o755 });
    const mounts = [bind(join(bench.folder, "data"))];
    const data = shell("true", { image: "data:1", mounts });
    const stack = await bench.open([data]);
    await expect(bench.start(stack, data)).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: "app: data belongs to 0:0: the service runs as 4321:4321 and cannot write to /bound.",
      hint: expect.stringMatching(/chown 4321:4321.*allow_root: \[app\]/),
    });
    await stack.close();
  });

  it("a service runs as 1000 when its image lacks the usual user of images with its name", async () => {
    const service = shell("id -u; touch /var/lib/data/x && echo written", { image: "acme/rabbitmq:1" });
    const { running, sink } = await bench.run(service);
    await running.exited;
    expect(sink.all).toBe("1000\nwritten\n");
    expect(running.notes[0]).toContain("it runs as 1000:1000");
  });

  it("hooks run as the service's user or their own, and a bound folder that it cannot write gets a note", async () => {
    mkdirSync(join(bench.folder, "data"), { mode: 0o755 });
    const service = shell("trap 'cat /tmp/stopping; exit' TERM; while :; do sleep 0.05; done", {
      mounts: [bind(join(bench.folder, "data"))],
      postStart: [
        {
          command: ["sh", "-c", 'echo "begun by $(id -u) in $PWD with $WORD"'],
          environment: { WORD: "w" },
          workingDir: "/tmp",
        },
        { command: ["sh", "-c", "id -u"], environment: {}, user: "1234" },
      ],
      preStop: [
        { command: ["sh", "-c", "echo stopping > /tmp/stopping"], environment: {} },
        { command: ["sh", "-c", "exit 3"], environment: {} },
      ],
    });
    const { running, sink } = await bench.run(service);
    expect(running.notes).toContainEqual(
      expect.stringMatching(/^data belongs to 0:0: .*cannot write to \/bound\. To let/),
    );
    await sink.shows("begun by 4321 in /tmp with w\n1234\n");
    await running.stop({ graceMs: 20_000 });
    expect(sink.all).toContain("stopping");
    expect(sink.all).toContain("The pre_stop hook failed: exit code 3");
  });

  it("a start fails when its hook would run as root", async () => {
    const hook = { command: ["true"], environment: {}, user: "toor" };
    const service = shell("sleep 100", { postStart: [hook] });
    const stack = await bench.open([service]);
    await expect(bench.start(stack, service)).rejects.toMatchObject({
      code: "POLICY_VIOLATION",
      message: expect.stringMatching(/root/),
    });
    expect((await contents(daemon.socket)).containers).toEqual([]);
    await stack.close();
  });

  it("a UDP port and a TCP port of the same number are published on 127.0.0.1", async () => {
    const script = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5353))
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(100)
    s.sendto(b"received " + data, peer)`;
    const hostPort = await freePort();
    const { user: _user, ...dns } = bench.python("app", script, {
      image: "own-user:1",
      ports: [
        { containerPort: 5353, hostPort, protocol: "udp" },
        { containerPort: 5353, hostPort, protocol: "tcp" },
      ],
    });
    const { stack, sink } = await bench.run(dns);
    await sink.shows("ready");
    expect(stack.endpoints()).toEqual([
      { service: "app", container_port: 5353, host: "127.0.0.1", host_port: hostPort, protocol: "udp" },
      { service: "app", container_port: 5353, host: "127.0.0.1", host_port: hostPort },
    ]);
    const client = createSocket("udp4");
    try {
      const reply = new Promise<string>((resolve) => client.once("message", (message) => resolve(message.toString())));
      client.send("hello", hostPort, "127.0.0.1");
      expect(await reply).toBe("received hello");
    } finally {
      client.close();
    }
  });

  it("networks and services get the addresses of the file, else other ones with a warning", async () => {
    const subnet = `10.${64 + Math.floor(Math.random() * 128)}.${Math.floor(Math.random() * 256)}`;
    const service = shell("hostname -i; sleep 100", {
      networks: { back: { aliases: [], ipv4Address: `${subnet}.77` } },
    });
    const stack = await bench.open([service], {
      networks: { back: { internal: false, external: false, ipam: [{ subnet: `${subnet}.0/24` }] } },
    });
    await bench.start(stack, service);
    await bench.sink("app").shows(`${subnet}.77\n`);
    await stack.close();
    dockerCli(daemon.socket, "network", "create", "--subnet", `${subnet}.0/24`, "occupied");
    const refused = {
      used: { subnet: `${subnet}.0/25`, address: `${subnet}.77`, reason: /0\/25 is in use on this machine/ },
      public: { subnet: "8.8.8.0/24", address: "8.8.8.77", reason: /not a private range/ },
      large: { subnet: "10.0.0.0/8", address: "10.0.0.77", reason: /not a private range of at most/ },
    };
    const networksOf = <T>(form: (one: (typeof refused)["used"]) => T): Record<string, T> =>
      Object.fromEntries(Object.entries(refused).map(([name, one]) => [name, form(one)]));
    const others = {
      ...service,
      command: ["ip", "-4", "-o", "address"],
      networks: networksOf(({ address }) => ({ aliases: [], ipv4Address: address })),
    };
    const other = await bench.open([others], {
      networks: networksOf((one) => ({ internal: false, external: false, ipam: [{ subnet: one.subnet }] })),
    });
    await (await bench.start(other, others)).exited;
    for (const [name, { reason }] of Object.entries(refused))
      expect(bench.notices).toContainEqual({
        type: "warning",
        message: expect.stringMatching(new RegExp(`network ${name} .*${reason.source}`)),
      });
    expect(bench.sink("app").all.match(/ inet (?!127\.)[\d.]+/g)).toHaveLength(3);
    expect(bench.sink("app").all).not.toContain(".77/");
    await other.close();
    dockerCli(daemon.socket, "network", "rm", "occupied");
  });

  it("a subpath is mounted where the engine supports it, and a missing one fails the start", async () => {
    const mount = { type: "volume" as const, source: "data", target: "/data", readOnly: false };
    const service = shell("ls -R /data; sleep 100", { mounts: [{ ...mount, subpath: "a/b" }] });
    const stack = await bench.open([service]);
    const volumes = async () => (await contents(daemon.socket)).volumes.filter((name) => name.includes("_data_"));
    const before = await volumes();
    const { text } = await engineCall(daemon.socket, "GET", "/version");
    if (Number(JSON.parse(text).ApiVersion.split(".")[1]) < 45) {
      const { notes } = await bench.start(stack, service);
      expect(notes.join()).toMatch(/whole volume data is mounted at \/data: a subpath needs Docker Engine 26/);
      return;
    }
    await expect(bench.start(stack, service)).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: "app: a volume has no folder a/b (subpath).",
    });
    expect(await volumes()).toEqual(before);
    await stack.close();
    const filler = shell("mkdir -p /data/a/b && touch /data/a/b/inside /data/outside", { mounts: [mount] });
    const filling = await bench.open([filler]);
    await (await bench.start(filling, filler)).exited;
    await filling.close();
    await bench.start(await bench.open([service]), service);
    await bench.sink("app").shows("inside\n");
    expect(bench.sink("app").all).not.toContain("outside");
  });

  it("a failed hook fails the start, and removeNewVolumes deletes only volumes that were created for its instance", async () => {
    const mounts = [{ type: "volume" as const, source: "data", target: "/data", readOnly: false }];
    const service = shell("touch /data/x /declared/x; sleep 100", { image: "declares:1", mounts });
    const volumes = async () =>
      (await contents(daemon.socket)).volumes.filter((name) => name.includes(bench.projectId));
    const failing = { ...service, postStart: [{ command: ["false"], environment: {} }] };
    const stack = await bench.open([service]);
    await expect(bench.start(stack, failing)).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: expect.stringMatching(/post_start hook of app/),
    });
    expect((await contents(daemon.socket)).containers).toEqual([]);
    expect(await volumes()).toEqual([]);
    const running = await bench.start(stack, service);
    expect(await running.removeNewVolumes?.()).toEqual([]);
    await running.stop({ graceMs: 0 });
    const again = await bench.start(stack, service);
    await again.stop({ graceMs: 0 });
    expect(await again.removeNewVolumes?.()).toEqual([]);
    expect(await volumes()).toHaveLength(2);
    await expect(bench.start(stack, failing)).rejects.toMatchObject({ code: "SERVICE_START_FAILED" });
    expect(await volumes()).toHaveLength(2);
    expect(await running.removeNewVolumes?.()).toEqual(["data", "/declared"]);
    expect(await volumes()).toEqual([]);
  });

  it("replicas share a name and the image of an inline Dockerfile, and each has a host port of the range", async () => {
    const hostPort = await freePort(2);
    const { image: _image, ...app } = bench.web("app", {
      build: {
        context: bench.folder,
        args: {},
        extraHosts: { "made.test": ["10.1.2.3"] },
        shmSizeBytes: 5 * 1_048_576,
        dockerfileInline:
          "FROM own-user:1\nRUN { echo inline; grep made.test /etc/hosts; df -k /dev/shm; } > /tmp/made\n",
      },
      ports: [{ containerPort: WEB_PORT, hostPort, hostPortEnd: hostPort + 1, protocol: "tcp" }],
      environment: { HOST: "0.0.0.0" },
      replicas: 2,
    });
    const resolve =
      "import socket; print(len(set(socket.gethostbyname_ex('app')[2])), len(socket.gethostbyname_ex('app-2')[2]))";
    const client = { ...shell("true", { networks: {} }), name: "client", command: ["python3", "-c", resolve] };
    const { services } = forRuntime(bench.definition([app, client]), "docker");
    const stack = await bench.open(Object.values(services));
    const names = ["app", "app-2"];
    const running = await Promise.all(names.map((name) => bench.start(stack, services[name] as ServiceDefinition)));
    await Promise.all(running.map((one) => bench.untilHealthy(one, { kind: "tcp", port: WEB_PORT })));
    expect(stack.endpoints().map(({ service, host_port }) => [service, host_port])).toEqual(
      names.map((name, at) => [name, hostPort + at]),
    );
    const images = dockerCli(daemon.socket, "images", "--format", "{{.Repository}}").split("\n");
    expect(images.filter((image) => image.includes(bench.projectId))).toEqual([`stackwarden/${bench.projectId}-app`]);
    await (await bench.start(stack, client)).exited;
    expect(bench.sink("client").all).toBe("2 1\n");
    for (const port of [hostPort, hostPort + 1])
      expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("hello");
    let made = "";
    await running[0]?.exec({
      command: ["cat", "/tmp/made"],
      signal: new AbortController().signal,
      onOutput: (_stream, chunk) => {
        made += chunk.toString();
      },
    });
    expect(made).toMatch(/^inline\n10\.1\.2\.3\s+made\.test\n[\s\S]* 5120 /);
  });

  it("pull_policy never, daily and always apply, and an unavailable registry has no effect", async () => {
    const registry = await startRegistry(BUSYBOX);
    const { image } = registry;
    const manifests = () => registry.requests.filter((request) => request.includes("/manifests/")).length;
    const service = (pullPolicy?: string): ServiceDefinition => ({
      ...shell("true", { image, ...(pullPolicy === undefined ? {} : { pullPolicy }) }),
      command: ["/bin/sh", "sh", "-c", "true"],
    });
    const once = async (one: ServiceDefinition): Promise<number> => {
      const before = manifests();
      const stack = await bench.open([one]);
      try {
        await stack.prepareService?.(bench.request(one));
      } finally {
        await stack.close();
      }
      return manifests() - before;
    };
    try {
      await expect(once(service("never"))).rejects.toMatchObject({ message: expect.stringContaining("does not have") });
      expect(await once(service("daily"))).toBeGreaterThan(0);
      expect(await once(service())).toBe(0);
      expect(await once(service("daily"))).toBe(0);
      expect(await once(service("always"))).toBeGreaterThan(0);
    } finally {
      await registry.close();
    }
    expect(await once(service("always"))).toBe(0);
  });
});
