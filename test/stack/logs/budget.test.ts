import { describe, expect, it } from "vitest";
import type { LogStore } from "../../../src/stack/logs/types.js";
import { bytes, openStore, texts, writeLines } from "./log-fixture.js";

/** Bytes of the page as the store counts them. */
const cost = (lines: string[]): number => lines.reduce((sum, text) => sum + Buffer.byteLength(text) + 110, 0);

describe("LogStore.query: byte budget", () => {
  it("a tail over the budget keeps the newest lines, and the hint's cursor returns the others", async () => {
    const store = await openStore();
    writeLines(store, "api", 1000);
    const page = await store.query({ tail: 1000 });
    expect(page.lines.at(-1)?.text).toBe("api line 1000");
    expect(cost(texts(page))).toBeLessThanOrEqual(40_000);
    expect(cost(texts(page))).toBeGreaterThan(39_800);
    expect(page.omitted).toMatchObject({ lines: 1000 - page.lines.length, reason: "budget" });
    const cursor = /cursor "([^"]+)"/.exec(page.omitted?.how_to_get ?? "")?.[1] as string;
    expect(texts(await store.query({ cursor }))[0]).toBe("api line 1");
  });

  it("a page over the budget keeps the oldest lines, and its next cursor returns those that follow", async () => {
    const store = await openStore();
    writeLines(store, "api", 500);
    const beginning = (await store.query({ tail: 1 })).next_cursor.replace(/\d+$/, "0");
    const page = await store.query({ cursor: beginning, tail: 10_000, maxBytes: 2500 });
    expect(texts(page)[0]).toBe("api line 1");
    expect(cost(texts(page))).toBeLessThanOrEqual(2500);
    const count = page.lines.length;
    expect(page.omitted).toMatchObject({ lines: 500 - count, reason: "budget" });
    expect(page.omitted?.how_to_get).toContain(page.next_cursor);
    const next = await store.query({ cursor: page.next_cursor, tail: 1 });
    expect(texts(next)).toEqual([`api line ${count + 1}`]);
    expect(next.omitted).toMatchObject({ lines: 500 - count - 1, reason: "tail" });
  });

  it("a page has at least one line even when the line exceeds the budget", async () => {
    const store = await openStore();
    store.sink("api", 1).write("stdout", bytes(`${"x".repeat(5000)}\n${"y".repeat(5000)}\n`));
    const newest = await store.query({ maxBytes: 1 });
    expect(texts(newest)[0]?.[0]).toBe("y");
    expect(newest.omitted).toMatchObject({ lines: 1, reason: "budget" });
    const first = await store.query({ cursor: newest.next_cursor.replace(/\d+$/, "0"), maxBytes: 1 });
    expect(texts(first).map((text) => text[0])).toEqual(["x"]);
    expect((await store.query({ cursor: first.next_cursor, maxBytes: 1 })).lines[0]?.text[0]).toBe("y");
    await expect(store.query({ maxBytes: 0 })).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });
});

describe("LogStore.query: repeated lines", () => {
  async function repeating(): Promise<LogStore> {
    const store = await openStore();
    const sink = store.sink("api", 1);
    sink.write("stdout", bytes("start\n"), 1000);
    for (let index = 0; index < 431; index += 1) sink.write("stdout", bytes("again\n"), 2000 + index);
    sink.write("stderr", bytes("again\n"), 3000);
    sink.write("stdout", bytes("end\nend\n"), 4000);
    return store;
  }
  const run = { seq: 2, text: "again", repeated: { count: 431, last_seq: 432, last_time: "1970-01-01T00:00:02.430Z" } };

  it("a tail returns a run of equal lines as one line with count and last time", async () => {
    const store = await repeating();
    const page = await store.query({ tail: 1000 });
    expect(page.lines).toMatchObject([{ text: "start" }, run, { stream: "stderr" }, { text: "end" }]);
    expect(page.lines.map(({ repeated }) => repeated?.count)).toEqual([undefined, 431, undefined, 2]);
    expect(page.lines[1]?.time).toBe("1970-01-01T00:00:02.000Z");
    expect(page.line_count).toBe(435);
  });

  it("a page returns a run of equal lines as one line, and its next cursor follows the run", async () => {
    const store = await repeating();
    const cursor = (await store.query({})).next_cursor.replace(/\d+$/, "1");
    const page = await store.query({ cursor, tail: 431 });
    expect(page.lines).toMatchObject([run]);
    expect(page.next_cursor).toMatch(/:432$/);
    expect(page.omitted).toMatchObject({ lines: 3, reason: "tail" });
  });

  it("tail counts every repeated line, and collapse: false returns each of them", async () => {
    const store = await repeating();
    const page = await store.query({ tail: 10 });
    expect(page).toMatchObject({ line_count: 10, lines: [{ repeated: { count: 7 } }, {}, {}] });
    expect((await store.query({ tail: 10, collapse: false })).lines).toHaveLength(10);
  });

  it("equal lines of different instances, services or original lengths are not collapsed", async () => {
    const store = await openStore();
    for (const generation of [1, 2]) store.sink("api", generation).write("stdout", bytes("ready\n"));
    store.sink("db", 2).write("stdout", bytes("ready\n"));
    store.sink("db", 2).write("stdout", bytes(`${"x".repeat(9000)}\n${"x".repeat(9001)}\n${"x".repeat(8192)}\n`));
    expect((await store.query({})).lines).toHaveLength(6);
  });
});
