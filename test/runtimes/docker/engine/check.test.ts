/** The check's reports on engines that cannot be used. The contract suite tests its report on a real engine. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkEngine } from "../../../../src/runtimes/docker/engine/check.js";
import { readInfo } from "../../../../src/runtimes/docker/engine/engine.js";
import { engineMessage, isConnectionError } from "../../../../src/runtimes/docker/engine/errors.js";
import { limitsEnforcement } from "../../../../src/runtimes/docker/service/limits.js";

const retry = { maxRetries: 0, baseDelayMs: 1 };
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-docker-check-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Starts an engine that responds with these values. */
async function answering(info: object | null, version: object = {}) {
  const path = join(folder, "engine.sock");
  const server = createServer((request, response) => {
    if (info === null) return;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(request.url?.startsWith("/info") === true ? info : version));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { settings: { host: `unix://${path}`, retry }, close };
}

it("a missing engine and a missing context are findings, and a missing engine has a fix", async () => {
  const missing = await checkEngine({ settings: { host: "unix:///nowhere/docker.sock", retry }, env: {} });
  expect(missing).toMatchObject({ runtime: "docker", available: false });
  expect(missing.findings[0]?.message).toContain("/nowhere/docker.sock does not answer: ENOENT");
  expect(missing.findings[0]?.fix).toContain("Start Docker");
  const context = await checkEngine({ settings: { context: "gone", retry }, env: { DOCKER_CONFIG: folder } });
  expect(context.findings[0]?.message).toContain('"gone"');
});

it("an engine that never answers does not delay the check beyond its deadline", async () => {
  const engine = await answering(null);
  try {
    const begun = Date.now();
    const status = await checkEngine({ settings: engine.settings, env: {}, deadlineMs: 200 });
    expect(status.available).toBe(false);
    expect(status.findings[0]?.message).toContain("200 ms");
    expect(Date.now() - begun).toBeLessThan(5000);
  } finally {
    await engine.close();
  }
});

it("an engine of Windows containers is refused", async () => {
  const engine = await answering({ OSType: "windows" });
  try {
    const status = await checkEngine({ settings: engine.settings, env: {} });
    expect(status.findings[0]?.message).toContain("runs windows containers");
  } finally {
    await engine.close();
  }
});

it("a missing seccomp and unsupported limits are reported", async () => {
  const engine = await answering({ OSType: "linux", ServerVersion: "27.1", MemoryLimit: false, PidsLimit: false });
  try {
    const status = await checkEngine({ settings: engine.settings, env: {} });
    expect(status.available).toBe(true);
    expect(status.isolation.limits).toEqual({
      level: "advisory",
      reason: "Docker Engine cannot limit memory, pids here",
    });
    expect(status.findings.filter(({ ok }) => !ok)[0]?.check).toBe("seccomp");
  } finally {
    await engine.close();
  }
});

describe("readInfo and engineMessage", () => {
  it("Podman and rootless engines are recognised", () => {
    const podman = readInfo({ SecurityOptions: ["name=seccomp", "name=rootless"] }, { podman: true });
    expect(podman).toMatchObject({ name: "Podman", podman: true, rootless: true, init: true, dockerInit: false });
    expect(podman.seccomp).toBe(true);
    const bare = readInfo({ SecurityOptions: null, Warnings: null, CgroupDriver: "none" });
    expect(bare).toMatchObject({ podman: false, init: false, limits: { memory: false, cpus: false, pids: false } });
    expect(limitsEnforcement(bare).level).toBe("advisory");
    expect(readInfo({ InitBinary: "docker-init", CPUCfsQuota: true, CgroupVersion: "2" })).toMatchObject({
      init: true,
      dockerInit: true,
      cgroupVersion: "2",
      limits: { memory: true, cpus: true, pids: true },
    });
  });

  it("errors are reported without the client library's prefix", () => {
    const error = Object.assign(new Error("(HTTP code 409) unexpected - in use "), { statusCode: 409, json: null });
    expect(engineMessage(error)).toBe("in use");
    expect(engineMessage(Object.assign(new Error("x"), { json: { message: "its own" } }))).toBe("its own");
    expect(engineMessage("text")).toBe("text");
    expect(isConnectionError(error)).toBe(false);
    expect(isConnectionError(new Error("socket hang up"))).toBe(true);
    expect(isConnectionError("text")).toBe(false);
  });
});
