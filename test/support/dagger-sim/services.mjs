/** Services of a session: one running instance for each definition, with its telemetry. */
import { setTimeout as delay } from "node:timers/promises";
import { EngineError } from "./errors.mjs";
import { runContainer } from "./running.mjs";

const CHECK_MS = 900_000;

const digestOf = (service) => JSON.stringify(service);

export class Services {
  #running = new Map();
  #origins = new Map();

  constructor(session) {
    this.session = session;
  }

  /** The call that created the service; the service's output belongs to its span. */
  madeBy(service, span) {
    const digest = digestOf(service);
    if (!this.#origins.has(digest)) this.#origins.set(digest, { traceId: span.traceId, spanId: span.spanId });
  }

  of(service) {
    return this.#running.get(digestOf(service));
  }

  async start(service, parent) {
    const digest = digestOf(service);
    const present = this.#running.get(digest);
    if (present !== undefined) {
      await present.ready;
      return;
    }
    const entry = { stopping: false, bound: new Set() };
    this.#running.set(digest, entry);
    entry.gone = new Promise((resolve) => {
      entry.tellGone = resolve;
    });
    entry.ready = this.#start(service, digest, entry, parent).catch((error) => {
      if (this.#running.get(digest) === entry) this.#running.delete(digest);
      entry.tellGone();
      throw error;
    });
    await entry.ready;
  }

  /** Starts the services to which a container is bound, and adds their names. */
  async bind(container, entry, parent) {
    for (const { alias, service } of container.bindings) {
      await this.start(service, parent);
      const other = this.of(service);
      other.bound.add(entry);
      this.session.network.name(alias, other.address ?? other.container.address);
    }
  }

  async #start(service, digest, entry, parent) {
    const { session } = this;
    if (service.kind === "host") {
      entry.address = await session.network.hostService(service.host, service.ports);
      return;
    }
    if (service.kind === "tunnel") {
      const { slowMs, times } = session.engine.faults().tunnel ?? {};
      if (slowMs !== undefined && session.engine.take("tunnel", times)) await delay(slowMs);
      // An upstream that has ended starts again, and then ends with its tunnel.
      const again = this.of(service.upstream) === undefined;
      await this.start(service.upstream, parent);
      const { container } = this.of(service.upstream) ?? {};
      if (container === undefined) throw new EngineError("start upstream: it has ended");
      const ports =
        service.ports.length > 0
          ? service.ports
          : service.upstream.container.ports.map(({ port }) => ({ backend: port }));
      const close = await session.network.tunnel(container.address, ports);
      entry.stop = async () => {
        close();
        if (this.#running.get(digest) === entry) this.#running.delete(digest);
        if (again) await this.stop(service.upstream, false);
        entry.tellGone();
      };
      // Like the engine's tunnel, it ends with the service behind it.
      void container.exited.then(entry.stop);
      return;
    }
    const { container, args } = service;
    const fault = session.engine.faults().start?.[service.hostname] ?? {};
    const origin = this.#origins.get(digest) ?? parent;
    await this.bind(container, entry, parent);
    if (fault.error !== undefined && session.engine.take(`start-${service.hostname}`, fault.times))
      throw new EngineError(fault.error);
    if (fault.slowMs !== undefined) await delay(fault.slowMs);
    const span = session.telemetry.span(parent, `exec ${args.join(" ")}`, { links: [origin] });
    const waits = container.ports.some(({ skip }) => !skip);
    let running;
    try {
      running = await runContainer(session, container, {
        args,
        noInit: service.noInit,
        hostname: service.hostname,
        output: (stream, chunk) => session.telemetry.output(origin, stream, chunk),
        eof: (stream) => session.telemetry.eof(origin, stream),
      });
    } catch (error) {
      // No process was created: without a port to wait for, the start ended before that was known.
      span.end(error.message);
      this.#running.delete(digest);
      entry.tellGone();
      if (waits) throw new EngineError(error.message);
      return;
    }
    entry.container = running;
    const ended = running.exited.then(({ code }) => {
      if (this.#running.get(digest) === entry) this.#running.delete(digest);
      span.event("Container exited", [{ key: "exit.code", value: { intValue: String(code) } }]);
      span.end(code !== 0 && !entry.stopping ? `exit code: ${code}` : "");
      entry.tellGone();
      // Bound services end a little later.
      setTimeout(() => {
        for (const bound of entry.bound) bound.container?.kill("SIGKILL");
      }, 600).unref();
      return code;
    });
    entry.stop = async (kill) => {
      entry.stopping = true;
      running.kill(kill ? "SIGKILL" : "SIGTERM");
      await ended;
    };
    if (fault.hangs) await Promise.race([ended, new Promise(() => {})]);
    if (!waits) {
      await Promise.race([running.started, ended]);
      return;
    }
    const checked = running.started.then((started) =>
      started ? this.#checked(container, running.address, ended) : ended,
    );
    const result = await Promise.race([checked, ended.then((code) => ({ code }))]);
    const code = typeof result === "number" ? result : result?.code;
    if (code === undefined) return;
    if (code === 0) throw new EngineError("service exited before healthcheck");
    throw new EngineError(`exit code: ${code}`, {
      _type: "EXEC_ERROR",
      cmd: args,
      exitCode: code,
      stdout: running.kept[1],
      stderr: running.kept[2],
    });
  }

  /** Waits until every exposed port accepts connections. */
  async #checked(container, address, ended) {
    let over = false;
    void ended.then(() => {
      over = true;
    });
    const deadline = Date.now() + CHECK_MS;
    for (const { port, skip } of container.ports) {
      while (!skip && !over && Date.now() < deadline && !(await this.session.accepts(address, port))) await delay(100);
    }
    return undefined;
  }

  async stop(service, kill) {
    const entry = this.of(service);
    if (entry === undefined) return;
    // Like the engine, a stop waits for the start, even one with SIGKILL.
    await entry.ready.catch(() => {});
    await entry.stop?.(kill);
    await entry.gone;
  }

  endAll() {
    for (const { container } of this.#running.values()) container?.kill("SIGKILL");
    return Promise.all([...this.#running.values()].map(({ container }) => container?.exited));
  }
}
