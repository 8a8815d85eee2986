import { describe, expect, it } from "vitest";
import { installSink } from "../../../src/stack/logs/sink.js";
import type { LogStore } from "../../../src/stack/logs/types.js";
import { bytes, openStore, seqs, temporaryDirectory, texts, writeLines } from "./log-fixture.js";

describe("LogStore.query: tail", () => {
  it("a query without tail returns the newest 100 lines and the number of earlier ones", async () => {
    const store = await openStore();
    writeLines(store, "api", 250);
    const page = await store.query({});
    expect(seqs(page)).toEqual(Array.from({ length: 100 }, (_, index) => index + 151));
    expect(page.lines[99]).toMatchObject({ service: "api", stream: "stdout", generation: 1, text: "api line 250" });
    expect(page.lines[99]?.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(page.line_count).toBe(100);
    expect(page.omitted).toMatchObject({ lines: 150, reason: "tail" });
    expect(page.omitted?.how_to_get).toContain(`until "${page.lines[0]?.time}"`);
    expect(page.dropped).toEqual({});
  });

  it("a tail longer than the log returns every line and omits none", async () => {
    const store = await openStore();
    writeLines(store, "api", 5);
    expect(await store.query({ tail: 5 })).toMatchObject({ line_count: 5, omitted: null });
    expect(await store.query({ tail: 10_000 })).toMatchObject({ line_count: 5, omitted: null });
    expect(await store.query({ services: ["other"] })).toMatchObject({ lines: [], omitted: null });
  });

  it.each([0, -1, 1.5, 10_001, Number.NaN])("a tail of %s is refused", async (tail) => {
    const store = await openStore();
    await expect(store.query({ tail })).rejects.toMatchObject({
      code: "INVALID_INPUT",
      message: expect.stringContaining("from 1 to 10,000"),
      hint: expect.stringContaining("tail"),
    });
  });

  it("lines of several services are returned in the order they were written", async () => {
    const store = await openStore();
    const sinks = ["api", "db", "web"].map((service) => store.sink(service, 1));
    for (let index = 0; index < 300; index += 1) sinks[(index * index) % 3]?.write("stdout", bytes(`${index}\n`));
    const all = await store.query({ tail: 1000 });
    expect(texts(all)).toEqual(Array.from({ length: 300 }, (_, index) => String(index)));
    const two = await store.query({ services: ["db", "web", "db"], tail: 20 });
    const expected = all.lines.filter(({ service }) => service !== "api").slice(-20);
    expect(two.lines).toEqual(expected);
    expect(new Set(two.lines.map(({ service }) => service))).toEqual(new Set(["db"]));
  });
});

describe("LogStore.query: output of an installation", () => {
  it('only stream: "install" returns an installation\'s output, before and after a restart', async () => {
    const directory = temporaryDirectory();
    const store = await openStore({ directory });
    const own = store.sink("api", 1);
    const installer = installSink(own);
    installer.write("stdout", bytes("npm ERR! one\nno newline"));
    installer.line("stderr", "[stackwarden] again in 5 ms");
    own.write("stdout", bytes("listening\n"));
    installer.end();
    own.end();
    const check = async (log: LogStore) => {
      expect(texts(await log.query({}))).toEqual(["listening"]);
      expect(await log.query({ grep: "npm" })).toMatchObject({ lines: [], omitted: null });
      expect(await log.query({ waitFor: "npm", waitMs: 1 })).toMatchObject({ wait: { met: false } });
      const install = await log.query({ stream: "install" });
      expect(texts(install)).toEqual(["npm ERR! one", "[stackwarden] again in 5 ms", "no newline"]);
      expect(new Set(install.lines.map(({ stream }) => stream))).toEqual(new Set(["install"]));
    };
    await check(store);
    expect(store.lastLines("api", 5)).toEqual(["listening"]);
    await store.close();
    await check(await openStore({ directory }));
  });
});

describe("LogStore.query: filters", () => {
  it("grep searches literal text without regard to case", async () => {
    const store = await openStore();
    store.sink("api", 1).write("stdout", bytes("An ERROR (1)\nfine\nerror (1)\nerror 1\n"));
    expect(texts(await store.query({ grep: "Error (1)" }))).toEqual(["An ERROR (1)", "error (1)"]);
    expect(await store.query({ grep: "" })).toMatchObject({ line_count: 4 });
  });

  it("grep with regex takes an RE2 expression, and a hostile one ends in bounded time", async () => {
    const store = await openStore();
    store.sink("api", 1).write("stdout", bytes(`took 12 ms\ntook 1200 ms\n${"a".repeat(5000)}!\n`));
    expect(texts(await store.query({ grep: "\\b\\d{3,} ms$", regex: true }))).toEqual(["took 1200 ms"]);
    const started = Date.now();
    expect(texts(await store.query({ grep: "^(a+)+$", regex: true }))).toEqual([]);
    expect(Date.now() - started).toBeLessThan(20_000);
  });

  it.each(["(unclosed", "a(?=b)", "(a)\\1"])("the expression %s is refused with a hint", async (grep) => {
    const store = await openStore();
    await expect(store.query({ grep, regex: true })).rejects.toMatchObject({
      code: "INVALID_INPUT",
      hint: expect.stringContaining("RE2 has no lookaround"),
    });
  });

  it("grep refuses an expression of more than 1,000 characters", async () => {
    const store = await openStore();
    await expect(store.query({ grep: "x".repeat(1001) })).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  it("stream, since and until filter lines, and both times are inclusive", async () => {
    const store = await openStore();
    const sink = store.sink("api", 1);
    for (const [stream, at] of [
      ["stdout", 3000],
      ["stderr", 1000],
      ["stdout", 2000],
      ["stderr", 4000],
    ] as const) {
      sink.write(stream, bytes(`${stream} ${at}\n`), at);
    }
    expect(texts(await store.query({ stream: "stderr" }))).toEqual(["stderr 1000", "stderr 4000"]);
    expect(texts(await store.query({ sinceMs: 2000 }))).toEqual(["stdout 3000", "stdout 2000", "stderr 4000"]);
    expect(texts(await store.query({ untilMs: 2000 }))).toEqual(["stderr 1000", "stdout 2000"]);
    expect(texts(await store.query({ sinceMs: 2000, untilMs: 3000 }))).toEqual(["stdout 3000", "stdout 2000"]);
  });

  it("previous: true returns the lines of each service's previous instance", async () => {
    const store = await openStore();
    for (const generation of [1, 2, 3]) store.sink("api", generation).write("stderr", bytes(`api ${generation}\n`));
    for (const generation of [1, 2]) store.sink("db", generation).write("stderr", bytes(`db ${generation}\n`));
    store.sink("web", 1).write("stderr", bytes("web 1\n"));
    expect(texts(await store.query({ previous: true }))).toEqual(["api 2", "db 1"]);
    expect(texts(await store.query({ previous: true, services: ["web"] }))).toEqual([]);
    store.sink("web", 2);
    expect(texts(await store.query({ previous: true, services: ["web"] }))).toEqual(["web 1"]);
  });

  it("a search with tail reports the older lines it left out, unless it passed all of them", async () => {
    const store = await openStore();
    const lines = Array.from({ length: 400 }, (_, index) => (index % 4 === 0 ? `hit ${index}\n` : `${index}\n`));
    store.sink("api", 1).write("stdout", bytes(lines.join("")));
    const page = await store.query({ grep: "hit", tail: 10 });
    expect(texts(page)[0]).toBe("hit 360");
    expect(page.omitted).toMatchObject({ lines: 360, reason: "tail" });
    expect(page.omitted?.how_to_get).toContain("matching or not");
    // The search ends although no second line matches.
    const last = await store.query({ grep: "hit 396", tail: 1 });
    expect(last.omitted).toBeNull();
  });

  it("a search of a long log that fills its tail reports the lines it left out", async () => {
    const store = await openStore();
    writeLines(store, "api", 30_000);
    const page = await store.query({ grep: "line 30000", tail: 1 });
    expect(page.line_count).toBe(1);
    expect(page.omitted).toMatchObject({ lines: 29_999, reason: "tail" });
  });

  it("a long search ends when its caller cancels", async () => {
    const store = await openStore();
    writeLines(store, "api", 30_000);
    const caller = new AbortController();
    const answer = store.query({ grep: "nowhere", signal: caller.signal });
    caller.abort();
    await expect(answer).rejects.toMatchObject({ code: "OPERATION_CANCELLED", hint: expect.any(String) });
  });
});
