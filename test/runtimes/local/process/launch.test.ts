import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HostFixture, isRoot, until } from "./support.js";

let fixture: HostFixture;
beforeEach(() => {
  fixture = new HostFixture();
});
afterEach(() => fixture.close());

const status = (pid: number): string => readFileSync(`/proc/${pid}/status`, "utf8");

describe("a started service", () => {
  it.runIf(isRoot)("is its own user, has no other groups and cannot gain privileges", async () => {
    const running = await fixture.shell("id -u; id -G; sleep 60");
    await until("the service speaks", () => fixture.sink.all.split("\n").length > 2);
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

  it.runIf(isRoot)("cannot become root with a setuid program", async () => {
    const { exitCode, output } = await fixture.run(["/usr/bin/passwd", "-S", "root"]);
    expect(exitCode, output).not.toBe(0);
  });

  it("has exactly the environment that was given", async () => {
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

  it("gets its arguments as they are", async () => {
    const odd = ["a b", "", "$(id)", "--", "-x", "'\"\\", "*", "ä\n"];
    const { output } = await fixture.run(["/usr/bin/printf", "%s\\0", ...odd]);
    expect(output.split("\0").slice(0, -1)).toEqual(odd);
  });

  it("has nothing open but its output, and leads a separate process group", async () => {
    const { output } = await fixture.run(["/bin/ls", "/proc/self/fd"]);
    // 3 is the folder that ls itself reads; higher ones are what the caller of the tests left open for all.
    const open = output.trim().split("\n").map(Number);
    expect(open.filter((fd) => fd < 10)).toEqual([0, 1, 2, 3]);
    const running = await fixture.shell("readlink /proc/$$/fd/0; sleep 60");
    await until("the service speaks", () => fixture.sink.all !== "");
    expect(fixture.sink.all).toBe("/dev/null\n");
    const stat = readFileSync(`/proc/${running.pid}/stat`, "utf8").split(" ");
    expect(stat.slice(4, 6)).toEqual([String(running.pid), String(running.pid)]);
  });
});

describe("a service that cannot start", () => {
  it("says which folder it could not enter", async () => {
    await expect(fixture.shell("true", { cwd: "/nonexistent" })).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: "/bin/sh cannot be started: its working directory /nonexistent cannot be entered.",
      hint: expect.stringContaining("/nonexistent"),
    });
  });

  it("is refused when its arguments are none", async () => {
    await expect(fixture.run(["/bin/echo", "a\0b"])).rejects.toMatchObject({ code: "SERVICE_START_FAILED" });
  });

  it("ends like in a shell when the program is missing", async () => {
    const running = await fixture.spawn(["/nonexistent/program"]);
    expect(await running.exited).toMatchObject({ exitCode: 127, signal: null, oomKilled: false });
    expect(fixture.sink.all).toContain("/nonexistent/program");
  });
});
