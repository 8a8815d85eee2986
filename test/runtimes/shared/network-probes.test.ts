import { createServer as createHttp } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { bounded, type Check, failureText } from "../../../src/runtimes/shared/probes/bounded.js";
import { httpCheck } from "../../../src/runtimes/shared/probes/http-probe.js";
import { postgresCheck } from "../../../src/runtimes/shared/probes/postgres-probe.js";
import { redisCheck } from "../../../src/runtimes/shared/probes/redis-probe.js";
import { tcpCheck } from "../../../src/runtimes/shared/probes/tcp-probe.js";
import { webProtocol } from "../../../src/runtimes/shared/probes/web-protocol.js";
import { freePort } from "../contract/bench.js";

const servers: Server[] = [];
const sockets = new Set<Socket>();

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

/** A TCP server that replies to each chunk; null means no reply. */
const replying = (answer: (text: string, socket: Socket) => string | null) =>
  listen(
    createServer((socket) => {
      socket.on("data", (chunk) => {
        const text = answer(chunk.toString(), socket);
        if (text !== null) socket.write(text);
      });
    }),
  );

const run = (check: Check, timeoutMs = 2000, signal = new AbortController().signal) =>
  bounded("check", timeoutMs, signal, check);

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

describe("bounded", () => {
  it("a check returns its message and its latency", async () => {
    const result = await run(async () => "fine");
    expect(result).toEqual({ healthy: true, message: "fine", check: "check", latencyMs: expect.any(Number) });
  });

  it("a check that exceeds its timeout is unhealthy and receives an abort signal", async () => {
    let cut = false;
    const result = await run((signal) => {
      signal.addEventListener("abort", () => {
        cut = true;
      });
      return new Promise(() => {});
    }, 30);
    expect(result).toMatchObject({ healthy: false, message: "no answer within 30 ms" });
    expect(cut).toBe(true);
  });

  it("a cancelled check is unhealthy, and is not run when it was cancelled before", async () => {
    const controller = new AbortController();
    const pending = run(() => new Promise(() => {}), 5000, controller.signal);
    controller.abort();
    expect(await pending).toMatchObject({ healthy: false, message: "the check was cancelled" });
    let ran = false;
    const never = await run(
      async () => {
        ran = true;
        return "";
      },
      5000,
      controller.signal,
    );
    expect([never.healthy, ran]).toEqual([false, false]);
  });

  it.each<[string, unknown]>([
    ["first", new Error("first\nsecond")],
    ["connection refused: nothing listens there", Object.assign(new Error("x"), { code: "ECONNREFUSED" })],
    ["connection reset by the service", Object.assign(new Error("x"), { code: "ECONNRESET" })],
    ["EHOSTDOWN", new AggregateError([Object.assign(new Error(""), { code: "EHOSTDOWN" })])],
    ["several", new AggregateError([], "several")],
    ["TypeError", new TypeError("")],
    ["text", "text"],
  ])("failureText describes an error in one line: %s", (expected, error) => {
    expect(failureText(error)).toBe(expected);
  });
});

describe("httpCheck", () => {
  const status = (code: number) =>
    listen(createHttp((request, response) => response.writeHead(code, { "x-host": request.headers.host }).end("body")));

  it.each([
    [200, 200, true, "HTTP 200"],
    [204, null, true, "HTTP 204"],
    [302, null, true, "HTTP 302"],
    [500, 200, false, "HTTP 500, expected 200"],
    [204, 200, false, "HTTP 204, expected 200"],
    [404, null, false, "HTTP 404, expected 2xx or 3xx"],
  ])("a response with status %i where %s is expected is healthy: %s", async (code, expected, healthy, message) => {
    const port = await status(code);
    expect(await run(httpCheck({ port, path: "/x", status: expected }))).toMatchObject({ healthy, message });
  });

  it("the request is a GET of the path with the Host header localhost", async () => {
    let asked = "";
    const port = await listen(
      createHttp((request, response) => {
        asked = `${request.method} ${request.url} ${request.headers.host}`;
        response.end();
      }),
    );
    await run(httpCheck({ port, path: "/health?deep=1", status: 200 }));
    expect(asked).toBe(`GET /health?deep=1 localhost:${port}`);
  });

  it("a refused connection, a hang, a reset and another protocol are unhealthy", async () => {
    const target = { path: "/", status: 200 };
    expect((await run(httpCheck({ ...target, port: await freePort() }))).message).toContain("refused");
    const hanging = await listen(createHttp(() => {}));
    expect((await run(httpCheck({ ...target, port: hanging }), 50)).message).toBe("no answer within 50 ms");
    const reset = await replying((_text, socket) => {
      socket.resetAndDestroy();
      return null;
    });
    expect((await run(httpCheck({ ...target, port: reset }))).message).toContain("reset");
    const other = await replying(() => "220 mail ready\r\n");
    expect((await run(httpCheck({ ...target, port: other }))).message).toMatch(/Parse Error/);
  });

  it("an endless response body does not delay the result", async () => {
    const port = await listen(
      createHttp((_request, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write("x".repeat(65_536)), 1);
        response.once("close", () => clearInterval(timer));
      }),
    );
    expect(await run(httpCheck({ port, path: "/", status: 200 }))).toMatchObject({ healthy: true });
  });
});

describe("tcpCheck", () => {
  it("an accepted connection is healthy, and a refused connection is not", async () => {
    const port = await listen(createServer());
    expect(await run(tcpCheck(port))).toMatchObject({ healthy: true, message: "connection accepted" });
    expect(await run(tcpCheck(await freePort()))).toMatchObject({ healthy: false });
  });
});

describe("redisCheck", () => {
  const ask = async (answer: Parameters<typeof replying>[0], password: string | null = null) =>
    run(redisCheck({ port: await replying(answer), password }), 300);

  it("the check sends AUTH, then PING, and reads replies in parts", async () => {
    let received = "";
    const result = await ask((text, socket) => {
      received += text;
      setTimeout(() => socket.write("K\r\n+PO"), 10);
      setTimeout(() => socket.write("NG\r\n"), 20);
      return "+O";
    }, "pä ss\r\n");
    expect(result).toMatchObject({ healthy: true, message: "PONG" });
    expect(received).toBe("*2\r\n$4\r\nAUTH\r\n$8\r\npä ss\r\n\r\n*1\r\n$4\r\nPING\r\n");
  });

  it.each([
    ["NOAUTH", "-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."],
    ["LOADING", "-LOADING Redis is loading\r\n", "LOADING Redis is loading"],
    ["OK", "+OK\r\n", "answered OK instead of PONG"],
    ["of another protocol", "HTTP/1.1 400 Bad Request\r\n", "the answer is not Redis's"],
    ["without an end of line", "x".repeat(5000), "the answer is not Redis's"],
    ["cut off", "+PON", "no answer within 300 ms"],
  ])("a reply %s is unhealthy", async (_what, answer, message) => {
    expect(await ask(() => answer)).toMatchObject({ healthy: false, message });
  });

  it("a connection that is closed or refused is unhealthy", async () => {
    const closing = await ask((_text, socket) => {
      socket.end();
      return null;
    });
    expect(closing).toMatchObject({ healthy: false, message: "the connection was closed without an answer" });
    expect((await run(redisCheck({ port: await freePort(), password: null }))).message).toContain("refused");
  });
});

describe("postgresCheck", () => {
  const target = { user: "u", password: "hidden", database: "d" };

  it("a refusal, a hang and another protocol are unhealthy, and the message omits the password", async () => {
    expect((await run(postgresCheck({ ...target, port: await freePort() }))).message).toContain("refused");
    const hanging = await replying(() => null);
    expect((await run(postgresCheck({ ...target, port: hanging }), 100)).message).toBe("no answer within 100 ms");
    await expect.poll(() => sockets.size).toBe(0);
    const other = await replying((_text, socket) => {
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
      return null;
    });
    const result = await run(postgresCheck({ ...target, port: other }));
    expect(result.healthy).toBe(false);
    expect(result.message).not.toContain("hidden");
  });

  it("a server that recovers from a crash is starting", async () => {
    const fields = Buffer.from("SFATAL\0C57P03\0Mthe database system is starting up\0\0");
    const size = Buffer.alloc(4);
    size.writeInt32BE(fields.length + 4);
    const port = await replying((_text, socket) => {
      socket.end(Buffer.concat([Buffer.from("E"), size, fields]));
      return null;
    });
    expect(await run(postgresCheck({ ...target, port }))).toMatchObject({
      healthy: false,
      starting: true,
      message: "the database system is starting up",
    });
    expect(await run(postgresCheck({ ...target, port: await freePort() }))).not.toHaveProperty("starting");
  });
});

describe("webProtocol", () => {
  const protocol = async (port: number) => webProtocol(port, new AbortController().signal);

  it("an HTTP server is recognised by any status, and an HTTPS server by its error page", async () => {
    expect(await protocol(await listen(createHttp((_, answer) => answer.writeHead(500).end())))).toBe("http");
    // A server that supports only GET.
    expect(await protocol(await replying(() => "HTTP/1.0 501 Unsupported method ('OPTIONS')\r\n\r\n"))).toBe("http");
    const tls = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    expect(await protocol(await replying(() => tls))).toBe("https");
  });

  it("a port with another protocol or without an answer is unknown, and no Host header is sent", async () => {
    let received = "";
    const redis = await replying((text) => {
      received += text;
      return "-ERR unknown command\r\n";
    });
    expect(await protocol(redis)).toBeNull();
    expect(received).not.toMatch(/host/i);
    expect(await protocol(await replying(() => null))).toBeNull();
    expect(await protocol(await replying(() => "220 mail.example ESMTP\r\n"))).toBeNull();
    expect(await protocol(await freePort())).toBeNull();
    const closing = await replying((_, socket) => {
      socket.destroy();
      return null;
    });
    expect(await protocol(closing)).toBeNull();
  });
});
