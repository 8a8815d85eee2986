import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort, healthcheck } from "../../contract/bench.js";
import { Fixture, service, untilHealthy } from "../support/fixture.js";

describe.runIf(process.platform === "linux")("a program with a fixed port", () => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = new Fixture();
  });
  afterEach(() => fixture.close());

  it("a program that listens on its container port is reachable at the host port, also after a restart", async () => {
    const [containerPort, hostPort] = [await freePort(), await freePort()];
    fixture.file(
      "server.mjs",
      `import http from "node:http"; http.createServer((_, r) => r.end("fixed")).listen(${containerPort}, "127.0.0.1");`,
    );
    const web = service("web", {
      image: "node:20",
      command: ["node", "server.mjs"],
      ports: [{ containerPort, hostPort, protocol: "tcp" }],
      mounts: [{ type: "bind", source: fixture.folder, target: "/app", readOnly: false }],
      workingDir: "/app",
    });
    const stack = await fixture.open([web]);
    for (let start = 1; start <= 2; start += 1) {
      const running = await fixture.start(stack, web);
      const check = healthcheck({ kind: "http", port: containerPort, path: "/", status: 200 });
      expect(await untilHealthy(running, check), fixture.log("web")).toMatchObject({ healthy: true });
      expect(await (await fetch(`http://127.0.0.1:${hostPort}/`)).text()).toBe("fixed");
      expect(running.notes).toContain(
        `It listens on ${containerPort}, its container port; ${hostPort} forwards to it.`,
      );
      await running.stop({ graceMs: 2000 });
      await expect(fetch(`http://127.0.0.1:${hostPort}/`)).rejects.toThrow();
    }
    await stack.close();
  });
});
