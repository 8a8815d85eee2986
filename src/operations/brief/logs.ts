/**
 * Compact answer of get_logs for agents: the lines as text. The time and the service are shown only where they change.
 * Lines that differ only in numbers and ids are shown once with their count. The middle of long lines is left out.
 */
import * as z from "zod";
import { isCommandLine } from "../../stack/logs/command-lines.js";
import { patternOf } from "../../stack/logs/patterns.js";
import type { LogReport } from "../../stack/model.js";
import type { LogLine } from "../../stack/schemas/logs.js";
import { withoutEmpty } from "./service-line.js";

const text = z.string();

/** Maximum characters of a line in an answer with more than MANY_LINES lines. */
const LONGEST_LINE = 500;
const MANY_LINES = 5;
/** Minimum number of lines with the same pattern that are collapsed into one. */
const LEAST_SIMILAR = 3;

export const briefLogs = {
  output: z.object({
    project: text,
    /** Time of the first line. */
    from: text.optional(),
    lines: z.array(text).optional(),
    summary: z.record(z.string(), z.unknown()).optional(),
    wait: z.object({ met: z.boolean(), reason: text }).optional(),
    note: text.optional(),
    omitted: z.unknown().optional(),
    next_cursor: text,
  }),
  of: (report: LogReport) => {
    const { project, lines, next_cursor, omitted, dropped, wait, note, summary } = report;
    const [first] = lines;
    return {
      project,
      ...(first === undefined ? {} : { from: first.time }),
      ...(wait === undefined ? {} : { wait: { met: wait.met, reason: wait.reason } }),
      ...(note === undefined ? {} : { note }),
      ...(summary === undefined ? { lines: shownLines(lines) } : { summary: shownSummary(summary) }),
      next_cursor,
      ...withoutEmpty({ omitted, dropped }),
    };
  },
};

/** For example `error web 12×, 12:00:01 to 12:03:40: connection refused`. */
function shownSummary({ lines, levels, messages, other_messages, periods }: NonNullable<LogReport["summary"]>) {
  const clock = (time: string): string => time.slice(11, 19);
  return {
    lines,
    levels,
    messages: messages.map(({ level, service, count, first, last, text: message }) => {
      const when = clock(first) === clock(last) ? clock(first) : `${clock(first)} to ${clock(last)}`;
      return `${level ?? "-"} ${service} ${count}×, ${when}: ${message}`;
    }),
    ...(other_messages === 0 ? {} : { other_messages }),
    periods: periods.map(({ from, lines: count, errors }) => `${clock(from)} ${count} lines, ${errors} errors`),
  };
}

interface Group {
  first: LogLine;
  last: LogLine;
  count: number;
}

function shownLines(lines: readonly LogLine[]): string[] {
  const several = new Set(lines.map(({ service }) => service)).size > 1;
  const instances = new Set(lines.map(({ service, generation }) => `${service} ${generation}`)).size;
  const labelled = instances > new Set(lines.map(({ service }) => service)).size;
  const label = ({ service, generation }: LogLine): string => {
    if (labelled) return `${service}#${generation}| `;
    return several ? `${service}| ` : "";
  };
  let clock = "";
  let source = "";
  return groupsOf(lines).map(({ first, last, count }) => {
    const at = first.time.slice(11, 19);
    const time = at === clock ? "" : `${at} `;
    const from = label(first) === source ? "" : label(first);
    clock = at;
    source = label(first);
    return `${time}${from}${shortened(first.text, lines.length)}${repeats(first, last, count, lines.length)}`;
  });
}

/** Suffix for repeats of the same text, or of a text that differs only in numbers. */
function repeats(first: LogLine, last: LogLine, count: number, lines: number): string {
  const total = first.repeated?.count ?? 1;
  if (count === 1) return total > 1 ? ` [${total}×, until ${(first.repeated?.last_time ?? "").slice(11, 19)}]` : "";
  const until = (last.repeated?.last_time ?? last.time).slice(11, 19);
  return last.text === first.text
    ? ` [${count}×, until ${until}]`
    : ` [${count} similar, until ${until}: ${shortened(last.text, lines)}]`;
}

/** Groups of lines in order: single lines, and all lines with one pattern at the position of the first of them. */
function groupsOf(lines: readonly LogLine[]): Group[] {
  const groups = new Map<string, Group>();
  for (const line of lines) {
    const key = `${line.service} ${line.generation} ${patternOf(line.text)}`;
    const group = groups.get(key);
    const count = line.repeated?.count ?? 1;
    if (group === undefined) groups.set(key, { first: line, last: line, count });
    else {
      group.last = line;
      group.count += count;
    }
  }
  const printed = new Set<Group>();
  return lines.flatMap((line): Group[] => {
    const group = groups.get(`${line.service} ${line.generation} ${patternOf(line.text)}`) as Group;
    const collapses = group.count >= LEAST_SIMILAR && group.first !== group.last && isMessage(line.text);
    if (!collapses) return [{ first: line, last: line, count: 1 }];
    if (printed.has(group)) return [];
    printed.add(group);
    return [group];
  });
}

/**
 * False for stack frames, other continuation lines, rows of numbers and the output of commands: they make sense only in
 * their original position.
 */
const isMessage = (line: string): boolean => !isCommandLine(line) && !/^\s/.test(line) && /\p{L}{2}/u.test(line);

function shortened(line: string, lines: number): string {
  if (lines <= MANY_LINES || line.length <= LONGEST_LINE) return line;
  const head = line.slice(0, LONGEST_LINE * 0.7).replace(/[\ud800-\udbff]$/, "");
  const tail = line.slice(-LONGEST_LINE * 0.2).replace(/^[\udc00-\udfff]/, "");
  return `${head} …(${line.length - head.length - tail.length} characters)… ${tail}`;
}
