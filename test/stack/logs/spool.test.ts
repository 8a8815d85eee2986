import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bytes, openStore, seqs, temporaryDirectory, texts, writeLines } from "./log-fixture.js";

/** Paths of a service's files, oldest first. */
const filesOf = (directory: string, service: string): string[] =>
  readdirSync(join(directory, `s-${service}`))
    .sort()
    .map((name) => join(directory, `s-${service}`, name));

const sizeOf = (files: string[]): number => files.reduce((sum, file) => sum + statSync(file).size, 0);

describe("LogStore: restart", () => {
  it("a restart keeps lines, numbers, generations and cursors", async () => {
    const directory = join(temporaryDirectory(), "logs");
    const first = await openStore({ directory });
    writeLines(first, "api", 300);
    first.sink("web.app/1", 4).write("stderr", bytes(`${"y".repeat(9000)}\n"quoted" \\ \tü😀\n`), 1500);
    first.sink("silent", 7);
    const { next_cursor: cursor, lines } = await first.query({ tail: 10 });
    await first.close();

    const second = await openStore({ directory });
    expect(second.lastGeneration("api")).toBe(1);
    expect(second.lastGeneration("web.app/1")).toBe(4);
    expect(second.lastGeneration("silent")).toBe(7);
    expect(second.lastGeneration("nobody")).toBe(0);
    expect((await second.query({ tail: 10 })).lines).toEqual(lines);
    expect(lines.at(-2)).toMatchObject({ cut_from_bytes: 9000, stream: "stderr", time: "1970-01-01T00:00:01.500Z" });
    writeLines(second, "api", 2, 301, 2);
    const later = await second.query({ cursor });
    expect(seqs(later)).toEqual([303, 304]);
    expect(later.lines[0]).toMatchObject({ generation: 2, text: "api line 301" });
    expect(texts(await second.query({ services: ["api"], previous: true, tail: 2 }))).toEqual([
      "api line 299",
      "api line 300",
    ]);
    expect(second.lastLines("api", 5)).toEqual(["api line 301", "api line 302"]);
  });

  it("after a crash no line number is used twice, and a torn line is skipped", async () => {
    const directory = join(temporaryDirectory(), "logs");
    const crashed = await openStore({ directory });
    writeLines(crashed, "api", 50);
    await crashed.flush();
    writeLines(crashed, "api", 5, 51);
    const { next_cursor: cursor } = await crashed.query({});
    // As after a crash: the index of the open store, some lines, and half of one.
    const copy = join(temporaryDirectory(), "logs");
    cpSync(directory, copy, { recursive: true });
    appendFileSync(filesOf(copy, "api")[0] as string, '[51,1500,0,1,"torn');

    const store = await openStore({ directory: copy });
    expect(texts(await store.query({})).at(-1)).toBe("api line 50");
    expect((await store.query({ cursor })).lines).toEqual([]);
    writeLines(store, "api", 1, 100);
    const [line] = (await store.query({ cursor })).lines;
    expect(line).toMatchObject({ text: "api line 100" });
    expect(line?.seq).toBeGreaterThan(55);
    await store.close();
    expect(readFileSync(filesOf(copy, "api")[0] as string, "utf8")).not.toContain("torn");
    const again = await openStore({ directory: copy });
    expect(texts(await again.query({ tail: 2 }))).toEqual(["api line 50", "api line 100"]);
  });

  it("a missing or damaged index is rebuilt from the lines, and earlier cursors are refused", async () => {
    const directory = join(temporaryDirectory(), "logs");
    const first = await openStore({ directory });
    writeLines(first, "api", 20_000, 1, 3);
    const { next_cursor: cursor } = await first.query({});
    await first.close();
    writeFileSync(join(directory, "store.json"), "{");
    const [file] = filesOf(directory, "api") as [string];
    const middle = readFileSync(file, "utf8").split("\n");
    for (const [at, damaged] of ["{}", "[1]", "[1,2,0,1,5]", '[-1,2,0,1,"x"]', "garbage", ""].entries())
      middle[at + 5] = damaged;
    writeFileSync(file, middle.join("\n"));
    writeFileSync(join(directory, "s-api", "0000000000000000.ndjson"), "");
    writeFileSync(join(directory, "s-%zz"), "");

    const store = await openStore({ directory });
    expect(store.lastGeneration("api")).toBe(3);
    expect(store.stats("api").lines).toBe(19_994);
    expect(texts(await store.query({ tail: 1 }))).toEqual(["api line 20000"]);
    await expect(store.query({ cursor })).rejects.toMatchObject({ code: "INVALID_INPUT" });
    expect(existsSync(join(directory, "s-api", "0000000000000000.ndjson"))).toBe(false);
  });
});

describe("LogStore: files", () => {
  it("log folders have mode 0700 and log files 0600", async () => {
    const directory = join(temporaryDirectory(), "logs");
    const store = await openStore({ directory });
    writeLines(store, "api", 1);
    await store.close();
    const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    expect([directory, join(directory, "s-api")].map(mode)).toEqual(["700", "700"]);
    expect([join(directory, "store.json"), ...filesOf(directory, "api")].map(mode)).toEqual(["600", "600"]);
  });

  it("files are rotated within the disk limit, and removed lines are counted", async () => {
    const directory = join(temporaryDirectory(), "logs");
    const options = { directory, spoolBytes: 100_000, ringBytes: 20_000 };
    const store = await openStore(options);
    writeLines(store, "other", 1);
    const { next_cursor: cursor } = await store.query({});
    for (let part = 0; part < 200; part += 1) {
      writeLines(store, "api", 50, part * 50 + 1);
      await store.flush();
    }
    const files = filesOf(directory, "api");
    expect(files.length).toBeGreaterThan(4);
    expect(sizeOf(files)).toBeLessThanOrEqual(100_000);
    expect(sizeOf(files)).toBeGreaterThan(70_000);

    const page = await store.query({ tail: 10_000, maxBytes: 1e9 });
    const kept = page.lines.filter(({ service }) => service === "api");
    expect(kept.at(-1)?.text).toBe("api line 10000");
    expect(kept).toHaveLength(kept.length === 0 ? -1 : 10_001 - Number(kept[0]?.text.split(" ")[2]));
    const gone = 10_000 - kept.length;
    expect(page.dropped).toEqual({ api: gone });
    expect(page.omitted).toMatchObject({ lines: gone, reason: "rotated" });
    expect(store.stats("api")).toMatchObject({ lines: kept.length, dropped: gone, last_seq: 10_001 });
    expect(store.stats()).toMatchObject({ lines: kept.length + 1, dropped: gone });
    const bytes = Array.from({ length: 10_000 }, (_, i) => `api line ${i + 1}`.length).reduce((a, b) => a + b);
    expect(store.totals()).toContainEqual({ service: "api", lines: 10_000, bytes, dropped: gone });

    const after = await store.query({ cursor, tail: 3 });
    expect(texts(after)[0]).toBe(kept[0]?.text);
    expect(after.omitted).toMatchObject({ lines: gone, reason: "rotated" });
    expect(after.omitted?.how_to_get).toContain(after.next_cursor);
    await store.close();
    const again = await openStore(options);
    expect((await again.query({})).dropped).toEqual({ api: gone });
    expect((await again.query({ services: ["other"] })).dropped).toEqual({});
  });

  it("lines in memory stay counted when the disk limit is smaller than memory", async () => {
    const store = await openStore({ spoolBytes: 1, ringBytes: 1_000_000 });
    for (let part = 0; part < 100; part += 1) {
      writeLines(store, "api", 100, part * 100 + 1);
      await store.flush();
    }
    const page = await store.query({ tail: 10_000, maxBytes: 1e9 });
    expect(page.lines.length + (page.dropped.api ?? 0)).toBe(10_000);
    expect(page.lines[0]?.text).toBe(`api line ${10_001 - page.lines.length}`);
    expect(store.stats("api").lines).toBe(page.lines.length);
  });

  it("filters by time, instance and cursor return every match of a log in several files", async () => {
    const store = await openStore({ spoolBytes: 1_000_000, ringBytes: 4000 });
    for (let generation = 1; generation <= 4; generation += 1) {
      const sink = store.sink("api", generation);
      for (let part = 0; part < 60; part += 1) {
        sink.write("stdout", bytes(`${"x".repeat(200)} ${generation} ${part}\n`.repeat(4)), generation * 10_000 + part);
        await store.flush();
      }
    }
    const query = { tail: 1000, maxBytes: 1e9, collapse: false };
    expect((await store.query({ ...query, sinceMs: 20_000, untilMs: 20_029 })).line_count).toBe(120);
    expect((await store.query({ ...query, untilMs: 10_000 })).line_count).toBe(4);
    expect((await store.query({ ...query, previous: true })).line_count).toBe(240);
    const start = (await store.query({ tail: 1 })).next_cursor.replace(/\d+$/, "0");
    const page = await store.query({ ...query, cursor: start, sinceMs: 40_058 });
    expect(page.line_count).toBe(8);
    expect(page.lines[0]?.text).toMatch(/4 58$/);
    const middle = await store.query({ ...query, cursor: start.replace(/0$/, "500"), tail: 2 });
    expect(seqs(middle)).toEqual([501, 502]);
    expect(middle.omitted?.lines).toBe(960 - 502);
  });

  it("a cursor at any place of a large file returns the lines that follow, even after truncation", async () => {
    const directory = join(temporaryDirectory(), "logs");
    const store = await openStore({ directory });
    for (let part = 0; part < 30; part += 1) {
      writeLines(store, "api", 5000, part * 5000 + 1);
      await store.flush();
    }
    await store.close();
    const again = await openStore({ directory });
    const start = (await again.query({ tail: 1 })).next_cursor;
    for (const seq of [0, 1, 4999, 75_000, 123_456, 149_999]) {
      const page = await again.query({ cursor: start.replace(/\d+$/, String(seq)), tail: 2 });
      expect(seqs(page)).toEqual([seq + 1, seq + 2].filter((next) => next <= 150_000));
      expect(page.omitted?.lines ?? 0).toBe(Math.max(0, 150_000 - seq - 2));
    }
    const [file] = filesOf(directory, "api") as [string];
    truncateSync(file, 1000);
    expect(Math.max(...seqs(await again.query({ tail: 5 })))).toBeLessThan(50);
    rmSync(join(directory, "s-api"), { recursive: true });
    expect((await again.query({ tail: 5 })).lines).toEqual([]);
  });
});
