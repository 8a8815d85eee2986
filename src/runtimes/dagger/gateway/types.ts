/**
 * Published ports on 127.0.0.1 only. Our own listeners hold them; a small gateway service inside the session, which
 * dials out to us, opens what they need. Generic over the few things it needs of a session.
 */
import type { Duplex } from "node:stream";
import type { Limits, StackDefinition } from "../../../stack/definition/types.js";
import type { Endpoint } from "../../../stack/runtime.js";

/** How the gateway's service is to be made. Every value is ours, none is a user's but the image. */
export interface GatewayServiceSpec {
  image: string;
  /** Mounted read-only (mode 0444) at `path`. */
  script: { path: string; text: string };
  /** The whole command; runs without the image's entrypoint. */
  args: string[];
  /** `uid:gid`. */
  user: string;
  /** To be given as Dagger secrets in the environment. */
  secretEnvironment: Record<string, string>;
  /** `host.service([{ frontend, backend }], { host: "127.0.0.1" })`, bound to the container under `hostname`. */
  host: { hostname: string; frontend: number; backend: number };
  limits: Limits;
}

export interface GatewayService {
  /** Settles once it has ended for whatever reason; never rejects. */
  readonly ended: Promise<{ reason: string }>;
  stop(): Promise<void>;
}

/** What a session does for the gateway. */
export interface GatewaySession {
  /** Starts the service; resolves when its process runs. Called again when it ended. */
  startGateway(spec: GatewayServiceSpec, signal: AbortSignal): Promise<GatewayService>;
}

export interface GatewayOptions {
  session: GatewaySession;
  /** Must have `node` 18 or later on its PATH. */
  image: string;
  warn(message: string): void;
}

export interface Gateway {
  /**
   * Holds every port that the definition publishes, beside what is held already, and lets go of what it no longer
   * publishes. From then on other processes cannot take them; connections are served while the gateway runs.
   * @throws PORT_IN_USE naming every busy port and its service; nothing is changed then
   */
  reserve(definition: StackDefinition): Promise<void>;
  /** Published addresses. */
  endpoints(): Endpoint[];
  /** Of a published container port. */
  hostPort(service: string, containerPort: number): number | undefined;
  /** Starts the gateway's service when it does not run yet; resolves when it has dialled in. @throws RUNTIME_UNAVAILABLE */
  start(signal: AbortSignal): Promise<void>;
  /** Opens a connection to `host:port` inside the session; starts the service when needed. Rejects with the system's code (`ECONNREFUSED`, `ETIMEDOUT`, …). */
  dial(host: string, port: number, timeoutMs: number, signal?: AbortSignal): Promise<Duplex>;
  close(): Promise<void>;
}
