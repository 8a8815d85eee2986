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
/** Above every process id that Linux gives. */
const NOBODY = 4_194_304 + 7;

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

/** Nobody may be there to reap what is not our child: a dead one can stay as a zombie, which has no arguments. */
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
  const file: RunFile = { pid: NOBODY, started: "1", place: hostIdentity(), entries: [], ...fields };
  const path = join(run, `${file.pid}.json`);
  writeFileSync(path, JSON.stringify(file));
  return path;
}

describe("the next server", () => {
  it("ends what a dead one left, and only that", async () => {
    const [left, reused] = [sleeper(), sleeper()];
    const path = leave({ entries: [entry(left), entry(reused, { started: "1" })] });
    await fixture.host();
    await until("it ends", () => !lives(left));
    expect(left.signalCode).toBe("SIGKILL");
    expect(existsSync(path)).toBe(false);
    expect(fixture.warnings).toEqual([`Ended 2 processes that server ${NOBODY} left behind.`]);
    await sleep(50);
    expect(lives(reused)).toBe(true);
  });

  it("leaves a process alone of which it knows no start", async () => {
    const unknown = sleeper();
    leave({ entries: [entry(unknown, { started: null }), entry({ pid: NOBODY })] });
    await fixture.host();
    await sleep(50);
    expect(lives(unknown)).toBe(true);
    expect(readdirSync(run)).toEqual([]);
  });

  it("ends the rest of a group whose leader is gone, but not where its cgroup is known", async () => {
    const leader = spawn("/bin/sh", ["-c", "sleep 60 & echo $!"], { detached: true, env: {} });
    const pid = leader.pid as number;
    const started = startTime(pid);
    // Both are listened for from the start: which comes first is not known.
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
    ["lives", () => ({ pid: process.ppid, started: startTime(process.ppid) }), true],
    ["is in another namespace of process ids", () => ({ place: { ...hostIdentity(), namespace: "pid:[1]" } }), true],
    ["ran before the machine was started again", () => ({ place: { ...hostIdentity(), boot: "earlier" } }), false],
  ])("ends nothing of a server that %s", async (_what, fields, stays) => {
    const other = sleeper();
    const path = leave({ entries: [entry(other)], ...fields() });
    await fixture.host();
    await sleep(50);
    expect(lives(other)).toBe(true);
    expect(existsSync(path)).toBe(stays);
    expect(fixture.warnings).toEqual([]);
  });

  it("removes what it does not understand, and what was half written", async () => {
    writeFileSync(join(run, "1.json"), "{");
    writeFileSync(join(run, "2.json"), "null");
    writeFileSync(join(run, "3.json"), JSON.stringify({ pid: NOBODY, started: "1", place: hostIdentity() }));
    writeFileSync(join(run, `${NOBODY}.json.${NOBODY}.abc`), "");
    writeFileSync(join(run, `${process.ppid}.json.${process.ppid}.abc`), "");
    writeFileSync(join(run, "notes.txt"), "");
    await fixture.host();
    expect(readdirSync(run).sort()).toEqual([`${process.ppid}.json.${process.ppid}.abc`, "notes.txt"].sort());
    expect(fixture.warnings.length).toBe(3);
    for (const warning of fixture.warnings) expect(warning).toContain("not understood");
  });

  it("tries again later what it cannot end", async () => {
    const full = join(fixture.dir.path, "not-a-cgroup");
    mkdirSync(full);
    writeFileSync(join(full, "file"), "");
    const path = leave({ entries: [entry({ pid: NOBODY }, { started: "1", directories: [full] })] });
    await fixture.host();
    expect(existsSync(path)).toBe(true);
    expect(fixture.warnings).toEqual([expect.stringContaining("Not all that server")]);
  });
});

describe("the watchdog's program", () => {
  async function told(lines: string[], file?: string): Promise<void> {
    const input = new PassThrough();
    const ended = watch(input, file);
    input.end(lines.join("\n"));
    await ended;
  }

  it("ends what was added and not removed, whatever else it reads", async () => {
    const [left, removed] = [sleeper(), sleeper()];
    const path = leave({});
    writeFileSync(`${path}.1.abc`, "");
    const add = (child: { pid: number }): string => JSON.stringify({ add: entry(child) });
    await told([add(left), add(removed), JSON.stringify({ remove: removed.pid }), '{"add":{"pid'], path);
    await until("it ends", () => !lives(left));
    expect(lives(removed)).toBe(true);
    expect(readdirSync(run)).toEqual([]);
    await told([], join(run, "gone", "1.json"));
  });

  it("ends nothing when the server did it itself", async () => {
    const other = sleeper();
    const path = leave({});
    await told([JSON.stringify({ add: entry(other) }), '{"done":true}'], path);
    await sleep(50);
    expect([lives(other), existsSync(path)]).toEqual([true, true]);
  });

  it("keeps the file when something cannot be ended", async () => {
    const full = join(fixture.dir.path, "not-a-cgroup");
    mkdirSync(full);
    writeFileSync(join(full, "file"), "");
    const path = leave({});
    await told([JSON.stringify({ add: entry({ pid: NOBODY }, { directories: [full] }) })], path);
    expect(existsSync(path)).toBe(true);
  });
});
