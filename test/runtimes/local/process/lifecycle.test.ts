import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { drain } from "../../../../src/runtimes/shared/drain.js";
import { cgroupsOf, HostFixture, hasCgroups, processesWith, until } from "./support.js";

let fixture: HostFixture;
beforeEach(() => {
  fixture = new HostFixture();
});
afterEach(() => fixture.close());

const printed = (text: string) => until(`the service prints ${text}`, () => fixture.sink.all.includes(text));
/** Asserts that no process or cgroup of a service remains while the host is open. */
const nothingLeft = () => {
  expect(processesWith(fixture.mark)).toEqual([]);
  expect(cgroupsOf(process.pid)).toEqual([]);
};

describe("stop", () => {
  it("stop sends SIGTERM and returns the exit code of the main process", async () => {
    const running = await fixture.shell("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    await printed("ready");
    expect(await running.stop({ graceMs: 5000 })).toMatchObject({ exitCode: 3, signal: null, oomKilled: false });
    expect(fixture.sink.all).toBe("ready\nbye\n");
    nothingLeft();
  });

  it.each([
    ["SIGINT", "INT"],
    ["SIGRTMIN+3", "TERM"],
  ])("stop with signal %s sends SIG%s", async (signal, received) => {
    const script = "trap 'echo INT; exit' INT; trap 'echo TERM; exit' TERM; echo ready; while :; do sleep 0.05; done";
    const running = await fixture.shell(script);
    await printed("ready");
    await running.stop({ graceMs: 5000, signal });
    expect(fixture.sink.all).toBe(`ready\n${received}\n`);
  });

  it("stop kills a process that ignores SIGTERM after the grace period", async () => {
    const running = await fixture.shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
    await printed("ready");
    const before = Date.now();
    expect(await running.stop({ graceMs: 200 })).toMatchObject({ exitCode: null, signal: "SIGKILL" });
    expect(Date.now() - before).toBeGreaterThanOrEqual(190);
    expect(Date.now() - before).toBeLessThan(30_000);
    nothingLeft();
  });

  it("stop ends forked processes, and with cgroups also those outside of the process group", async () => {
    // Without cgroups, a process outside of its process group is not found.
    const leave = hasCgroups ? "setsid" : "";
    const script = `trap '' TERM; (trap '' TERM; sh -c 'sleep 60; : ${fixture.mark}') & ${leave} sh -c 'sleep 60; : ${fixture.mark}' & echo ready; wait; sleep 60`;
    const running = await fixture.shell(script);
    await printed("ready");
    await running.stop({ graceMs: 100 });
    nothingLeft();
  });

  it("repeated and concurrent stops return the same exit", async () => {
    const running = await fixture.shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
    await printed("ready");
    const patient = running.stop({ graceMs: 60_000 });
    const ends = await Promise.all([patient, running.stop({ graceMs: 100 }), running.stop({ graceMs: 50 })]);
    ends.push(await running.stop({ graceMs: 1000 }), await running.exited);
    for (const end of ends) expect(end).toBe(ends[0]);
    expect(await running.setLimits({ memory_mb: 50 })).toMatchObject({ memory_mb: { value: null } });
    nothingLeft();
  });
});

describe("the end of a service", () => {
  it("the end of the main process ends forked processes and keeps the last output", async () => {
    const running = await fixture.shell(
      `(${hasCgroups ? "setsid" : ""} sh -c 'sleep 60; : ${fixture.mark}') & echo last; exit 7`,
    );
    expect(await running.exited).toMatchObject({ exitCode: 7, signal: null, oomKilled: false });
    expect(fixture.sink.all).toBe("last\n");
    nothingLeft();
  });

  it("a service that is killed ends with that signal", async () => {
    const running = await fixture.shell("sleep 60");
    process.kill(running.pid, "SIGKILL");
    expect(await running.exited).toMatchObject({ exitCode: null, signal: "SIGKILL", oomKilled: false });
  });

  it("a service that ends keeps all of a large output", async () => {
    const running = await fixture.shell("seq 1 200000; seq 1 5 >&2");
    await running.exited;
    expect(fixture.sink.all.length).toBe(1_288_895 + 10);
  });
});

describe("close", () => {
  it("close ends running services, running commands and starts in progress", async () => {
    const host = await fixture.host();
    const running = await fixture.shell("trap '' TERM; sleep 60");
    const command = fixture.run(["/bin/sh", "-c", "echo runs; exec sleep 60"], { sink: fixture.sink });
    await until("the command runs", () => fixture.sink.all.includes("runs"));
    const starting = [fixture.shell("sleep 60"), fixture.run(["/bin/sleep", "60"])];
    const ends = Promise.allSettled(starting);
    await sleep(1);
    await host.close();
    expect(await running.exited).toMatchObject({ signal: "SIGKILL" });
    expect(await command).toMatchObject({ signal: "SIGKILL", timedOut: false });
    nothingLeft();
    for (const end of await ends)
      if (end.status === "rejected") expect(end.reason).toMatchObject({ code: "OPERATION_CANCELLED" });
      else if ("exited" in end.value) expect(await end.value.exited).toMatchObject({ signal: "SIGKILL" });
    await expect(fixture.shell("true")).rejects.toMatchObject({ code: "OPERATION_CANCELLED" });
    await host.close();
  });
});

describe("a command", () => {
  it("a command returns its exit code and output and reads its standard input", async () => {
    const script = "cat; echo to-stderr >&2; exit 4";
    const { output, ...end } = await fixture.run(["/bin/sh", "-c", script], { stdin: "hello\n" });
    expect(end).toEqual({ exitCode: 4, signal: null, timedOut: false, oomKilled: false });
    // The order of two streams is not defined.
    expect(output.split("\n").sort()).toEqual(["", "hello", "to-stderr"]);
    const ignoring = await fixture.run(["/bin/true"], { stdin: "x".repeat(1_000_000) });
    expect(ignoring).toMatchObject({ exitCode: 0, output: "" });
  });

  it("drain returns the last output although the event loop was blocked", async () => {
    const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
    const accepted = once(server, "connection");
    await once(server, "listening");
    const writer = connect((server.address() as AddressInfo).port, "127.0.0.1");
    const [reader] = (await accepted) as [Socket];
    let text = "";
    reader.on("data", (chunk) => {
      text += chunk;
    });
    await sleep(50);
    // After this phase of the event loop timers come first, then what can be read.
    await setImmediate();
    const drained = drain(reader);
    writer.end("last line\n");
    // Longer than drain waits.
    for (const end = Date.now() + 700; Date.now() < end; );
    await drained;
    expect(text).toBe("last line\n");
    writer.destroy();
    server.close();
  });

  it("the sink receives all output of a command, and the result holds its first 64 KiB", async () => {
    const { output } = await fixture.run(["/usr/bin/seq", "1", "50000"], { sink: fixture.sink });
    expect(fixture.sink.all.length).toBe(288_894);
    expect(output).toBe(fixture.sink.all.slice(0, 65_536));
  });

  it("a timeout or a cancellation kills the process group of a command", async () => {
    const argv = ["/bin/sh", "-c", `sh -c 'sleep 60; : ${fixture.mark}' & wait`, fixture.mark];
    expect(await fixture.run(argv, { timeoutMs: 150 })).toMatchObject({ signal: "SIGKILL", timedOut: true });
    nothingLeft();
    const before = Date.now();
    const signal = AbortSignal.timeout(150);
    expect(await fixture.run(argv, { signal })).toMatchObject({ signal: "SIGKILL", timedOut: false });
    expect(await fixture.run(argv, { signal: AbortSignal.abort() })).toMatchObject({ signal: "SIGKILL" });
    expect(Date.now() - before).toBeLessThan(30_000);
    nothingLeft();
  });

  it("a command does not wait for a background process, which is killed", async () => {
    const argv = ["/bin/sh", "-c", `sh -c 'sleep 60; : ${fixture.mark}' & echo done`];
    const before = Date.now();
    expect(await fixture.run(argv)).toMatchObject({ exitCode: 0, output: "done\n" });
    expect(Date.now() - before).toBeLessThan(30_000);
    nothingLeft();
  });
});

it("a command in a service whose first process has just ended fails with SERVICE_NOT_STARTED", async ({ skip }) => {
  skip((await fixture.host()).sandboxEnforcement().level !== "enforced", "no namespaces");
  const running = await fixture.shell("echo ready; sleep 60", { visible: [fixture.stateDir] });
  await printed("ready");
  const stat = (pid: number) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const init = Number(stat(running.pid)[1]);
  const monitor = Number(stat(init)[1]);
  // Nothing reaps the first process while the one that waits for it is stopped.
  process.kill(monitor, "SIGSTOP");
  try {
    process.kill(init, "SIGKILL");
    await until("the end of the first process", () => stat(init)[0] === "Z");
    await expect(fixture.run(["/bin/true"], { inside: running })).rejects.toMatchObject({
      code: "SERVICE_NOT_STARTED",
    });
  } finally {
    process.kill(monitor, "SIGCONT");
  }
  await running.exited;
});

it("a pause without a cgroup includes the processes of an inner PID namespace", async ({ skip }) => {
  const host = await fixture.host({ cgroupRoot: join(fixture.dir.path, "none") });
  skip(host.sandboxEnforcement().level !== "enforced", "no namespaces");
  const loop = "while :; do echo tick; sleep 0.02; done";
  const script = `unshare --user --map-root-user --pid --fork sh -c '${loop}' || echo refused; sleep 60`;
  const running = await fixture.shell(script, { visible: [fixture.stateDir] });
  await until("the first line", () => /tick|refused/.test(fixture.sink.all));
  skip(fixture.sink.all.includes("refused"), "services cannot have user namespaces here");
  await running.pause();
  await sleep(100);
  const { length } = fixture.sink.all;
  await sleep(300);
  expect(fixture.sink.all).toHaveLength(length);
  await running.resume();
  await until("another line", () => fixture.sink.all.length > length);
  await running.stop({ graceMs: 0 });
});
