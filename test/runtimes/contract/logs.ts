/** The output of a service arrives at its sink completely, in order and without delay. */
import { describe, expect, it } from "vitest";
import { type Bench, WAITS } from "./bench.js";
import { type Given, shared } from "./contract.js";

const LINES = 20_000;

/**
 * Prints a section for each test, then crashes. A runtime that reads output as text loses all bytes of a read that has
 * invalid ones. The pauses of a second let a reader on a busy machine read each part separately.
 */
const SECTIONS = (splitCharacters: boolean): string => `
import os, sys, time
def section(name): os.write(1, ("=== " + name + "\\n").encode())
section("invalid")
os.write(1, b"before\\n"); time.sleep(1); os.write(1, b"\\xff\\xfe\\x80\\n"); time.sleep(1); os.write(1, b"after\\n")
section("parts")
for part in ["one ", "line ", "in pieces\\n", "two\\nlines\\n"]:
    os.write(1, part.encode()); time.sleep(0.15)
section("unicode")
print("Grüße 🌍 漢字\\tend", flush=True)
if ${splitCharacters ? "True" : "False"}:
    section("split")
    earth = "🌍".encode()
    os.write(1, earth[:2]); time.sleep(0.2); os.write(1, earth[2:] + b"\\n")
section("flood")
sys.stdout.write("".join(f"line {i} of the flood\\n" for i in range(${LINES})))
sys.stdout.flush()
section("streams")
for i in range(200):
    print("out", i, flush=True)
    print("err", i, file=sys.stderr, flush=True)
os.write(1, b"no end")
os.write(2, b"last line\\n")
os._exit(9)
`;

const says = (bench: Bench, name: string) => bench.python(name, `print("I am ${name}")\n${WAITS}`);

/** Telemetry of Dagger carries output as UTF-8 strings, which lose the bytes of a character that is written in two parts. */
const keepsSplitCharacters = (given: Given): boolean => given.target().runtime.name !== "dagger";

export function logTests(given: Given): void {
  describe("logs", () => {
    const all = shared(given, async (bench) => {
      const app = bench.python("app", SECTIONS(keepsSplitCharacters(given)));
      const services = [app, says(bench, "one"), says(bench, "two")];
      const stack = await bench.open(services);
      const [running, ...others] = await Promise.all(services.map((service) => bench.start(stack, service)));
      return { stack, running, others };
    });
    /** What the program printed until its exit was reported. */
    const printed = async () => {
      const { bench, running } = await all();
      const exit = await running?.exited;
      const sink = bench.sink("app");
      const [, ...texts] = sink.text("stdout").split(/^=== (\w+)\n/m);
      const sections = new Map(texts.flatMap((name, at) => (at % 2 === 0 ? [[name, texts[at + 1]] as const] : [])));
      return { exit, sink, sections };
    };

    it("a new line arrives while the service runs", async () => {
      const { bench, others } = await all();
      await bench.sink("one").shows("up", 10_000);
      await others[0]?.stop({ graceMs: 10_000 });
      expect(bench.sink("one").text()).toContain("received SIGTERM");
    });

    it("each stream arrives in order, including a last line without a newline", async () => {
      const { sink, sections } = await printed();
      const lines = (prefix: string): string => Array.from({ length: 200 }, (_, i) => `${prefix} ${i}\n`).join("");
      expect(sections.get("streams")).toBe(`${lines("out")}no end`);
      expect(sink.text("stderr")).toBe(`${lines("err")}last line\n`);
    });

    it("the last lines of a crash arrive before its exit is reported, and the sink ends once", async () => {
      const { exit, sink } = await printed();
      expect(exit?.exitCode).toBe(9);
      expect(sink.text("stderr")).toMatch(/\nlast line\n$/);
      expect(sink.ends).toBe(1);
      expect(sink.writesAfterEnd).toBe(0);
    });

    it("a line that is written in parts arrives as one line", async () => {
      expect((await printed()).sections.get("parts")).toBe("one line in pieces\ntwo\nlines\n");
    });

    it("characters outside of ASCII arrive unchanged", async () => {
      expect((await printed()).sections.get("unicode")).toBe("Grüße 🌍 漢字\tend\n");
    });

    it("a character that is written in two parts arrives whole where the transport carries bytes", async (context) => {
      if (!keepsSplitCharacters(given)) context.skip("this runtime transports output as UTF-8 strings");
      expect((await printed()).sections.get("split")).toBe("🌍\n");
    });

    it("invalid UTF-8 does not affect later output", async () => {
      expect((await printed()).sections.get("invalid")).toMatch(/^before\n[\s\S]*after\n$/);
    });

    it("large output arrives completely and in order", async () => {
      const lines = (await printed()).sections.get("flood")?.split("\n") ?? [];
      expect(lines.pop()).toBe("");
      expect(lines).toHaveLength(LINES);
      expect(lines.findIndex((line, i) => line !== `line ${i} of the flood`)).toBe(-1);
    });

    it("the output of each service and instance goes to its own sink", async () => {
      const { bench, stack, others } = await all();
      const expected = (name: string): string => `I am ${name}\nup\nreceived SIGTERM\n`;
      for (const name of ["one", "two"]) await bench.sink(name).shows("up");
      await Promise.all(others.map((one) => one.stop({ graceMs: 10_000 })));
      for (const name of ["one", "two"]) expect(bench.sink(name).text()).toBe(expected(name));
      const before = bench.sink("one");
      const again = await bench.start(stack, says(bench, "one"));
      await bench.sink("one").shows("up");
      await again.stop({ graceMs: 10_000 });
      expect(bench.sink("one").text()).toBe(expected("one"));
      expect(before.text()).toBe(expected("one"));
    });
  });
}
