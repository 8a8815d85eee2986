/** The output of a service arrives at its sink completely, in order and without delay. */
import { describe, expect, it } from "vitest";
import { WAITS } from "./bench.js";
import type { Given } from "./contract.js";

const LINES = 20_000;

export function logTests(given: Given): void {
  describe("logs", () => {
    it("each stream arrives in order, including a last line without a newline", async () => {
      const bench = given();
      const program = `
import sys
for i in range(200):
    print("out", i, flush=True)
    print("err", i, file=sys.stderr, flush=True)
sys.stdout.write("no end"); sys.stdout.flush()
`;
      const { running, sink } = await bench.run(bench.python("app", program));
      await running.exited;
      const lines = (prefix: string): string => Array.from({ length: 200 }, (_, i) => `${prefix} ${i}\n`).join("");
      expect(sink.text("stdout")).toBe(`${lines("out")}no end`);
      expect(sink.text("stderr")).toBe(lines("err"));
    });

    it("the last lines of a crash arrive before its exit is reported, and the sink ends once", async () => {
      const bench = given();
      const program = "import os; os.write(2, b'last line\\n'); os._exit(9)";
      const { running, sink } = await bench.run(bench.python("app", program));
      await running.exited;
      expect(sink.text("stderr")).toBe("last line\n");
      expect(sink.ends).toBe(1);
      expect(sink.writesAfterEnd).toBe(0);
    });

    it("a line that is written in parts arrives as one line", async () => {
      const bench = given();
      const program = `
import os, time
for part in ["one ", "line ", "in pieces\\n", "two\\nlines\\n"]:
    os.write(1, part.encode()); time.sleep(0.15)
`;
      const { running, sink } = await bench.run(bench.python("app", program));
      await running.exited;
      expect(sink.text()).toBe("one line in pieces\ntwo\nlines\n");
    });

    it("characters outside of ASCII arrive unchanged", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", `print("Grüße 🌍 漢字\\tend", flush=True)`));
      await running.exited;
      expect(sink.text()).toBe("Grüße 🌍 漢字\tend\n");
    });

    it("a character that is written in two parts arrives whole where the transport carries bytes", async (context) => {
      const bench = given();
      if (!bench.target.keepsSplitCharacters) context.skip("this runtime transports output as UTF-8 strings");
      const program = `
import os, time
earth = "🌍".encode()
os.write(1, earth[:2]); time.sleep(0.2); os.write(1, earth[2:] + b"\\n")
`;
      const { running, sink } = await bench.run(bench.python("app", program));
      await running.exited;
      expect(sink.text()).toBe("🌍\n");
    });

    it("invalid UTF-8 does not affect later output", async () => {
      const bench = given();
      const program = `
import os, time
os.write(1, b"before\\n"); time.sleep(0.2); os.write(1, b"\\xff\\xfe\\x80\\n"); time.sleep(0.2); os.write(1, b"after\\n")
`;
      const { running, sink } = await bench.run(bench.python("app", program));
      await running.exited;
      expect(sink.text()).toMatch(/^before\n[\s\S]*after\n$/);
    });

    it("large output arrives completely and in order", async () => {
      const bench = given();
      const program = `
import sys
sys.stdout.write("".join(f"line {i} of the flood\\n" for i in range(${LINES})))
`;
      const { running, sink } = await bench.run(bench.python("app", program));
      expect((await running.exited).exitCode).toBe(0);
      const lines = sink.text().split("\n");
      expect(lines.pop()).toBe("");
      expect(lines).toHaveLength(LINES);
      expect(lines.findIndex((line, i) => line !== `line ${i} of the flood`)).toBe(-1);
    });

    it("a new line arrives while the service runs", async () => {
      const bench = given();
      const { running, sink } = await bench.run(bench.python("app", WAITS));
      await sink.shows("up", 10_000);
      await running.stop({ graceMs: 10_000 });
      expect(sink.text()).toContain("received SIGTERM");
    });

    it("the output of each service and instance goes to its own sink", async () => {
      const bench = given();
      const says = (name: string) => bench.python(name, `print("I am ${name}")`);
      const services = ["one", "two", "three"].map(says);
      const stack = await bench.open(services);
      const started = await Promise.all(services.map((service) => bench.start(stack, service)));
      await Promise.all(started.map((one) => one.exited));
      for (const { name } of services) expect(bench.sink(name).text()).toBe(`I am ${name}\n`);
      const before = bench.sink("one");
      const again = await bench.start(stack, services[0] as (typeof services)[number]);
      await again.exited;
      expect(bench.sink("one").text()).toBe("I am one\n");
      expect(before.text()).toBe("I am one\n");
    });
  });
}
