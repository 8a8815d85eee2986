import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { drain } from "../../../../src/runtimes/shared/drain.js";
import { cgroupsOf, HostFixture, hasCgroups, processesWith, until } from "./support.js";

let fixture: HostFixture;
beforeEach(() => {
  fixture = new HostFixture();
});
afterEach(() => fixture.close());

const spoken = (text: string) => until(`the service says ${text}`, () => fixture.sink.all.includes(text));
/** Nothing is left of a service, although the host is still open. */
const nothingLeft = () => {
  expect(processesWith(fixture.mark)).toEqual([]);
  expect(cgroupsOf(process.pid)).toEqual([]);
};

describe("stop", () => {
  it("asks first: the main process gets the signal and ends by itself", async () => {
    const running = await fixture.shell("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    await spoken("ready");
    expect(await running.stop({ graceMs: 5000 })).toMatchObject({ exitCode: 3, signal: null, oomKilled: false });
    expect(fixture.sink.all).toBe("ready\nbye\n");
    nothingLeft();
  });

  it.each([
    ["SIGINT", "INT"],
    ["SIGRTMIN+3", "TERM"],
  ])("sends %s as %s", async (signal, received) => {
    const script = "trap 'echo INT; exit' INT; trap 'echo TERM; exit' TERM; echo ready; while :; do sleep 0.05; done";
    const running = await fixture.shell(script);
    await spoken("ready");
    await running.stop({ graceMs: 5000, signal });
    expect(fixture.sink.all).toBe(`ready\n${received}\n`);
  });

  it("kills after the grace what does not heed", async () => {
    const running = await fixture.shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
    await spoken("ready");
    const before = Date.now();
    expect(await running.stop({ graceMs: 200 })).toMatchObject({ exitCode: null, signal: "SIGKILL" });
    expect(Date.now() - before).toBeGreaterThanOrEqual(190);
    expect(Date.now() - before).toBeLessThan(30_000);
    nothingLeft();
  });

  it("ends what the service forked, also what left its group", async () => {
    // Without cgroups, what leaves its group is lost.
    const leave = hasCgroups ? "setsid" : "";
    const script = `trap '' TERM; (trap '' TERM; sh -c 'sleep 60; : ${fixture.mark}') & ${leave} sh -c 'sleep 60; : ${fixture.mark}' & echo ready; wait; sleep 60`;
    const running = await fixture.shell(script);
    await spoken("ready");
    await running.stop({ graceMs: 100 });
    nothingLeft();
  });

  it("may be called often, at once and afterwards", async () => {
    const running = await fixture.shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
    await spoken("ready");
    const patient = running.stop({ graceMs: 60_000 });
    const ends = await Promise.all([patient, running.stop({ graceMs: 100 }), running.stop({ graceMs: 50 })]);
    ends.push(await running.stop({ graceMs: 1000 }), await running.exited);
    for (const end of ends) expect(end).toBe(ends[0]);
    expect(await running.setLimits({ memory_mb: 50 })).toMatchObject({ memory_mb: { value: null } });
    nothingLeft();
  });
});

describe("the end of a service", () => {
  it("brings the end of what it forked, with the last of its output", async () => {
    const running = await fixture.shell(
      `(${hasCgroups ? "setsid" : ""} sh -c 'sleep 60; : ${fixture.mark}') & echo last; exit 7`,
    );
    expect(await running.exited).toMatchObject({ exitCode: 7, signal: null, oomKilled: false });
    expect(fixture.sink.all).toBe("last\n");
    nothingLeft();
  });

  it("is the signal when another process kills it", async () => {
    const running = await fixture.shell("sleep 60");
    process.kill(running.pid, "SIGKILL");
    expect(await running.exited).toMatchObject({ exitCode: null, signal: "SIGKILL", oomKilled: false });
  });

  it("keeps all of a flood", async () => {
    const running = await fixture.shell("seq 1 200000; seq 1 5 >&2");
    await running.exited;
    expect(fixture.sink.all.length).toBe(1_288_895 + 10);
  });
});

describe("close", () => {
  it("ends services and commands that run, and those that are starting", async () => {
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
  it("gives its end and its output, and takes input", async () => {
    const script = "cat; echo to-stderr >&2; exit 4";
    const { output, ...end } = await fixture.run(["/bin/sh", "-c", script], { stdin: "hello\n" });
    expect(end).toEqual({ exitCode: 4, signal: null, timedOut: false, oomKilled: false });
    // Of two streams the order is nobody's promise.
    expect(output.split("\n").sort()).toEqual(["", "hello", "to-stderr"]);
    const ignoring = await fixture.run(["/bin/true"], { stdin: "x".repeat(1_000_000) });
    expect(ignoring).toMatchObject({ exitCode: 0, output: "" });
  });

  it("has its last output also when the reader was late", async () => {
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
    writer.end("said at the end\n");
    // Longer than pipes are waited for.
    for (const end = Date.now() + 700; Date.now() < end; );
    await drained;
    expect(text).toBe("said at the end\n");
    writer.destroy();
    server.close();
  });

  it("shows all of its output to the sink, and keeps 64 KiB", async () => {
    const { output } = await fixture.run(["/usr/bin/seq", "1", "50000"], { sink: fixture.sink });
    expect(fixture.sink.all.length).toBe(288_894);
    expect(output).toBe(fixture.sink.all.slice(0, 65_536));
  });

  it("is ended with all of its group when its time is over or it is cancelled", async () => {
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

  it("does not wait for what it left in the background", async () => {
    const argv = ["/bin/sh", "-c", `sh -c 'sleep 60; : ${fixture.mark}' & echo done`];
    const before = Date.now();
    expect(await fixture.run(argv)).toMatchObject({ exitCode: 0, output: "done\n" });
    expect(Date.now() - before).toBeLessThan(30_000);
    nothingLeft();
  });
});
