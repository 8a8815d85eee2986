import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { findGateTools } from "../../../../src/runtimes/local/process/gate.js";
import { launch, retryMounts } from "../../../../src/runtimes/local/process/launch.js";
import { HostFixture, isRoot, until } from "./support.js";

let fixture: HostFixture;
beforeEach(() => {
  fixture = new HostFixture();
});
afterEach(() => fixture.close());

const status = (pid: number): string => readFileSync(`/proc/${pid}/status`, "utf8");

describe("a started service", () => {
  it.runIf(isRoot)("a service runs as a separate user without groups, capabilities or new privileges", async () => {
    const running = await fixture.shell("id -u; id -G; sleep 60");
    await until("the service prints", () => fixture.sink.all.split("\n").length > 2);
    const { uid } = await (await fixture.host()).userFor("demo", "web");
    expect(uid).toBeGreaterThanOrEqual(200_000);
    expect(fixture.sink.all).toBe(`${uid}\n${uid}\n`);
    expect(running.effectiveUid()).toBe(uid);
    expect(status(running.pid)).toMatch(/^Groups:\s*$/m);
    expect(status(running.pid)).toMatch(/^NoNewPrivs:\s*1$/m);
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
      expect(status(running.pid)).toMatch(new RegExp(`^${set}:\\s*0+$`, "m"));
    await running.stop({ graceMs: 1000 });
    expect(running.effectiveUid()).toBeNull();
  });

  it.runIf(isRoot)("a setuid program does not give a service root's rights", async () => {
    const { exitCode, output } = await fixture.run(["/usr/bin/passwd", "-S", "root"]);
    expect(exitCode, output).not.toBe(0);
  });

  it("a command receives exactly the given environment", async () => {
    const env = {
      PATH: "/usr/bin:/bin",
      "discovery.type": "single-node",
      "a-b": "x=y",
      PWD: "/somewhere/else",
      IFS: ":",
      PPID: "3",
      QUOTES: `'"\\$(id)\n second line`,
      EMPTY: "",
    };
    const { output } = await fixture.run(["/usr/bin/env", "-0"], { env });
    const seen = output.split("\0").slice(0, -1);
    expect(seen.sort()).toEqual(
      Object.entries(env)
        .map(([name, value]) => `${name}=${value}`)
        .sort(),
    );
    expect((await fixture.run(["/usr/bin/env"])).output).toBe("");
  });

  it("a command receives its arguments unchanged", async () => {
    const odd = ["a b", "", "$(id)", "--", "-x", "'\"\\", "*", "ä\n"];
    const { output } = await fixture.run(["/usr/bin/printf", "%s\\0", ...odd]);
    expect(output.split("\0").slice(0, -1)).toEqual(odd);
  });

  it("a service inherits no descriptors and leads a separate process group and session", async () => {
    const { output } = await fixture.run(["/bin/ls", "/proc/self/fd"]);
    // 3 is the folder that ls reads. Higher descriptors are inherited from the caller of the tests.
    const open = output.trim().split("\n").map(Number);
    expect(open.filter((fd) => fd < 10)).toEqual([0, 1, 2, 3]);
    const running = await fixture.shell("readlink /proc/$$/fd/0; sleep 60");
    await until("the service prints", () => fixture.sink.all !== "");
    expect(fixture.sink.all).toBe("/dev/null\n");
    const stat = readFileSync(`/proc/${running.pid}/stat`, "utf8").split(" ");
    expect(stat.slice(4, 6)).toEqual([String(running.pid), String(running.pid)]);
  });
});

describe("a service that cannot start", () => {
  it("a start in a missing working directory fails and names the directory", async () => {
    await expect(fixture.shell("true", { cwd: "/nonexistent" })).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: "/bin/sh cannot be started: its working directory /nonexistent cannot be entered.",
      hint: expect.stringContaining("/nonexistent"),
    });
  });

  it.runIf(isRoot)("a start below a folder that the service's user cannot enter names that folder", async () => {
    const closed = mkdtempSync(join(tmpdir(), "stackwarden-closed-"));
    onTestFinished(() => rmSync(closed, { recursive: true }));
    mkdirSync(join(closed, "app"));
    await expect(fixture.shell("true", { cwd: join(closed, "app") })).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      hint: expect.stringMatching(new RegExp(`^${closed} is closed to the user \\S+, as which the service runs\\.`)),
    });
  });

  it("a command with a NUL byte in an argument is refused", async () => {
    await expect(fixture.run(["/bin/echo", "a\0b"])).rejects.toMatchObject({ code: "SERVICE_START_FAILED" });
  });

  /** Starts a command behind a program that ends. */
  const startBehind = async (script: string): Promise<void> => {
    const words = ["/bin/sh", "-c", script];
    const launched = await launch({
      argv: ["/bin/true"],
      cwd: "/",
      env: {},
      user: await (await fixture.host()).userFor("demo", "web"),
      tools: await findGateTools(isRoot),
      stdin: "ignore",
      namespaces: { kind: "joined", pidNamespace: "", users: null, words },
    });
    await launched.enter([]);
    await launched.begin();
  };

  it.each([
    ["before its output", "exec 3>&-; sleep 0.2; echo 'No space for another namespace' >&2; exit 9"],
    ["with its end", "echo 'No space for another namespace' >&2; exit 9"],
  ])(
    "a program that closes its channel %s and ends is reported with its last line and exit code",
    async (_, script) => {
      await expect(startBehind(script)).rejects.toMatchObject({
        code: "SERVICE_START_FAILED",
        message:
          "/bin/true cannot be started: it ended before its first step (No space for another namespace, exit code 9).",
      });
    },
  );

  it.each([
    ["is repeated when bubblewrap meets a mount that is removed", "bwrap: Can't bind mount /: Invalid argument", 5],
    ["is not repeated after another failure of bubblewrap", "bwrap: Creating new namespace failed", 1],
  ])("a start %s", async (_, line, attempts) => {
    let calls = 0;
    const start = (): Promise<void> => {
      calls += 1;
      return startBehind(`echo "${line}" >&2; exit 1`);
    };
    await expect(retryMounts(start)).rejects.toMatchObject({
      message: expect.stringContaining(`(${line}, exit code 1)`),
    });
    expect(calls).toBe(attempts);
  });

  it("a repeated start that succeeds returns its result", async () => {
    let calls = 0;
    const start = async (): Promise<number> => {
      calls += 1;
      if (calls < 3) await startBehind(`echo "bwrap: Can't bind mount /: Invalid argument" >&2; exit 1`);
      return calls;
    };
    expect(await retryMounts(start)).toBe(3);
  });

  it("a service whose program is missing ends with exit code 127", async () => {
    const running = await fixture.spawn(["/nonexistent/program"]);
    expect(await running.exited).toMatchObject({ exitCode: 127, signal: null, oomKilled: false });
    expect(fixture.sink.all).toContain("/nonexistent/program");
  });
});
