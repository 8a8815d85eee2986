/** The programs and arguments with which a host is entered, and the reasons when it cannot be entered. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HELPER_SCRIPT } from "../../../../src/runtimes/dagger/engine-host/helper-script.js";
import { openEngineHost } from "../../../../src/runtimes/dagger/engine-host/open.js";
import type { EngineHost } from "../../../../src/runtimes/dagger/engine-host/types.js";
import { StubPrograms } from "./stub-programs.js";

const root = process.getuid?.() === 0;
const RUNC = 'case $1 in list) echo null ;; *) echo "unknown" >&2; exit 1 ;; esac';

describe.skipIf(process.platform !== "linux")("openEngineHost", () => {
  let programs: StubPrograms;
  const hosts: EngineHost[] = [];
  const warnings: string[] = [];

  beforeEach(() => {
    programs = new StubPrograms();
    // The tests give the same results without root.
    programs.program("id", "echo 0");
  });
  afterEach(async () => {
    await Promise.all(hosts.splice(0).map((host) => host.close()));
    await programs.remove();
    expect(warnings.splice(0)).toEqual([]);
  });

  const open = async (runnerHost: string | null, signal = new AbortController().signal): Promise<EngineHost> => {
    const host = await openEngineHost({
      runnerHost,
      signal,
      env: programs.env,
      warn: (message) => warnings.push(message),
    });
    hosts.push(host);
    return host;
  };

  it.each([
    ["docker-container://box", "docker", ["exec", "-i", "box", "sh", "-c", HELPER_SCRIPT], "docker exec box"],
    ["container+podman://box", "podman", ["exec", "-i", "box", "sh", "-c", HELPER_SCRIPT], "podman exec box"],
    ["container+nerdctl://box", "nerdctl", ["exec", "-i", "box", "sh", "-c", HELPER_SCRIPT], "nerdctl exec box"],
  ] as const)("the host of %s is entered with %s, once", async (runnerHost, program, argv, description) => {
    programs.program("runc", RUNC);
    programs.engine(program, "box");
    const host = await open(runnerHost);
    expect(host.enforcement).toEqual({ level: "enforced", reason: expect.stringMatching(/^cgroup v[12]$/) });
    expect(host.description).toBe(description);
    expect(host.capacity?.cpus).toBeGreaterThan(0);
    expect(host.capacity?.memory_mb).toBeGreaterThan(100);
    expect(await host.user("nobody")).toBeNull();
    expect(programs.recorded(program)).toEqual([argv]);
  });

  it("the host of a kube-pod address is entered with kubectl, its context, namespace and container", async () => {
    programs.program("runc", RUNC);
    programs.program("kubectl", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"');
    const host = await open("kube-pod://engine-0?context=prod&namespace=dagger&container=engine");
    expect(host.enforcement.level).toBe("enforced");
    expect(programs.recorded("kubectl")).toEqual([
      [
        ...["exec", "-i", "--context=prod", "--namespace=dagger", "--container=engine"],
        ...["engine-0", "--", "sh", "-c", HELPER_SCRIPT],
      ],
    ]);
  });

  it("without an address, the CLI's container of this version or the only one is entered", async () => {
    programs.program("runc", RUNC);
    programs.engine("docker", "dagger-engine-v0.20.0");
    expect((await open(null)).description).toBe("docker exec dagger-engine-v0.20.0");
    expect(programs.recorded("docker")).toContainEqual([
      "ps",
      "--filter",
      "name=dagger-engine-",
      "--format",
      "{{.Names}}",
    ]);
    const both =
      'case $1 in ps) printf "dagger-engine-v0.20.0\\ndagger-engine-v0.21.8\\nother\\n" ;; *) shift 3; exec "$@" ;; esac';
    programs.program("docker", both);
    expect((await open(null)).description).toBe("docker exec dagger-engine-v0.21.8");
  });

  it("the next program is tried where a container is missing, and the report names all reasons", async () => {
    programs.program("runc", RUNC);
    programs.engine("docker", "other");
    programs.engine("podman", "box");
    expect((await open("container://box")).description).toBe("podman exec box");

    const host = await open("container://missing");
    expect(host.enforcement.level).toBe("none");
    expect(host.enforcement.reason).toMatch(
      /docker exec missing.*no such container.*podman exec missing.*finch is not installed/,
    );
    expect(host.description).toBe(host.enforcement.reason);
    expect(host.capacity).toBeNull();
    const { signal } = new AbortController();
    for (const refused of [
      host.find("x", signal),
      host.kill("x", "SIGINT"),
      host.exec("x", { argv: ["true"], timeoutMs: 1000, signal }),
    ])
      await expect(refused).rejects.toMatchObject({
        code: "UNSUPPORTED",
        message: expect.stringContaining("no such container"),
      });
    const none = { value: null, enforcement: host.enforcement };
    expect(await host.read("x")).toEqual({ cpus: none, memory_mb: none, pids: none });
    expect(await host.apply("x", { pids: 1 })).toEqual({ cpus: none, memory_mb: none, pids: none });
    expect(await host.stats("x")).toMatchObject({ cpu_cores: null, reason: host.enforcement.reason });
    expect(await host.user("x")).toBeNull();
  });

  it.each([
    [
      "docker without its daemon",
      'echo "Cannot connect to the daemon" >&2; exit 1',
      /docker does not answer \(Cannot connect to the daemon\)/,
    ],
    ["docker that fails without output", "exit 3", /docker does not answer \(Command failed: \S*docker ps/],
    ["no running container", "exit 0", /docker runs no container dagger-engine-/],
    [
      "several containers of other versions",
      "printf 'dagger-engine-v1\\ndagger-engine-v2\\n'",
      /several engines \(dagger-engine-v1, dagger-engine-v2\)/,
    ],
  ])("a fault of the CLI's own container is reported: %s", async (_what, script, reason) => {
    programs.program("docker", script);
    expect((await open(null)).enforcement).toEqual({ level: "none", reason: expect.stringMatching(reason) });
  });

  it.each([
    ["no runc", undefined, /there is no runc on this machine/],
    [
      "runc without rights",
      'echo "rootless container requires user namespaces"; exit 1',
      /runc cannot be used on this machine: rootless/,
    ],
  ])("a missing requirement on the host is reported: %s", async (_what, runc, reason) => {
    if (runc !== undefined) programs.program("runc", runc);
    else programs.only("sh", "mktemp", "sleep", "head", "cat", "od", "rm", "nproc", "grep");
    expect((await open("unix:///run/engine.sock")).enforcement).toEqual({
      level: "none",
      reason: expect.stringMatching(reason),
    });
  });

  it("the capacity of the host is bounded by its own cgroup limits", async () => {
    programs.program("runc", RUNC);
    programs.program(
      "grep",
      `case $* in
        *memory.max*) printf 'memory.max:536870912\\ncpu.max:50000 100000\\n' ;;
        *) exec /bin/grep "$@" ;;
      esac`,
    );
    expect((await open("unix:///run/engine.sock")).capacity).toEqual({ cpus: 0.5, memory_mb: 512 });
  });

  it("limits are not enforced on a host whose user is not root", async () => {
    programs.program("runc", RUNC);
    programs.program("id", "echo 1000");
    expect((await open("unix:///run/engine.sock")).enforcement.reason).toMatch(/set by root only/);
  });

  it("a cancelled call does not wait for a program that never answers", async () => {
    const caller = new AbortController();
    programs.program("docker", "exec sleep 1000");
    const ends = Promise.allSettled([open("docker-container://box", caller.signal), open(null, caller.signal)]);
    // Both programs run before the cancellation.
    while (programs.recorded("docker").filter((words) => words.length > 0).length < 2) await new Promise(setImmediate);
    caller.abort();
    for (const one of await ends)
      expect(one).toMatchObject({ status: "rejected", reason: { code: "OPERATION_CANCELLED" } });
    await expect(open("docker-container://box", caller.signal)).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
  });

  it("an engine on another machine is reported with its address", async () => {
    expect((await open("tcp://10.0.0.1:99")).enforcement).toEqual({
      level: "none",
      reason: "the engine is on another machine (10.0.0.1)",
    });
    expect(root || programs.recorded("sh").length === 0).toBe(true);
  });
});
