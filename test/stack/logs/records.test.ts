/** Errors with stack traces, context, waits for a line, and summaries. */
import { describe, expect, test } from "vitest";
import type { LogQuery, LogStore } from "../../../src/stack/logs/types.js";
import { bytes, openStore, seqs, texts } from "./log-fixture.js";

const write = (store: LogStore, service: string, ...lines: string[]): void =>
  store.sink(service, 1).write("stdout", bytes(`${lines.join("\n")}\n`), Date.parse("2026-01-31T12:00:00Z"));

const TRACEBACK = [
  "Traceback (most recent call last):",
  '  File "app.py", line 3, in <module>',
  "    main()",
  "ValueError: broken",
];

async function shop(): Promise<LogStore> {
  const store = await openStore();
  write(store, "api", "INFO start", "INFO step 1", "INFO step 2", ...TRACEBACK, "INFO step 3", "INFO step 4");
  write(store, "db", "LOG:  ready", "ERROR:  relation does not exist", "DETAIL:  more", "LOG:  later");
  return store;
}

const DIRECTIONS: [string, (store: LogStore, query: LogQuery) => Promise<string[]>][] = [
  ["the newest lines", async (store, query) => texts(await store.query(query))],
  [
    "lines after a cursor",
    async (store, query) => {
      const { next_cursor } = await store.query({ tail: 1 });
      const beginning = next_cursor.replace(/:\d+$/, ":0");
      return texts(await store.query({ ...query, cursor: beginning }));
    },
  ],
];

test.each(DIRECTIONS)("minLevel: error returns errors with their stack traces, in %s", async (_name, read) => {
  const store = await shop();
  expect(await read(store, { minLevel: "error" })).toEqual([
    ...TRACEBACK,
    "ERROR:  relation does not exist",
    "DETAIL:  more",
  ]);
});

test.each(DIRECTIONS)("context adds lines of the same service around each record, in %s", async (_name, read) => {
  const store = await shop();
  expect(await read(store, { minLevel: "error", context: 1 })).toEqual([
    "INFO step 2",
    ...TRACEBACK,
    "INFO step 3",
    "LOG:  ready",
    "ERROR:  relation does not exist",
    "DETAIL:  more",
    "LOG:  later",
  ]);
  expect(await read(store, { services: ["api"], grep: "step 2", context: 1 })).toEqual([
    "INFO step 1",
    "INFO step 2",
    TRACEBACK[0],
  ]);
});

test.each(DIRECTIONS)("grep and minLevel search whole records, in %s", async (_name, read) => {
  const store = await shop();
  expect(await read(store, { minLevel: "error", grep: "main()" })).toEqual(TRACEBACK.slice(0, 3));
  expect(await read(store, { minLevel: "warning", grep: "nothing" })).toEqual([]);
});

test("pages of errors follow one another without a repeat", async () => {
  const store = await openStore();
  for (let n = 0; n < 50; n += 1) write(store, "api", `INFO ${n}`, `ERROR ${n}`, "    at one", "    at two");
  const seen: number[] = [];
  let cursor = (await store.query({ tail: 1 })).next_cursor.replace(/:\d+$/, ":0");
  for (let page = 0; page < 100; page += 1) {
    const answer = await store.query({ minLevel: "error", tail: 7, cursor });
    if (answer.lines.length === 0) break;
    seen.push(...seqs(answer));
    cursor = answer.next_cursor;
  }
  expect(seen).toEqual([...new Set(seen)]);
  expect(seen.length).toBeGreaterThanOrEqual(50);
  expect(seen).toHaveLength(150);
});

test("pages of errors of several services contain every line of interleaved stack traces once", async () => {
  const store = await openStore();
  for (let n = 0; n < 20; n += 1) {
    for (const line of [`ERROR ${n}`, "    at one", "    at two"]) {
      write(store, "api", line);
      write(store, "db", line);
    }
    write(store, "web", "idle");
  }
  const seen: number[] = [];
  let cursor = (await store.query({ tail: 1 })).next_cursor.replace(/:\d+$/, ":0");
  for (let page = 0; page < 100; page += 1) {
    const answer = await store.query({ minLevel: "error", tail: 7, cursor, collapse: false });
    if (answer.lines.length === 0) break;
    seen.push(...seqs(answer));
    cursor = answer.next_cursor;
  }
  expect(seen).toEqual(Array.from({ length: 140 }, (_, at) => at + 1).filter((seq) => seq % 7 !== 0));
});

test("a stack trace that arrives in parts is followed to its end", async () => {
  const store = await openStore();
  write(store, "api", ...TRACEBACK.slice(0, 2));
  const { next_cursor: cursor } = await store.query({ minLevel: "error" });
  write(store, "api", ...TRACEBACK.slice(2));
  expect(texts(await store.query({ minLevel: "error", cursor }))).toEqual(TRACEBACK.slice(2));
});

test("waitFor returns at once, with context, when the current instance has printed the line", async () => {
  const store = await shop();
  const page = await store.query({ services: ["api"], waitFor: "STEP 2", context: 1, waitMs: 60_000 });
  expect(texts(page)).toEqual(["INFO step 1", "INFO step 2", TRACEBACK[0]]);
  expect(page.wait).toMatchObject({ met: true });
});

test("waitFor ignores lines of an earlier instance and lines before the cursor", async () => {
  const store = await openStore();
  write(store, "api", "ready");
  const { next_cursor: cursor } = await store.query({});
  expect((await store.query({ waitFor: "ready", cursor, waitMs: 1 })).wait?.met).toBe(false);
  store.sink("api", 2).write("stdout", bytes("booting\n"));
  const waiting = store.query({ waitFor: "ready", waitMs: 60_000 });
  store.sink("api", 2).write("stdout", bytes("ready\nserving\n"));
  const page = await waiting;
  expect(page.wait?.met).toBe(true);
  expect(page.lines[0]?.generation).toBe(2);
  expect(texts(page)).toContain("ready");
});

test("waitFor for new lines ignores those that exist, unless a time or a cursor names them", async () => {
  const store = await openStore();
  write(store, "api", "tick 1");
  const wait = { waitFor: "tick", newLines: true };
  expect((await store.query({ ...wait, waitMs: 1 })).wait?.met).toBe(false);
  expect((await store.query({ ...wait, sinceMs: 0, waitMs: 1 })).wait?.met).toBe(true);
  const { next_cursor: cursor } = await store.query({});
  const waiting = store.query({ ...wait, waitMs: 60_000 });
  write(store, "api", "tick 2");
  expect(texts(await waiting)).toEqual(["tick 2"]);
  expect(texts(await store.query({ ...wait, cursor, waitMs: 1 }))).toEqual(["tick 2"]);
});

test("waitFor ends at its time with the last lines, or by its signal", async () => {
  const store = await shop();
  const late = await store.query({ services: ["api"], waitFor: "never", waitMs: 20 });
  expect(late.wait).toEqual({ met: false, reason: "No line matched within 0.02 s." });
  expect(texts(late).at(-1)).toBe("INFO step 4");
  const stop = new AbortController();
  const waiting = store.query({ waitFor: "never", waitMs: 60_000, signal: stop.signal });
  stop.abort();
  expect((await waiting).wait?.met).toBe(false);
});

test("waitFor accepts an RE2 expression and refuses an invalid one", async () => {
  const store = await shop();
  expect((await store.query({ waitFor: "step [34]$", regex: true, waitMs: 1 })).wait?.met).toBe(true);
  await expect(store.query({ waitFor: "(", regex: true })).rejects.toMatchObject({ code: "INVALID_INPUT" });
});

test("summary counts lines by level, by message and by period", async () => {
  const store = await openStore();
  const sink = store.sink("api", 1);
  const begin = Date.parse("2026-01-31T12:00:00Z");
  for (let n = 0; n < 100; n += 1) {
    const line = n % 10 === 0 ? `ERROR order ${n} failed` : `INFO request ${n} in ${n}ms`;
    sink.write("stdout", bytes(`${line}\n`), begin + n * 1000);
  }
  const { summary, lines } = await store.query({ summary: true });
  expect(lines).toEqual([]);
  expect(summary).toMatchObject({ lines: 100, levels: { error: 10, info: 90 }, other_messages: 0 });
  expect(summary?.messages[0]).toMatchObject({
    level: "error",
    count: 10,
    first: "2026-01-31T12:00:00.000Z",
    last: "2026-01-31T12:01:30.000Z",
  });
  expect(summary?.messages).toHaveLength(2);
  expect(summary?.periods).toHaveLength(10);
  expect(summary?.periods.reduce((sum, period) => sum + period.lines, 0)).toBe(100);
  expect(summary?.periods.every((period) => period.errors === 1)).toBe(true);
  expect((await (await openStore()).query({ summary: true })).summary).toMatchObject({ lines: 0, periods: [] });
});

test("a caller that continues with the cursor of each wait gets every line of all services once", async () => {
  const store = await openStore();
  const services = ["api", "worker"];
  write(store, "api", "before the first wait");
  const waiting = store.query({ services, waitFor: "settled", newLines: true, waitMs: 60_000 });
  write(store, "api", "order 41 queued");
  write(store, "worker", "took order 41");
  write(store, "api", "a later line");
  write(store, "worker", "settled order 41");
  const first = await waiting;
  expect(first.wait).toMatchObject({ met: true, reason: "A line of worker matched." });
  expect(first.omitted).toBeNull();
  write(store, "api", "order 42 queued", "order 43 queued");
  write(store, "worker", "settled order 42");
  write(store, "api", "after the match");
  write(store, "worker", ...[1, 2, 3, 4, 5, 6].map((n) => `context ${n}`));
  write(store, "api", "after the context");
  const second = await store.query({ services, waitFor: "settled", cursor: first.next_cursor, waitMs: 1 });
  const failed = await store.query({ services, waitFor: "never", cursor: second.next_cursor, waitMs: 1 });
  expect(failed.wait?.met).toBe(false);
  write(store, "worker", "the last line");
  const last = await store.query({ services, cursor: failed.next_cursor });
  expect([first, second, failed, last].map(texts)).toEqual([
    ["order 41 queued", "took order 41", "a later line", "settled order 41"],
    [
      ...["order 42 queued", "order 43 queued", "settled order 42", "after the match"],
      ...[1, 2, 3, 4, 5].map((n) => `context ${n}`),
    ],
    ["context 6", "after the context"],
    ["the last line"],
  ]);
});

test("a wait without a position leaves out no line after the one that matches", async () => {
  const store = await openStore();
  write(store, "api", "old");
  write(store, "worker", "ready");
  write(store, "api", "between");
  write(store, "worker", "one", "two");
  const page = await store.query({ waitFor: "ready", context: 2, waitMs: 1 });
  expect(texts(page)).toEqual(["ready", "between", "one", "two"]);
});

test("the lines before a match that exceed the bounds of a wait are counted and can be read", async () => {
  const store = await openStore();
  write(store, "api", "first");
  const { next_cursor: cursor } = await store.query({});
  write(store, "api", ...Array.from({ length: 300 }, (_, n) => `noise ${n}`));
  write(store, "worker", "settled");
  const page = await store.query({ waitFor: "settled", cursor, tail: 50, waitMs: 1 });
  expect(texts(page)).toHaveLength(50);
  expect(texts(page).at(-1)).toBe("settled");
  expect(page.omitted).toMatchObject({ lines: 251, reason: "tail", how_to_get: expect.stringContaining(cursor) });
  const large = await store.query({ waitFor: "settled", cursor, maxBytes: 1000, tail: 10_000, waitMs: 1 });
  expect(texts(large).at(-1)).toBe("settled");
  expect(large.omitted).toMatchObject({ lines: 301 - large.line_count, reason: "budget" });
  const narrow = await store.query({ waitFor: "settled", cursor, context: 0, waitMs: 1 });
  expect(texts(narrow)).toEqual(["settled"]);
  expect(narrow.omitted).toMatchObject({ lines: 300 });
});

test("the context of a match contains lines from before the last wake of the wait", async () => {
  const store = await openStore();
  write(store, "api", "of the past");
  const waiting = store.query({ waitFor: "ready", newLines: true, waitMs: 60_000 });
  write(store, "api", "booting");
  await store.query({ waitMs: 5, grep: "nothing" });
  write(store, "api", "ready");
  expect(texts(await waiting)).toEqual(["booting", "ready"]);
});

const UNNAMED_ERRORS: [string, string[]][] = [
  [
    "Python",
    [
      "Traceback (most recent call last):",
      '  File "/app/migrate.py", line 17, in <module>',
      "    cur.execute(path.read_text())",
      "    ~~~~~~~~~~~^^^^^^^^^^^^^^^^^^",
      'psycopg2.errors.UndefinedColumn: column "status" does not exist',
      "LINE 1: SELECT status FROM orders",
      "               ^",
    ],
  ],
  [
    "Java",
    [
      "com.acme.OutOfStock: order 7",
      "\tat com.acme.Orders.take(Orders.java:12)",
      "\tat com.acme.Main.main(Main.java:3)",
    ],
  ],
  ["Node.js", ["OutOfStock: order 7", "    at take (/app/orders.js:12:9)", "    at /app/main.js:3:1"]],
  ["Go", ["main.take(0x7)", "\t/app/orders.go:12 +0x1d"]],
];

describe.each(DIRECTIONS)("errors whose name does not say so, in %s", (_name, read) => {
  test.each(UNNAMED_ERRORS)("the stack trace of %s makes its exception an error", async (_language, error) => {
    const store = await openStore();
    const others = ["Listening: 8080", "    detail: 1", "Ready: yes"];
    write(store, "api", "INFO start", ...others, ...error, "Ready: again", "INFO end");
    expect(await read(store, { minLevel: "error" })).toEqual(error);
    const { summary } = await store.query({ summary: true });
    const errors = summary?.messages.filter(({ level }) => level === "error").map(({ text }) => text);
    expect(errors).toContain(error.find((line) => /status|7/.test(line) && !line.startsWith(" ")));
    expect(errors?.some((text) => others.includes(text))).toBe(false);
    expect(summary?.lines).toBe(error.length + 6);
  });
});

test("an answer without lines says why: a wait that ended, since in the future, or nothing that matches", async () => {
  const store = await shop();
  const { next_cursor: cursor } = await store.query({});
  expect((await store.query({ waitMs: 5 })).wait).toEqual({
    met: false,
    reason: "No new line was printed within 0.005 s.",
  });
  expect((await store.query({ waitMs: 5, grep: "x", cursor })).wait?.reason).toMatch(/^No new line matched/);
  expect((await store.query({ sinceMs: Date.now() + 60_000 })).note).toBe("since is in the future.");
  expect((await store.query({ grep: "nothing", minLevel: "error" })).note).toBe("No line matches grep, the level.");
  expect((await store.query({ cursor })).note).toBe("No line was printed after the cursor.");
  expect(await store.query({})).not.toHaveProperty("note");
});
