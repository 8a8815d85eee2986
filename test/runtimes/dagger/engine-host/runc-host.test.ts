/** A simulated runc with cgroup v2 files in a temporary folder: failures that a real runc does not produce on demand. */
import { spawn } from "node:child_process";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { StackwardenError } from "../../../../src/errors.js";
import { openEngineHost } from "../../../../src/runtimes/dagger/engine-host/open.js";
import type { EngineHost } from "../../../../src/runtimes/dagger/engine-host/types.js";
import { until } from "../../contract/bench.js";
import { StubPrograms } from "./stub-programs.js";

const root = process.platform === "linux" && process.getuid?.() === 0;
const LIMITS = { cpus: 0.5, memory_mb: 512, pids: 100 };
const CGROUP = "root/sys/fs/cgroup";

/** Moves the clock forward, so that deadlines are over at the next check. */
const later = (ms: number): void => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
};

describe.skipIf(!root)("an engine host with a simulated runc", () => {
  let programs: StubPrograms;
  let host: EngineHost;
  const warnings: string[] = [];

  /** The simulated runc reads the files that a test writes: `pid` of the container's init, `list`, `command` and others. */
  const RUNC = (dir: string) => `
    case $1 in
      list) cat ${dir}/list ;;
      state)
        [ -s ${dir}/pid ] || { echo 'container does not exist' >&2; exit 1; }
        printf '{\\n  "id": "%s",\\n  "pid": %s,\\n  "status": "running"\\n}\\n' "$2" "$(cat ${dir}/pid)" ;;
      update)
        [ ! -e ${dir}/refuse ] || { cat ${dir}/refuse >&2; exit 1; }
        tries=$(cat ${dir}/tries); echo $((tries + 1)) > ${dir}/tries
        for word; do
          case $word in --memory-swap=*) [ ! -e ${dir}/no-swap ] || { echo "open memory.memsw.limit_in_bytes: no such file" >&2; exit 1; } ;; esac
        done
        # A write while runc creates the container is overwritten.
        [ "$tries" -ge "$(cat ${dir}/ignore)" ] || exit 0
        for word; do
          value=\${word#*=}
          [ "$value" != -1 ] || value=max
          case $word in
            --memory=*) echo "$value" > ${dir}/${CGROUP}/memory.max ;;
            --cpu-quota=*) echo "$value 100000" > ${dir}/${CGROUP}/cpu.max ;;
            --pids-limit=*) echo "$value" > ${dir}/${CGROUP}/pids.max ;;
          esac
        done ;;
      events) cat ${dir}/event ;;
      exec | kill) . ${dir}/command ;;
      *) exit 64 ;;
    esac`;

  beforeEach(async () => {
    programs = new StubPrograms();
    const { dir } = programs;
    for (const [file, text] of Object.entries({
      list: "null",
      tries: "0",
      ignore: "0",
      command: "exit 0",
      [`${CGROUP}/memory.max`]: "max\n",
      [`${CGROUP}/cpu.max`]: "max 100000\n",
      [`${CGROUP}/pids.max`]: "max\n",
      [`${CGROUP}/memory.current`]: "104857600\n",
      [`${CGROUP}/memory.stat`]: "inactive_file 0\n",
      [`${CGROUP}/memory.events`]: "oom_kill 2\n",
      [`${CGROUP}/cpu.stat`]: "usage_usec 1000000\nnr_throttled 7\nthrottled_usec 500000\n",
      [`${CGROUP}/pids.current`]: "5\n",
    }))
      programs.file(file, text);
    programs.file("pid", String((await programs.rooted(join(dir, "root"))).pid));
    programs.program("runc", RUNC(dir));
    host = await openEngineHost({
      runnerHost: "unix:///run/engine.sock",
      signal: new AbortController().signal,
      env: programs.env,
      warn: (message) => warnings.push(message),
    });
    expect(host.enforcement.level).toBe("enforced");
  });
  afterEach(async () => {
    vi.useRealTimers();
    await host.close();
    await programs.remove();
    warnings.splice(0);
  });

  const value = (value_: number | null) => ({
    value: value_,
    enforcement:
      value_ === null
        ? { level: "none", reason: "no limit was requested" }
        : { level: "enforced", reason: "cgroup v2" },
  });
  const calls = (command: string) => programs.recorded("runc").filter(([first]) => first === command);

  it("limits are applied until the service shows them, also after runc overwrites them", async () => {
    programs.file("ignore", "3");
    expect(await host.apply("web.1", LIMITS)).toEqual({ cpus: value(0.5), memory_mb: value(512), pids: value(100) });
    expect(calls("update").length).toBeGreaterThanOrEqual(5);
    expect(calls("update")[0]).toEqual([
      ...["update", "--memory=536870912", "--memory-swap=536870912", "--cpu-period=100000", "--cpu-quota=50000"],
      ...["--pids-limit=100", "web.1"],
    ]);
    expect(await host.read("web.1")).toEqual({ cpus: value(0.5), memory_mb: value(512), pids: value(100) });
    // A limit that is no longer given is removed.
    expect(await host.apply("web.1", { pids: 50 })).toEqual({
      cpus: value(null),
      memory_mb: value(null),
      pids: value(50),
    });
  });

  it("the limit on swap is omitted where the kernel does not count swap", async () => {
    programs.file("no-swap", "");
    expect((await host.apply("web.1", LIMITS)).memory_mb).toEqual(value(512));
    expect((await host.apply("web.1", { memory_mb: 256 })).memory_mb).toEqual(value(256));
    expect(calls("update").filter((words) => words.includes("--memory-swap=268435456"))).toEqual([]);
  });

  it("a refused limit fails with LIMIT_REFUSED, and a missing container is reported", async () => {
    programs.file("refuse", "level=error\nunable to set memory limit to 1: device or resource busy\n");
    const refused = expect(host.apply("web.1", LIMITS)).rejects.toMatchObject({
      code: "LIMIT_REFUSED",
      message: expect.stringContaining("device or resource busy"),
    });
    await until("it was tried more than once", () => calls("update").length > 1);
    later(11_000);
    await refused;
    programs.file("pid", "");
    await expect(host.apply("web.1", LIMITS)).rejects.toMatchObject({ code: "SERVICE_NOT_STARTED" });
    expect((await host.read("web.1")).pids).toEqual({
      value: null,
      enforcement: { level: "none", reason: expect.stringContaining("does not exist") },
    });
    expect(await host.stats("web.1")).toMatchObject({ pids: null, reason: expect.stringContaining("gone") });
    expect(await host.user("web.1")).toBeNull();
    programs.file("pid", "0");
    expect((await host.stats("web.1")).reason).toMatch(/not running/);
  });

  it("a limit that stays unchanged is refused, and one that cannot be read is not enforced", async () => {
    programs.file("ignore", "100000");
    programs.file(`${CGROUP}/memory.max`, "1048576\n");
    const ignored = expect(host.apply("web.1", { memory_mb: 512, cpus: 1 })).rejects.toMatchObject({
      code: "LIMIT_REFUSED",
      message: expect.stringMatching(/after 10 s the service shows cpus unlimited, memory_mb 1\./),
    });
    await until("it was tried more than once", () => calls("update").length > 1);
    later(11_000);
    await ignored;
    programs.file("ignore", "0");
    programs.removeFile(`${CGROUP}/pids.max`);
    programs.removeFile(`${CGROUP}/pids.current`);
    programs.program("runc", `${RUNC(programs.dir)}\n[ "$1" != update ] || rm ${programs.dir}/${CGROUP}/pids.max`);
    const before = calls("update").length;
    const applying = host.apply("web.1", { cpus: 1, pids: 5 });
    await until("it was tried more than once", () => calls("update").length > before + 1);
    later(40_000);
    expect(await applying).toMatchObject({
      cpus: { value: 1 },
      pids: { value: null, enforcement: { level: "none", reason: expect.stringContaining("shows no pids.max") } },
    });
  });

  it("usage is reported with the CPU cores since the previous call", async () => {
    const first = await host.stats("web.1");
    expect(first).toMatchObject({
      cpu_cores: null,
      cpu_seconds_total: 1,
      memory_mb: 100,
      pids: 5,
      throttled_periods: 7,
      throttled_seconds: 0.5,
      oom_kills: 2,
    });
    // The simulated cgroup has no memory.peak.
    expect(first.reason).toMatch(/does not measure .*memory_peak_mb/);
    programs.file(`${CGROUP}/cpu.stat`, "usage_usec 3000000\n");
    const second = await host.stats("web.1");
    expect(second.cpu_seconds_total).toBe(3);
    expect(second.cpu_cores).toBeGreaterThan(0);
    // Reading the limits at the start records the first value for the comparison.
    await host.read("web.2");
    programs.file(`${CGROUP}/cpu.stat`, "usage_usec 4000000\n");
    expect((await host.stats("web.2")).cpu_cores).toBeGreaterThan(0);
  });

  it("OOM kills of an ended container are read from the kernel log", async () => {
    programs.file("pid", "");
    const line = (id: string) =>
      `[12.5] oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/buildkit/${id},task_memcg=/buildkit/${id},task=python3\n`;
    programs.file("log", `${line("web.10")}[12.6] other\n${line("web.1")}${line("web.1")}`);
    programs.program("dmesg", `cat ${programs.dir}/log`);
    expect(await host.stats("web.1")).toMatchObject({ oom_kills: 2, pids: null });
    expect((await host.stats("web")).oom_kills).toBeNull();
    programs.program("dmesg", "exit 1");
    expect((await host.stats("web.1")).oom_kills).toBeNull();
  });

  it("usage is read from runc events where the service shows no cgroup files", async () => {
    for (const file of [
      "memory.max",
      "cpu.max",
      "pids.max",
      "memory.current",
      "memory.stat",
      "memory.events",
      "cpu.stat",
      "pids.current",
    ])
      programs.removeFile(`${CGROUP}/${file}`);
    programs.file("event", JSON.stringify({ data: { cpu: { usage: { total: 4e9 } }, pids: { current: 9 } } }));
    expect(await host.stats("web.1")).toMatchObject({ cpu_seconds_total: 4, pids: 9 });
    expect(calls("events")).toEqual([["events", "--stats", "web.1"]]);
    programs.file("event", "no event");
    expect(await host.stats("web.1")).toMatchObject({ cpu_seconds_total: null, pids: null });
  });

  it("find() waits for the newest running container of an instance", async () => {
    const { signal } = new AbortController();
    // Containers that the engine starts for a service have the same environment, but not its init.
    const bundle = (id: string, env: string[]) => {
      const args =
        id === "installer"
          ? ["update-ca-certificates", '"args":["/.init"']
          : id === "other"
            ? ["/.stackwarden/entry", "web"]
            : ["/.init", "web"];
      // Engine 0.21.8 creates bind mounts itself: no bundle lists the init in its mounts.
      programs.file(`bundles/${id}/config.json`, JSON.stringify({ process: { args, env }, mounts: [] }));
      return join(programs.dir, "bundles", id);
    };
    const entry = (id: string, env: string[], created: string, status = "running") => ({
      id,
      status,
      created,
      bundle: bundle(id, env),
    });
    const others = [
      entry("other", ["PATH=/bin", "STACKWARDEN_INSTANCE=i-2"], "2026-01-02T00:00:00Z"),
      entry("none", ["PATH=/bin"], "2026-01-02T00:00:00Z"),
      entry("quoted", ['X="STACKWARDEN_INSTANCE=i-1"'], "2026-01-09T00:00:00Z"),
      entry("longer", ["STACKWARDEN_INSTANCE=i-10"], "2026-01-09T00:00:00Z"),
      entry("stopped", ["STACKWARDEN_INSTANCE=i-1"], "2026-01-09T00:00:00Z", "stopped"),
      { ...entry("x", [], ""), id: "--all" },
    ];
    programs.file("list", JSON.stringify(others));
    const waiting = host.find("i-1", signal);
    expect(await host.find("i-2", signal)).toBe("other");
    expect(host.elsewhere()).toBe(false);
    programs.file("list", "[{ torn");
    const mine = [
      entry("mine", ["A=b", "STACKWARDEN_INSTANCE=i-1"], "2026-01-03T00:00:00Z"),
      entry("step", ["STACKWARDEN_INSTANCE=i-1"], "2026-01-02T00:00:00Z"),
      // The engine's container that installs certificates, with the same environment.
      entry("installer", ["STACKWARDEN_INSTANCE=i-1"], "2026-01-04T00:00:00Z"),
    ];
    programs.file("list", JSON.stringify([...others, ...mine]));
    expect(await waiting).toBe("mine");
    await expect(host.find("a b", signal)).rejects.toThrow(TypeError);
    const caller = new AbortController();
    const left = host.find("i-3", caller.signal);
    caller.abort();
    await expect(left).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
    const closing = new StackwardenError("STACK_NOT_RUNNING", "The stack was closed.", { hint: "" });
    await expect(host.find("i-3", AbortSignal.abort(closing))).rejects.toBe(closing);
    // An engine on another machine shows no containers here.
    programs.file("list", "");
    const looked = calls("list").length;
    const nowhere = expect(host.find("i-3", signal)).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: expect.stringContaining("no running container of the service after 30 s"),
      hint: expect.stringContaining("another machine"),
    });
    await until("it was looked for", () => calls("list").length > looked);
    later(31_000);
    await nowhere;
  });

  it("end() kills the containers of earlier instances and waits for their end", async () => {
    const { signal } = new AbortController();
    const config = (instance: string) =>
      JSON.stringify({ process: { args: ["/.init"], env: [`STACKWARDEN_INSTANCE=${instance}`] } });
    const list = ["i-1", "i-2"].map((instance) => {
      programs.file(`bundles/${instance}/config.json`, config(instance));
      return { id: `c-${instance}`, status: "running", created: "", bundle: join(programs.dir, "bundles", instance) };
    });
    programs.file("list", JSON.stringify(list));
    programs.file("command", `echo '${JSON.stringify(list.slice(1))}' > ${programs.dir}/list`);
    await host.end(["i-1", "i-9"], signal);
    expect(calls("kill")).toEqual([["kill", "c-i-1", "SIGKILL"]]);
    await host.end(["i-9"], signal);
    expect(calls("kill")).toHaveLength(1);
    await expect(host.end(["i-2"], AbortSignal.abort())).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
    // A container that does not end fails the start.
    programs.file("command", "exit 0");
    const stuck = expect(host.end(["i-2"], signal)).rejects.toMatchObject({
      code: "STOP_FAILED",
      details: { containers: ["c-i-2"] },
    });
    await until("it was killed", () => calls("kill").length > 1);
    later(21_000);
    await stuck;
  });

  it("an engine on another machine is detected after several searches without a container", async () => {
    const caller = new AbortController();
    const looking = host.find("i-1", caller.signal);
    looking.catch(() => {});
    expect(host.elsewhere()).toBe(false);
    while (calls("list").length < 12) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(host.enforcement.level).toBe("enforced");
    expect(host.elsewhere()).toBe(true);
    expect(host.enforcement).toEqual({ level: "none", reason: expect.stringContaining("do not show on this machine") });
    caller.abort();
    await expect(looking).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
  });

  it("begun() resolves with the user once the service's program replaces the entry script", async () => {
    const entry = programs.file(
      ".stackwarden/entry",
      `until [ -e ${programs.dir}/go ]; do sleep 0.01; done; exec sleep 1000`,
    );
    const user = "setpriv --reuid 12345 --regid 12345 --clear-groups --inh-caps -all --no-new-privs";
    const init = spawn("perl", ["-e", `if (fork) { wait } else { exec qw(${user} sh), @ARGV }`, entry], {
      stdio: "ignore",
      detached: true,
    });
    const { signal } = new AbortController();
    try {
      programs.file("pid", String(init.pid));
      let over = false;
      const seen = host.begun("web.1", signal).finally(() => {
        over = true;
      });
      // The first check has found no service; the host checks again.
      while (calls("state").length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
      expect(over).toBe(false);
      programs.file("go", "");
      expect(await seen).toMatchObject({ uid: 12345, gid: 12345, noNewPrivileges: true, withoutCapabilities: true });
    } finally {
      const ended = new Promise((resolve) => init.once("exit", resolve));
      process.kill(-(init.pid as number), "SIGKILL");
      await ended;
    }
    await expect(host.begun("web.1", signal)).rejects.toMatchObject({ code: "SERVICE_NOT_STARTED" });
    programs.file("pid", "");
    await expect(host.begun("web.1", signal)).rejects.toMatchObject({
      code: "SERVICE_NOT_STARTED",
      message: expect.stringContaining("does not exist"),
    });
    await expect(host.begun("web.1", AbortSignal.abort())).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
  });

  it("a command runs with unchanged arguments as the requested user", async () => {
    const odd = ["", " ", "$(touch x)", "`id`", "a\nb\n", '"', "'", "\\0101", "*", "-n", "--", "ä", "=", "%s"];
    programs.file("command", "shift 5\nfor word; do printf '<%s>' \"$word\"; done\necho complaint >&2\nexit 3");
    const { signal } = new AbortController();
    const run = { argv: odd, timeoutMs: 20_000, signal };
    expect(await host.exec("web.1", run)).toEqual({
      exitCode: 3,
      output: `${odd.map((word) => `<${word}>`).join("")}complaint\n`,
    });
    await host.exec("web.1", { ...run, argv: ["true"], user: "70:71" });
    const withUser = calls("exec").find((words) => words.includes("--user"));
    expect(withUser?.slice(0, 3)).toEqual(["exec", "--no-new-privs", "--pid-file"]);
    expect(withUser?.slice(4)).toEqual(["--user", "70:71", "web.1", "true"]);
  });

  it("the first 64 KiB of a command's output are kept", async () => {
    programs.file("command", "yes | head -c 300000\nexit 4");
    const { exitCode, output } = await host.exec("web.1", {
      argv: ["x"],
      timeoutMs: 30_000,
      signal: new AbortController().signal,
    });
    expect(exitCode).toBe(4);
    expect(output).toBe("y\n".repeat(32_768));
  });

  it("a timeout, a cancellation and close() kill a command's process group", async () => {
    // As in runc, the file names the leader of a separate process group.
    programs.file(
      "command",
      `echo begun; setsid sh -c 'echo $$ > '${programs.dir}/leader'; echo $$ > "$0"; sleep 1000 & wait' "$4" & wait`,
    );
    const started = async () => {
      for (;;) {
        try {
          const pid = Number(readFileSync(join(programs.dir, "leader"), "utf8"));
          if (pid > 0) return pid;
        } catch {
          // The file does not exist yet.
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    /** Counts a zombie as gone. */
    const group = (pid: number) => {
      try {
        return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8")) ? "gone" : "alive";
      } catch {
        return "gone";
      }
    };
    const caller = new AbortController();
    const running = host.exec("web.1", { argv: ["x"], timeoutMs: 60_000, signal: caller.signal });
    const pid = await started();
    caller.abort();
    expect(await running).toEqual({ exitCode: null, output: "begun\n" });
    expect(group(pid)).toBe("gone");
    programs.file("leader", "");
    const late = host.exec("web.1", { argv: ["x"], timeoutMs: 300, signal: new AbortController().signal });
    expect(await late).toMatchObject({ exitCode: null });
    expect(await host.exec("web.1", { argv: ["x"], timeoutMs: 300, signal: caller.signal })).toEqual({
      exitCode: null,
      output: "",
    });
    // A running command ends with the connection.
    programs.file("leader", "");
    const last = host.exec("web.1", { argv: ["x"], timeoutMs: 60_000, signal: new AbortController().signal });
    const orphan = await started();
    const refused = expect(last).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    await host.close();
    await refused;
    while (group(orphan) === "alive") await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it("a command that cannot be killed returns its output, and close() ends it", async () => {
    // The command never writes its pid file, as runc does when it hangs before it enters the container.
    programs.file("command", `echo $$ > ${programs.dir}/leader; yes | head -c 40000; exec sleep 1000`);
    const { exitCode, output } = await host.exec("web.1", {
      argv: ["x"],
      timeoutMs: 500,
      signal: new AbortController().signal,
    });
    expect(exitCode).toBeNull();
    expect(output).toMatch(/^(y\n)+y?$/);
    const hung = Number(readFileSync(join(programs.dir, "leader"), "utf8"));
    expect(existsSync(`/proc/${hung}`)).toBe(true);
    await host.close();
    await until("it has ended", () => !existsSync(`/proc/${hung}`));
  });

  it("a command without a known exit code has exit code 255", async () => {
    programs.file("command", "echo begun; kill -KILL $PPID");
    const run = { argv: ["x"], timeoutMs: 20_000, signal: new AbortController().signal };
    expect(await host.exec("web.1", run)).toEqual({ exitCode: 255, output: "begun\n" });
  });

  it("kill() sends only valid signals and ignores an ended container", async () => {
    await host.kill("web.1", "SIGINT");
    expect(calls("kill")).toEqual([["kill", "web.1", "SIGINT"]]);
    programs.file("command", 'echo "container not running" >&2; exit 1');
    await host.kill("web.1", "SIGQUIT");
    programs.file("command", 'echo "permission denied" >&2; exit 1');
    await expect(host.kill("web.1", "SIGTERM")).rejects.toMatchObject({ code: "STOP_FAILED" });
    await expect(host.kill("web.1", "--all")).rejects.toThrow(TypeError);
  });

  it("an invalid id, user or command is refused", async () => {
    const run = { argv: ["true"], timeoutMs: 1000, signal: new AbortController().signal };
    await expect(host.read("--root")).rejects.toThrow(TypeError);
    await expect(host.apply("-a", {})).rejects.toThrow(TypeError);
    await expect(host.exec("a b", run)).rejects.toThrow(TypeError);
    await expect(host.exec("web.1", { ...run, user: "--tty" })).rejects.toThrow(TypeError);
    await expect(host.exec("web.1", { ...run, argv: [] })).rejects.toThrow(TypeError);
    await expect(host.exec("web.1", { ...run, argv: ["a\0b"] })).rejects.toThrow(/NUL/);
  });
});

describe.skipIf(!root)("the helper process of an engine host", () => {
  let programs: StubPrograms;
  beforeEach(() => {
    programs = new StubPrograms();
  });
  afterEach(() => programs.remove());

  const open = (warn: (message: string) => void) =>
    openEngineHost({
      runnerHost: "docker-container://box",
      signal: new AbortController().signal,
      env: programs.env,
      warn,
    });
  const helperPid = () => Number(readFileSync(join(programs.dir, "helper"), "utf8"));

  it("a killed helper restarts, and limits are not enforced while the restart fails", async () => {
    const warnings: string[] = [];
    programs.program("runc", "case $1 in list) echo null ;; *) exit 1 ;; esac");
    programs.program(
      "docker",
      `[ ! -e ${programs.dir}/down ] || { echo "the engine is down" >&2; exit 1; }
       shift 3; echo $$ > ${programs.dir}/helper; exec "$@"`,
    );
    const host = await open((message) => warnings.push(message));
    const first = helperPid();
    // During a request that can be repeated.
    const { signal } = new AbortController();
    const caller = new AbortController();
    const waiting = host.find("i-1", caller.signal);
    process.kill(first, "SIGKILL");
    while (helperPid() === first) await new Promise((resolve) => setTimeout(resolve, 5));
    caller.abort();
    await expect(waiting).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
    expect(warnings).toEqual([expect.stringMatching(/docker exec box\) ended: it was ended by SIGKILL/)]);
    expect(host.enforcement.level).toBe("enforced");

    programs.file("down", "");
    process.kill(helperPid(), "SIGKILL");
    while (warnings.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(host.kill("x", "SIGINT")).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("the engine is down"),
    });
    expect(host.enforcement).toEqual({ level: "none", reason: expect.stringContaining("the engine is down") });
    expect(await host.read("x")).toMatchObject({ pids: { value: null, enforcement: { level: "none" } } });
    expect(await host.stats("x")).toMatchObject({ pids: null, reason: expect.stringContaining("the engine is down") });
    await expect(host.find("i-1", signal)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });

    programs.removeFile("down");
    expect(await host.user("x")).toBeNull();
    expect(host.enforcement.level).toBe("enforced");
    await host.close();
    await host.close();
    expect(warnings).toHaveLength(2);
    await expect(host.find("i-1", signal)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
  });

  it("a helper that does not start gives the reason, and output before it is ready is ignored", async () => {
    programs.program("runc", "case $1 in list) echo null ;; exec) echo inside ;; esac");
    const docker = join(programs.bin, "docker");
    programs.file("bin/docker", "#!/nowhere/interpreter\n");
    chmodSync(docker, 0o755);
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    const path = programs.env.PATH as string;
    // No other docker is on PATH.
    programs.env.PATH = programs.bin;
    const unusable = await open(warn);
    programs.env.PATH = path;
    expect(unusable.enforcement).toEqual({
      level: "none",
      reason: expect.stringMatching(/cannot be reached by docker exec box: spawn .*docker ENOENT/),
    });
    programs.program("docker", "exec sleep 1000");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const silent = open(warn);
      // Only the simulated docker is called while the timers are fake.
      while (programs.recorded("docker").filter((words) => words.length > 0).length < 1)
        await new Promise((resolve) => setImmediate(resolve));
      vi.advanceTimersByTime(20_000);
      let over = false;
      void silent.finally(() => {
        over = true;
      });
      while (!over) {
        vi.advanceTimersByTime(1000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect((await silent).enforcement.reason).toMatch(/docker exec box: no answer within 20 s/);
    } finally {
      vi.useRealTimers();
    }
    programs.program(
      "docker",
      `shift 3; printf 'Welcome to box\\nready to serve\\n1 o 41\\n2 e 7\\n99 e 0\\n'; exec "$@"`,
    );
    const host = await open(warn);
    expect(host.enforcement.level).toBe("enforced");
    const run = { argv: ["x"], timeoutMs: 20_000, signal: new AbortController().signal };
    expect(await host.exec("x", run)).toEqual({ exitCode: 0, output: "inside\n" });
    await host.close();
    expect(warnings).toEqual([]);
  });

  it("a helper that is killed fails its running command, which is not repeated", async () => {
    programs.program(
      "runc",
      `case $1 in list) echo null ;; exec) echo run >> ${programs.dir}/runs; exec sleep 1000 ;; esac`,
    );
    programs.program(
      "docker",
      `while [ -e ${programs.dir}/wait ]; do sleep 0.05; done; shift 3; echo $$ > ${programs.dir}/helper; exec "$@"`,
    );
    const warnings: string[] = [];
    const host = await open((message) => warnings.push(message));
    const runs = () => {
      try {
        return readFileSync(join(programs.dir, "runs"), "utf8");
      } catch {
        return "";
      }
    };
    const run = (signal = new AbortController().signal) => host.exec("x", { argv: ["x"], timeoutMs: 60_000, signal });
    const running = expect(run()).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("it was ended by SIGKILL"),
      hint: expect.stringContaining("doctor"),
    });
    await until("it runs", () => runs() !== "");
    programs.file("wait", "");
    process.kill(-helperPid(), "SIGKILL");
    await running;
    expect(runs()).toBe("run\n");
    const caller = new AbortController();
    const leaving = run(caller.signal);
    caller.abort();
    programs.removeFile("wait");
    expect(await leaving).toMatchObject({ exitCode: null });
    await host.close();
    expect(warnings).toHaveLength(1);
  });

  it("concurrent commands receive their own output", async () => {
    programs.program(
      "runc",
      'case $1 in list) echo null ;; exec) shift 5; for word; do yes "$word" | head -n 2000; done ;; esac',
    );
    programs.engine("docker", "box");
    const host = await open(() => {});
    const runs = Array.from({ length: 20 }, async (_, index) => {
      const word = `word-${index}`;
      const { exitCode, output } = await host.exec("x", {
        argv: [word],
        timeoutMs: 50_000,
        signal: new AbortController().signal,
      });
      expect({ exitCode, output }).toEqual({ exitCode: 0, output: `${word}\n`.repeat(2000) });
    });
    await Promise.all(runs);
    expect(programs.recorded("docker")).toHaveLength(1);
    await host.close();
  });
});
