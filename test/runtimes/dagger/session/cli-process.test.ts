/** Stub programs named `dagger` that misbehave: each is reported, and no start waits without limit. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startCli } from "../../../../src/runtimes/dagger/session/cli-process.js";
import { openSession } from "../../../../src/runtimes/dagger/session/session.js";
import type { SessionOptions } from "../../../../src/runtimes/dagger/session/types.js";
import { closeServer, until } from "../../contract/bench.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dagger-cli-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** @param script what the CLI runs, in its own folder */
function options(script: string, fields: Partial<SessionOptions> = {}): SessionOptions {
  const cli = join(folder, "dagger");
  writeFileSync(cli, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return {
    cli,
    runnerHost: null,
    workdir: folder,
    signal: new AbortController().signal,
    env: process.env,
    warn: () => {},
    ...fields,
  };
}

const file = (name: string): string => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), "utf8") : "");
const LINE = `echo '{"port":1,"session_token":"t"}'`;

describe("startCli", () => {
  it("the CLI runs in its own folder and in a separate process group", async () => {
    const started = await startCli(options(`pwd > where; ps -o pgid= -p $$ > group; ${LINE}; cat > /dev/null`));
    expect(started.address).toEqual({ port: 1, token: "t" });
    expect(file("where").trim()).toBe(folder);
    expect(Number(file("group"))).toBe(started.pid);
    await started.end();
    expect((await started.exited).reason).toBe("the session's process exited with code 0");
  });

  it("the end of the CLI is reported at once, also while a child process holds its output", async () => {
    const holds = "sleep 1000 & echo $! > child;";
    const gone = options(`${holds} echo 'no disk left' >&2; exit 3`);
    const children: number[] = [];
    try {
      await expect(startCli(gone)).rejects.toMatchObject({
        code: "RUNTIME_UNAVAILABLE",
        message: "No Dagger session could be opened: the session's process exited with code 3: no disk left.",
      });
      children.push(Number(file("child")));
      const started = await startCli(options(`${holds} ${LINE}; cat > /dev/null`));
      children.push(Number(file("child")));
      process.kill(started.pid, "SIGKILL");
      expect((await started.exited).reason).toBe("the session's process was ended by SIGKILL");
      for (const child of children) expect(existsSync(`/proc/${child}`)).toBe(true);
    } finally {
      for (const child of children) process.kill(child, "SIGKILL");
    }
  });

  it("a first line that is too long fails the start, and later output is discarded", async () => {
    for (const line of ["head -c 40000 /dev/zero | tr '\\0' x", "head -c 20000 /dev/zero | tr '\\0' x; echo"])
      await expect(startCli(options(`${line}; cat > /dev/null`))).rejects.toMatchObject({
        code: "RUNTIME_UNAVAILABLE",
        message: expect.stringContaining("did not print its port"),
      });
    const talks = await startCli(
      options(`${LINE}; head -c 300000 /dev/zero | tr '\\0' x; echo > done; cat > /dev/null`),
    );
    await until("all was read", () => file("done") !== "");
    await talks.end();
    expect((await talks.exited).reason).toBe("the session's process exited with code 0");
  });

  it("a CLI that exceeds the deadline is reported with its output", async () => {
    const slow = options("echo 'pulling the engine' >&2; cat > /dev/null", { startTimeoutMs: 1500 });
    await expect(startCli(slow)).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: "The Dagger session did not open within 1.5 s: pulling the engine.",
    });
  });

  it("a cancelled start ends the CLI while the engine does not answer", async () => {
    let asked = 0;
    const server: Server = createServer(() => {
      asked += 1;
    }).listen(0, "127.0.0.1");
    await until("it listens", () => server.listening);
    const { port } = server.address() as AddressInfo;
    const abort = new AbortController();
    const script = `echo $$ > pid; echo '{"port":${port},"session_token":"t"}'; cat > /dev/null`;
    try {
      const opening = openSession(options(script, { signal: abort.signal }));
      const left = expect(opening).rejects.toThrow("changed my mind");
      await until("it is asked", () => asked > 0);
      abort.abort(new Error("changed my mind"));
      await left;
      expect(existsSync(`/proc/${Number(file("pid"))}`)).toBe(false);
    } finally {
      server.closeAllConnections();
      await closeServer(server);
    }
  });
});
