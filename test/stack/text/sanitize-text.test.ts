import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  boundText,
  CUT_MARK,
  cutAtBytes,
  HELD_CHARACTERS,
  heldEnd,
  sanitizeText,
  shortenAtWord,
} from "../../../src/stack/text/sanitize-text.js";

/** False for lone surrogates, which UTF-8 cannot represent. */
const isWellFormed = (text: string): boolean => Buffer.from(text).toString() === text;

describe("sanitizeText", () => {
  it.each([
    ["colours", "\x1b[1;31merror\x1b[0m: x", "error: x"],
    ["8 bit CSI", "\u009b31mred\u009b0m", "red"],
    ["a CSI cut off at the end", "text\x1b[38;5", "text"],
    ["a window title", "\x1b]0;evil title\x07shown", "shown"],
    ["a hyperlink", "\x1b]8;;http://evil\x1b\\label\x1b]8;;\x1b\\", "label"],
    ["8 bit OSC", "\u009d0;title\u009cshown", "shown"],
    ["DCS", "\x1bPq#0;2;0;0;0\x1b\\after", "after"],
    ["APC, PM, SOS", "a\x1b_x\x1b\\b\x1b^y\x1b\\c\x1bXz\x1b\\d", "abcd"],
    ["a string sequence without end", "\x1b]0;still here", "0;still here"],
    ["full reset and charset", "\x1bc\x1b(Bx", "x"],
    ["a lone escape at the end", "x\x1b", "x"],
    ["control characters and a tab", "a\0b\x07c\x08d\te\x7ff\u0085", "abcd\tef "],
    ["line breaks", "a\r\nb\nc\rd\u2028e", "a b c d e"],
    ["bidirectional controls", "\u202eabc\u202c\u2066d\u2069\u200f\u061c", "abcd"],
    ["zero-width characters", "a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg", "abcdefg"],
    ["tag characters and variation selectors", "a\u{e0041}\u{e0100}\ufe0fb", "ab"],
    ["lone surrogates", "a\ud83db\ude00c", "abc"],
    ["surrogate pairs", "ok 🎉 日本 é", "ok 🎉 日本 é"],
  ])("sanitizeText turns text with %s into plain text", (_name, text, expected) => {
    expect(sanitizeText(text)).toBe(expected);
  });

  it("sanitizeText does not change plain text", () => {
    const text = "GET /health 200 \t«ümläut» 日本";
    expect(sanitizeText(text)).toBe(text);
  });

  /** Any code point except surrogates, as `unit: "binary"`, for which fast-check first makes a map of all of them. */
  const character = fc.nat({ max: 0x10ffff - 0x800 }).map((at) => String.fromCodePoint(at < 0xd800 ? at : at + 0x800));
  const nasty = fc.array(
    fc.oneof(
      fc.constantFrom("\x1b", "[", "]", "\x1b]", "\x07", "\x1b\\", "\u009c", "\u009d", "\u009b", "P", "m", "\ud83d"),
      fc.constantFrom("\ude00", "\u200b", "\u202e", "\udb40", "\udc41", "\r", "\n", "\t", "a", ";", "31", "é"),
      fc.string({ unit: character, maxLength: 4 }),
    ),
    { maxLength: 40 },
  );

  it("sanitizeText is idempotent and leaves no control or invisible characters", () => {
    fc.assert(
      fc.property(nasty, (parts) => {
        const once = sanitizeText(parts.join(""));
        expect(sanitizeText(once)).toBe(once);
        expect(isWellFormed(once)).toBe(true);
        expect(once).not.toMatch(/(?!\t)\p{Cc}|[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u2028\u2029]/u);
      }),
      { numRuns: 2000 },
    );
  });

  it.each(["\x1b]", "\u009d", "\x1b[", "\x1b]a", "\ud83d", "\u200b", "\x1bP0", "\u009b;", "\u009d\t"])(
    "sanitizeText cleans a text full of %j in bounded time",
    (part) => {
      // A quadratic search would take minutes.
      const text = part.repeat(500_000);
      expect(sanitizeText(text).length).toBeLessThanOrEqual(text.length);
    },
  );
});

describe("heldEnd and shortenAtWord", () => {
  it("heldEnd begins with a whole line, and is empty where no line begins within its limit", () => {
    expect(heldEnd("short")).toBe("short");
    expect(heldEnd(`${"s3cret".repeat(3000)}\nlast line`)).toBe("last line");
    expect(heldEnd("x".repeat(HELD_CHARACTERS + 1))).toBe("");
  });

  it("shortenAtWord cuts between words", () => {
    expect(shortenAtWord("short", 10)).toBe("short");
    expect(shortenAtWord("psql --password=s3cret-value -c x", 20)).toBe(`psql ${CUT_MARK}`);
  });
});

describe("boundText", () => {
  it("boundText does not change text within the limit", () => {
    expect(boundText("abc", 3)).toBe("abc");
    expect(boundText("", 0)).toBe("");
  });

  it("boundText marks the cut and keeps within the limit", () => {
    expect(boundText("abcdefgh", 6)).toBe(`abc${CUT_MARK}`);
    expect(boundText("abcdefgh", 2)).toBe("ab");
  });

  it("boundText never splits a code point", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 0, max: 40 }), (text, max) => {
        const bound = boundText(text, max);
        expect(Buffer.byteLength(bound)).toBeLessThanOrEqual(max);
        expect(isWellFormed(bound)).toBe(true);
        expect(text.startsWith(bound.endsWith(CUT_MARK) ? bound.slice(0, -1) : bound) || bound === text).toBe(true);
        const prefix = cutAtBytes(text, max);
        expect(text.startsWith(prefix)).toBe(true);
        const next = [...text.slice(prefix.length)][0] ?? "";
        if (prefix !== text) expect(Buffer.byteLength(prefix + next)).toBeGreaterThan(max);
      }),
    );
  });
});
