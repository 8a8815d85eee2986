/** Named volumes as cache volumes of an engine. */
import { describe, expect, it } from "vitest";
import { RecordingSink, WAITS } from "./bench.js";
import type { Given } from "./contract.js";

export function daggerVolumeSentences(given: Given): void {
  describe("volumes of an engine", () => {
    it("a one-off command beside a running PostgreSQL leaves its lock file in their volume", async () => {
      const bench = given();
      const program = `open("/data/postmaster.pid", "w").close()\n${WAITS}`;
      const service = bench.python("app", program, {
        environment: { PGDATA: "/data" },
        mounts: [{ type: "volume", source: "app-data", target: "/data", readOnly: false }],
      });
      const stack = await bench.open([service], { volumes: ["app-data"] });
      await bench.start(stack, service);
      await bench.sink("app").shows("up");
      const output = new RecordingSink();
      const command = ["python3", "-c", `# ${bench.mark}\nimport os; print(os.listdir("/data"))`];
      const ran = await stack.runOneOff({
        ...bench.request(service),
        exec: { command, onOutput: (stream, chunk) => output.write(stream, chunk) },
      });
      expect(ran.exitCode).toBe(0);
      expect(output.text()).toBe("['postmaster.pid']\n");
    });
  });
}
