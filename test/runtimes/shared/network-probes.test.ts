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

/** What a TCP server answers to each chunk; null: nothing, ever. */
const speaking = (answer: (text: string, socket: Socket) => string | null) =>
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

describe("a check", () => {
  it("ends with its answer and says how long it took", async () => {
    const result = await run(async () => "fine");
    expect(result).toEqual({ healthy: true, message: "fine", check: "check", latencyMs: expect.any(Number) });
  });

  it("ends with its time although it hangs, and what it does is cut off", async () => {
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

  it("ends when its caller leaves, before or meanwhile", async () => {
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

  it.each([
    [new Error("first\nsecond"), "first"],
    [Object.assign(new Error("x"), { code: "ECONNREFUSED" }), "connection refused: nothing listens there"],
    [Object.assign(new Error("x"), { code: "ECONNRESET" }), "connection reset by the service"],
    [new AggregateError([Object.assign(new Error(""), { code: "EHOSTDOWN" })]), "EHOSTDOWN"],
    [new AggregateError([], "several"), "several"],
    [new TypeError(""), "TypeError"],
    ["text", "text"],
  ])("says in one line what %s means", (error, expected) => {
    expect(failureText(error)).toBe(expected);
  });
});

describe("the http check", () => {
  const status = (code: number) =>
    listen(createHttp((request, response) => response.writeHead(code, { "x-host": request.headers.host }).end("body")));

  it.each([
    [200, 200, true, "HTTP 200"],
    [204, null, true, "HTTP 204"],
    [302, null, true, "HTTP 302"],
    [500, 200, false, "HTTP 500, expected 200"],
    [204, 200, false, "HTTP 204, expected 200"],
    [404, null, false, "HTTP 404, expected 2xx or 3xx"],
  ])("of status %i where %s is expected", async (code, expected, healthy, message) => {
    const port = await status(code);
    expect(await run(httpCheck({ port, path: "/x", status: expected }))).toMatchObject({ healthy, message });
  });

  it("asks for the path, as localhost", async () => {
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

  it("fails on a refusal, a hang, a reset and on other protocols than HTTP", async () => {
    const target = { path: "/", status: 200 };
    expect((await run(httpCheck({ ...target, port: await freePort() }))).message).toContain("refused");
    const hanging = await listen(createHttp(() => {}));
    expect((await run(httpCheck({ ...target, port: hanging }), 50)).message).toBe("no answer within 50 ms");
    const reset = await speaking((_text, socket) => {
      socket.resetAndDestroy();
      return null;
    });
    expect((await run(httpCheck({ ...target, port: reset }))).message).toContain("reset");
    const other = await speaking(() => "220 mail ready\r\n");
    expect((await run(httpCheck({ ...target, port: other }))).message).toMatch(/Parse Error/);
  });

  it("does not read a body without end", async () => {
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

describe("the tcp check", () => {
  it("wants a connection and nothing more", async () => {
    const port = await listen(createServer());
    expect(await run(tcpCheck(port))).toMatchObject({ healthy: true, message: "connection accepted" });
    expect(await run(tcpCheck(await freePort()))).toMatchObject({ healthy: false });
  });
});

describe("the redis check", () => {
  const ask = async (answer: Parameters<typeof speaking>[0], password: string | null = null) =>
    run(redisCheck({ port: await speaking(answer), password }), 300);

  it("authenticates with any password, then pings; answers may come in pieces", async () => {
    let said = "";
    const result = await ask((text, socket) => {
      said += text;
      setTimeout(() => socket.write("K\r\n+PO"), 10);
      setTimeout(() => socket.write("NG\r\n"), 20);
      return "+O";
    }, "pä ss\r\n");
    expect(result).toMatchObject({ healthy: true, message: "PONG" });
    expect(said).toBe("*2\r\n$4\r\nAUTH\r\n$8\r\npä ss\r\n\r\n*1\r\n$4\r\nPING\r\n");
  });

  it.each([
    ["-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."],
    ["-LOADING Redis is loading\r\n", "LOADING Redis is loading"],
    ["+OK\r\n", "answered OK instead of PONG"],
    ["HTTP/1.1 400 Bad Request\r\n", "the answer is not Redis's"],
    ["x".repeat(5000), "the answer is not Redis's"],
    ["+PON", "no answer within 300 ms"],
  ])("fails on %j", async (answer, message) => {
    expect(await ask(() => answer)).toMatchObject({ healthy: false, message });
  });

  it("fails on a closed connection and on none", async () => {
    const closing = await ask((_text, socket) => {
      socket.end();
      return null;
    });
    expect(closing).toMatchObject({ healthy: false, message: "the connection was closed without an answer" });
    expect((await run(redisCheck({ port: await freePort(), password: null }))).message).toContain("refused");
  });
});

describe("the postgres check", () => {
  const target = { user: "u", password: "hidden", database: "d" };

  it("fails without a server, on a hang (which it cuts) and on another protocol, without showing the password", async () => {
    expect((await run(postgresCheck({ ...target, port: await freePort() }))).message).toContain("refused");
    const hanging = await speaking(() => null);
    expect((await run(postgresCheck({ ...target, port: hanging }), 100)).message).toBe("no answer within 100 ms");
    await expect.poll(() => sockets.size).toBe(0);
    const other = await speaking((_text, socket) => {
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
      return null;
    });
    const result = await run(postgresCheck({ ...target, port: other }));
    expect(result.healthy).toBe(false);
    expect(result.message).not.toContain("hidden");
  });
});

describe("the protocol of a port", () => {
  const protocol = async (port: number) => webProtocol(port, new AbortController().signal);

  it("is HTTP where an HTTP server answers, whatever it answers", async () => {
    expect(await protocol(await listen(createHttp((_, answer) => answer.writeHead(500).end())))).toBe("http");
    // A server that reads no method but GET.
    expect(await protocol(await speaking(() => "HTTP/1.0 501 Unsupported method ('OPTIONS')\r\n\r\n"))).toBe("http");
    const tls = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    expect(await protocol(await speaking(() => tls))).toBe("https");
  });

  it("is unknown where the answer is another one, or none, and no Host header is sent", async () => {
    let received = "";
    const redis = await speaking((text) => {
      received += text;
      return "-ERR unknown command\r\n";
    });
    expect(await protocol(redis)).toBeNull();
    expect(received).not.toMatch(/host/i);
    expect(await protocol(await speaking(() => null))).toBeNull();
    expect(await protocol(await speaking(() => "220 mail.example ESMTP\r\n"))).toBeNull();
    expect(await protocol(await freePort())).toBeNull();
    const closing = await speaking((_, socket) => {
      socket.destroy();
      return null;
    });
    expect(await protocol(closing)).toBeNull();
  });
});
