import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pauseProcesses, resumeProcesses } from "../../../../src/runtimes/local/process/pause.js";
import { tempDir } from "../support/fixture.js";

describe.runIf(process.platform === "linux")("pauseProcesses", () => {
  let dir: ReturnType<typeof tempDir>;
  const children: ChildProcess[] = [];
  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    dir.remove();
  });

  const cgroup = (name: string, files: Record<string, string>): string => {
    const folder = join(dir.path, name);
    mkdirSync(folder);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
    return folder;
  };
  const sleeper = async (): Promise<number> => {
    const child = spawn("/bin/sleep", ["60"], { detached: true, stdio: "ignore" });
    children.push(child);
    await new Promise((resolve) => child.once("spawn", resolve));
    return child.pid as number;
  };
  const state = (pid: number): string => /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1] ?? "";
  /** A signal takes effect after the call that sends it. */
  const becomes = (pid: number, pattern: RegExp) => expect.poll(() => state(pid)).toMatch(pattern);

  it("a cgroup with a freezer is frozen and thawed by the kernel", async () => {
    const folder = cgroup("v2", {
      "cgroup.freeze": "0",
      "cgroup.events": "populated 1\nfrozen 1\n",
      "cgroup.procs": "",
    });
    const target = { pid: 0, directories: [folder], inside: null };
    await pauseProcesses(target);
    expect(readFileSync(join(folder, "cgroup.freeze"), "utf8")).toBe("1");
    await resumeProcesses(target);
    expect(readFileSync(join(folder, "cgroup.freeze"), "utf8")).toBe("0");
  });

  it("every process of a cgroup without a freezer is stopped, and those that have ended are left out", async () => {
    const pid = await sleeper();
    const procs = { "cgroup.procs": `${pid}\n4194303\n` };
    const target = { pid, directories: [cgroup("memory", procs), cgroup("pids", procs)], inside: null };
    await pauseProcesses(target);
    expect(state(pid)).toBe("T");
    await resumeProcesses(target);
    await becomes(pid, /[RS]/);
  });

  it("without a cgroup and namespaces the process group is stopped", async () => {
    const pid = await sleeper();
    const target = { pid, directories: [], inside: null };
    await pauseProcesses(target);
    await becomes(pid, /T/);
    await resumeProcesses(target);
    await becomes(pid, /[RS]/);
  });
});
