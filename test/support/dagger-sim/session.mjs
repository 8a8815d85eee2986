/** A session: its objects, secrets, network and services, and the port on which it accepts queries. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { EngineError } from "./errors.mjs";
import { execute } from "./graphql.mjs";
import { Names, randomHex } from "./names.mjs";
import { Network } from "./network.mjs";
import { Services } from "./services.mjs";
import { parentOf, Telemetry } from "./telemetry.mjs";
import { Trees } from "./trees.mjs";
import { EFFECTS, GIVES_ID, OBJECTS, types } from "./types.mjs";

/** A call as telemetry reports it: with its arguments, except sensitive ones. */
function told(name, args) {
  const { plaintext, ...others } = args;
  return Buffer.from(JSON.stringify([name, plaintext === undefined ? args : { ...others, plaintext: "***" }])).toString(
    "base64",
  );
}

export class Session {
  secrets = new Map();
  commands = new Set();
  closed = false;
  #names = new Names();
  #objects = new Map();
  #known = new Map();

  #closing;

  /** @param {(text: string) => void} printError */
  constructor(engine, printError) {
    this.engine = engine;
    this.printError = printError;
    this.folder = mkdtempSync(join(engine.part("sessions"), "s-"));
    chmodSync(this.folder, 0o755);
    this.token = randomHex(16);
    this.trees = new Trees(join(this.folder, "trees"));
    this.network = new Network(this.folder);
    this.services = new Services(this);
    this.telemetry = new Telemetry(engine);
  }

  secret(name) {
    if (!this.secrets.has(name)) throw new EngineError(`secret ${name} not found`);
    return this.secrets.get(name);
  }

  made(service, span) {
    this.services.madeBy(service, span);
    return service;
  }

  id(object) {
    const id = this.#names.of(JSON.stringify(object));
    this.#objects.set(id, object);
    return `${object.type}:${id}`;
  }

  byId(id) {
    const object = this.#objects.get(id.split(":").at(-1));
    if (object === undefined) throw new EngineError(`cannot load unknown id ${id.slice(0, 80)}`);
    return object;
  }

  /** Whether a connection from the session's network is accepted there. */
  async accepts(address, port) {
    const { spawn } = await import("node:child_process");
    const probe = `use IO::Socket::INET; exit(IO::Socket::INET->new(PeerAddr=>'${address}',PeerPort=>${Number(port)},Timeout=>1)?0:1)`;
    const child = spawn("nsenter", [`--net=/proc/${this.network.holder}/ns/net`, "perl", "-e", probe], {
      stdio: "ignore",
    });
    return new Promise((resolve) =>
      child.once("exit", (code) => resolve(code === 0)).once("error", () => resolve(false)),
    );
  }

  async #field(parent, object, name, args) {
    if (name === "id") return this.id(object);
    if (name === "__typename") return object.type;
    if (object.type === "Query" && /^load\w+FromID$/.test(name)) return this.byId(args.id);
    const field = types[object.type]?.[name];
    if (field === undefined) throw new EngineError(`Cannot query field "${name}" on type "${object.type}".`);
    const call = told(name, args);
    for (const key of Object.keys(args)) {
      if (!OBJECTS.has(key) || args[key] === null) continue;
      args[key] = Array.isArray(args[key]) ? args[key].map((id) => this.byId(id)) : this.byId(args[key]);
    }
    const key = JSON.stringify([object, name, args]);
    const run = async () => {
      const label = object.type === "Query" ? name : `${object.type}.${name}`;
      const attributes = [{ key: "dagger.io/dag.call", value: { stringValue: call } }];
      const span = this.telemetry.span(parent, label, { scope: "dagger.io/dagql", attributes });
      try {
        const value = await field({ session: this, parent: span, span }, object, args);
        span.end();
        return value;
      } catch (error) {
        span.end(error.message);
        this.#known.delete(key);
        throw error;
      }
    };
    const value = EFFECTS.has(name) || args.noCache ? await run() : await this.#once(key, run);
    return GIVES_ID.has(name) ? this.id(value) : value;
  }

  /** Results of evaluated fields, which are not evaluated again: the engine's cache within a session. */
  #once(key, run) {
    const known = this.#known.get(key) ?? run();
    this.#known.set(key, known);
    return known;
  }

  async #query(request, response) {
    const { http, unanswered, dead, hung } = this.engine.faults();
    // Accepts the request and never responds, as an engine that is stopped by SIGSTOP does.
    if (hung) return;
    if (dead) this.telemetry.breakOff();
    if (dead || (unanswered !== undefined && this.engine.take("unanswered", unanswered))) return response.destroy();
    if (http !== undefined && this.engine.take("http", http.times)) {
      return response.writeHead(http.status, { "content-type": "text/plain" }).end(http.body ?? "");
    }
    const parent = parentOf(request.headers.traceparent);
    const { query } = JSON.parse(await text(request));
    let answer;
    try {
      answer = {
        data: await execute(query, { type: "Query" }, (object, name, args) => this.#field(parent, object, name, args)),
      };
    } catch (error) {
      const message = `${error.message} [traceparent:00-${parent.traceId}-${parent.spanId || "0000000000000001"}-01]`;
      answer = { data: null, errors: [{ message, extensions: error.extensions ?? {} }] };
    }
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  async open() {
    const wanted = `Basic ${Buffer.from(`${this.token}:`).toString("base64")}`;
    this.server = createServer((request, response) => {
      if (request.headers.authorization !== wanted) return response.writeHead(401).end("unauthorized");
      const streams = { "/v1/logs": "logs", "/v1/traces": "spans" };
      const kind = streams[request.url];
      const answering =
        kind !== undefined
          ? this.telemetry.serve(kind, request, response)
          : request.url === "/query"
            ? this.#query(request, response)
            : response.writeHead(404).end();
      Promise.resolve(answering).catch((error) => {
        this.printError(`${error.stack}\n`);
        response.destroy();
      });
    });
    this.server.requestTimeout = 0;
    // Like the engine, keeps idle connections open: a request on one that is just being closed fails.
    this.server.keepAliveTimeout = 0;
    await new Promise((resolve) => this.server.listen({ host: "127.0.0.1", port: 0 }, resolve));
    return this.server.address().port;
  }

  /** As the end of its process does: closes the port and every connection. */
  disconnect() {
    this.server?.close();
    this.server?.closeAllConnections();
  }

  /** As at the end of a client: kills everything and completes the streams. */
  close() {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close() {
    this.closed = true;
    this.network.closed = true;
    for (const command of this.commands) command.kill("SIGKILL");
    await Promise.all([this.services.endAll(), ...[...this.commands].map(({ exited }) => exited)]);
    this.telemetry.end();
    this.disconnect();
    this.network.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

export const reachable = (path) =>
  new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
