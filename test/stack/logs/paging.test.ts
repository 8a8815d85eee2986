import { rmSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LogLine, LogQuery, LogStore } from "../../../src/stack/logs/types.js";
import { bytes, openStore, temporaryDirectory, writeLines } from "./log-fixture.js";

/** Numbers of the lines that a collapsed line stands for; runs have no gaps in these tests. */
const standsFor = ({ seq, repeated }: LogLine): number[] =>
  Array.from({ length: repeated?.count ?? 1 }, (_, index) => seq + index);

async function readAll(
  store: LogStore,
  query: LogQuery,
  cursor: string,
  between: () => Promise<void>,
): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for (let at = cursor; ; await between()) {
    const page = await store.query({ ...query, cursor: at });
    if (page.lines.length === 0) return lines;
    lines.push(...page.lines);
    at = page.next_cursor;
  }
}

describe("LogStore.query: paging", () => {
  it("pages return every line once and in order while lines are written and evicted", async () => {
    const action = fc.record({
      service: fc.constantFrom("api", "db", "web"),
      text: fc.constantFrom("same", "other", "x".repeat(300)),
      count: fc.integer({ min: 1, max: 40 }),
    });
    const property = fc.asyncProperty(
      fc.array(action, { minLength: 1, maxLength: 30 }),
      fc.array(action, { maxLength: 10 }),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 3000 }),
      fc.boolean(),
      async (before, during, tail, maxBytes, collapse) => {
        const directory = temporaryDirectory();
        const store = await openStore({ directory, ringBytes: 4000 });
        const write = async ({ service, text, count }: (typeof before)[number]): Promise<void> => {
          store.sink(service, 1).write("stdout", bytes(`${text}\n`.repeat(count)));
          await store.flush();
        };
        const start = (await store.query({})).next_cursor;
        // Less than the memory limit is written between flushes, so that no line is dropped.
        for (const part of before) {
          const most = part.text.length > 100 ? 4 : 20;
          for (let left = part.count; left > 0; left -= most) await write({ ...part, count: Math.min(most, left) });
        }
        const rest = [...during];
        let writing = Promise.resolve();
        const lines = await readAll(store, { tail, maxBytes, collapse }, start, async () => {
          // One part is written while the next page is read.
          await writing;
          const next = rest.shift();
          if (next !== undefined) writing = write({ ...next, count: 4 });
        });
        await writing;
        const last = store.stats().last_seq;
        expect(store.stats().dropped).toBe(0);
        expect(lines.flatMap(standsFor)).toEqual(Array.from({ length: last }, (_, index) => index + 1));
        await store.close();
        rmSync(directory, { recursive: true });
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });

  it("pages of a search return each matching line once and no other", async () => {
    const store = await openStore();
    const start = (await store.query({})).next_cursor;
    writeLines(store, "api", 1000);
    const lines = await readAll(store, { grep: "7", tail: 9 }, start, async () => undefined);
    const expected = Array.from({ length: 1000 }, (_, index) => index + 1).filter((seq) => String(seq).includes("7"));
    expect(lines.map(({ seq }) => seq)).toEqual(expected);
    const nothing = await store.query({ cursor: start, grep: "nowhere" });
    expect(nothing.next_cursor).toMatch(/:1000$/);
  });
});

describe("LogStore.query: cursor", () => {
  it.each(["", "x", "12345678", "12345678:-1", "1234567g:1", "12345678:01", "12345678:1:2"])(
    "the malformed cursor %j is refused",
    async (cursor) => {
      const store = await openStore();
      const refused = { code: "INVALID_INPUT", message: "The log cursor is malformed.", hint: expect.any(String) };
      await expect(store.query({ cursor })).rejects.toMatchObject(refused);
    },
  );

  it("a cursor of another log, or ahead of this one, is refused", async () => {
    const [one, other] = [await openStore(), await openStore()];
    writeLines(one, "api", 3);
    writeLines(other, "api", 3);
    const { next_cursor: cursor } = await one.query({});
    const refused = { code: "INVALID_INPUT", hint: expect.stringContaining("Leave cursor out") };
    await expect(other.query({ cursor })).rejects.toMatchObject(refused);
    await expect(one.query({ cursor: cursor.replace(":3", ":4") })).rejects.toMatchObject(refused);
    await expect(one.query({ cursor, waitMs: 5 })).resolves.toMatchObject({ lines: [], next_cursor: cursor });
  });
});
