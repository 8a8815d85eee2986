import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSink } from "../../../src/stack/logs/sink.js";
import { MAX_LINE_BYTES } from "../../../src/stack/logs/stored-line.js";
import { createRedactor } from "../../../src/stack/text/redaction.js";
import { bytes } from "./log-fixture.js";

interface Seen {
  stream: string;
  text: string;
  cutFrom: number;
  timeMs: number;
}

function sinkWith(redact: (text: string) => string = (text) => text) {
  const seen: Seen[] = [];
  const sink = createSink({
    redact,
    append: (stream, text, cutFrom, timeMs) => seen.push({ stream, text, cutFrom, timeMs }),
    behind: () => null,
  });
  return { sink, seen, texts: () => seen.map(({ text }) => text) };
}

/** `data` cut at the given offsets. */
function chunks(data: Uint8Array, cuts: number[]): Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (data.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => data.subarray(from, places[index] ?? data.length));
}

describe("createSink: lines from chunks", () => {
  it("lines are the same wherever the output is cut into chunks", () => {
    const pieces = fc.constantFrom("a", "ü", "€", "😀", "\n", "\r\n", "\r", " ", "word");
    const property = fc.property(fc.array(pieces, { maxLength: 60 }), fc.array(fc.nat()), (parts, cuts) => {
      const data = bytes(parts.join(""));
      const one = sinkWith();
      one.sink.write("stdout", data);
      one.sink.end();
      const many = sinkWith();
      for (const chunk of chunks(data, cuts)) many.sink.write("stdout", chunk);
      many.sink.end();
      expect(many.texts()).toEqual(one.texts());
    });
    fc.assert(property, { numRuns: 500 });
  });

  it("a line ends at LF, CRLF or the end of the stream, and an empty line counts", () => {
    const { sink, texts } = sinkWith();
    sink.write("stdout", bytes("one\r\n\ntwo\nrest"));
    expect(texts()).toEqual(["one", "", "two"]);
    sink.end();
    sink.end();
    expect(texts()).toEqual(["one", "", "two", "rest"]);
  });

  it("a carriage return within a line replaces the text before it", () => {
    const { sink, texts } = sinkWith();
    sink.write("stdout", bytes(`${"10 % ".repeat(40)}\r50 %\rdone\nnext\r\n1\r2\r3\nfirst\r`));
    sink.write("stdout", bytes("second\n"));
    expect(texts()).toEqual(["done", "next", "3", "second"]);
  });

  it("parts of lines of stdout and stderr are not mixed", () => {
    const { sink, seen } = sinkWith();
    sink.write("stdout", bytes("out "));
    sink.write("stderr", bytes("err\n"));
    sink.write("stdout", bytes("put\n"));
    expect(seen.map(({ stream, text }) => [stream, text])).toEqual([
      ["stderr", "err"],
      ["stdout", "out put"],
    ]);
  });

  it("invalid UTF-8 is replaced, and all other text is kept", () => {
    const { sink, texts } = sinkWith();
    sink.write("stdout", Uint8Array.from([0x61, 0xff, 0x62, 0x0a, 0xe2, 0x82, 0x0a, 0x63, 0x0a]));
    expect(texts()).toEqual(["a\ufffdb", "\ufffd", "c"]);
  });

  it("a line has the given time, or the current one when that is invalid", () => {
    const { sink, seen } = sinkWith();
    const before = Date.now();
    sink.write("stdout", bytes("a\nb"), 1234.7);
    sink.end();
    sink.write("stdout", bytes("c\n"), Number.NaN);
    sink.write("stdout", bytes("d\n"), -5);
    expect(seen.slice(0, 2).map(({ timeMs }) => timeMs)).toEqual([1234, 1234]);
    for (const { timeMs } of seen.slice(2)) expect(timeMs).toBeGreaterThanOrEqual(before);
  });
});

describe("createSink: long lines", () => {
  it.each([
    ["in one chunk among others", (line: string) => [`a\n${line}\nb\n`]],
    ["over many chunks", (line: string) => [line.slice(0, 7), line.slice(7, 9000), line.slice(9000), "\nb\n"]],
  ])("a long line is cut between characters and reports its length: %s", (_, toChunks) => {
    const line = `${"€".repeat(20_000)}`;
    const { sink, seen } = sinkWith();
    for (const chunk of toChunks(line)) sink.write("stdout", bytes(chunk));
    const cut = seen.find(({ text }) => text.startsWith("€"));
    expect(cut).toMatchObject({ text: "€".repeat(Math.floor(MAX_LINE_BYTES / 3)), cutFrom: 60_000 });
    expect(seen.at(-1)).toMatchObject({ text: "b", cutFrom: 0 });
  });

  it("a line of exactly the limit is not cut", () => {
    const { sink, seen } = sinkWith();
    sink.write("stdout", bytes(`${"x".repeat(MAX_LINE_BYTES)}\n${"x".repeat(MAX_LINE_BYTES + 1)}\n`));
    expect(seen.map(({ text, cutFrom }) => [text.length, cutFrom])).toEqual([
      [MAX_LINE_BYTES, 0],
      [MAX_LINE_BYTES, MAX_LINE_BYTES + 1],
    ]);
  });

  it("a line of 64 MiB is cut and counted", () => {
    const { sink, seen } = sinkWith();
    const block = new Uint8Array(1024 * 1024).fill(0x78);
    for (let index = 0; index < 64; index += 1) sink.write("stdout", block);
    sink.write("stdout", bytes("\n"));
    expect(seen.map(({ text, cutFrom }) => [text.length, cutFrom])).toEqual([[MAX_LINE_BYTES, 64 * 1024 * 1024]]);
  });

  it("a secret at the cut of a line does not show its beginning", () => {
    const secret = "s3cr3t-value-of-forty-characters-0123456";
    // Escape sequences fill the buffer, and the secret crosses its end.
    const filler = "\u001b[31m".repeat((64 * 1024 - 20) / 5);
    const { sink, seen } = sinkWith(createRedactor([secret]).redact);
    sink.write("stdout", bytes(`${filler}${"x".repeat((64 * 1024 - 20) % 5)}${secret}\n`));
    expect(seen[0]?.text).not.toContain("s3cr");
    expect(seen[0]?.cutFrom).toBeGreaterThan(64 * 1024);
  });

  it("lines of the server are cut at the same limit after redaction", () => {
    const { sink, seen } = sinkWith((text) => text.replaceAll("secret", "[redacted]"));
    sink.line("stderr", "y".repeat(10_000));
    sink.line("stderr", "€".repeat(10_000));
    sink.line("stdout", "secret".repeat(1300));
    sink.line("stdout", "short\nand forged");
    expect(seen.map(({ text }) => Buffer.byteLength(text))).toEqual([8192, 8190, 8192, 16]);
    expect(seen.map(({ cutFrom }) => cutFrom)).toEqual([10_000, 30_000, 7800, 0]);
    expect(seen.at(-1)?.text).toBe("short and forged");
  });
});

describe("createSink: sanitising and redaction", () => {
  it("escape sequences and control, bidirectional and invisible characters are removed", () => {
    const { sink, texts } = sinkWith();
    sink.write(
      "stdout",
      bytes("\u001b[31mred\u001b[0m \u0007bell \u202eevil\u202c zero\u200bwidth \u001b]0;title\u0007x\n"),
    );
    expect(texts()).toEqual(["red bell evil zerowidth x"]);
  });

  it("a secret that is split by chunks or escape sequences is redacted", () => {
    const { sink, texts } = sinkWith(createRedactor(["hunter2-hunter2"]).redact);
    sink.write("stdout", bytes("password is hunter2-h"));
    sink.write("stdout", bytes("unter2!\nand hunter2\u001b[1m-hunter2\n"));
    expect(texts()).toEqual(["password is [redacted]!", "and [redacted]"]);
  });

  it("a line whose redaction fails is withheld", () => {
    const { sink, texts } = sinkWith(() => {
      throw new Error("defect");
    });
    sink.write("stdout", bytes("secret\n"));
    expect(texts()).toEqual(["[line withheld: it could not be redacted]"]);
  });
});
