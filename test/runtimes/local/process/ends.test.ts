import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { withDescendants } from "../../../../src/runtimes/local/process/children.js";
import { enterDelegatedScope } from "../../../../src/runtimes/local/process/delegated-scope.js";
import { endUser } from "../../../../src/runtimes/local/process/end-user.js";
import { gateCommand } from "../../../../src/runtimes/local/process/gate.js";
import { withName } from "../../../../src/runtimes/local/process/named-user.js";
import { namespaceEnded } from "../../../../src/runtimes/local/process/namespace-end.js";
import {
  endEntry,
  hostIdentity,
  ownerStatus,
  type RunFile,
  usersInUse,
} from "../../../../src/runtimes/local/process/run-file.js";
import { startTime } from "../../../../src/system/process-identity.js";
import { tempDir } from "../support/fixture.js";

const isRoot = process.getuid?.() === 0;
/** No service has it: the runtime's own ids begin at the other end of the range. */
const UID = 524_011;

describe("the end of a service's processes", () => {
  let dir: ReturnType<typeof tempDir>;
  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(() => dir.remove());

  it.runIf(isRoot)("endUser ends the processes of a service's user, and of no other user", async () => {
    const child = spawn("/bin/sleep", ["60"], { uid: UID, gid: UID, cwd: "/", stdio: "ignore" });
    await once(child, "spawn");
    const exit = once(child, "exit");
    expect(await endUser(1000)).toBe(true);
    expect(await endUser(UID)).toBe(true);
    expect((await exit)[1]).toBe("SIGKILL");
  });

  const runFile = (fields: Partial<RunFile> = {}): RunFile => ({
    pid: process.pid,
    started: startTime(process.pid),
    place: hostIdentity(),
    entries: [{ pid: 1, started: "1", directories: [], uid: UID }],
    ...fields,
  });

  it("the state of a run file's server depends on the boot, the namespace and the process", () => {
    expect(ownerStatus(runFile())).toBe("lives");
    expect(ownerStatus(runFile({ started: "0" }))).toBe("dead");
    expect(ownerStatus(runFile(), { ...hostIdentity(), namespace: "another" })).toBe("elsewhere");
    expect(ownerStatus(runFile(), { ...hostIdentity(), boot: "another" })).toBe("rebooted");
  });

  it("users of live servers are in use, and those of dead ones and of the own run file are not", () => {
    const write = (name: string, text: string) => writeFileSync(join(dir.path, name), text);
    const entry = (uid: number | null) => ({ pid: 1, started: "1", directories: [], uid });
    write("1.json", JSON.stringify(runFile({ entries: [entry(UID), entry(null)] })));
    write("2.json", JSON.stringify(runFile({ started: "0", entries: [entry(UID + 1)] })));
    write("3.json", JSON.stringify(runFile({ entries: [entry(UID + 2)] })));
    write("4.json", "{");
    write("notes.txt", "");
    expect([...usersInUse(join(dir.path, "3.json"))]).toEqual([UID]);
    expect([...usersInUse(join(dir.path, "absent/3.json"))]).toEqual([]);
  });

  it.runIf(isRoot)("endEntry leaves a user alone whose services a live server runs", async () => {
    const child = spawn("/bin/sleep", ["60"], { uid: UID, gid: UID, cwd: "/", stdio: "ignore", detached: true });
    await once(child, "spawn");
    const exit = once(child, "exit");
    // The leader's id belongs to another process now.
    const entry = { pid: child.pid as number, started: "0", directories: [], uid: UID };
    await endEntry(entry, false, new Set([UID]));
    expect([child.exitCode, child.signalCode]).toEqual([null, null]);
    await endEntry(entry, false, new Set());
    expect((await exit)[1]).toBe("SIGKILL");
  });

  it.runIf(process.platform === "linux")("namespaceEnded is false while the first process runs", async () => {
    const inside = { init: process.pid, started: startTime(process.pid) ?? "", pidNamespace: "" };
    expect(await namespaceEnded(inside, 0)).toBe(false);
    expect(await namespaceEnded({ ...inside, started: "0" }, 0)).toBe(true);
  });

  it("withDescendants returns each process once", () => {
    const all = [
      { pid: 2, parent: 1 },
      { pid: 3, parent: 2 },
      { pid: 4, parent: 3 },
      { pid: 5, parent: 1 },
    ];
    const first = all.filter(({ pid }) => pid === 2 || pid === 3);
    expect(
      withDescendants(all, first)
        .map(({ pid }) => pid)
        .sort(),
    ).toEqual([2, 3, 4]);
  });

  it("without a session of systemd no scope is requested", async () => {
    const before = { ...process.env };
    try {
      delete process.env.XDG_RUNTIME_DIR;
      delete process.env.DBUS_SESSION_BUS_ADDRESS;
      expect(await enterDelegatedScope(() => expect.fail("not asked"))).toBe(false);
      process.env.XDG_RUNTIME_DIR = join(dir.path, "run");
      mkdirSync(process.env.XDG_RUNTIME_DIR);
      expect(await enterDelegatedScope(async () => "/")).toBe(false);
    } finally {
      for (const name of ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"])
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
    }
  });

  it("a user that is no service's needs no name", async () => {
    expect(await withName({ uid: 0 }, async () => "ran")).toBe("ran");
  });
});

describe("gateCommand", () => {
  const user = { uid: 200_001, gid: 200_002, name: "web", enforcement: { level: "none", reason: "" } } as const;
  const gate = (
    env: Record<string, string>,
    tools: Partial<Parameters<typeof gateCommand>[1]> = {},
    groups: readonly number[] = [],
  ) =>
    gateCommand(
      { argv: ["/bin/server", "x"], cwd: "/srv", env, user: { ...user, groups } },
      { setpriv: "/usr/bin/setpriv", perl: null, withoutKeys: [], exactShell: true, ...tools },
      true,
    );

  it("a service of shared volumes keeps their groups, and its files are writable for them", () => {
    const alone = gate({});
    expect(alone.args).toContain("--clear-groups");
    expect(alone.args[1]).not.toContain("umask");
    const shared = gate({}, {}, [300_001, 300_002]);
    expect(shared.args).toContain("--groups=300001,300002");
    expect(shared.args).not.toContain("--clear-groups");
    expect(shared.args[1]).toMatch(/^umask 0002; /);
  });

  it("variables that a shell changes or does not accept are set by env, and hidden from the shells before", () => {
    const exact = gate({ A: "1" });
    expect(exact.args).not.toContain("/usr/bin/env");
    expect(Object.values(exact.env)).toEqual(["A=1"]);
    const own = gate({ A: "1", PWD: "/x", "discovery.type": "single" });
    const words = own.args.slice(own.args.indexOf("/usr/bin/env"));
    expect(words).not.toContain("PWD");
    expect(words.slice(words.indexOf("--") + 1)).toEqual(["PWD=/x", "discovery.type=single", "/bin/server", "x"]);
    expect(Object.values(own.env)).toEqual(["A=1"]);
    const perl = gate({ "discovery.type": "single" }, { perl: "/usr/bin/perl" });
    expect(perl.args).not.toContain("/usr/bin/env");
    expect(perl.args.slice(-3)).toEqual(["/srv", "/bin/server", "x"]);
    expect(Object.values(perl.env)).toEqual(["discovery.type=single"]);
  });
});
