import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EntryLines } from "../../../../src/runtimes/dagger/entry/entry-lines.js";
import type { EntryMessage } from "../../../../src/runtimes/dagger/entry/types.js";

const TOKEN = "abcdefABCDEF0123";
const line = (json: unknown, token = TOKEN) =>
  `\u001e${token}${typeof json === "string" ? json : JSON.stringify(json)}\n`;
const START = {
  type: "start",
  uid: 70,
  gid: 70,
  noNewPrivileges: true,
  capabilities: "0000000000000000",
  seccomp: true,
  cgroup: "v2",
  empty: [],
};
const hex = (text: string) => Buffer.from(text).toString("hex");

function read(chunks: Uint8Array[]): { service: string; messages: EntryMessage[] } {
  const messages: EntryMessage[] = [];
  const lines = new EntryLines(TOKEN, (message) => messages.push(message));
  const parts = chunks.map((chunk) => lines.take(chunk));
  return { service: Buffer.concat([...parts, lines.end()]).toString("latin1"), messages };
}
const whole = (text: string) => read([Buffer.from(text, "latin1")]);

describe("EntryLines", () => {
  it("each kind of entry line is removed from the stream and read", () => {
    const text = [
      line(START),
      "first\n",
      line({ type: "health", exitCode: 1, timedOut: true, output: hex('no "response"\nä') }),
      "second\n",
      line({ type: "unlimited", waitedSeconds: 10 }),
      line({ ...START, noNewPrivileges: false, seccomp: false, cgroup: null }),
    ].join("");
    expect(whole(text)).toEqual({
      service: "first\nsecond\n",
      messages: [
        START,
        { type: "health", exitCode: 1, timedOut: true, output: 'no "response"\nä' },
        { type: "unlimited", waitedSeconds: 10 },
        { ...START, noNewPrivileges: false, seccomp: false, cgroup: null },
      ],
    });
  });

  it("an entry line in the middle of a line of the service is removed", () => {
    const { service, messages } = whole(`half a ${line(START)}line\n`);
    expect(service).toBe("half a line\n");
    expect(messages).toHaveLength(1);
  });

  it("a line without this start's token stays in the service's log", () => {
    const forged = [
      line(START, "abcdefABCDEF9999"),
      "\u001e{}\n",
      "\u001e\u001e\n",
      line("no JSON"),
      line({ type: "other" }),
      line("null"),
      line('"text"'),
    ].join("");
    expect(whole(forged)).toEqual({ service: forged, messages: [] });
  });

  it("entry lines are read the same for every chunking, and the service's bytes stay unchanged", () => {
    const piece = fc.oneof(
      fc.constantFrom("\u001e", "\n", TOKEN, `\u001e${TOKEN}`, `\u001e${TOKEN.slice(0, 5)}`, "é\u0000", "text "),
      fc.string({ maxLength: 8 }),
    );
    fc.assert(
      fc.property(fc.array(piece), fc.array(fc.nat(400)), (pieces, cuts) => {
        const text = Buffer.from(`${pieces.join("")}\n${line(START)}${pieces.join("")}\n${line(START)}`);
        const points = [0, ...cuts.map((cut) => cut % text.length).sort((a, b) => a - b), text.length];
        const chunks = points.slice(1).map((point, index) => text.subarray(points[index], point));
        const cut = read(chunks);
        expect(cut).toEqual(read([text]));
        expect(cut.messages).toHaveLength(2);
        const twice = Buffer.from(`${pieces.join("")}\n`).toString("latin1");
        expect(cut.service).toBe(twice + twice);
      }),
    );
  });

  it("a prefix without an end is passed on as output, at the latest when the stream ends", () => {
    const endless = `\u001e${TOKEN}${"x".repeat(5000)}`;
    const lines = new EntryLines(TOKEN, () => {});
    expect(lines.take(Buffer.from(endless)).length).toBe(endless.length);
    expect(lines.take(Buffer.from("\u001eabc")).length).toBe(0);
    expect(lines.end().toString()).toBe("\u001eabc");
    expect(lines.end().length).toBe(0);
  });
});
