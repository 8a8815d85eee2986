/** Listening addresses, authentication on each of them, and shutdown of the HTTP server. */
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openHttpServer } from "../../src/http/server.js";
import { httpSocket } from "../../src/http/socket-path.js";
import { TokenStore } from "../../src/http/tokens.js";
import { httpFixture } from "../support/http-fixture.js";
import { recordingLogger } from "../support/mcp-client.js";
import { scriptedManager } from "../support/scripted-manager.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stackwarden-door-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const until = async (happened: () => boolean | Promise<boolean>): Promise<void> => {
  for (const end = Date.now() + 20_000; !(await happened()); ) {
    if (Date.now() > end) throw new Error("It did not happen within 20 s.");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** A followed log without further lines. */
const neverMore = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(new Error("gone")), { once: true }));

describe("Unix socket", () => {
  it("the socket has mode 0600 and requires no token, and a token that is sent applies", async () => {
    const http = await httpFixture();
    try {
      expect(statSync(http.socket).mode & 0o777).toBe(0o600);
      const path = "/api/v1/projects/shop/stop";
      const sent = { method: "POST", body: {}, overSocket: true };
      expect((await http.send(path, { ...sent, token: null })).status).toBe(200);
      expect(http.manager.calls.at(-1)?.actor).toBe("rest#local");
      expect((await http.send(path, { ...sent, token: http.read })).status).toBe(403);
      expect((await http.send(path, { ...sent, token: "wrong" })).status).toBe(401);
      expect((await http.send(path, { ...sent, token: null, headers: { host: "evil.example" } })).status).toBe(403);
      expect((await http.send(path, { ...sent, token: null, headers: { origin: "http://evil.example" } })).status).toBe(
        403,
      );
    } finally {
      await http.close();
    }
    expect(existsSync(http.socket)).toBe(false);
  });

  it("a socket of a dead server is replaced, and one in use or another file is refused", async () => {
    const http = await httpFixture();
    const options = {
      address: null,
      getManager: async () => scriptedManager(),
      tokens: http.tokens,
      version: "1",
      logger: recordingLogger(),
      createMcpHandler: () => ({
        sessions: 0,
        handle: async () => undefined,
        endSessions: async () => undefined,
        endStreams: () => undefined,
        close: async () => undefined,
      }),
    };
    try {
      await expect(openHttpServer({ ...options, socket: http.socket })).rejects.toMatchObject({
        code: "STORAGE_FAILED",
      });
      expect((await http.send("/healthz", { overSocket: true })).status).toBe(200);
      // The socket file of a server that has ended.
      const stale = join(folder, "stale.sock");
      const dead = createServer();
      await new Promise<void>((resolve) => dead.listen(join(folder, "first.sock"), resolve));
      renameSync(join(folder, "first.sock"), stale);
      await new Promise((resolve) => dead.close(resolve));
      expect(statSync(stale).isSocket()).toBe(true);
      const door = await openHttpServer({ ...options, socket: stale });
      expect(door.url).toBeNull();
      await door.close();
      await door.close();
      const notes = join(folder, "notes.txt");
      writeFileSync(notes, "precious");
      await expect(openHttpServer({ ...options, socket: notes })).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining("not a socket"),
      });
      expect(readFileSync(notes, "utf8")).toBe("precious");
    } finally {
      await http.close();
    }
  });

  it("the socket is in a folder of mode 0700, also for a long state directory path", async () => {
    const short = await httpSocket(join(folder, "s"));
    const long = await httpSocket(join(folder, "l".repeat(100)));
    expect(short).toBe(join(folder, "s", "http", "http.sock"));
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(103);
    for (const path of [short, long]) expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700);
  });
});

describe("address", () => {
  const open = async (address: { host?: string; port: number; insecureBind?: true }) => {
    const state = join(folder, "state");
    const tokens = await TokenStore.open(state);
    const { createMcpHttpHandler } = await import("../../src/mcp/http.js");
    const logger = recordingLogger();
    const door = await openHttpServer({
      address,
      socket: null,
      getManager: async () => scriptedManager(),
      tokens,
      version: "1.2.3",
      logger,
      createMcpHandler: (given) => createMcpHttpHandler({ ...given, version: "1.2.3", logger }),
    });
    return door;
  };

  it.each(["0.0.0.0", "::", "192.0.2.1", "stack.example"])("the address %s is refused without TLS", async (host) => {
    await expect(open({ host, port: 0 })).rejects.toMatchObject({
      code: "INVALID_INPUT",
      hint: expect.stringContaining("--insecure-bind"),
    });
  });

  it.each([
    [{ port: 65_536 }, "--port"],
    [{ port: -1 }, "--port"],
    [{ port: 1.5 }, "--port"],
    [{ port: 0, host: "" }, "--host"],
    [{ port: 0, host: "192.0.2.1", insecureBind: true as const }, "--host"],
  ])("the address %j is refused as invalid input", async (address, option) => {
    await expect(open(address)).rejects.toMatchObject({
      code: "INVALID_INPUT",
      hint: expect.stringContaining(option),
    });
  });

  it("the address of every interface requires --insecure-bind", async () => {
    const door = await open({ host: "0.0.0.0", port: 0, insecureBind: true });
    await door.close();
  });

  it("a port in use is refused with PORT_IN_USE", async () => {
    const http = await httpFixture();
    try {
      await expect(open({ port: http.port })).rejects.toMatchObject({ code: "PORT_IN_USE" });
    } finally {
      await http.close();
    }
  });
});

describe("tokens of a running server", () => {
  it("a changed token applies at once, and streams of the old one end", async () => {
    const plain = scriptedManager();
    const http = await httpFixture({
      manager: scriptedManager({
        logs: async (request) => {
          if (request.query.waitMs) await neverMore(request.query.signal);
          return plain.logs(request);
        },
      }),
    });
    try {
      const other = await TokenStore.open(join(http.folder, "state"));
      const stream = await fetch(`${http.url}/api/v1/projects/shop/logs/backend?follow=true`, {
        headers: { authorization: `Bearer ${http.read}` },
      });
      const cut = stream.text().then(
        () => "ended",
        () => "cut",
      );
      const { token, scope } = await other.rotate("reader");
      expect(scope).toBe("read");
      expect((await http.send("/api/v1/projects", { token })).status).toBe(200);
      expect((await http.send("/api/v1/projects", { token: http.read })).status).toBe(401);
      expect(await cut).toBe("cut");
      await other.remove("reader");
      expect((await http.send("/api/v1/projects", { token })).status).toBe(401);
      await other.add("late", "read").then(async (late) => {
        expect((await http.send("/api/v1/projects", { token: late })).status).toBe(200);
      });
      await expect(other.rotate("nobody")).rejects.toMatchObject({ code: "INVALID_INPUT" });
      writeFileSync(join(http.folder, "state", "tokens.json"), "[");
      expect((await http.send("/api/v1/projects")).status).toBe(200);
      expect(http.logger.lines.some(({ level }) => level === "error")).toBe(true);
      rmSync(join(http.folder, "state", "tokens.json"));
      expect((await http.send("/api/v1/projects")).status).toBe(401);
    } finally {
      await http.close();
    }
  });

  it("tokens that cannot be stored fail with STORAGE_FAILED", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    await expect(TokenStore.open(join(file, "state"))).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      hint: expect.stringContaining("STACKWARDEN_STATE_DIR"),
    });
  });

  it("tokens that several processes add at the same time are all kept", async () => {
    const state = join(folder, "busy");
    const stores = await Promise.all(Array.from({ length: 8 }, () => TokenStore.open(state)));
    await Promise.all(stores.map((store, i) => store.add(`t${i}`, "read")));
    const names = (await TokenStore.open(state)).list().map(({ name }) => name);
    expect(names.sort()).toEqual(["default", ...stores.map((_, i) => `t${i}`)]);
  });
});

describe("close", () => {
  it("close lets a call in progress finish, refuses new ones and ends streams", async () => {
    let finish: () => void = () => undefined;
    const waits = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const plain = scriptedManager();
    const manager = scriptedManager({
      stop: async (request, call) => {
        await waits;
        return plain.stop(request, call);
      },
      logs: async (request) => {
        if (request.query.waitMs) await neverMore(request.query.signal);
        return plain.logs(request);
      },
    });
    const http = await httpFixture({ manager });
    const kept = connect(http.port, "127.0.0.1");
    await new Promise((resolve) => kept.once("connect", resolve));
    const idle = new Promise((resolve) => kept.once("close", resolve));
    const stream = await fetch(`${http.url}/api/v1/projects/shop/logs/backend?follow=true`, {
      headers: { authorization: `Bearer ${http.operate}` },
    });
    const streamed = stream.text();
    const answer = http.send("/api/v1/projects/shop/stop", { method: "POST", body: {} });
    await until(() => manager.calls.some(({ method }) => method === "stop"));
    const closed = http.door.close(30_000);
    expect(await streamed).toContain("event: line");
    await expect(http.send("/healthz")).rejects.toThrow();
    finish();
    expect((await answer).status).toBe(200);
    await closed;
    await idle;
    await http.close();
  });

  it("close ends a call that does not finish within the deadline", async () => {
    const manager = scriptedManager({ stop: () => new Promise(() => undefined) });
    const http = await httpFixture({ manager });
    const answer = http.send("/api/v1/projects/shop/stop", { method: "POST", body: {} }).then(
      () => "answered",
      () => "cut",
    );
    await until(() => manager.calls.length > 0);
    await http.door.close(50);
    expect(await answer).toBe("cut");
    await http.close();
  });
});
