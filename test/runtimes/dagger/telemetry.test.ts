/** A session's streams, as they reach whoever listens to a trace: through breaks, pieces, floods and nonsense. */
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

/** The engine's side of a session without its containers. */
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

/** Writes down everything that it is told. */
class Ear implements TraceListener {
  readonly bytes = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  readonly heard: string[] = [];
  times: number[] = [];

  output(stream: "stdout" | "stderr", chunk: Uint8Array, timeMs: number): void {
    this.bytes[stream].push(chunk);
    this.times.push(timeMs);
  }
  drained(): void {
    this.heard.push("drained");
  }
  began(name: string): void {
    this.heard.push(`began ${name}`);
  }
  exited({ exitCode, at }: { exitCode: number | null; at: number }, name: string): void {
    this.heard.push(`exited ${exitCode} ${name}`);
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
  it("are resumed after every break, without a gap and without doubles, in order", async () => {
    const { engine, telemetry, broken } = await given({ pieces: 4093, breakEvery: 4, breakTimes: 12, batch: 500 });
    const [mine, other] = [newTrace(), newTrace()];
    const ear = new Ear();
    telemetry.listen(mine.traceId, ear);
    let expected = "";
    for (let i = 0; i < 20_000; i += 1) {
      const chunk = `line ${i} of ${i % 7 === 0 ? "the flood\n" : "it, "}`;
      expected += chunk;
      engine.output(mine, 1, Buffer.from(chunk));
      engine.output(other, 1, Buffer.from("not mine"));
      if (i % 4000 === 0) await sleep(120);
    }
    ends(engine, mine);
    await until("both ends", () => ear.heard.includes("drained"));
    expect(ear.text()).toBe(expected);
    expect(broken()).toBe(12);
    expect(telemetry.faults).toEqual({ resumed: 12, unreadable: 0 });
  });

  it("survive that the session refuses them for a while", async () => {
    const { engine, telemetry } = await given({ refuse: 3 });
    const trace = newTrace();
    const ear = new Ear();
    telemetry.listen(trace.traceId, ear);
    engine.output(trace, 2, Buffer.from("here\n"));
    await until("the line", () => ear.text("stderr") === "here\n");
    expect(telemetry.faults.resumed).toBe(6);
  });

  it("give bytes as they came: characters in pieces, both outputs, the time, nothing after the end", async () => {
    const { engine, telemetry } = await given({ pieces: 1 });
    const trace = newTrace();
    const ear = new Ear();
    telemetry.listen(trace.traceId, ear);
    const before = Date.now();
    engine.output(trace, 1, Buffer.from("Grüße 🌍 "));
    engine.output(trace, 2, Buffer.from('"quoted" \\ and \u0000 and \r\n'));
    engine.output(trace, 1, Buffer.from("漢字"));
    engine.say(trace, "the engine talks: this is no output");
    engine.eof(trace, 1);
    engine.eof(trace, 1);
    await until("the last bytes", () => ear.text() === "Grüße 🌍 漢字");
    expect(ear.heard).toEqual([]);
    engine.eof(trace, 2);
    await until("the end", () => ear.heard.length > 0);
    expect(ear.heard).toEqual(["drained"]);
    expect(ear.text("stderr")).toBe('"quoted" \\ and \u0000 and \r\n');
    for (const time of ear.times) expect(Math.abs(time - before)).toBeLessThan(60_000);
  });

  it("tell when a container ended and how, once, and not while it runs", async () => {
    const { engine, telemetry } = await given();
    const trace = newTrace();
    const ear = new Ear();
    telemetry.listen(trace.traceId, ear);
    const call = engine.span(trace, "Service.start");
    const run = engine.span(call, "exec serve", { links: [call] });
    call.end();
    await until("both began", () => ear.heard.length === 2);
    await sleep(250);
    expect(ear.heard).toEqual(["began Service.start", "began exec serve"]);
    run.event("Something else", []);
    run.event("Container exited", [{ key: "exit.code", value: { intValue: "137" } }]);
    run.end("exit code: 137");
    await until("its end", () => ear.heard.length > 2);
    const silent = engine.span(trace, "exec silent");
    silent.end();
    await until("the other's end", () => ear.heard.length > 4);
    expect(ear.heard.slice(2)).toEqual(["exited 137 exec serve", "began exec silent", "exited null exec silent"]);
    for (const time of ear.times) expect(Math.abs(time - Date.now())).toBeLessThan(60_000);
  });

  it("do not reach a listener that has stopped", async () => {
    const { engine, telemetry } = await given();
    const trace = newTrace();
    const [first, second] = [new Ear(), new Ear()];
    const stop = telemetry.listen(trace.traceId, first);
    engine.output(trace, 1, Buffer.from("one"));
    await until("the first", () => first.text() === "one");
    stop();
    telemetry.listen(trace.traceId, second);
    engine.output(trace, 1, Buffer.from("two"));
    await until("the second", () => second.text() === "two");
    expect(first.text()).toBe("one");
  });

  it("wait for a listener that is behind, and not for ever", async () => {
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
    // The first chunk of a stream may carry several events; what comes after it waits.
    engine.output(trace, 1, Buffer.from("one"));
    await until("the first", () => chunks.length === 1);
    engine.output(trace, 1, Buffer.from("two"));
    await sleep(400);
    expect(chunks).toEqual(["one"]);
    free();
    await until("the second", () => chunks.length === 2);
    behind = new Promise(() => {});
    for (const word of ["three", "four", "five"]) engine.output(trace, 1, Buffer.from(word));
    await until("all, though the listener never says so", () => chunks.length === 5);
  });

  it("continue after an unreadable event, and count it", async () => {
    const trace = newTrace();
    const ear = new Ear();
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
    telemetry.listen(trace.traceId, ear);
    await until("both streams are asked for", () => asked === 2);
    answer?.write(
      `: a comment\n\nid: 1\ndata: {not json\n\nevent: logs\nid: 2\ndata: ${record("read")}\n\nid: 3\ndata:\n\n`,
    );
    await until("the readable one", () => ear.text() === "read");
    expect(telemetry.faults).toEqual({ resumed: 0, unreadable: 1 });
    // What was read is not asked for again, whether it was of use or not.
    const resumed = new Promise<IncomingMessage>((resolve) => {
      opened.at(-1)?.server.once("request", resolve);
    });
    answer?.destroy();
    expect((await resumed).headers["x-last-event-id"]).toBe("3");
  });
});

describe("server-sent events", () => {
  const parse = (...chunks: (string | Uint8Array)[]): [SseEvent, string | null][] => {
    const events: [SseEvent, string | null][] = [];
    const parser = new SseParser((event, id) => events.push([event, id]));
    for (const chunk of chunks) parser.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
    return events;
  };

  it("are read in every form that the standard allows and engines use", () => {
    expect(parse("data: one\n\n")).toEqual([[{ name: "message", data: "one" }, null]]);
    expect(parse("event: logs\r\nid:7\r\ndata:{\r\ndata: }\r\n\r\n")).toEqual([[{ name: "logs", data: "{\n}" }, "7"]]);
    expect(parse(": nothing\nretry: 5\ndata\n\n\n\n")).toEqual([]);
    expect(parse("event: subscribed\ndata: \n\n")).toEqual([]);
    expect(parse("id: 4\ndata:\n\n")).toEqual([[{ name: "message", data: "" }, "4"]]);
    expect(parse("id: 4\n\n")).toEqual([]);
  });

  it("are the same however chunks are cut, and an event without its end is not delivered", () => {
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

  it("that never end are refused before they fill the memory", () => {
    const parser = new SseParser(() => {}, 100);
    parser.push(Buffer.alloc(60, "x"));
    parser.push(Buffer.from("\n"));
    parser.push(Buffer.alloc(60, "x"));
    expect(() => parser.push(Buffer.alloc(60, "x"))).toThrow(/no end/);
  });
});

describe("OpenTelemetry in protobuf-JSON", () => {
  it("is read as far as it is what it should be, and is nothing otherwise", () => {
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

  it("keeps the engine's words of a container that never came to be", () => {
    const status = { code: "STATUS_CODE_ERROR", message: "get user: unable to find user nosuch" };
    const read = (span: object) =>
      spanRecords(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }))[0]?.failure;
    expect(read({ status })).toBe("get user: unable to find user nosuch");
    expect(read({ status: { code: "STATUS_CODE_OK", message: "fine" } })).toBeUndefined();
  });

  it("tells the service's own exit from those of the containers that bring and remove the engine's certificates", () => {
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
