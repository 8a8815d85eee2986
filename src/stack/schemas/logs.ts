/** Log lines as they are reported. */
import * as z from "zod";

const number = z.number();
const text = z.string();
/** ISO 8601, UTC, milliseconds. */
const time = z.string();

export const logStream = z.enum(["stdout", "stderr"]);
export type LogStream = z.infer<typeof logStream>;

export const logLine = z.object({
  /** Rises by one for every line of the project, across services and restarts of the server. */
  seq: number,
  time,
  service: text,
  stream: logStream,
  /** Instance of the service that wrote it, from 1. */
  generation: number,
  /** Sanitised, redacted, at most 8 KiB. Untrusted. */
  text,
  /** Present when the line was longer: its length in bytes. */
  cut_from_bytes: number.exactOptional(),
  /** Present when the same text came several times in a row. */
  repeated: z.object({ count: number, last_seq: number, last_time: time }).exactOptional(),
});
export type LogLine = z.infer<typeof logLine>;

const page = {
  lines: z.array(logLine),
  /** Number of original lines that `lines` stands for (repeats counted). */
  line_count: number,
  /** As the next query's `cursor` it returns only later lines. */
  next_cursor: text,
  /** Null when nothing was left out. */
  omitted: z.object({ lines: number, reason: z.enum(["budget", "tail", "rotated"]), how_to_get: text }).nullable(),
  /** Lines lost to the bound of the spool, since the store exists, by service; only services with a loss. */
  dropped: z.record(z.string(), number),
  /** Only with a wait for a line. */
  wait: z.object({ met: z.boolean(), reason: text, seq: number.exactOptional() }).exactOptional(),
  /** Only where a summary was requested. */
  summary: z
    .object({
      lines: number,
      /** Lines by level; `unknown`: no level was recognised. */
      levels: z.record(z.string(), number),
      /** The most serious and most frequent first; numbers and ids differ within one. */
      messages: z.array(
        z.object({ service: text, level: text.nullable(), count: number, first: time, last: time, text }),
      ),
      /** Messages that were left out. */
      other_messages: number,
      periods: z.array(z.object({ from: time, lines: number, errors: number })),
    })
    .exactOptional(),
};
export const logPage = z.object(page);
export type LogPage = z.infer<typeof logPage>;

export const logReport = z.object({
  project: text,
  /** Services the query covered. */
  services: z.array(text),
  ...page,
});
export type LogReport = z.infer<typeof logReport>;
