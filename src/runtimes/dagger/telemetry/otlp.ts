/** Parses OTLP in protobuf-JSON, where ids are base64, 64-bit numbers are strings, and any field may be absent. */
import type { LogStream } from "../../../stack/logs/types.js";

export interface OutputRecord {
  traceId: string;
  stream: LogStream;
  bytes: Uint8Array;
  /** True at the end of the stream; `bytes` is then empty. */
  eof: boolean;
  /** Epoch milliseconds. */
  timeMs: number;
}

export interface SpanRecord {
  traceId: string;
  spanId: string;
  name: string;
  /** Epoch milliseconds; null while the span is open. */
  endedAt: number | null;
  /** Of the service's event `Container exited`; undefined without one. */
  exitCode: number | undefined;
  /** Message of an error status. */
  failure: string | undefined;
}

/** The scope of container output; records of other scopes are messages of the engine. */
const OUTPUT_SCOPE = "dagger.io/engine.buildkit";

type Json = Record<string, unknown>;
const list = (value: unknown): Json[] =>
  Array.isArray(value) ? value.filter((one): one is Json => typeof one === "object" && one !== null) : [];
const group = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {});

const hexOf = (value: unknown): string =>
  typeof value === "string" ? Buffer.from(value, "base64").toString("hex") : "";

/** Larger values are negative numbers that were converted to unsigned ones. */
const MOST_NANOSECONDS = 2 ** 63;

/** Converts nanoseconds in text form to milliseconds; 0 when absent. */
function milliseconds(value: unknown): number {
  const nanoseconds = Number(value ?? 0);
  return Number.isFinite(nanoseconds) && nanoseconds < MOST_NANOSECONDS ? Math.trunc(nanoseconds / 1e6) : 0;
}

function attribute(attributes: unknown, key: string): Json | undefined {
  const found = list(attributes).find((one) => one.key === key);
  return found === undefined ? undefined : group(found.value);
}

function integer(value: Json | undefined): number | undefined {
  const number = value?.intValue ?? value?.doubleValue;
  return number === undefined ? undefined : Number(number);
}

function bodyOf(body: Json): Uint8Array {
  if (typeof body.stringValue === "string") return Buffer.from(body.stringValue, "utf8");
  if (typeof body.bytesValue === "string") return Buffer.from(body.bytesValue, "base64");
  return new Uint8Array();
}

/** @throws SyntaxError for invalid JSON */
export function outputRecords(data: string): OutputRecord[] {
  const records: OutputRecord[] = [];
  for (const resource of list(group(JSON.parse(data)).resourceLogs)) {
    for (const scope of list(resource.scopeLogs)) {
      if (group(scope.scope).name !== OUTPUT_SCOPE) continue;
      for (const record of list(scope.logRecords)) {
        const stream = integer(attribute(record.attributes, "stdio.stream"));
        if (stream !== 1 && stream !== 2) continue;
        records.push({
          traceId: hexOf(record.traceId),
          stream: stream === 1 ? "stdout" : "stderr",
          bytes: bodyOf(group(record.body)),
          eof: attribute(record.attributes, "stdio.eof")?.boolValue === true,
          timeMs: milliseconds(record.timeUnixNano),
        });
      }
    }
  }
  return records;
}

/**
 * With custom CA certificates, the engine runs a container that installs them before the service's and one that removes
 * them after it. Both exit with 0 and report their events in the same span.
 */
function exitCodeOf(span: Json): number | undefined {
  const codes = list(span.events)
    .filter((event) => event.name === "Container exited")
    .map((event) => integer(attribute(event.attributes, "exit.code")));
  return codes.find((code) => code !== undefined && code !== 0) ?? codes[0];
}

const failureOf = ({ code, message }: Json): string | undefined =>
  (code === "STATUS_CODE_ERROR" || code === 2) && typeof message === "string" && message !== "" ? message : undefined;

/** @throws SyntaxError for invalid JSON */
export function spanRecords(data: string): SpanRecord[] {
  const records: SpanRecord[] = [];
  for (const resource of list(group(JSON.parse(data)).resourceSpans)) {
    for (const scope of list(resource.scopeSpans)) {
      for (const span of list(scope.spans)) {
        const end = milliseconds(span.endTimeUnixNano);
        const start = milliseconds(span.startTimeUnixNano);
        records.push({
          traceId: hexOf(span.traceId),
          spanId: hexOf(span.spanId),
          name: typeof span.name === "string" ? span.name : "",
          // An open span ends at Go's zero time, which overflows to a very large number.
          endedAt: end > 0 && end >= start ? end : null,
          exitCode: exitCodeOf(span),
          failure: failureOf(group(span.status)),
        });
      }
    }
  }
  return records;
}
