import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hostIdentity, type RunEntry, type RunFile } from "../../../../src/runtimes/local/process/run-file.js";
import { watch } from "../../../../src/runtimes/local/process/watchdog-program.js";
import { startTime } from "../../../../src/system/process-identity.js";
import { HostFixture, until } from "./support.js";

let fixture: HostFixture;
let run: string;
const children: ChildProcess[] = [];
/** Above every process id that Linux assigns. */
const UNUSED_PID = 4_194_304 + 7;

beforeEach(() => {
  fixture = new HostFixture();
  run = join(fixture.stateDir, "run");
  mkdirSync(run, { recursive: true });
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await fixture.close();
});

const lives = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

/** False for a zombie too, which has no arguments: the end of a process that is not our child may not be reaped. */
const runs = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "";
  } catch {
    return false;
  }
};

function sleeper(): ChildProcess & { pid: number } {
  const child = spawn("/bin/sh", ["-c", "sleep 60"], { detached: true, stdio: "ignore", env: {} });
  children.push(child);
  return child as ChildProcess & { pid: number };
}

const entry = (child: { pid: number }, fields: Partial<RunEntry> = {}): RunEntry => ({
  pid: child.pid,
  started: startTime(child.pid),
  directories: [],
  ...fields,
});

function leave(fields: Partial<RunFile>): string {
  const file: RunFile = { pid: UNUSED_PID, started: "1", place: hostIdentity(), entries: [], ...fields };
  const path = join(run, `${file.pid}.json`);
  writeFileSync(path, JSON.stringify(file));
  return path;
}

describe("the sweep of a new server", () => {
  it("the sweep ends the processes of a dead server, but no process with a reused id", async () => {
    const [left, reused] = [sleeper(), sleeper()];
    const path = leave({ entries: [entry(left), entry(reused, { started: "1" })] });
    await fixture.host();
    await until("it ends", () => !lives(left));
    expect(left.signalCode).toBe("SIGKILL");
    expect(existsSync(path)).toBe(false);
    expect(fixture.warnings).toEqual([`Ended 2 processes that server ${UNUSED_PID} left behind.`]);
    await sleep(50);
    expect(lives(reused)).toBe(true);
  });

  it("the sweep does not end a process whose start time is unknown", async () => {
    const unknown = sleeper();
    leave({ entries: [entry(unknown, { started: null }), entry({ pid: UNUSED_PID })] });
    await fixture.host();
    await sleep(50);
    expect(lives(unknown)).toBe(true);
    expect(readdirSync(run)).toEqual([]);
  });

  it("the sweep ends a process group without its leader only where no cgroup is recorded", async () => {
    const leader = spawn("/bin/sh", ["-c", "sleep 60 & echo $!"], { detached: true, env: {} });
    const pid = leader.pid as number;
    const started = startTime(pid);
    // Both listeners are added at once, because the order of the events is not defined.
    const [text] = await Promise.all([once(leader.stdout, "data"), once(leader, "exit")]);
    const member = Number(text);
    leave({ entries: [{ pid, started, directories: ["/nonexistent/cgroup"] }] });
    await fixture.host();
    await sleep(50);
    expect(runs(member)).toBe(true);
    leave({ entries: [{ pid, started, directories: [] }] });
    await (await fixture.host()).sweep();
    await until("it ends", () => !runs(member));
  });

  it.each([
    ["is running", () => ({ pid: process.ppid, started: startTime(process.ppid) }), true],
    ["is in another PID namespace", () => ({ place: { ...hostIdentity(), namespace: "pid:[1]" } }), true],
    ["ran before the machine restarted", () => ({ place: { ...hostIdentity(), boot: "earlier" } }), false],
  ])("the sweep ends no process of a server that %s", async (_what, fields, stays) => {
    const other = sleeper();
    const path = leave({ entries: [entry(other)], ...fields() });
    await fixture.host();
    await sleep(50);
    expect(lives(other)).toBe(true);
    expect(existsSync(path)).toBe(stays);
    expect(fixture.warnings).toEqual([]);
  });

  it("the sweep removes invalid run files and incomplete files of dead servers", async () => {
    writeFileSync(join(run, "1.json"), "{");
    writeFileSync(join(run, "2.json"), "null");
    writeFileSync(join(run, "3.json"), JSON.stringify({ pid: UNUSED_PID, started: "1", place: hostIdentity() }));
    writeFileSync(join(run, `${UNUSED_PID}.json.${UNUSED_PID}.abc`), "");
    writeFileSync(join(run, `${process.ppid}.json.${process.ppid}.abc`), "");
    writeFileSync(join(run, "notes.txt"), "");
    await fixture.host();
    expect(readdirSync(run).sort()).toEqual([`${process.ppid}.json.${process.ppid}.abc`, "notes.txt"].sort());
    expect(fixture.warnings.length).toBe(3);
    for (const warning of fixture.warnings) expect(warning).toContain("cannot be read and is removed");
  });

  it("the sweep keeps a run file whose processes it cannot end", async () => {
    const full = join(fixture.dir.path, "not-a-cgroup");
    mkdirSync(full);
    writeFileSync(join(full, "file"), "");
    const path = leave({ entries: [entry({ pid: UNUSED_PID }, { started: "1", directories: [full] })] });
    await fixture.host();
    expect(existsSync(path)).toBe(true);
    expect(fixture.warnings).toEqual([expect.stringContaining("Some processes that server")]);
  });
});

describe("the watchdog's program", () => {
  async function send(lines: string[], file?: string): Promise<void> {
    const input = new PassThrough();
    const ended = watch(input, file);
    input.end(lines.join("\n"));
    await ended;
  }

  it("the watchdog ends added processes that were not removed, also after an incomplete message", async () => {
    const [left, removed] = [sleeper(), sleeper()];
    const path = leave({});
    writeFileSync(`${path}.1.abc`, "");
    const add = (child: { pid: number }): string => JSON.stringify({ add: entry(child) });
    await send([add(left), add(removed), JSON.stringify({ remove: removed.pid }), '{"add":{"pid'], path);
    await until("it ends", () => !lives(left));
    expect(lives(removed)).toBe(true);
    expect(readdirSync(run)).toEqual([]);
    await send([], join(run, "gone", "1.json"));
  });

  it("the watchdog ends no process after the server sends done", async () => {
    const other = sleeper();
    const path = leave({});
    await send([JSON.stringify({ add: entry(other) }), '{"done":true}'], path);
    await sleep(50);
    expect([lives(other), existsSync(path)]).toEqual([true, true]);
  });

  it("the watchdog keeps the run file when it cannot end a process", async () => {
    const full = join(fixture.dir.path, "not-a-cgroup");
    mkdirSync(full);
    writeFileSync(join(full, "file"), "");
    const path = leave({});
    await send([JSON.stringify({ add: entry({ pid: UNUSED_PID }, { directories: [full] }) })], path);
    expect(existsSync(path)).toBe(true);
  });
});
