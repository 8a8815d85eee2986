import { chmodSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProbeContext, probeService } from "../../../../src/runtimes/local/probes/probe.js";
import type { ManagedProcess, ServiceUser } from "../../../../src/runtimes/local/types.js";
import { dialLoopback } from "../../../../src/runtimes/shared/probes/dial.js";
import type { HealthTest } from "../../../../src/stack/definition/types.js";
import { freePort, healthcheck } from "../../contract/bench.js";
import { DirectHost } from "../support/direct-host.js";
import { tempDir } from "../support/fixture.js";

describe("probeService", () => {
  const host = new DirectHost();
  const dir = tempDir();
  const server = createServer((_request, response) => response.end("ok"));
  let port: number;
  let user: ServiceUser;

  const context = (fields: Partial<ProbeContext> = {}): ProbeContext => ({
    service: "web",
    provider: null,
    host,
    process: {} as ManagedProcess,
    user,
    cwd: dir.path,
    env: { PATH: "/usr/bin:/bin", NAME: "value" },
    secrets: [],
    dial: dialLoopback,
    book: {
      services: () => ["web"],
      hostPort: (name, containerPort) => (name === "web" && containerPort === 8000 ? port : undefined),
      ports: () => [8000],
    },
    access: null,
    resolve: async (argv) => argv,
    ...fields,
  });
  const probe = (test: HealthTest, fields?: Partial<ProbeContext>, timeoutMs = 5000) =>
    probeService(context(fields), healthcheck(test, timeoutMs), new AbortController().signal);
  const shell = (command: string, timeoutMs?: number) => probe({ kind: "cmd-shell", command }, {}, timeoutMs);

  beforeAll(async () => {
    user = await host.userFor("test", "web");
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as { port: number }).port;
  });
  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    dir.remove();
  });

  it('a disabled health check is reported as healthy with check "none"', async () => {
    expect(await probe({ kind: "none" })).toMatchObject({ healthy: true, check: "none" });
  });

  it("a check connects to the host port of its container port, else to that port itself", async () => {
    expect(await probe({ kind: "http", port: 8000, path: "/h", status: 200 })).toMatchObject({
      healthy: true,
      check: `http GET 127.0.0.1:${port}/h`,
    });
    expect(await probe({ kind: "tcp", port: 8000 })).toMatchObject({ healthy: true, check: `tcp 127.0.0.1:${port}` });
    const other = await freePort();
    expect(await probe({ kind: "tcp", port: other })).toMatchObject({
      healthy: false,
      check: `tcp 127.0.0.1:${other}`,
    });
    expect(await probe({ kind: "cmd", argv: ["curl", "-f", "http://localhost:8000/x"] })).toMatchObject({
      healthy: true,
      check: `http GET 127.0.0.1:${port}/x`,
    });
  });

  it("a shell command runs with the service's user, environment and folder", async () => {
    const result = await shell('echo "$NAME $(id -u) $(pwd) $HOME"');
    expect(result).toMatchObject({ healthy: true, message: `value ${user.uid} ${dir.path}` });
    expect(result.check).toContain("exec sh -c echo");
    expect(await shell("true")).toMatchObject({ healthy: true, message: "exit code 0" });
  });

  it("a failed command is reported with its exit code or signal and its last line", async () => {
    expect(await shell("echo first; echo last >&2; exit 3")).toMatchObject({
      healthy: false,
      message: "exit code 3: last",
    });
    expect(await shell("exit 7")).toMatchObject({ healthy: false, message: "exit code 7" });
    expect(await shell("kill -9 $$")).toMatchObject({ healthy: false, message: "exit code SIGKILL" });
    // The message is redacted before it is truncated, where it is shown.
    expect((await shell(`printf '%0500d' 0`)).message).toHaveLength(500);
  });

  it("a command that exceeds the timeout is killed", async () => {
    const started = Date.now();
    const marker = join(dir.path, "alive");
    chmodSync(dir.path, 0o777);
    expect(await shell(`sleep 0.6; echo > ${marker}`, 100)).toMatchObject({
      healthy: false,
      message: "no answer within 100 ms",
    });
    expect(Date.now() - started).toBeLessThan(550);
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(() => writeFileSync(marker, "", { flag: "wx" })).not.toThrow();
  });

  it("the addresses of a command are rewritten, and an unknown program makes the check unhealthy", async () => {
    const result = await probe(
      { kind: "cmd", argv: ["say", "http://127.0.0.1:8000/", "--port", "8000", "localhost:1"] },
      {
        resolve: async ([, ...rest]) => ["/bin/echo", ...rest],
      },
    );
    expect(result.message).toBe(`http://127.0.0.1:${port}/ --port ${port} 127.0.0.1:1`);
    expect((await shell("echo http://localhost:8000/ 127.0.0.1:80001")).message).toBe(
      `http://127.0.0.1:${port}/ 127.0.0.1:80001`,
    );
    const absent = await probe(
      { kind: "cmd", argv: ["x"] },
      {
        resolve: async () => {
          throw new Error('The program "x" was not found.');
        },
      },
    );
    expect(absent).toMatchObject({ healthy: false, message: 'The program "x" was not found.' });
  });

  it("a postgres or redis check connects to the host port of its service", async () => {
    const closed = await freePort();
    const book = { services: () => ["web"], hostPort: () => closed, ports: () => [1] };
    expect(await probe({ kind: "redis" }, { book })).toMatchObject({
      healthy: false,
      check: `redis PING on 127.0.0.1:${closed}`,
    });
    expect(
      await probe({ kind: "postgres" }, { book, access: { user: "u", password: "p", database: "d" } }),
    ).toMatchObject({
      healthy: false,
      check: `postgres select 1 on 127.0.0.1:${closed}/d`,
    });
    expect((await probe({ kind: "postgres" }, { book })).message).toContain("needs a service that runs postgres");
    expect((await probe({ kind: "redis" }, { book: { ...book, ports: () => [] } })).check).toContain("127.0.0.1:0");
  });
});
