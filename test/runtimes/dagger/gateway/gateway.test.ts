/** The gateway with its real script, which here runs as a process beside the test instead of inside a session. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openGateway } from "../../../../src/runtimes/dagger/gateway/gateway.js";
import { Link } from "../../../../src/runtimes/dagger/gateway/link.js";
import type { Gateway, GatewayServiceSpec, GatewaySession } from "../../../../src/runtimes/dagger/gateway/types.js";
import { Bench, closeServer, freePort, listen, until } from "../../contract/bench.js";

/** Names of the test's "session": the loopback interface, so that every service is at its own port. */
const HOST = "127.0.0.1";

class Session implements GatewaySession {
  readonly specs: GatewayServiceSpec[] = [];
  readonly children: ChildProcess[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), "gateway-"));
  /** What happens instead of a start. */
  instead: ((signal: AbortSignal) => Promise<never>) | null = null;
  program: string[] = ["node"];

  async startGateway(spec: GatewayServiceSpec, signal: AbortSignal) {
    this.specs.push(spec);
    if (this.instead !== null) return this.instead(signal);
    const file = join(this.folder, "gateway.cjs");
    writeFileSync(file, spec.script.text);
    const args = spec.args.slice(1).map((word) => {
      if (word === spec.script.path) return file;
      if (word === spec.host.hostname) return HOST;
      return word === String(spec.host.frontend) ? String(spec.host.backend) : word;
    });
    const child = spawn(this.program[0] as string, [...this.program.slice(1), ...args], {
      env: { PATH: process.env.PATH, ...spec.secretEnvironment },
      stdio: ["ignore", "inherit", "inherit"],
    });
    this.children.push(child);
    const ended = once(child, "exit").then(([code, killed]) => ({ reason: `${code ?? killed}` }));
    return {
      ended,
      stop: async () => {
        child.kill("SIGTERM");
        await ended;
      },
    };
  }
}

let session: Session;
let gateway: Gateway;
let bench: Bench;
const warnings: string[] = [];
const servers: Server[] = [];
const sockets = new Set<Socket>();

beforeEach(() => {
  session = new Session();
  bench = new Bench({ images: { python: "python", redis: "redis" }, processesVisible: false } as never);
  gateway = openGateway({ session, image: "node:20-alpine", warn: (message) => warnings.push(message) });
});

afterEach(async () => {
  await gateway.close();
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  await bench.close();
  rmSync(session.folder, { recursive: true });
  warnings.length = 0;
  for (const child of session.children) expect(child.exitCode ?? child.signalCode).not.toBeNull();
});

async function serve(take: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on("error", () => {}).once("close", () => sockets.delete(socket)));
    take(socket);
  }).listen({ host: HOST, port: 0 });
  await once(server, "listening");
  servers.push(server);
  return (server.address() as { port: number }).port;
}

const signal = (): AbortSignal => new AbortController().signal;
const publishes = (name: string, containerPort: number, hostPort?: number) =>
  bench.python(name, "", {
    ports: [{ containerPort, protocol: "tcp", ...(hostPort === undefined ? {} : { hostPort }) }],
  });
const dial = (port: number, timeoutMs = 5000, until = signal()) => gateway.dial(HOST, port, timeoutMs, until);

describe("a way into the session", () => {
  it("carries bytes both ways, and half-closed connections to their end", async () => {
    const port = await serve((socket) => {
      let said = "";
      socket.on("data", (chunk) => {
        said += chunk;
      });
      socket.on("end", () => socket.end(`heard ${said}`));
    });
    const connection = await dial(port);
    connection.write("one ");
    connection.end("two");
    expect(await text(connection)).toBe("heard one two");
  });

  it("carries much at once, whole and without a mix-up", async () => {
    const port = await serve((socket) => socket.pipe(socket));
    const parts = await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        const sent = Buffer.alloc(700_000 + i, `${i} of twelve; `);
        const connection = await dial(port);
        connection.end(sent);
        return (await buffer(connection)).equals(sent);
      }),
    );
    expect(parts).toEqual(parts.map(() => true));
    expect(session.specs).toHaveLength(1);
  });

  it("hands on what a server says first, at once", async () => {
    const port = await serve((socket) => socket.end("greeting"));
    expect(await text(await dial(port))).toBe("greeting");
  });

  it("delivers data to a client that only listens, as the checks' HTTP client does", async () => {
    const port = await serve((socket) => socket.once("data", () => socket.end("answer")));
    const socket = await dial(port);
    const heard = new Promise((resolve) => socket.once("data", (chunk: Buffer) => resolve(chunk.toString())));
    socket.write("question");
    expect(await heard).toBe("answer");
    socket.destroy();
  });

  it("tells failures in the system's words", async () => {
    await gateway.start(signal());
    await expect(dial(await freePort())).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect(gateway.dial("no-such-name.invalid", 80, 5000)).rejects.toMatchObject({
      code: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/),
    });
    // An address that is for documentation only: nobody answers, or nobody can be asked.
    await expect(gateway.dial("192.0.2.1", 80, 300)).rejects.toMatchObject({
      code: expect.stringMatching(/^E[A-Z]+$/),
    });
  });

  it("ends when its caller leaves", async () => {
    const abort = new AbortController();
    const asking = gateway.dial("192.0.2.1", 80, 30_000, abort.signal).then(
      () => null,
      (error: Error) => error,
    );
    await until("it was asked", () => session.specs.length > 0);
    abort.abort(new Error("changed my mind"));
    expect((await asking)?.message).toMatch(/changed my mind|UNREACH|REFUSED/);
    await expect(dial(1, 1000, abort.signal)).rejects.toThrow("changed my mind");
  });

  it("ends both sides when one breaks", async () => {
    let inner: Socket | undefined;
    const port = await serve((socket) => {
      inner = socket;
    });
    const connection = await dial(port);
    connection.on("error", () => {});
    await until("it arrived", () => inner !== undefined);
    inner?.resetAndDestroy();
    connection.resume();
    await until("the other side ended", () => connection.destroyed || connection.readableEnded);
    const former = inner;
    const second = await dial(port);
    await until("the second arrived", () => inner !== former);
    second.destroy();
    inner?.resume();
    await until("the inner side ended", () => inner?.destroyed === true || inner?.readableEnded === true);
  });
});

describe("published ports", () => {
  it("lead to their service on 127.0.0.1, from reserve until close", async () => {
    const [inner, outer] = [await serve((socket) => socket.end("the service")), await freePort()];
    // The service's name is a name of the session; here it must be one that this machine resolves.
    const definition = bench.definition([publishes("localhost", inner, outer)]);
    await gateway.reserve(definition);
    expect(gateway.endpoints()).toEqual([
      { service: "localhost", container_port: inner, host: HOST, host_port: outer },
    ]);
    expect(gateway.hostPort("localhost", inner)).toBe(outer);
    expect(gateway.hostPort("localhost", 1)).toBeUndefined();
    await expect(listen(outer)).rejects.toMatchObject({ code: "EADDRINUSE" });
    const ask = async (): Promise<string> => {
      const socket = connect({ host: HOST, port: outer });
      return text(socket).catch((error: NodeJS.ErrnoException) => String(error.code));
    };
    expect(await ask()).toBe("ECONNRESET");
    await gateway.start(signal());
    expect(await ask()).toBe("the service");
    await gateway.close();
    await closeServer(await listen(outer));
  });

  it("that are taken are named, all of them, and nothing changes", async () => {
    const kept = await freePort();
    await gateway.reserve(bench.definition([publishes("kept", 80, kept)]));
    const busy = await listen(0);
    const { port } = busy.address() as { port: number };
    const refused = gateway.reserve(bench.definition([publishes("kept", 80, kept), publishes("other", 81, port)]));
    await expect(refused).rejects.toMatchObject({
      code: "PORT_IN_USE",
      message: expect.stringContaining(`${port} (other)`),
    });
    expect(gateway.endpoints().map(({ host_port }) => host_port)).toEqual([kept]);
    await closeServer(busy);
    const twice = publishes("twice", 80);
    twice.ports.push({ containerPort: 80, protocol: "tcp", hostPort: port });
    await expect(gateway.reserve(bench.definition([twice]))).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await gateway.reserve(bench.definition([]));
    await closeServer(await listen(kept));
  });

  it("are refused where nothing listens behind them, and stay", async () => {
    const [inner, outer] = [await freePort(), await freePort()];
    await gateway.reserve(bench.definition([publishes("localhost", inner, outer)]));
    await gateway.start(signal());
    for (let i = 0; i < 3; i += 1) {
      const socket = connect({ host: HOST, port: outer });
      await expect(text(socket)).rejects.toMatchObject({ code: "ECONNRESET" });
    }
    const gone = connect({ host: HOST, port: outer });
    await once(gone, "connect");
    gone.destroy();
    expect(gateway.endpoints()).toHaveLength(1);
  });

  it("are given up while connections are open", async () => {
    const [inner, outer] = [await serve((socket) => socket.write("hello")), await freePort()];
    await gateway.reserve(bench.definition([publishes("localhost", inner, outer)]));
    await gateway.start(signal());
    const socket = connect({ host: HOST, port: outer });
    socket.on("error", () => {});
    expect(String(await once(socket, "data"))).toBe("hello");
    await gateway.reserve(bench.definition([]));
    await until("it was cut off", () => socket.destroyed);
    await closeServer(await listen(outer));
  });
});

describe("the gateway's service", () => {
  it("is small, not root, limited, reached by a secret that stands in no argument", async () => {
    await Promise.all([gateway.start(signal()), gateway.start(signal())]);
    expect(session.specs).toHaveLength(1);
    const [spec] = session.specs as [GatewayServiceSpec];
    expect(spec).toMatchObject({
      image: "node:20-alpine",
      user: "65534:65534",
      limits: { cpus: expect.any(Number), memory_mb: expect.any(Number), pids: expect.any(Number) },
    });
    const secrets = Object.values(spec.secretEnvironment);
    expect(secrets).toHaveLength(1);
    expect(JSON.stringify(spec.args) + spec.script.text).not.toContain(secrets[0]);
  });

  it("is started again when it ended by itself", async () => {
    const [inner, outer] = [await serve((socket) => socket.end("here")), await freePort()];
    await gateway.reserve(bench.definition([publishes("localhost", inner, outer)]));
    await gateway.start(signal());
    session.children[0]?.kill("SIGKILL");
    await until("it is back", async () => {
      const socket = connect({ host: HOST, port: outer });
      return (await text(socket).catch(() => "")) === "here";
    });
    expect(warnings[0]).toContain("SIGKILL");
    expect(session.specs).toHaveLength(2);
  });

  it("that does not run is reported with its image, and can be tried again", async () => {
    session.program = ["false"];
    await expect(gateway.start(signal())).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("its service ended: 1"),
      hint: expect.stringContaining("node:20-alpine"),
    });
    session.program = ["node"];
    await gateway.start(signal());
    session.instead = () => Promise.reject(new Error("no such image"));
    session.children.at(-1)?.kill("SIGKILL");
    await until("its end is known", () => warnings.length > 0);
    await expect(dial(1, 3000)).rejects.toThrow("no such image");
  });

  it("is awaited by each caller for its own time", async () => {
    session.instead = (life) =>
      new Promise((_resolve, reject) => life.addEventListener("abort", () => reject(life.reason)));
    const abort = new AbortController();
    const waiting = gateway.start(abort.signal);
    await expect(dial(80, 200)).rejects.toMatchObject({ code: "ETIMEDOUT" });
    abort.abort(new Error("changed my mind"));
    await expect(waiting).rejects.toThrow("changed my mind");
    await expect(gateway.start(abort.signal)).rejects.toThrow("changed my mind");
    await gateway.close();
    await expect(gateway.start(signal())).rejects.toMatchObject({ code: "STACK_NOT_RUNNING" });
  });
});

describe("its listener on this machine", () => {
  it("refuses a connection without the secret, and survives invalid data", async () => {
    const link = await Link.open();
    try {
      const say = async (words: string): Promise<Buffer> => {
        const socket = connect({ host: HOST, port: link.port });
        socket.write(words);
        return buffer(socket).catch(() => Buffer.alloc(0));
      };
      for (const words of [
        "GET / HTTP/1.1\r\n\r\n",
        "control\n",
        `${"0".repeat(64)} control\n`,
        `${link.token} open 7\n`,
        "x".repeat(500),
      ])
        expect((await say(words)).length, words).toBe(0);
      await expect(link.dial(HOST, 1, 100)).rejects.toMatchObject({ code: "ECONNREFUSED" });
      const control = connect({ host: HOST, port: link.port });
      control.write(`${link.token} con`);
      control.write("trol\n");
      await link.ready;
      expect((await say(`${link.token} control\n`)).length).toBe(0);
      const asking = link.dial(HOST, 1, 60_000);
      expect(JSON.parse(String(await once(control, "data").then(([line]) => line)))).toMatchObject({
        host: HOST,
        port: 1,
        ms: 60_000,
      });
      control.destroy();
      await expect(asking).rejects.toMatchObject({ code: "ECONNRESET" });
    } finally {
      await link.close();
    }
  });

  it("gives up on a script that does not answer", async () => {
    const link = await Link.open();
    const control = connect({ host: HOST, port: link.port });
    control.write(`${link.token} control\n`);
    await link.ready;
    await expect(link.dial(HOST, 1, 100)).rejects.toMatchObject({ code: "ETIMEDOUT" });
    const abort = new AbortController();
    const asking = link.dial(HOST, 1, 5000, abort.signal);
    abort.abort(new Error("left"));
    await expect(asking).rejects.toThrow("left");
    await expect(link.dial(HOST, 1, 5000, abort.signal)).rejects.toThrow("left");
    control.destroy();
    await link.close();
  });
});
