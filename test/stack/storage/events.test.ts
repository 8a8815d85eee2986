import { appendFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StackEvent } from "../../../src/stack/model.js";
import { EventLog } from "../../../src/stack/storage/events.js";

describe("EventLog", () => {
  let folder: string;
  let seen: StackEvent[];
  let errors: unknown[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stackwarden-events-"));
    seen = [];
    errors = [];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const open = async (file: string | undefined = join(folder, "events.jsonl")) => {
    const log = new EventLog({
      project: "p",
      ...(file === undefined ? {} : { file }),
      clean: (text) => text.replaceAll("hunter22", "[redacted]"),
      onEvent: (event) => seen.push(event),
      onError: (error) => errors.push(error),
    });
    await log.load();
    return log;
  };

  it("events are numbered and redacted, and are read again after a restart", async () => {
    const first = await open();
    first.add({ type: "warning", message: "password hunter22", service: "db", actor: "claude#1", data: { a: 1 } });
    first.add({ type: "stack_started", message: "up" });
    await first.flush();
    expect(seen[0]).toMatchObject({ seq: 1, message: "password [redacted]", service: "db", actor: "claude#1" });
    expect(statSync(join(folder, "events.jsonl")).mode & 0o777).toBe(0o600);
    appendFileSync(join(folder, "events.jsonl"), '{"seq":3,"torn');
    const second = await open();
    expect(second.add({ type: "stack_stopped", message: "down" }).seq).toBe(3);
    await second.flush();
    const third = await open();
    expect((await third.query({})).events.map(({ seq, type }) => [seq, type])).toEqual([
      [1, "warning"],
      [2, "stack_started"],
      [3, "stack_stopped"],
    ]);
  });

  it("a cursor pages through all events, and a query without one returns the newest", async () => {
    const log = await open();
    for (let at = 1; at <= 25; at += 1) log.add({ type: "warning", message: String(at) });
    expect(await log.query({ limit: 10 })).toMatchObject({ omitted: 15, next_cursor: 25 });
    const read: number[] = [];
    for (let cursor = 0; cursor < 25; ) {
      const page = await log.query({ after: cursor, limit: 10 });
      read.push(...page.events.map((event) => event.seq));
      cursor = page.next_cursor;
    }
    expect(read).toEqual(Array.from({ length: 25 }, (_, at) => at + 1));
  });

  it("a query filters events by service and type", async () => {
    const log = await open();
    log.add({ type: "service_started", service: "a", message: "" });
    log.add({ type: "service_crashed", service: "a", message: "" });
    log.add({ type: "service_crashed", service: "b", message: "" });
    expect((await log.query({ service: "a", types: ["service_crashed"] })).events.map((event) => event.seq)).toEqual([
      2,
    ]);
  });

  it("a query waits for a matching event and ends at its time or by its signal", async () => {
    const log = await open();
    log.add({ type: "warning", message: "before" });
    expect((await log.query({ after: 1, waitMs: 20 })).events).toEqual([]);
    const waiting = log.query({ after: 1, waitMs: 30_000, service: "b" });
    log.add({ type: "warning", message: "no match", service: "a" });
    log.add({ type: "warning", message: "match", service: "b" });
    expect((await waiting).events.map((event) => event.message)).toEqual(["match"]);
    const fromNow = log.query({ waitMs: 30_000, types: ["stack_lost"] });
    log.add({ type: "stack_lost", message: "gone" });
    expect((await fromNow).events).toHaveLength(1);
    const past = await log.query({ waitMs: 30_000 });
    expect(past).toMatchObject({ note: expect.stringContaining(`after ${past.next_cursor}`) });
    expect(await log.query({})).not.toHaveProperty("note");
    const stop = new AbortController();
    const aborted = log.query({ after: 99, waitMs: 30_000, signal: stop.signal });
    stop.abort();
    expect((await aborted).events).toEqual([]);
    expect((await log.query({ after: 99, waitMs: 30_000, signal: stop.signal })).events).toEqual([]);
  });

  it("memory keeps the newest 2,000 events, and a write that fails is reported", async () => {
    const log = await open(join(folder, "absent", "events.jsonl"));
    for (let at = 0; at < 2_100; at += 1) log.add({ type: "warning", message: "x" });
    await log.flush();
    expect((await log.query({ after: 0, limit: 1 })).events[0]?.seq).toBe(101);
    expect(errors.length).toBeGreaterThan(0);
  });

  it.each([0, 1001, 1.5, Number.NaN])("a query refuses the limit %d", async (limit) => {
    await expect((await open()).query({ limit })).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });
});
