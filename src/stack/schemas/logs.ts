/** Reported log lines. */
import * as z from "zod";

const number = z.number();
const text = z.string();
/** ISO 8601, UTC, milliseconds. */
const time = z.string();

const logStream = z.enum(["stdout", "stderr"]);
export type LogStream = z.infer<typeof logStream>;
/** `install`: output of the installation or build before the service's own program. */
const lineStream = z.enum(["stdout", "stderr", "install"]);
export type LineStream = z.infer<typeof lineStream>;

export const logLine = z.object({
  /** Increases by one for every line of the project, across services and restarts of the server. */
  seq: number,
  time,
  service: text,
  stream: lineStream,
  /** Instance of the service that wrote the line, from 1. */
  generation: number,
  /** Sanitised, redacted, at most 8 KiB. Untrusted. */
  text,
  /** Original length of a truncated line in bytes; absent when the line is complete. */
  cut_from_bytes: number.exactOptional(),
  /** Present when the same text was repeated on consecutive lines. */
  repeated: z.object({ count: number, last_seq: number, last_time: time }).exactOptional(),
});
export type LogLine = z.infer<typeof logLine>;

const page = {
  lines: z.array(logLine),
  /** Number of original lines that `lines` stands for (repeats counted). */
  line_count: number,
  /** Pass it as `cursor` of the next query to get only later lines. */
  next_cursor: text,
  /** Null when no lines were omitted. */
  omitted: z.object({ lines: number, reason: z.enum(["budget", "tail", "rotated"]), how_to_get: text }).nullable(),
  /** Lines lost to the spool's bound since the store was created, by service; only services that lost lines. */
  dropped: z.record(z.string(), number),
  /** Present only for a wait for a line that matches `waitFor`, and for another wait that ended without a line. */
  wait: z.object({ met: z.boolean(), reason: text, seq: number.exactOptional() }).exactOptional(),
  /** Why there are no lines, where the query is the reason. */
  note: text.exactOptional(),
  /** Present only when a summary was requested. */
  summary: z
    .object({
      lines: number,
      /** Number of lines by level; `unknown` for lines without a recognised level. */
      levels: z.record(z.string(), number),
      /**
       * Messages, most severe and most frequent first. Lines that differ only in numbers and ids count as one message.
       */
      messages: z.array(
        z.object({ service: text, level: text.nullable(), count: number, first: time, last: time, text }),
      ),
      /** Number of messages that were omitted. */
      other_messages: number,
      periods: z.array(z.object({ from: time, lines: number, errors: number })),
    })
    .exactOptional(),
};
const logPage = z.object(page);
export type LogPage = z.infer<typeof logPage>;

export const logReport = z.object({
  project: text,
  /** Services the query covered. */
  services: z.array(text),
  ...page,
});
export type LogReport = z.infer<typeof logReport>;
