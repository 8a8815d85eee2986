import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DroppedLines } from "../../../src/stack/logs/dropped-lines.js";
import { linesAfter, newestFirst, oldestFirst } from "../../../src/stack/logs/log-view.js";
import { ServiceLog } from "../../../src/stack/logs/service-log.js";
import { temporaryDirectory } from "./log-fixture.js";

function openLog(directory: string): { log: ServiceLog; errors: Error[] } {
  const errors: Error[] = [];
  const log = new ServiceLog({
    directory,
    ringBytes: 2000,
    spoolBytes: 1_000_000,
    segments: [],
    losses: [],
    onRotated: () => undefined,
    onError: (error) => errors.push(error),
  });
  return { log, errors };
}

function append(log: ServiceLog, from: number, through: number): void {
  for (let seq = from; seq <= through; seq += 1) {
    log.append({ seq, timeMs: seq, stream: "stdout", generation: 1, text: `line ${seq}`, cutFrom: 0 });
  }
}

async function seqsOf(batches: AsyncGenerator<{ seq: number }[]>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const batch of batches) seqs.push(...batch.map(({ seq }) => seq));
  return seqs;
}

const range = (from: number, through: number): number[] =>
  Array.from({ length: through - from + 1 }, (_, index) => from + index);

describe("ServiceLog: evicted lines", () => {
  it("lines that leave memory during a write are in every view exactly once", async () => {
    const { log } = openLog(join(temporaryDirectory(), "api"));
    append(log, 1, 10);
    const written = log.flush();
    append(log, 11, 25);
    const view = log.view();
    expect(view.memory.slice(0, Number.MAX_SAFE_INTEGER).map(({ seq }) => seq)).toEqual(range(1, 25));
    expect(log.lines).toBe(25);
    expect(log.losses.total).toBe(0);
    await written;
    // The earlier view returns no line twice, and a new view reads from disk what left memory.
    expect(await seqsOf(oldestFirst(view, 0, () => true))).toEqual(range(1, 25));
    append(log, 26, 30);
    await log.flush();
    const later = log.view();
    expect(later.memory.length).toBeLessThan(25);
    expect(await seqsOf(oldestFirst(later, 0, () => true))).toEqual(range(1, 30));
    expect(await seqsOf(newestFirst(later, () => true))).toEqual(range(1, 30).reverse());
    expect(linesAfter(later, 20)).toBe(10);
    await log.close();
  });

  it("evicted lines are counted as lost when their write fails", async () => {
    const file = join(temporaryDirectory(), "file");
    writeFileSync(file, "");
    const { log, errors } = openLog(join(file, "api"));
    append(log, 1, 10);
    const written = log.flush();
    append(log, 11, 40);
    await written;
    expect(errors).toHaveLength(1);
    const { memory } = log.view();
    expect(memory.at(0)?.seq).toBeGreaterThan(10);
    expect(log.losses.total).toBe(40 - memory.length);
    await log.close();
  });
});

describe("DroppedLines", () => {
  it("losses are counted by position and time in at most 32 entries", () => {
    const losses = new DroppedLines();
    for (let at = 0; at < 100; at += 1) {
      losses.add({ firstSeq: at * 10 + 1, lastSeq: at * 10 + 5, lines: 5, timeMs: at });
    }
    expect(losses.total).toBe(500);
    expect(losses.list.length).toBeLessThanOrEqual(32);
    expect(losses.after(0)).toBe(500);
    expect(losses.after(900)).toBe(50);
    expect(losses.after(992)).toBe(3);
    expect(losses.after(0, 98)).toBe(10);
    expect(losses.after(995)).toBe(0);
    expect(new DroppedLines(losses.list).total).toBe(500);
  });

  it("adjacent losses become one entry, and entries are sorted by position", () => {
    const losses = new DroppedLines();
    for (const seq of [11, 14, 15]) losses.addLine(seq, seq, seq - 3);
    losses.addLine(40, 40, 39);
    losses.add({ firstSeq: 1, lastSeq: 9, lines: 9, timeMs: 5 });
    expect(losses.list).toEqual([
      { firstSeq: 1, lastSeq: 9, lines: 9, timeMs: 5 },
      { firstSeq: 11, lastSeq: 15, lines: 3, timeMs: 15 },
      { firstSeq: 40, lastSeq: 40, lines: 1, timeMs: 40 },
    ]);
  });
});
