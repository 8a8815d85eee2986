/** Published ports of a stack, and connections for its health checks into the session. */

import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { StackwardenError } from "../../../errors.js";
import { callTo, hint } from "../../../hint.js";
import type { StackDefinition } from "../../../stack/definition/types.js";
import type { Endpoint } from "../../../stack/runtime.js";
import { raceAbort, timeoutSignal } from "../../../system/wait.js";
import { PortLedger } from "../../shared/port-ledger.js";
import { refusedConnections } from "../../shared/refused-connections.js";
import { publishedRequests } from "../stack/published-ports.js";
import { GATEWAY_PATH, GATEWAY_SCRIPT, TOKEN_VARIABLE } from "./gateway-script.js";
import { Link, systemError } from "./link.js";
import type { Gateway, GatewayOptions, GatewayService } from "./types.js";

/** Host name of the server inside the session. */
const HOSTNAME = "stackwarden-server";
const FRONTEND = 7070;
/** User id of `nobody` in common images; any unprivileged id works. */
const USER = "65534:65534";
const LIMITS = { cpus: 1, memory_mb: 160, pids: 64 };
/** Milliseconds for the running script to connect. */
const DIAL_IN_MS = 20_000;
const CONNECT_MS = 10_000;
/** Milliseconds before it is restarted after an unexpected exit; doubles each time. */
const AGAIN_MS = 1000;
const LONGEST_AGAIN_MS = 30_000;

/** Joins two connections: each direction ends separately, and an error on one side destroys the other. */
function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to);
    from.on("error", () => {});
    from.on("close", () => {
      if (!from.readableEnded || !from.writableFinished) to.resetAndDestroy();
    });
  }
}

interface Running {
  link: Link;
  service: GatewayService;
}

class SessionGateway implements Gateway {
  readonly #ledger: PortLedger;
  readonly #life = new AbortController();
  #starting: Promise<Running> | null = null;
  #running: Running | null = null;
  #again = AGAIN_MS;

  constructor(private readonly options: GatewayOptions) {
    this.#ledger = new PortLedger(publishedRequests, {
      project: options.project,
      serve: (socket, port) => void this.#serve(socket, port),
      refused: refusedConnections(
        (port) => this.#ledger.ownerOf(port)?.service,
        (service, message) => options.notice({ type: "warning", service, message }),
      ),
    });
  }

  reserve(definition: StackDefinition): Promise<void> {
    return this.#ledger.apply(definition);
  }

  endpoints(): Endpoint[] {
    return this.#ledger.endpoints();
  }

  hostPort(service: string, containerPort: number): number | undefined {
    return this.#ledger.hostPort(service, containerPort);
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#get(signal);
  }

  /** A start is shared, and continues when one of its callers aborts. */
  async #get(signal: AbortSignal): Promise<Running> {
    signal.throwIfAborted();
    this.#life.signal.throwIfAborted();
    if (this.#running !== null) return this.#running;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = null;
    });
    return raceAbort(this.#starting, signal);
  }

  async #start(): Promise<Running> {
    const { session, image } = this.options;
    const life = this.#life.signal;
    const link = await Link.open();
    let service: GatewayService | undefined;
    try {
      service = await session.startGateway(
        {
          image,
          script: { path: GATEWAY_PATH, text: GATEWAY_SCRIPT },
          args: ["node", GATEWAY_PATH, HOSTNAME, String(FRONTEND)],
          user: USER,
          secretEnvironment: { [TOKEN_VARIABLE]: link.token },
          host: { hostname: HOSTNAME, frontend: FRONTEND, backend: link.port },
          limits: LIMITS,
        },
        life,
      );
      const late = new AbortController();
      const reason = await Promise.race([
        link.ready.then(() => null),
        service.ended.then((ended) => `its service ended: ${ended.reason}`),
        delay(DIAL_IN_MS, `it did not dial in within ${DIAL_IN_MS / 1000} s`, { signal: late.signal, ref: false }),
      ]);
      late.abort();
      life.throwIfAborted();
      if (reason !== null)
        throw new StackwardenError("RUNTIME_UNAVAILABLE", `The gateway into the session did not start: ${reason}.`, {
          hint: `It runs from the image ${image}, which must have node 18 or later; the operator can name another one (gateway_image).`,
        });
    } catch (error) {
      await Promise.all([link.close(), service?.stop().catch(() => undefined)]);
      throw error;
    }
    const running = { link, service };
    this.#running = running;
    void service.ended.then(({ reason }) => this.#onEnd(running, reason));
    return running;
  }

  async #onEnd(running: Running, reason: string): Promise<void> {
    if (this.#running === running) this.#running = null;
    await running.link.close();
    if (this.#life.signal.aborted) return;
    this.options.warn(`The gateway into the session ended and is started again: ${reason}.`);
    const wait = this.#again;
    this.#again = Math.min(LONGEST_AGAIN_MS, wait * 2);
    await delay(wait, undefined, { signal: this.#life.signal, ref: false }).catch(() => {});
    if (this.#life.signal.aborted || this.endpoints().length === 0) return;
    await this.#get(this.#life.signal).catch((error: Error) => {
      if (!this.#life.signal.aborted) this.options.warn(error.message);
    });
  }

  async #serve(socket: Socket, port: number): Promise<void> {
    socket.on("error", () => {});
    const endpoint = this.endpoints().find(({ host_port }) => host_port === port);
    const link = this.#running?.link;
    if (endpoint === undefined || link === undefined) {
      socket.resetAndDestroy();
      return;
    }
    socket.setNoDelay(true);
    const disconnected = new AbortController();
    const leave = (): void => disconnected.abort();
    socket.once("close", leave);
    try {
      const inside = await link.dial(endpoint.service, endpoint.container_port, CONNECT_MS, disconnected.signal);
      socket.off("close", leave);
      if (socket.destroyed) inside.destroy();
      else join(socket, inside);
    } catch {
      // Closes the connection as if no service listened there.
      socket.resetAndDestroy();
    }
  }

  async dial(host: string, port: number, timeoutMs: number, signal?: AbortSignal): Promise<Duplex> {
    const late = timeoutSignal(timeoutMs);
    const begun = Date.now();
    const together = signal === undefined ? late : AbortSignal.any([signal, late]);
    try {
      const { link } = await this.#get(together);
      return await link.dial(host, port, Math.max(1, timeoutMs - (Date.now() - begun)), together);
    } catch (error) {
      if (late.aborted && !signal?.aborted) throw systemError("ETIMEDOUT", `${host}:${port}`);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#life.abort(
      new StackwardenError("STACK_NOT_RUNNING", "The stack was closed.", {
        hint: hint`Start it again with ${callTo("start_stack")}.`,
      }),
    );
    await this.#starting?.catch(() => undefined);
    const running = this.#running;
    this.#running = null;
    await Promise.all([this.#ledger.close(), running?.link.close(), running?.service.stop().catch(() => undefined)]);
  }
}

export const openGateway = (options: GatewayOptions): Gateway => new SessionGateway(options);
