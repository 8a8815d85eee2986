/** Health checks: their requests, results and timeouts. */
import { describe, expect, it } from "vitest";
import { healthcheck, OTHER_PORT, WEB_PORT } from "./bench.js";
import { type Given, shared } from "./contract.js";

export function probeTests(given: Given): void {
  describe("probes", () => {
    /** Nothing listens on OTHER_PORT. */
    const web = shared(given, async (bench) => {
      const fields = { expose: [WEB_PORT, OTHER_PORT], environment: { WORD: "word's" } };
      const { running, sink } = await bench.run(bench.web("web", fields));
      await sink.shows("listening");
      await bench.untilHealthy(running, { kind: "tcp", port: WEB_PORT });
      return { running, sink };
    });

    it("an HTTP check reports the status that it received", async () => {
      const { bench, running } = await web();
      await bench.untilHealthy(running, { kind: "http", port: WEB_PORT, path: "/", status: 200 });
      const good = await bench.probe(running, { kind: "http", port: WEB_PORT, path: "/ok", status: 200 });
      expect(good).toMatchObject({
        healthy: true,
        message: "HTTP 200",
        check: expect.stringMatching(/^http GET .*\/ok/),
      });
      expect(good.latencyMs).toBeGreaterThanOrEqual(0);
      const sick = await bench.probe(running, { kind: "http", port: WEB_PORT, path: "/sick", status: 200 });
      expect(sick).toMatchObject({ healthy: false, message: expect.stringContaining("HTTP 500") });
    });

    it("a check that exceeds its timeout is unhealthy", async () => {
      const { bench, running } = await web();
      const begun = Date.now();
      const result = await bench.probe(running, { kind: "http", port: WEB_PORT, path: "/hang", status: 200 }, 700);
      expect(result).toMatchObject({ healthy: false, message: expect.stringContaining("700 ms") });
      expect(Date.now() - begun).toBeLessThan(15_000);
    });

    it("a TCP or HTTP check without a listener reports a refused connection", async () => {
      const { bench, running } = await web();
      for (const kind of ["tcp", "http"] as const) {
        const test = kind === "tcp" ? { kind, port: OTHER_PORT } : { kind, port: OTHER_PORT, path: "/", status: 200 };
        const result = await bench.probe(running, test);
        expect(result).toMatchObject({ healthy: false, message: expect.stringMatching(/refused/) });
      }
    });

    it("a TCP check is healthy when the connection is accepted", async () => {
      const { bench, running } = await web();
      const result = await bench.probe(running, { kind: "tcp", port: WEB_PORT });
      expect(result).toMatchObject({ healthy: true, check: expect.stringMatching(/^tcp /) });
    });

    it("a command runs as the service's user, and its last line and exit code are the result", async () => {
      const { bench, running, sink } = await web();
      const argv = ["python3", "-S", "-c", "import os; print('first'); print('uid', os.getuid())"];
      await bench.untilHealthy(running, { kind: "cmd", argv });
      const good = await bench.probe(running, { kind: "cmd", argv });
      expect(good).toMatchObject({
        healthy: true,
        message: `uid ${running.user.uid}`,
        check: expect.stringMatching(/^exec python3|^exec .*python3/),
      });
      const bad = await bench.probe(running, {
        kind: "cmd",
        argv: ["python3", "-S", "-c", "import sys; print('not well', file=sys.stderr); sys.exit(4)"],
      });
      expect(bad).toMatchObject({ healthy: false, message: expect.stringMatching(/4.*not well/) });
      expect(sink.all).not.toContain("not well");
    });

    it("a shell command runs in the container's shell with the service's environment", async () => {
      const { bench, running } = await web();
      await bench.untilHealthy(running, { kind: "cmd-shell", command: "true" });
      const good = await bench.probe(running, {
        kind: "cmd-shell",
        command: `test "$WORD" = "word's" && echo "yes $WORD"`,
      });
      expect(good).toMatchObject({ healthy: true, message: "yes word's", check: expect.stringMatching(/sh -c/) });
      expect((await bench.probe(running, { kind: "cmd-shell", command: "exit 3" })).message).toContain("3");
    });

    it("a missing program makes the check unhealthy, with programMissing", async () => {
      const { bench, running } = await web();
      const result = await bench.probe(running, { kind: "cmd", argv: ["no-such-program"] });
      // A start need not wait for a program that is missing.
      expect(result).toMatchObject({ programMissing: true });
      expect(result.healthy).toBe(false);
      expect(result.message).not.toBe("");
    });

    it("a cancelled check is unhealthy", async () => {
      const { running } = await web();
      const abort = new AbortController();
      const checking = running.probe(
        healthcheck({ kind: "http", port: WEB_PORT, path: "/hang", status: 200 }, 60_000),
        abort.signal,
      );
      abort.abort();
      expect((await checking).healthy).toBe(false);
    });

    it("a command that exceeds its timeout is killed and leaves no process", async () => {
      const { bench, running } = await web();
      await bench.untilHealthy(running, { kind: "cmd", argv: ["true"] });
      const argv = ["python3", "-S", "-c", `import time; time.sleep(300) # ${bench.mark}`];
      const result = await bench.probe(running, { kind: "cmd", argv }, 1500);
      expect(result).toMatchObject({ healthy: false, message: expect.stringContaining("1500 ms") });
      await running.stop({ graceMs: 10_000 });
      await bench.nothingRuns();
    });

    it("a check of an ended instance is unhealthy", async () => {
      const { bench, running } = await web();
      await running.stop({ graceMs: 10_000 });
      const tests = [
        { kind: "http", port: WEB_PORT, path: "/", status: 200 },
        { kind: "cmd", argv: ["true"] },
      ] as const;
      for (const test of tests) {
        const result = await bench.probe(
          running,
          test.kind === "cmd" ? { kind: "cmd", argv: [...test.argv] } : test,
          3000,
        );
        expect(result.healthy, JSON.stringify(result)).toBe(false);
      }
    });
  });
}
