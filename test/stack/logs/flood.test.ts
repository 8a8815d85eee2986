import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { bytes, openStore, temporaryDirectory, texts } from "./log-fixture.js";

/** 21 MB of text: more than the memory limit. */
const LINES = 700_000;
/** More than the limits of a test admit. */
const MANY = 250_000;
const MIB = 1024 * 1024;

/** Lines from number `from` as one chunk. */
function chunk(from: number, count: number): Uint8Array {
  let text = "";
  for (let index = from; index < from + count; index += 1) text += `request ${index} served in ${index % 97} ms\n`;
  return bytes(text);
}

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** Memory in use after garbage collection. */
const used = (): number => {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

describe("LogStore: a flood of lines", () => {
  it("700,000 lines are kept without loss in 16 MiB of memory, and a tail costs less than a search", async () => {
    const directory = join(temporaryDirectory(), "logs");
    const store = await openStore({ directory, spoolBytes: 128 * MIB });
    const sink = store.sink("api", 1);
    const before = used();
    let most = 0;
    for (let from = 1; from <= LINES; from += 2000) {
      const data = chunk(from, 2000);
      sink.write("stdout", data);
      if (from % 50_000 === 1) {
        most = Math.max(most, used() - before);
        // At the disk's speed, which a loaded machine shares.
        await store.flush();
      }
      await setImmediate();
    }
    expect(most).toBeLessThan(16 * MIB);
    const started = performance.now();
    const page = await store.query({ tail: 3 });
    const tailMs = performance.now() - started;
    expect(texts(page)).toEqual([LINES - 2, LINES - 1, LINES].map((at) => `request ${at} served in ${at % 97} ms`));
    expect(page.omitted).toMatchObject({ lines: LINES - 3, reason: "tail" });
    expect(page.dropped).toEqual({});
    await store.flush();
    expect(store.stats("api")).toMatchObject({ lines: LINES, dropped: 0 });

    await store.close();
    const again = await openStore({ directory, spoolBytes: 128 * MIB });
    const reopened = performance.now();
    expect(texts(await again.query({ tail: 3 }))).toEqual(texts(page));
    const reopenedMs = performance.now() - reopened;
    const searched = performance.now();
    const found = await again.query({ grep: "request 4711 " });
    // A tail costs little compared to a search of the whole log.
    const searchMs = performance.now() - searched;
    expect(tailMs).toBeLessThan(searchMs / 2);
    expect(reopenedMs).toBeLessThan(searchMs / 2);
    expect(texts(found)).toEqual(["request 4711 served in 55 ms"]);
  });

  it("lines that the disk cannot follow keep the memory limit, and each is kept or counted", async () => {
    const directory = join(temporaryDirectory(), "logs");
    const store = await openStore({ directory, ringBytes: 2 * MIB });
    const sink = store.sink("api", 1);
    const before = used();
    // The event loop has no turn, so that nothing can be written.
    let most = 0;
    for (let from = 1; from <= MANY; from += 2000) {
      sink.write("stdout", chunk(from, 2000));
      if (from % 50_000 === 1) most = Math.max(most, used() - before);
    }
    expect(most).toBeLessThan(6 * MIB);
    const page = await store.query({ tail: 10_000, maxBytes: 1e9 });
    expect(page.lines.at(-1)?.seq).toBe(MANY);
    const { lines, dropped } = store.stats("api");
    expect(dropped).toBeGreaterThan(MANY / 2);
    expect(lines + dropped).toBe(MANY);
    await store.flush();
    expect(store.stats("api")).toMatchObject({ lines, dropped });
    const start = page.next_cursor.replace(/\d+$/, "0");
    expect((await store.query({ cursor: start })).omitted).toMatchObject({ lines: dropped, reason: "rotated" });
  });

  it("a log over the disk limit keeps its newest lines and counts the others", async () => {
    const directory = join(temporaryDirectory(), "logs");
    const store = await openStore({ directory, spoolBytes: 8 * MIB });
    const sink = store.sink("api", 1);
    for (let from = 1; from <= MANY; from += 2000) {
      sink.write("stdout", chunk(from, 2000));
      await setImmediate();
    }
    await store.flush();
    const files = readdirSync(join(directory, "s-api")).map((name) => statSync(join(directory, "s-api", name)).size);
    expect(files.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(8 * MIB);
    const { lines, dropped, last_seq } = store.stats("api");
    expect(lines + dropped).toBe(MANY);
    expect(last_seq).toBe(MANY);
    expect(dropped).toBeGreaterThan(0);
    expect(lines).toBeGreaterThan(60_000);
  });
});
