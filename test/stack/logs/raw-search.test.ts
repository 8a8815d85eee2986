/** Lines on disk are searched before they are decoded, with the results of a comparison of every line. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { needlesOf } from "../../../src/stack/logs/raw-search.js";
import { openLogStore } from "../../../src/stack/logs/store.js";
import type { LogQuery, LogStore } from "../../../src/stack/logs/types.js";
import { bytes, openStore, temporaryDirectory, texts, writeLines } from "./log-fixture.js";

/** A store with every line on disk. */
async function reopened(lines: readonly string[]): Promise<LogStore> {
  const directory = temporaryDirectory();
  const store = await openLogStore({ directory, redact: (text) => text });
  store.sink("api", 1).write("stdout", bytes(lines.map((line) => `${line}\n`).join("")));
  await store.close();
  return openStore({ directory });
}

const all = async (store: LogStore, query: LogQuery): Promise<string[]> =>
  texts(await store.query({ tail: 10_000, maxBytes: 100_000_000, collapse: false, ...query }));

describe("LogStore.query: lines on disk", () => {
  const word = fc.constantFrom(
    "Error",
    "K",
    "ſ",
    "ΑΣ",
    "σας",
    "İx",
    "\\",
    '"',
    "\t",
    "日本",
    "😀",
    "[",
    "a",
    "{}",
    "straße",
  );
  const line = fc.array(word, { maxLength: 5 }).map((words) => words.join(""));

  it("a search on disk returns the lines that a comparison of every line returns", async () => {
    const lines = fc.array(line, { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(lines, line, async (written, grep) => {
        const store = await reopened(written);
        const stored = await all(store, {});
        const expected = stored.filter((text) => text.toLowerCase().includes(grep.toLowerCase()));
        expect(await all(store, { grep })).toEqual(expected);
        expect(await all(store, { grep, cursor: `${(await store.query({})).next_cursor.split(":")[0]}:0` })).toEqual(
          expected,
        );
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    ["took \\d+ ms", ["took "]],
    ["a{2,3}bcd", ["bcd"]],
    ["colou?r map", ["r map"]],
    ["x\\.y\\[0\\]", ["x.y[0]"]],
    ["(timeout|refused) by peer", [" by peer"]],
    ["timeout|refused", ["timeout", "refused"]],
    ["[[:alpha:]|\\]]+ok", ["ok"]],
    ["[]x]abc", ["abc"]],
    ["(?i)Disk", ["di"]],
    ["(?i)NOPE", ["nope"]],
    ['say "hi"', ['say \\"hi\\"']],
    ["\\d+|x", undefined],
    ["\\x41bc", undefined],
    ["\\Qa|b\\E", undefined],
    ["a*", undefined],
    ["", undefined],
  ])("the expression %s decodes only lines that contain %j", (expression, needles) => {
    expect(needlesOf(expression, true)).toEqual(needles);
  });

  it.each(["erro(r|x)", "(?i)disk", "(?i)K\\b", "a{0}b", "b|disK", "^\\S+\\s", "x[^]]y", "(ab)?c", "é+"])(
    "the expression %s returns the same lines from disk as from memory",
    async (grep) => {
      const lines = ["erro error errox", "diſK", "K", "b", "disK", "word here", "x]y xay", "c abc", "éé", "", "{}"];
      const memory = await openStore();
      memory.sink("api", 1).write("stdout", bytes(lines.map((one) => `${one}\n`).join("")));
      const expected = await all(memory, { grep, regex: true });
      expect(await all(await reopened(lines), { grep, regex: true })).toEqual(expected);
    },
  );

  it("context returns the lines around a match across blocks of a file", async () => {
    const directory = temporaryDirectory();
    const store = await openLogStore({ directory, redact: (text) => text });
    writeLines(store, "api", 40_000);
    store.sink("api", 1).write("stdout", bytes("the needle\n  at frame\n"));
    writeLines(store, "api", 40_000, 40_001);
    await store.close();
    const reading = await openStore({ directory });
    const expected = [
      "api line 39999",
      "api line 40000",
      "the needle",
      "  at frame",
      "api line 40001",
      "api line 40002",
    ];
    expect(await all(reading, { grep: "needle", context: 2 })).toEqual(expected);
    const waited = await reading.query({ waitFor: "NEEDLE", sinceMs: 0, context: 2 });
    expect(texts(waited)).toEqual(expected.slice(0, -1));
    expect(await all(reading, { grep: "line 7\\d{4}$", regex: true })).toHaveLength(10_000);
  });

  it("a search for one service returns its newest matches between many lines of another", async () => {
    const directory = temporaryDirectory();
    const store = await openLogStore({ directory, redact: (text) => text });
    writeLines(store, "db", 30_000);
    for (let index = 0; index < 3; index += 1) {
      writeLines(store, "api", 1, index);
      writeLines(store, "db", 10_000, index * 10_000);
    }
    await store.close();
    const page = await (await openStore({ directory })).query({ grep: "API", tail: 2 });
    expect(texts(page)).toEqual(["api line 1", "api line 2"]);
  });
});
