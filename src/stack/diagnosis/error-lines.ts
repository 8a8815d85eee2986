/** Log lines that report an error: where in the code it arose, and which of them a reload has made outdated. */
import { isPortProbe } from "../logs/levels.js";
import type { LogLine } from "../logs/types.js";

/** Maximum characters of a line that are examined. */
const READ = 2000;
/** Maximum lines between an error and the line that names its place. */
const NEAR = 12;

/** An error that the service itself reports as one, or an answer of 500 and above in an access log. */
const ERROR_LINE =
  /(?:^|[\s[("])(?:ERROR|FATAL|PANIC|CRITICAL|SEVERE)\b|^Traceback \(most recent call last\)|\b(?:Unhandled|Uncaught)\b|^\s*(?:\w+\.)*\w*(?:Error|Exception)(?:\b|:)|\bHTTP\/\d(?:\.\d)?" 5\d\d\b/;
/** `0 errors`, and what a database answers while it starts or ends. */
const NO_ERROR =
  /\b(?:0|no) errors?\b|\bthe database system is (?:starting up|shutting down|not yet accepting connections)/i;

export const reportsError = ({ text }: Pick<LogLine, "text">): boolean => {
  const start = text.slice(0, READ);
  return ERROR_LINE.test(start) && !NO_ERROR.test(start) && !isPortProbe(start);
};

const TRACEBACK = /^\s*Traceback \(most recent call last\)/;
/** The message with which a stack trace begins or ends. */
const MESSAGE = /^\s*(?:Uncaught |Unhandled )?(?:\w+\.)*\w*(?:Error|Exception)(?:\b|:)/;
const CHAINED = /^(?:During handling of the above|The above exception was the direct cause)/;
/** Maximum milliseconds between lines of one error. */
const ONE_ERROR_MS = 1000;

/**
 * Counts errors. A log line, the traceback that follows it and the exceptions that it chains are one error.
 * @param lines all lines, oldest first
 * @param errors those of them that report an error
 * @returns the number of all, and of those like the newest one
 */
export function errorCounts(lines: readonly LogLine[], errors: readonly LogLine[]): { same: number; all: number } {
  const reporting = new Set(errors);
  const kinds: string[] = [];
  let open = false;
  let ended = false;
  let at = 0;
  for (const line of lines) {
    const text = line.text.slice(0, READ);
    const time = Date.parse(line.time);
    if (time - at > ONE_ERROR_MS) open = false;
    if (reporting.has(line)) {
      const message = MESSAGE.test(text);
      const continues = open && !ended && (message || TRACEBACK.test(text));
      if (continues) kinds.pop();
      kinds.push(kindOf(text));
      open = true;
      // Only a chained traceback continues an error after its message.
      ended = message;
      at = time;
    } else if (CHAINED.test(text)) ended = false;
    else if (text.trim() !== "" && !/^\s/.test(text)) open = false;
  }
  const same = kinds.filter((kind) => kind === kinds.at(-1)).length;
  return { same, all: kinds.length };
}

/** The text without times, ids and numbers. */
const kindOf = (text: string): string => text.trim().replace(/[\da-f]*\d[\da-f]*/gi, "0");

/** A development server announces that it runs changed code. */
const RELOADED =
  /^Restarting '|\[nodemon\] restarting|\b(?:WatchFiles|StatReload|WatchGod) detected changes|Detected change in '|changed, reloading\.|\[tsx\].{0,80}(?:Restarting|rerunning)|\[vite\].{0,40}(?:hmr update|page reload)|✓ Compiled\b/i;

/** The lines after the last reload; all when there was none. */
export function sinceReload(lines: readonly LogLine[]): readonly LogLine[] {
  const last = lines.findLastIndex(({ text }) => RELOADED.test(text.slice(0, READ)));
  return lines.slice(last + 1);
}

/** Frames of the runtime or of installed packages say little about the project's own mistake. */
const FOREIGN = /node:|node_modules|site-packages|dist-packages|\/lib\/python\d|<frozen |\/usr\/local\/go\//;
/** The frame that comes after the message: JavaScript, Java, Go. */
const FRAME_AFTER = /^\s*at .*[:(][^\s()]+:\d+(?::\d+)?\)?$|^\s+\/\S+\.go:\d+/;
/** The frame that comes before the message: Python; a JavaScript file that cannot be parsed. */
const FRAME_BEFORE = /^\s*File "[^"]+", line \d+|^\S*\/\S+\.[cm]?[jt]sx?:\d+(?::\d+)?$/;

const isPlace = (frame: RegExp, { text }: LogLine): boolean => {
  const start = text.slice(0, READ);
  return frame.test(start) && !FOREIGN.test(start);
};

/** The line that names the place in the project's code where this error arose; null when there is none near it. */
export function placeOf(lines: readonly LogLine[], error: LogLine): LogLine | null {
  const at = lines.indexOf(error);
  if (at < 0) return null;
  const after = lines.slice(at + 1, at + 1 + NEAR).find((line) => isPlace(FRAME_AFTER, line));
  const before = lines.slice(Math.max(0, at - NEAR), at).findLast((line) => isPlace(FRAME_BEFORE, line));
  return after ?? before ?? null;
}

/** Lines that a runtime prints after every crash. */
const EPILOGUE = /processTicksAndRejections|^Node\.js v\d|^\s*at (?:async )?node:internal|^\s*$/;
export const isEpilogue = ({ text }: Pick<LogLine, "text">): boolean => EPILOGUE.test(text.slice(0, READ));
