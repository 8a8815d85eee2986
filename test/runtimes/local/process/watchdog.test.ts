import { chownSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { tempDir } from "../support/fixture.js";
import { buildServer, handlesSignals, isWatchdog, ServerProcess } from "./server-process.js";
import { cgroupsOf, HostFixture, hasCgroups, isRoot, processesWith, until } from "./support.js";

const programs = tempDir();
let program: string;
let fixture: HostFixture;
const servers: ServerProcess[] = [];

beforeAll(() => {
  program = buildServer(programs.path);
});
afterAll(() => programs.remove());
beforeEach(() => {
  fixture = new HostFixture();
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.kill();
  await fixture.close();
});

function start(mode?: string, uid?: number): ServerProcess {
  const server = new ServerProcess(program, fixture.stateDir, fixture.mark, mode, uid);
  servers.push(server);
  return server;
}

/** Processes of the server's services and command. */
const running = (server: ServerProcess): number[] => processesWith(fixture.mark).filter((pid) => pid !== server.pid);

const left = (server: ServerProcess): unknown[] => [
  ...processesWith(fixture.mark),
  ...cgroupsOf(server.pid),
  ...(existsSync(join(fixture.stateDir, "run")) ? readdirSync(join(fixture.stateDir, "run")) : []),
];

async function nothingLeft(server: ServerProcess): Promise<void> {
  await until("everything ends", () => left(server).length === 0).catch(() => expect(left(server)).toEqual([]));
}

describe.runIf(hasCgroups)("a killed server", () => {
  it("the watchdog ends all processes and cgroups of a killed server, then itself", async () => {
    const server = start();
    const watchdog = await server.ready();
    await until("everything runs", () => running(server).length > 4);
    expect(cgroupsOf(server.pid).length).toBeGreaterThan(1);
    await server.kill();
    await nothingLeft(server);
    await until("the watchdog ends", () => !isWatchdog(watchdog));
  });

  it("a watchdog ignores SIGTERM, SIGINT and SIGHUP, and its replacement works after SIGKILL", async () => {
    const server = start();
    const watchdog = await server.ready();
    await until("the watchdog listens", () => handlesSignals(watchdog));
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(watchdog, signal);
    await sleep(100);
    expect(isWatchdog(watchdog)).toBe(true);
    process.kill(watchdog, "SIGKILL");
    await until("it is started again", () => /starting it again/.test(server.warnings));
    await until("the new one listens", () => processesWith(`${server.pid}.json`).some(handlesSignals));
    await server.kill();
    await nothingLeft(server);
  });

  it("the next server ends the processes of a server that was killed together with its watchdog", async () => {
    const server = start();
    const watchdog = await server.ready();
    await until("everything runs", () => running(server).length > 4);
    // A stopped server cannot start another watchdog.
    server.child.kill("SIGSTOP");
    process.kill(watchdog, "SIGKILL");
    await server.kill();
    await sleep(100);
    expect(running(server).length).toBeGreaterThan(4);
    await fixture.host();
    expect(fixture.warnings).toEqual([`Ended 3 processes that server ${server.pid} left behind.`]);
    await nothingLeft(server);
  });

  it("a server that is killed during a start leaves no processes or cgroups", async () => {
    for (let round = 0; round < 8; round += 1) {
      const server = start("storm");
      expect(await server.line()).toBe("storm");
      await sleep(5 + round * 17);
      await server.kill();
      await nothingLeft(server);
    }
  });
});

describe("a server that closes its host", () => {
  it("a closed host leaves no processes, and its watchdog has ended", async () => {
    const server = start();
    const watchdog = await server.ready();
    server.child.stdin?.write("close\n");
    expect(await server.line()).toBe("closed");
    expect(isWatchdog(watchdog)).toBe(false);
    await server.exited;
    expect(left(server)).toEqual([]);
  });
});

describe.runIf(isRoot)("a server without root", () => {
  it("a server without root reports what is not enforced and leaves no processes when it is killed", async () => {
    const uid = 79_990;
    mkdirSync(fixture.stateDir);
    chownSync(fixture.stateDir, uid, uid);
    const server = start("plain", uid);
    const report = JSON.parse(await server.line());
    const none = { level: "none", reason: expect.stringContaining("as root") };
    const unlimited = { value: null, enforcement: none };
    expect(report).toMatchObject({
      uid,
      user: { uid, gid: uid, enforcement: { level: "none" } },
      limits: { cpus: unlimited, memory_mb: unlimited, pids: unlimited },
      users: { level: "none", reason: expect.stringContaining("Only root") },
      stats: { memory_peak_mb: null, memory_mb: expect.any(Number), pids: expect.any(Number) },
    });
    await server.ready();
    await until("everything runs", () => running(server).length > 4);
    await server.kill();
    await nothingLeft(server);
  });
});
