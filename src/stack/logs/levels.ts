/**
 * Detects the level of a line from common formats: JSON, logfmt, PostgreSQL, Redis, words such as `ERROR` or `[error]`,
 * exceptions, and responses with HTTP status 5xx. The stream is ignored, because most loggers write everything to
 * stderr.
 */

import { isCommandLine } from "./command-lines.js";

export const LOG_LEVELS = ["trace", "debug", "info", "warning", "error", "fatal"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Rank of a line without a recognised level. */
const DEFAULT_LEVEL: LogLevel = "info";

export const levelRank = (level: LogLevel | null): number => LOG_LEVELS.indexOf(level ?? DEFAULT_LEVEL);

/** Maximum characters that are examined. A level is near the beginning of a line. */
const READ = 2000;
const BEGINNING = 160;

const NAMES: Record<string, LogLevel> = {
  trace: "trace",
  verbose: "debug",
  debug: "debug",
  dbug: "debug",
  fine: "debug",
  log: "info",
  info: "info",
  information: "info",
  notice: "info",
  warn: "warning",
  warning: "warning",
  err: "error",
  error: "error",
  severe: "error",
  fail: "error",
  crit: "fatal",
  critical: "fatal",
  alert: "fatal",
  emerg: "fatal",
  emergency: "fatal",
  fatal: "fatal",
  panic: "fatal",
};
const named = (name: string | undefined): LogLevel | null =>
  NAMES[(name ?? "").toLowerCase().replace(/\d$/, "")] ?? null;

const JSON_LEVEL =
  /"(?:level|severity|lvl|levelname|log\.level|loglevel|severity_text)"\s{0,4}:\s{0,4}(?:"([a-z]{1,12})"|(\d{1,2}))/i;
const LOGFMT = /(?:^|\s)(?:level|lvl|severity)=["']?([a-z]{3,12})\b/i;
/** The process, its role, the date, and one character for the level. */
const REDIS = /^\d{1,10}:[A-Z] \d{1,2} \w{3} \d{4} [\d:.]{8,15} ([.\-*#]) /;
const REDIS_LEVELS: Record<string, LogLevel> = { ".": "debug", "-": "debug", "*": "info", "#": "info" };
/** Redis marks its banner like its warnings, so a warning must also match one of these words. */
const REDIS_WARNING = /WARNING|error|fail|fatal|can't|could not|denied/i;
const GLOG = /^([IWEF])\d{4} \d\d:\d\d:\d\d/;
const GLOG_LEVELS: Record<string, LogLevel> = { I: "info", W: "warning", E: "error", F: "fatal" };
/** A separate word in capitals. Lower-case words count only where they are unambiguous. */
const CAPITALS =
  /(?:^|[\s[(|<"':*-])(TRACE|VERBOSE|DEBUG\d?|LOG|INFO|NOTICE|WARN|WARNING|ERR|ERROR|SEVERE|CRIT|CRITICAL|ALERT|EMERG|FATAL|PANIC)(?=[\s\])|>"',:!*-]|$)/;
const BRACKETED =
  /[[(<](trace|verbose|debug|info|notice|warn|warning|err|error|crit|critical|alert|emerg|fatal)[\])>]/i;
const LEADING =
  /^\s{0,8}(trace|debug|info|notice|warn|warning|err|error|fail|critical|fatal|panic)(?::|!|\s{1,4}[-|])/i;
const EXCEPTION =
  /^(?:Traceback \(most recent call last\)|(?:[\w$]{1,80}\.){0,12}[A-Z][\w$]{0,80}(?:Error|Exception|Interrupt)\b(?=:|$|\s[[(])|(?:Uncaught|Unhandled)\b|Exception in thread|Error: |thread '[^']{0,80}' panicked|goroutine \d+ \[|Segmentation fault|Killed$|Caused by: |(?:node:|file:\/\/|\/)[^\s]{1,400}:\d+$)/;
const SERVER_ERROR = /HTTP\/\d(?:\.\d)?"?\s+5\d\d\b|\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \S{1,1000} 5\d\d\b/;

/** The server's own request, by which it detects whether a port speaks HTTP. Servers may answer it with 501. */
const PORT_PROBE = /\bOPTIONS \* HTTP\/1\.0\b/;
/** True for the line of an access log that the server's own request caused. */
export const isPortProbe = (text: string): boolean => PORT_PROBE.test(text);

/** The level of a line; null when no format is recognised. What a command printed is no error of the service. */
export function levelOf(line: string): LogLevel | null {
  if (isCommandLine(line)) return null;
  const text = line.length > READ ? line.slice(0, READ) : line;
  const level = statedLevel(text);
  if (levelRank(level) < levelRank("error") && SERVER_ERROR.test(text) && !isPortProbe(text)) return "error";
  return level;
}

function statedLevel(text: string): LogLevel | null {
  if (text.startsWith("{")) {
    const [, name, number] = JSON_LEVEL.exec(text) ?? [];
    if (number !== undefined) return LOG_LEVELS[Math.min(Math.max(Math.floor(Number(number) / 10) - 1, 0), 5)] ?? null;
    return named(name);
  }
  const logfmt = named(LOGFMT.exec(text)?.[1]);
  if (logfmt !== null) return logfmt;
  const redis = REDIS.exec(text)?.[1];
  if (redis === "#" && REDIS_WARNING.test(text)) return "warning";
  if (redis !== undefined) return REDIS_LEVELS[redis] ?? null;
  const glog = GLOG.exec(text)?.[1];
  if (glog !== undefined) return GLOG_LEVELS[glog] ?? null;
  if (EXCEPTION.test(text)) return "error";
  const beginning = text.slice(0, BEGINNING);
  return named((CAPITALS.exec(beginning) ?? BRACKETED.exec(beginning) ?? LEADING.exec(beginning))?.[1]);
}

const CONTINUATION =
  /^(?:\s|$|[}\])]{1,4}[;,]?$|Caused by: |\.\.\. \d+ more|During handling of the above|The above exception was|Require stack:$|- \/|Node\.js v\d|LINE \d{1,6}: )/;
/** PostgreSQL prints explanations of a message on separate lines. */
const EXPLANATION = /(?:^|\] |\s)(?:DETAIL|HINT|STATEMENT|CONTEXT|QUERY|LOCATION): {1,2}/;

/** True for a line that belongs to the previous one: a stack frame, a detail, an empty line. */
export const continues = (text: string): boolean =>
  CONTINUATION.test(text) || EXPLANATION.test(text.slice(0, BEGINNING));
