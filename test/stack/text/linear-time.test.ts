/**
 * Hard cases for the patterns that process a service's text: what they look for, repeated and combined so that a search
 * could restart inside of text that it has passed.
 */
import { describe, expect, it } from "vitest";
import { createRedactor } from "../../../src/stack/text/redaction.js";
import { PATTERNS, redactPatterns } from "../../../src/stack/text/redaction-patterns.js";
import { sanitizeText } from "../../../src/stack/text/sanitize-text.js";
import { NPM_CREDENTIAL } from "../../../src/stack/text/secret-names.js";
import { processorClock } from "../../support/processor-time.js";

/** Length of the shorter text; the longer one is four times as long. */
const SIZE = 2 * 1024;
/** For four times the text, a linear search takes 4 times as long and a quadratic one 16 times. */
const MOST_RATIO = 10;
/** Milliseconds on the longer text below which a search cannot be quadratic and is not measured again. */
const SURELY_LINEAR = 0.75;

const parts = [
  ..."aA0_-.:=/@\\\"' \n*[},".split(""),
  ...'eyJ eyJaaaaaaaa. .eyJ password token= secret=> api-key password=\' password=" password=\\" bearer'.split(" "),
  ..."authorization: AKIA ghp_ github_pat_ xoxb- AIza sk- glpat- npm_ ://a: null [redacted] _auth=".split(" "),
  ...["-----BEGIN ", "PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----", "-----END "],
  ...["\x1b", "\x1b]", "\x07", "\u009d", "\ud83d", "\ude00", "\u200b", "0;", "\r"],
];

const fill = (unit: string, length: number): string => unit.repeat(Math.ceil(length / unit.length)).slice(0, length);

interface HardCase {
  name: string;
  short: string;
  long: string;
}

const hardCase = (lead: string, unit: string, size = SIZE): HardCase => ({
  name: `${JSON.stringify(lead)} then many ${JSON.stringify(unit)}`,
  short: lead + fill(unit, size),
  long: lead + fill(unit, 4 * size),
});

/** Deterministic, so that failures can be reproduced. */
function pseudoRandom(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % most;
  };
}

function hardCases(): HardCase[] {
  const next = pseudoRandom(20_261_128);
  const any = (): string => parts[next(parts.length)] as string;
  const mixed = Array.from({ length: 300 }, () => hardCase(any(), Array.from({ length: 2 + next(4) }, any).join("")));
  return [
    ...parts.map((one) => hardCase("", one)),
    ...parts.flatMap((one) => parts.map((other) => hardCase("", one + other))),
    // An opening part once, before text that never closes it.
    ...['password="', "password='", "://a:", "-----BEGIN PRIVATE KEY-----", "\x1b]"].flatMap((lead) =>
      parts.map((one) => hardCase(lead, one)),
    ),
    ...mixed,
  ];
}
const CASES = hardCases();

/** Processor time in ms, which excludes other work on the machine. */
function timeOf(run: (text: string) => unknown, text: string): number {
  const clock = processorClock();
  run(text);
  return clock();
}

/** Elapsed time in ms, which is not less than processor time; reading the clock takes far less time. */
function elapsed(run: (text: string) => unknown, text: string): number {
  const before = performance.now();
  run(text);
  return performance.now() - before;
}

/** The least of several times, to which other threads of the process can only add. */
const least = (run: (text: string) => unknown, text: string): number =>
  Math.min(...Array.from({ length: 5 }, () => timeOf(run, text)));

const ratio = (run: (text: string) => unknown, { short, long }: HardCase): number => {
  const time = least(run, long);
  return time < SURELY_LINEAR ? 0 : time / Math.max(least(run, short), 0.01);
};

function expectLinear(run: (text: string) => unknown, cases: readonly HardCase[] = CASES): void {
  for (const one of cases) {
    if (elapsed(run, one.long) < SURELY_LINEAR || ratio(run, one) < MOST_RATIO) continue;
    // Garbage collection can affect each of these runs, but not all of them.
    expect(Math.min(ratio(run, one), ratio(run, one)), one.name).toBeLessThan(MOST_RATIO);
  }
}

describe("time of a search", () => {
  it.each(
    PATTERNS.map(({ expression, replacement }) => [expression.source.slice(0, 50), expression, replacement] as const),
  )("redaction with the pattern %s takes time linear in the text's length", (_name, expression, replacement) => {
    expectLinear((text) => text.replace(expression, replacement as string));
  });

  it("redaction with all patterns takes time linear in the text's length", () => {
    expectLinear(redactPatterns);
  });

  it("sanitizeText takes time linear in the text's length", () => {
    expectLinear(sanitizeText);
  });

  it("the search for npm credentials takes time linear in the text's length", () => {
    expectLinear((text) => NPM_CREDENTIAL.test(text));
  });

  it("redaction of similar known values takes time linear in the text's length", () => {
    const alike = createRedactor(Array.from({ length: 300 }, (_, index) => `${"a".repeat(100 + index)}b`));
    alike.redact("built before it is timed");
    expectLinear((text) => alike.redact(text));
    expectLinear((text) => alike.pendingLength(text));
  });

  it("the measurement detects a quadratic search", () => {
    // The pattern that took 3.4 s for a line of 64 KB.
    const quadratic = /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+/g;
    expect(() => expectLinear((text) => text.replace(quadratic, ""), [hardCase("", "eyJ-", SIZE / 4)])).toThrow(/eyJ/);
  });
});
