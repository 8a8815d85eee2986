/** Telemetry of a session: spans and log records, served as server-sent events that can be resumed. */
import { randomHex } from "./names.mjs";

const POLL_MS = 100;
const BATCH = 1000;
/** Size of the engine's reads of a container's output, in bytes. */
const PIECE = 32 * 1024;

const base64 = (/** @type {string} */ hex) => Buffer.from(hex, "hex").toString("base64");
const nanoseconds = (/** @type {number} */ ms) => `${Math.round(ms * 1000)}000`;
const text = (/** @type {string} */ value) => ({ stringValue: value });
const resource = { attributes: [{ key: "service.name", value: text("dagger-engine") }] };

/** @param {string | undefined} header W3C traceparent */
export function parentOf(header) {
  const found = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(header ?? "");
  return found === null ? { traceId: randomHex(16), spanId: "" } : { traceId: found[1], spanId: found[2] };
}

export class Telemetry {
  /** Rows in the order of their ids, from 1. */
  logs = [];
  spans = [];
  /** Open streams, to be broken off. */
  open = new Set();
  #ended = false;

  constructor(engine) {
    this.engine = engine;
  }

  end() {
    this.#ended = true;
  }

  breakOff() {
    for (const response of this.open) response.destroy();
  }

  /** Exported once at its beginning and once at its end, as by a live exporter. */
  span(parent, name, { links = [], scope = "dagger.io/core", attributes = [] } = {}) {
    const span = {
      traceId: parent.traceId,
      spanId: randomHex(8),
      parentSpanId: parent.spanId,
      name,
      links,
      scope,
      attributes,
      startedAt: Date.now(),
      endedAt: 0,
      events: [],
      failed: "",
    };
    this.spans.push({ ...span });
    return {
      traceId: span.traceId,
      spanId: span.spanId,
      event: (label, attributes) => span.events.push({ label, attributes, at: Date.now() }),
      end: (failed = "") => {
        if (span.endedAt !== 0) return;
        span.endedAt = Math.max(Date.now(), span.startedAt + 1);
        span.failed = failed;
        this.spans.push({ ...span });
      },
    };
  }

  #log(target, stream, body, attributes = []) {
    this.logs.push({ ...target, stream, body, attributes, at: Date.now(), scope: "dagger.io/engine.buildkit" });
  }

  /** Messages of the engine itself, which no container printed. */
  say(target, message) {
    this.logs.push({
      ...target,
      stream: 0,
      body: message,
      attributes: [],
      at: Date.now(),
      scope: "dagger.io/engine.schema",
    });
  }

  /** Output of a container. The engine stores strings: a piece that is not valid UTF-8 is lost. */
  output(target, stream, chunk) {
    for (let from = 0; from < chunk.length; from += PIECE) {
      const piece = chunk.subarray(from, from + PIECE);
      const body = piece.toString("utf8");
      if (Buffer.byteLength(body) === piece.length && !body.includes("\ufffd")) this.#log(target, stream, body);
    }
  }

  eof(target, stream) {
    this.#log(target, stream, "", [{ key: "stdio.eof", value: { boolValue: true } }]);
  }

  #logEvent(rows) {
    return {
      resourceLogs: rows.map((row) => ({
        resource,
        scopeLogs: [
          {
            scope: { name: row.scope },
            logRecords: [
              {
                timeUnixNano: nanoseconds(row.at),
                body: text(row.body),
                attributes: [
                  ...(row.stream === 0 ? [] : [{ key: "stdio.stream", value: { intValue: String(row.stream) } }]),
                  ...row.attributes,
                ],
                traceId: base64(row.traceId),
                spanId: base64(row.spanId),
              },
            ],
          },
        ],
      })),
    };
  }

  #spanEvent(rows) {
    return {
      resourceSpans: rows.map((row) => ({
        resource,
        scopeSpans: [
          {
            scope: { name: row.scope },
            spans: [
              {
                traceId: base64(row.traceId),
                spanId: base64(row.spanId),
                ...(row.parentSpanId === "" ? {} : { parentSpanId: base64(row.parentSpanId) }),
                name: row.name,
                kind: "SPAN_KIND_INTERNAL",
                attributes: row.attributes,
                startTimeUnixNano: nanoseconds(row.startedAt),
                // The end of a live span is Go's zero time, which is before its beginning.
                endTimeUnixNano: row.endedAt === 0 ? "11651379494838206464" : nanoseconds(row.endedAt),
                events: row.events.map(({ label, attributes, at }) => ({
                  name: label,
                  timeUnixNano: nanoseconds(at),
                  attributes,
                })),
                links: row.links.map((link) => ({ traceId: base64(link.traceId), spanId: base64(link.spanId) })),
                status: row.failed === "" ? {} : { code: "STATUS_CODE_ERROR", message: row.failed },
              },
            ],
          },
        ],
      })),
    };
  }

  /** Serves a stream until its client or the session ends. */
  async serve(kind, request, response) {
    const fault = () => this.engine.faults().streams ?? {};
    const { refuse } = fault();
    if (this.engine.faults().dead) return response.destroy();
    if (refuse !== undefined && this.engine.take(`refuse-${kind}`, refuse)) {
      response.writeHead(502).end("bad gateway");
      return undefined;
    }
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    this.open.add(response);
    response.on("close", () => this.open.delete(response));
    let since = Number(request.headers["x-last-event-id"] ?? 0);
    await this.#write(response, "event: subscribed\ndata: \n\n", kind);
    while (!response.destroyed && response.writable) {
      const rows = this[kind].slice(since, since + (fault().batch ?? BATCH));
      if (this.engine.faults().dead) return response.destroy();
      if (rows.length === 0) {
        if (this.#ended) break;
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        continue;
      }
      since += rows.length;
      const data = JSON.stringify(kind === "logs" ? this.#logEvent(rows) : this.#spanEvent(rows));
      await this.#write(response, `event: ${kind}\nid: ${since}\ndata: ${data}\n\n`, kind);
    }
    return response.end();
  }

  /** Sends an event whole, in pieces or broken off, as the switches require. */
  async #write(response, event, kind) {
    const { pieces, breakEvery, breakTimes } = this.engine.faults().streams ?? {};
    const bytes = Buffer.from(event);
    this.#count ??= { logs: 0, spans: 0 };
    this.#count[kind] += 1;
    if (
      breakEvery !== undefined &&
      this.#count[kind] % breakEvery === 0 &&
      this.engine.take(`break-${kind}`, breakTimes)
    ) {
      // Nothing may follow the half before the connection closes.
      await new Promise((resolve) => {
        response.once("close", resolve);
        response.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), () => response.destroy());
      });
      return;
    }
    const size = pieces ?? bytes.length;
    for (let from = 0; from < bytes.length; from += size) {
      if (response.destroyed) return;
      if (!response.write(bytes.subarray(from, from + size)))
        await Promise.race([
          new Promise((resolve) => response.once("drain", resolve)),
          new Promise((resolve) => response.once("close", resolve)),
        ]);
      // Each piece in a separate packet.
      if (pieces !== undefined) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #count;
}
