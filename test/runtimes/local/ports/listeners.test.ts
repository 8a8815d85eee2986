import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  listeners,
  listenersOn,
  parseListeners,
  recentListeners,
  recentListenersOf,
} from "../../../../src/runtimes/local/ports/listeners.js";
import { freePort } from "../../contract/bench.js";
import { tempDir } from "../support/fixture.js";

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const row = (local: string, state = "0A", uid = 71_000) =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 ${uid} 0 1 1 0 100 0 0 10 0`;

describe("socket tables of the kernel", () => {
  it("parseListeners reads the port, owner and addresses of each listening socket", () => {
    const table = [
      HEAD,
      row("0100007F:1F90"),
      row("00000000:0050", "0A", 0),
      row("0100007F:1F91", "01"),
      row("00000000000000000000000001000000:1538"),
      row("0000000000000000FFFF00000100007F:1539"),
      row("00000000000000000000000000000000:153A"),
      "",
    ].join("\n");
    expect(parseListeners(table)).toEqual([
      { port: 8080, uid: 71_000, loopback: true, answersLoopback: true },
      { port: 80, uid: 0, loopback: false, answersLoopback: true },
      { port: 5432, uid: 71_000, loopback: true, answersLoopback: false },
      { port: 5433, uid: 71_000, loopback: true, answersLoopback: true },
      { port: 5434, uid: 71_000, loopback: false, answersLoopback: true },
    ]);
    expect(parseListeners("")).toEqual([]);
  });

  it("listeners reads only tables that exist and have sockets, and returns null without any table", async () => {
    const dir = tempDir();
    const net = join(dir.path, "net");
    expect(await listeners(net)).toBeNull();
    mkdirSync(net);
    writeFileSync(join(net, "tcp"), `${HEAD}\n${row("0100007F:1F90")}\n`);
    expect(await listeners(net)).toEqual([{ port: 8080, uid: 71_000, loopback: true, answersLoopback: true }]);
    writeFileSync(join(net, "tcp6"), `${HEAD}\n${row("00000000000000000000000001000000:1538")}\n`);
    expect((await listeners(net))?.map(({ port }) => port)).toEqual([8080, 5432]);
    writeFileSync(join(net, "sockstat6"), "TCP6: inuse 1\nUDP6: inuse 0\n");
    expect((await listeners(net))?.map(({ port }) => port)).toEqual([8080, 5432]);
    writeFileSync(join(net, "sockstat6"), "TCP6: inuse 0\nUDP6: inuse 1\n");
    expect((await listeners(net))?.map(({ port }) => port)).toEqual([8080]);
    expect(await listenersOn(8081, () => listeners(net))).toEqual([]);
    writeFileSync(join(net, "sockstat"), "sockets: used 9\nTCP: inuse 0 orphan 0 tw 0 alloc 9 mem 0\n");
    expect(await listeners(net)).toEqual([]);
    dir.remove();
  });
});

describe("listenersOn", () => {
  const open: Server[] = [];
  const listen = (host: string) =>
    new Promise<number>((resolve) => {
      const server = createServer((socket) => socket.destroy()).listen(0, host, () => {
        resolve((server.address() as { port: number }).port);
      });
      open.push(server);
    });
  afterEach(() => Promise.all(open.splice(0).map((server) => new Promise((resolve) => server.close(resolve)))));

  it("listenersOn reports a real socket with its owner and whether it is on loopback only", async () => {
    const [near, far] = [await listen("127.0.0.1"), await listen("0.0.0.0")];
    const uid = process.getuid?.() ?? null;
    expect(await listenersOn(near)).toEqual([{ port: near, uid, loopback: true, answersLoopback: true }]);
    expect(await listenersOn(far)).toEqual([{ port: far, uid, loopback: false, answersLoopback: true }]);
    expect(await listenersOn(await freePort())).toEqual([]);
  });

  it("recentListeners sees a socket open and close although it caches the tables", async () => {
    for (let round = 0; round < 5; round++) {
      const port = await listen("127.0.0.1");
      // Another program may close a socket at the same time, which keeps the number of sockets equal.
      await expect.poll(() => listenersOn(port, recentListeners), { timeout: 5000 }).toMatchObject([{ port }]);
      await Promise.all(open.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
      await expect.poll(() => listenersOn(port, recentListeners), { timeout: 5000 }).toEqual([]);
    }
  });

  it("recentListenersOf reads the tables of a network namespace only when its number of sockets changed", async () => {
    const dir = tempDir();
    const table = (port: string) => writeFileSync(join(dir.path, "tcp"), `${HEAD}\n${row(`0100007F:${port}`)}\n`);
    const count = (sockets: number) =>
      writeFileSync(join(dir.path, "sockstat"), `TCP: inuse ${sockets} orphan 0 tw 0 alloc 1 mem 0\n`);
    const look = recentListenersOf(() => dir.path);
    const ports = async () => (await look())?.map(({ port }) => port);
    table("1F90");
    count(1);
    expect(await ports()).toEqual([8080]);
    table("1F91");
    expect(await ports()).toEqual([8080]);
    count(2);
    expect(await ports()).toEqual([8081]);
    table("1F92");
    await expect.poll(ports, { timeout: 5000 }).toEqual([8082]);
    // A kernel that does not count them.
    rmSync(join(dir.path, "sockstat"));
    for (const [port, number] of [
      ["1F93", 8083],
      ["1F94", 8084],
    ] as const) {
      table(port);
      expect(await ports()).toEqual([number]);
    }
    dir.remove();
  });

  it("listenersOn connects to the port where no socket table exists", async () => {
    const port = await listen("127.0.0.1");
    expect(await listenersOn(port, () => listeners("/nonexistent"))).toEqual([
      { port, uid: null, loopback: true, answersLoopback: true },
    ]);
    expect(await listenersOn(await freePort(), () => listeners("/nonexistent"))).toEqual([]);
  });
});
