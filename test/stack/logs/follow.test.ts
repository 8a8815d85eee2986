import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { bytes, openStore, texts, writeLines } from "./log-fixture.js";

/** A wait must end long before this. docs/BENCHMARKS.md has the latency. */
const LONG_MS = 60_000;

describe("LogStore.query with waitMs", () => {
  it("a wait ends with the next line and returns no earlier one", async () => {
    const store = await openStore();
    const sink = store.sink("api", 1);
    sink.write("stdout", bytes("before\n"));
    for (const text of ["one", "two", "three"]) {
      const answer = store.query({ waitMs: LONG_MS });
      await sleep(120);
      const written = Date.now();
      sink.write("stdout", bytes(`${text}\n`));
      const page = await answer;
      expect(Date.now() - written).toBeLessThan(LONG_MS / 2);
      expect(texts(page)).toEqual([text]);
    }
  });

  it("a query after a cursor does not wait when newer lines exist", async () => {
    const store = await openStore();
    const { next_cursor: cursor } = await store.query({});
    writeLines(store, "api", 3);
    const started = Date.now();
    expect((await store.query({ cursor, waitMs: LONG_MS })).line_count).toBe(3);
    expect(Date.now() - started).toBeLessThan(LONG_MS / 2);
  });

  it("lines that are written together are returned in one answer", async () => {
    const store = await openStore();
    const sink = store.sink("api", 1);
    const answer = store.query({ waitMs: LONG_MS });
    await sleep(20);
    sink.write("stdout", bytes("first\n"));
    await sleep(10);
    sink.write("stdout", bytes("second\n"));
    expect(texts(await answer)).toEqual(["first", "second"]);
  });

  it("a wait ignores lines that do not match and other services, and ends at its time", async () => {
    const store = await openStore();
    const [api, db] = [store.sink("api", 1), store.sink("db", 1)];
    const started = Date.now();
    const answer = store.query({ services: ["api"], grep: "wanted", waitMs: 400 });
    for (let index = 0; index < 10; index += 1) {
      await sleep(20);
      db.write("stdout", bytes("wanted\n"));
      api.write("stdout", bytes("noise\n"));
    }
    const page = await answer;
    expect(Date.now() - started).toBeGreaterThanOrEqual(395);
    expect(page).toMatchObject({ lines: [], omitted: null, next_cursor: expect.stringMatching(/:\d+$/) });
    db.write("stdout", bytes("wanted\n"));
    api.write("stdout", bytes("wanted at last\n"));
    const next = await store.query({ services: ["api"], grep: "wanted", cursor: page.next_cursor });
    expect(texts(next)).toEqual(["wanted at last"]);
  });

  it("a wait ends at its time during a flood of lines that do not match", async () => {
    const store = await openStore();
    const sink = store.sink("api", 1);
    const flood = setInterval(() => sink.write("stdout", bytes("noise\n".repeat(100))), 2);
    const started = Date.now();
    const page = await store.query({ grep: "wanted", waitMs: 300 });
    clearInterval(flood);
    expect(page.lines).toEqual([]);
    expect(Date.now() - started).toBeLessThan(LONG_MS / 2);
  });

  it("a wait returns the first line of a service that had no log", async () => {
    const store = await openStore();
    const answer = store.query({ services: ["late"], waitMs: LONG_MS });
    await sleep(30);
    writeLines(store, "late", 1);
    expect(texts(await answer)).toEqual(["late line 1"]);
  });

  it("a wait that its caller cancels, before or during the call, ends without lines", async () => {
    const store = await openStore();
    const started = Date.now();
    expect((await store.query({ waitMs: LONG_MS, signal: AbortSignal.abort() })).lines).toEqual([]);
    expect((await store.query({ waitMs: LONG_MS, signal: AbortSignal.timeout(50) })).lines).toEqual([]);
    expect(Date.now() - started).toBeLessThan(LONG_MS / 2);
  });

  it("a wait ends when the store is closed", async () => {
    const store = await openStore();
    const answer = store.query({ waitMs: LONG_MS });
    await sleep(30);
    const started = Date.now();
    await store.close();
    expect((await answer).lines).toEqual([]);
    expect((await store.query({ waitMs: LONG_MS })).lines).toEqual([]);
    expect(Date.now() - started).toBeLessThan(LONG_MS / 2);
  });
});

describe("LogStore.onAppend", () => {
  it("a listener is called once a tick for each service, and an error in another one does not affect it", async () => {
    const store = await openStore();
    const told: string[] = [];
    store.onAppend(() => {
      throw new Error("defect");
    });
    const unsubscribe = store.onAppend((service) => told.push(service));
    writeLines(store, "api", 1000);
    writeLines(store, "db", 2);
    writeLines(store, "api", 1);
    expect(told).toEqual([]);
    await sleep(5);
    expect(told).toEqual(["api", "db"]);
    unsubscribe();
    writeLines(store, "api", 1);
    await sleep(5);
    expect(told).toHaveLength(2);
  });
});
