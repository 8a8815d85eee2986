/** The launcher before it executes the command, and access checks of a server without root. */
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { accessible } from "../../../../src/runtimes/local/process/access.js";
import { type Launched, type LaunchSpec, launch } from "../../../../src/runtimes/local/process/launch.js";
import { followCommand } from "../../../../src/runtimes/local/process/run-command.js";
import { HostFixture, until } from "./support.js";

let fixture: HostFixture;
beforeEach(() => {
  fixture = new HostFixture();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await fixture.close();
});

const ended = (child: ChildProcess) => until("it ends", () => child.exitCode !== null || child.signalCode !== null);

async function begun(script: string, fields: Partial<LaunchSpec> = {}): Promise<Launched> {
  const spec = await fixture.spec(["/bin/sh", "-c", script, fixture.mark]);
  return launch({
    ...spec,
    tools: { setpriv: null, perl: null, withoutKeys: [], exactShell: false },
    stdin: "ignore",
    ...fields,
  });
}

describe("launch", () => {
  it("a launch runs no command before begin() and ends when the server does", async () => {
    const launched = await begun("echo ran");
    let output = "";
    launched.stdout.on("data", (chunk) => {
      output += chunk;
    });
    await sleep(50);
    // The end of the server closes this pipe.
    launched.child.stdio[3]?.destroy();
    await ended(launched.child);
    expect([launched.child.exitCode, output]).toEqual([125, ""]);
  });

  it("a launch without setpriv runs the command", async () => {
    const launched = await begun("exit 6");
    await launched.begin();
    await ended(launched.child);
    expect(launched.child.exitCode).toBe(6);
  });

  it("a launch that cannot enter its cgroup fails and leaves no process", async () => {
    const launched = await begun("sleep 60");
    await expect(launched.enter(["/nonexistent/cgroup.procs"])).rejects.toMatchObject({
      code: "SERVICE_START_FAILED",
      message: "/bin/sh cannot be put into its cgroup: ENOENT.",
    });
    await ended(launched.child);
  });

  it("a launch that is killed before begin() ends with that signal", async () => {
    const launched = await begun("sleep 60");
    launched.child.kill("SIGKILL");
    await ended(launched.child);
    const signal = new AbortController().signal;
    const { user } = await fixture.spec([]);
    const end = await followCommand(launched, { argv: [], cwd: "/", env: {}, user, signal, timeoutMs: 1000 });
    expect(end).toEqual({ exitCode: null, signal: "SIGKILL", timedOut: false, output: "" });
  });
});

describe("a host of a server without root", () => {
  it("a service runs as the server's user", async () => {
    const { getuid } = process;
    vi.spyOn(process, "getuid").mockImplementation(() => (getuid?.() ?? 0) + 1);
    const running = await fixture.shell("sleep 60");
    expect((await fixture.host()).usersEnforcement().level).toBe("none");
    expect(running.effectiveUid()).toBe(getuid?.());
    await running.stop({ graceMs: 1000 });
  });

  it("accessible() asks the operating system", async () => {
    vi.spyOn(process, "getuid").mockReturnValue(1234);
    const user = await (await fixture.host()).userFor("a", "b");
    expect(await (await fixture.host()).accessible("/bin/sh", user, "execute")).toBe(true);
    const file = join(fixture.dir.path, "file");
    writeFileSync(file, "", { mode: 0o644 });
    expect(await accessible(file, user, "read")).toBe(true);
    expect(await accessible(file, user, "execute")).toBe(false);
    expect(await accessible(fixture.dir.path, user, "read")).toBe(true);
    expect(await accessible("/nonexistent", user, "read")).toBe(false);
  });
});
