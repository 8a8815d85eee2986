/** The gateway with its real script, which runs as a process beside the test instead of in a session. */
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

/** Every name of the simulated session resolves to loopback, so that each service has a separate port. */
const HOST = "127.0.0.1";

class Session implements GatewaySession {
  readonly specs: GatewayServiceSpec[] = [];
  readonly children: ChildProcess[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), "gateway-"));
  /** Replaces the start of the gateway. */
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
  gateway = openGateway({
    project: "test",
    notice: () => undefined,
    session,
    image: "node:20-alpine",
    warn: (message) => warnings.push(message),
  });
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

describe("a connection into the session", () => {
  it("a connection carries bytes in both directions and supports half-close", async () => {
    const port = await serve((socket) => {
      let received = "";
      socket.on("data", (chunk) => {
        received += chunk;
      });
      socket.on("end", () => socket.end(`received ${received}`));
    });
    const connection = await dial(port);
    connection.write("one ");
    connection.end("two");
    expect(await text(connection)).toBe("received one two");
  });

  it("concurrent connections carry large data completely and separately", async () => {
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

  it("data that the server sends first arrives at once", async () => {
    const port = await serve((socket) => socket.end("greeting"));
    expect(await text(await dial(port))).toBe("greeting");
  });

  it("data arrives at a client that only listens for events", async () => {
    const port = await serve((socket) => socket.once("data", () => socket.end("answer")));
    const socket = await dial(port);
    const received = new Promise((resolve) => socket.once("data", (chunk: Buffer) => resolve(chunk.toString())));
    socket.write("question");
    expect(await received).toBe("answer");
    socket.destroy();
  });

  it("a failed connection is rejected with the system's error code", async () => {
    await gateway.start(signal());
    await expect(dial(await freePort())).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect(gateway.dial("no-such-name.invalid", 80, 5000)).rejects.toMatchObject({
      code: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/),
    });
    // An address for documentation: connections to it time out or are unreachable.
    await expect(gateway.dial("192.0.2.1", 80, 300)).rejects.toMatchObject({
      code: expect.stringMatching(/^E[A-Z]+$/),
    });
  });

  it("a connection is cancelled with its signal", async () => {
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

  it("a broken connection ends on both sides", async () => {
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
  it("a published port leads to its service on 127.0.0.1, and is held from reserve() until close()", async () => {
    const [inner, outer] = [await serve((socket) => socket.end("the service")), await freePort()];
    // The service's name must be one that this machine resolves.
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

  it("a reservation with a port in use names that port and changes nothing", async () => {
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

  it("a published port resets connections while its service does not listen, and stays published", async () => {
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

  it("a port that is no longer published closes its open connections", async () => {
    const [inner, outer] = [await serve((socket) => socket.write("hello")), await freePort()];
    await gateway.reserve(bench.definition([publishes("localhost", inner, outer)]));
    await gateway.start(signal());
    const socket = connect({ host: HOST, port: outer });
    socket.on("error", () => {});
    expect(String(await once(socket, "data"))).toBe("hello");
    await gateway.reserve(bench.definition([]));
    await until("the connection is closed", () => socket.destroyed);
    await closeServer(await listen(outer));
  });
});

describe("the service of the gateway", () => {
  it("the gateway is limited and not root, and its secret is in no argument", async () => {
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

  it("a gateway that ends is started again, with a warning", async () => {
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

  it("a gateway that cannot start is reported with its image, and the next start can succeed", async () => {
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

  it("each caller waits for the gateway only until its own deadline", async () => {
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

describe("Link", () => {
  it("a link closes connections without the secret and withstands invalid data", async () => {
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

  it("a request to a script that does not answer ends at its deadline or with its signal", async () => {
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
