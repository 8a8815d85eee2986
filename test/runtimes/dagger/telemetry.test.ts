/** The streams of a session as the listeners of a trace receive them: broken, in pieces, in large amounts and unreadable. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { newTrace } from "../../../src/runtimes/dagger/session/trace.js";
import { outputRecords, spanRecords } from "../../../src/runtimes/dagger/telemetry/otlp.js";
import { openTelemetry } from "../../../src/runtimes/dagger/telemetry/session-telemetry.js";
import { type SseEvent, SseParser } from "../../../src/runtimes/dagger/telemetry/sse.js";
import type { SessionTelemetry, TraceListener } from "../../../src/runtimes/dagger/telemetry/types.js";
import type { Faults } from "../../support/dagger-sim/engine.js";
import { type Span, Telemetry } from "../../support/dagger-sim/telemetry.mjs";
import { until } from "../contract/bench.js";

const opened: { server: Server; life: AbortController }[] = [];

afterEach(async () => {
  for (const { server, life } of opened.splice(0)) {
    life.abort();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function listenTo(handler: Handler): Promise<{ telemetry: SessionTelemetry; broken: () => number }> {
  const server = createServer(handler).listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const life = new AbortController();
  opened.push({ server, life });
  let broken = 0;
  const telemetry = openTelemetry({
    address: { port, token: "the-token" },
    signal: life.signal,
    onBroken: () => {
      broken += 1;
    },
  });
  return { telemetry, broken: () => broken };
}

/** The telemetry server of the simulated engine, without containers. */
async function given(streams: Faults["streams"] = {}) {
  const counts = new Map<string, number>();
  const engine = new Telemetry({
    faults: () => ({ streams }),
    take: (name, times = Number.POSITIVE_INFINITY) => {
      const count = counts.get(name) ?? 0;
      counts.set(name, count + 1);
      return count < times;
    },
  });
  const session = await listenTo((request, response) => {
    expect(request.headers.authorization).toBe(`Basic ${Buffer.from("the-token:").toString("base64")}`);
    void engine.serve(request.url === "/v1/logs" ? "logs" : "spans", request, response);
  });
  return { engine, ...session };
}

/** Records every call. */
class RecordingListener implements TraceListener {
  readonly bytes = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  readonly events: string[] = [];
  times: number[] = [];

  output(stream: "stdout" | "stderr", chunk: Uint8Array, timeMs: number): void {
    this.bytes[stream].push(chunk);
    this.times.push(timeMs);
  }
  drained(): void {
    this.events.push("drained");
  }
  began(name: string): void {
    this.events.push(`began ${name}`);
  }
  exited({ exitCode, at }: { exitCode: number | null; at: number }, name: string): void {
    this.events.push(`exited ${exitCode} ${name}`);
    this.times.push(at);
  }
  text(stream: "stdout" | "stderr" = "stdout"): string {
    return Buffer.concat(this.bytes[stream]).toString();
  }
}

const ends = (engine: Telemetry, target: Span): void => {
  engine.eof(target, 1);
  engine.eof(target, 2);
};

describe("the streams of a session", () => {
  it("a broken stream is resumed without a gap, a duplicate or a change of order", async () => {
    const { engine, telemetry, broken } = await given({ pieces: 4093, breakEvery: 4, breakTimes: 12, batch: 500 });
    const [mine, other] = [newTrace(), newTrace()];
    const listener = new RecordingListener();
    telemetry.listen(mine.traceId, listener);
    let expected = "";
    for (let i = 0; i < 20_000; i += 1) {
      const chunk = `line ${i} of ${i % 7 === 0 ? "the flood\n" : "it, "}`;
      expected += chunk;
      engine.output(mine, 1, Buffer.from(chunk));
      engine.output(other, 1, Buffer.from("not mine"));
      if (i % 4000 === 0) await sleep(120);
    }
    ends(engine, mine);
    await until("both ends", () => listener.events.includes("drained"));
    expect(listener.text()).toBe(expected);
    expect(broken()).toBe(12);
    expect(telemetry.faults).toEqual({ resumed: 12, unreadable: 0 });
  });

  it("a stream that the session refuses is requested again", async () => {
    const { engine, telemetry } = await given({ refuse: 3 });
    const trace = newTrace();
    const listener = new RecordingListener();
    telemetry.listen(trace.traceId, listener);
    engine.output(trace, 2, Buffer.from("here\n"));
    await until("the line", () => listener.text("stderr") === "here\n");
    expect(telemetry.faults.resumed).toBe(6);
  });

  it("output arrives as the same bytes with its stream and time, and the end is reported once", async () => {
    const { engine, telemetry } = await given({ pieces: 1 });
    const trace = newTrace();
    const listener = new RecordingListener();
    telemetry.listen(trace.traceId, listener);
    const before = Date.now();
    engine.output(trace, 1, Buffer.from("Grüße 🌍 "));
    engine.output(trace, 2, Buffer.from('"quoted" \\ and \u0000 and \r\n'));
    engine.output(trace, 1, Buffer.from("漢字"));
    engine.say(trace, "a message of the engine: this is not output");
    engine.eof(trace, 1);
    engine.eof(trace, 1);
    await until("the last bytes", () => listener.text() === "Grüße 🌍 漢字");
    expect(listener.events).toEqual([]);
    engine.eof(trace, 2);
    await until("the end", () => listener.events.length > 0);
    expect(listener.events).toEqual(["drained"]);
    expect(listener.text("stderr")).toBe('"quoted" \\ and \u0000 and \r\n');
    for (const time of listener.times) expect(Math.abs(time - before)).toBeLessThan(60_000);
  });

  it("the end of a container is reported once with its exit code", async () => {
    const { engine, telemetry } = await given();
    const trace = newTrace();
    const listener = new RecordingListener();
    telemetry.listen(trace.traceId, listener);
    const call = engine.span(trace, "Service.start");
    const run = engine.span(call, "exec serve", { links: [call] });
    call.end();
    await until("both began", () => listener.events.length === 2);
    await sleep(250);
    expect(listener.events).toEqual(["began Service.start", "began exec serve"]);
    run.event("Something else", []);
    run.event("Container exited", [{ key: "exit.code", value: { intValue: "137" } }]);
    run.end("exit code: 137");
    await until("its end", () => listener.events.length > 2);
    const silent = engine.span(trace, "exec silent");
    silent.end();
    await until("the other's end", () => listener.events.length > 4);
    expect(listener.events.slice(2)).toEqual(["exited 137 exec serve", "began exec silent", "exited null exec silent"]);
    for (const time of listener.times) expect(Math.abs(time - Date.now())).toBeLessThan(60_000);
  });

  it("a listener that has stopped receives no output", async () => {
    const { engine, telemetry } = await given();
    const trace = newTrace();
    const [first, second] = [new RecordingListener(), new RecordingListener()];
    const stop = telemetry.listen(trace.traceId, first);
    engine.output(trace, 1, Buffer.from("one"));
    await until("the first", () => first.text() === "one");
    stop();
    telemetry.listen(trace.traceId, second);
    engine.output(trace, 1, Buffer.from("two"));
    await until("the second", () => second.text() === "two");
    expect(first.text()).toBe("one");
  });

  it("output waits for a slow listener up to a limit", async () => {
    const { engine, telemetry } = await given({ batch: 1 });
    const trace = newTrace();
    let free: () => void = () => {};
    let behind: Promise<void> | null = null;
    const chunks: string[] = [];
    telemetry.listen(trace.traceId, {
      output: (_stream, chunk) => {
        chunks.push(Buffer.from(chunk).toString());
        if (chunks.length === 1) {
          behind = new Promise((resolve) => {
            free = () => {
              behind = null;
              resolve();
            };
          });
        }
      },
      behind: () => behind,
    });
    // The first chunk of a stream may contain several events; later chunks wait.
    engine.output(trace, 1, Buffer.from("one"));
    await until("the first", () => chunks.length === 1);
    engine.output(trace, 1, Buffer.from("two"));
    await sleep(400);
    expect(chunks).toEqual(["one"]);
    free();
    await until("the second", () => chunks.length === 2);
    behind = new Promise(() => {});
    for (const word of ["three", "four", "five"]) engine.output(trace, 1, Buffer.from(word));
    await until("all chunks after the limit", () => chunks.length === 5);
  });

  it("an unreadable event is counted and skipped", async () => {
    const trace = newTrace();
    const listener = new RecordingListener();
    const record = (text: string): string =>
      JSON.stringify({
        resourceLogs: [
          {
            scopeLogs: [
              {
                scope: { name: "dagger.io/engine.buildkit" },
                logRecords: [
                  {
                    traceId: Buffer.from(trace.traceId, "hex").toString("base64"),
                    body: { bytesValue: Buffer.from(text).toString("base64") },
                    attributes: [{ key: "stdio.stream", value: { doubleValue: 1 } }],
                  },
                ],
              },
            ],
          },
        ],
      });
    let asked = 0;
    let answer: ServerResponse | undefined;
    const { telemetry } = await listenTo((request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
      asked += 1;
      if (request.url === "/v1/logs") answer = response;
    });
    telemetry.listen(trace.traceId, listener);
    await until("both streams are asked for", () => asked === 2);
    answer?.write(
      `: a comment\n\nid: 1\ndata: {not json\n\nevent: logs\nid: 2\ndata: ${record("read")}\n\nid: 3\ndata:\n\n`,
    );
    await until("the readable one", () => listener.text() === "read");
    expect(telemetry.faults).toEqual({ resumed: 0, unreadable: 1 });
    // A resumed stream continues after the last event, also when that event was unreadable.
    const resumed = new Promise<IncomingMessage>((resolve) => {
      opened.at(-1)?.server.once("request", resolve);
    });
    answer?.destroy();
    expect((await resumed).headers["x-last-event-id"]).toBe("3");
  });
});

describe("SseParser", () => {
  const parse = (...chunks: (string | Uint8Array)[]): [SseEvent, string | null][] => {
    const events: [SseEvent, string | null][] = [];
    const parser = new SseParser((event, id) => events.push([event, id]));
    for (const chunk of chunks) parser.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
    return events;
  };

  it("the parser reads every form of event that the standard allows", () => {
    expect(parse("data: one\n\n")).toEqual([[{ name: "message", data: "one" }, null]]);
    expect(parse("event: logs\r\nid:7\r\ndata:{\r\ndata: }\r\n\r\n")).toEqual([[{ name: "logs", data: "{\n}" }, "7"]]);
    expect(parse(": nothing\nretry: 5\ndata\n\n\n\n")).toEqual([]);
    expect(parse("event: subscribed\ndata: \n\n")).toEqual([]);
    expect(parse("id: 4\ndata:\n\n")).toEqual([[{ name: "message", data: "" }, "4"]]);
    expect(parse("id: 4\n\n")).toEqual([]);
  });

  it("events are the same for every chunking, and an incomplete event is not delivered", () => {
    const text = "event: logs\nid: 1\ndata: Grüße 🌍\n\nid: 2\ndata: two\n\nid: 3\ndata: cut o";
    const bytes = Buffer.from(text);
    const whole = parse(bytes);
    expect(whole.map(([{ data }, id]) => [data, id])).toEqual([
      ["Grüße 🌍", "1"],
      ["two", "2"],
    ]);
    for (const size of [1, 2, 3, 5, 8, 13]) {
      const cut = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      expect(parse(...cut), String(size)).toEqual(whole);
    }
  });

  it("a line without an end is refused at the size limit", () => {
    const parser = new SseParser(() => {}, 100);
    parser.push(Buffer.alloc(60, "x"));
    parser.push(Buffer.from("\n"));
    parser.push(Buffer.alloc(60, "x"));
    expect(() => parser.push(Buffer.alloc(60, "x"))).toThrow(/no end/);
  });
});

describe("OpenTelemetry records", () => {
  it("unexpected JSON gives no records, and text that is not JSON is an error", () => {
    for (const text of [
      "null",
      "[]",
      "{}",
      '{"resourceLogs":7,"resourceSpans":[3,null,{"scopeLogs":1,"scopeSpans":{}}]}',
    ]) {
      expect(outputRecords(text)).toEqual([]);
      expect(spanRecords(text)).toEqual([]);
    }
    expect(() => outputRecords("")).toThrow(SyntaxError);
    expect(() => spanRecords("<html>")).toThrow(SyntaxError);
    const odd = {
      resourceLogs: [
        {
          scopeLogs: [
            {
              scope: { name: "dagger.io/engine.buildkit" },
              logRecords: [{ attributes: [{ key: "stdio.stream", value: { intValue: "3" } }] }, {}],
            },
          ],
        },
      ],
    };
    expect(outputRecords(JSON.stringify(odd))).toEqual([]);
    const bare = {
      resourceLogs: [
        {
          scopeLogs: [
            {
              scope: { name: "dagger.io/engine.buildkit" },
              logRecords: [
                { timeUnixNano: "nonsense", attributes: [{ key: "stdio.stream", value: { intValue: "2" } }] },
              ],
            },
          ],
        },
      ],
    };
    expect(outputRecords(JSON.stringify(bare))).toEqual([
      { traceId: "", stream: "stderr", bytes: new Uint8Array(), eof: false, timeMs: 0 },
    ]);
    const span = {
      resourceSpans: [
        {
          scopeSpans: [
            {
              spans: [
                {
                  startTimeUnixNano: "2000000",
                  endTimeUnixNano: "1000000",
                  events: [{ name: "Container exited", attributes: [] }],
                },
              ],
            },
          ],
        },
      ],
    };
    expect(spanRecords(JSON.stringify(span))).toEqual([
      { traceId: "", spanId: "", name: "", endedAt: null, exitCode: undefined, failure: undefined },
    ]);
  });

  it("a span with an error status has the engine's message", () => {
    const status = { code: "STATUS_CODE_ERROR", message: "get user: unable to find user nosuch" };
    const read = (span: object) =>
      spanRecords(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }))[0]?.failure;
    expect(read({ status })).toBe("get user: unable to find user nosuch");
    expect(read({ status: { code: "STATUS_CODE_OK", message: "fine" } })).toBeUndefined();
  });

  it("the exit code of the service is distinguished from those of certificate installers", () => {
    const exits = (...codes: number[]) =>
      codes.map((code) => ({
        name: "Container exited",
        attributes: [{ key: "exit.code", value: { intValue: String(code) } }],
      }));
    const codeOf = (events: object[]) =>
      spanRecords(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [{ events }] }] }] }))[0]?.exitCode;
    expect(codeOf(exits(0, 137, 0))).toBe(137);
    expect(codeOf(exits(0, 0, 0))).toBe(0);
    expect(codeOf(exits(7))).toBe(7);
    expect(codeOf([{ name: "Container created" }])).toBeUndefined();
  });
});
