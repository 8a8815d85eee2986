/** A session's private network: a bridge, a hosts file, and a helper that connects it to listeners outside. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EngineError } from "./errors.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const [NETWORK, FORWARD] = [join(HERE, "network.pl"), join(HERE, "forward.pl")];
const HOSTS_SIZE = 16_384;

export class Network {
  #names = new Map();
  #next = 1;
  #helpers = new Set();
  #servers = new Set();
  #opening;

  /** Nothing starts any more. */
  closed = false;

  constructor(folder) {
    this.folder = folder;
    this.hostsFile = join(folder, "hosts");
    this.#writeNames();
  }

  /** The bridge is created at its first use, so that sessions without containers work without namespaces. */
  open() {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** The process that holds the namespace identifies it. */
  async #open() {
    if (this.closed) throw new EngineError("the session has ended");
    const child = spawn("perl", [NETWORK], { stdio: ["ignore", "pipe", "inherit"] });
    this.#helpers.add(child);
    const [said] = await Promise.race([once(child.stdout, "data"), once(child, "exit").then(() => [""])]);
    if (!String(said).startsWith("up")) throw new Error("no network namespace could be made");
    this.holder = child.pid;
  }

  address() {
    this.#next += 1;
    return { index: this.#next, address: `10.87.${this.#next >> 8}.${this.#next & 255}` };
  }

  name(name, address) {
    if (address === null) this.#names.delete(name);
    else this.#names.set(name, address);
    this.#writeNames();
  }

  addressOf(name) {
    return this.#names.get(name);
  }

  /** Written in place, at one length and in one write, because containers hold the file and must not see half of it. */
  #writeNames() {
    const text = ["127.0.0.1 localhost", ...[...this.#names].map(([name, address]) => `${address} ${name}`), ""].join(
      "\n",
    );
    const file = openSync(this.hostsFile, process.platform === "linux" ? 0o102 : "w", 0o644);
    writeSync(file, text.padEnd(HOSTS_SIZE, "\n"), 0);
    closeSync(file);
  }

  /** `host.service`: an address in the session at which listeners of the host respond. */
  async hostService(host, ports) {
    await this.open();
    const { address } = this.address();
    const ways = [];
    for (const { frontend, backend } of ports) {
      const path = join(this.folder, `${address}-${frontend}.sock`);
      const server = createServer((inner) => join2(inner, connect({ host, port: backend })));
      await new Promise((resolve) => server.listen(path, resolve));
      this.#servers.add(server);
      ways.push({ listen: { host: address, port: frontend }, connect: { path } });
    }
    await this.#helper(`${address}/16`, ways);
    // Like the engine, connects once to see whether something listens.
    for (const { backend } of ports)
      connect({ host, port: backend }, function () {
        this.destroy();
      }).on("error", () => {});
    return address;
  }

  /**
   * `host.tunnel`: listens on every address of the host, like the engine, and accepts connections even when nothing
   * listens behind it. The service does not learn of closed connections.
   */
  async tunnel(address, ports) {
    const servers = [];
    const ways = [];
    const close = () => {
      for (const server of servers) {
        server.close();
        this.#servers.delete(server);
      }
    };
    for (const { frontend, backend } of ports) {
      const path = join(this.folder, `tunnel-${address}-${backend}-${servers.length}.sock`);
      rmSync(path, { force: true });
      const server = createServer({ allowHalfOpen: true }, (outer) => {
        const inner = connect({ path });
        outer.on("data", (chunk) => inner.writable && inner.write(chunk)).on("error", () => {});
        inner.pipe(outer);
        inner.on("error", () => {}).on("close", () => outer.destroy());
      });
      try {
        await new Promise((resolve, reject) => {
          server.once("error", reject);
          server.listen({ port: frontend ?? 0, exclusive: true }, resolve);
        });
      } catch (error) {
        close();
        const why = error.code === "EADDRINUSE" ? "address already in use" : error.message;
        throw new EngineError(
          `host to container: failed to receive listen response: rpc error: code = Unknown desc = listen tcp 0.0.0.0:${frontend}: bind: ${why}`,
        );
      }
      servers.push(server);
      this.#servers.add(server);
      ways.push({ listen: { path }, connect: { host: address, port: backend } });
    }
    const helper = await this.#helper("-", ways).catch((error) => {
      close();
      throw error;
    });
    return () => {
      close();
      helper.kill("SIGKILL");
      this.#helpers.delete(helper);
    };
  }

  async #helper(own, ways) {
    if (this.closed) throw new EngineError("the session has ended");
    const word = ({ path, host, port }) => path ?? `${host}:${port}`;
    const words = ways.flatMap(({ listen, connect }) => [word(listen), word(connect)]);
    const child = spawn("perl", [FORWARD, `/proc/${this.holder}/ns/net`, own, ...words], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#helpers.add(child);
    await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    return child;
  }

  close() {
    for (const server of this.#servers) server.close();
    for (const child of this.#helpers) child.kill("SIGKILL");
  }
}

function join2(one, other) {
  one.pipe(other).pipe(one);
  for (const [from, to] of [
    [one, other],
    [other, one],
  ]) {
    from.on("error", () => to.destroy());
    from.on("close", () => to.destroy());
  }
}
