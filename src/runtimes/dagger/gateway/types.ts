/**
 * Published ports on 127.0.0.1 only. Listeners of the server hold them; a small gateway service inside the session,
 * which connects to the server, opens the connections they need. The module depends only on the few operations of a
 * session that are declared here.
 */
import type { Duplex } from "node:stream";
import type { Limits, StackDefinition } from "../../../stack/definition/types.js";
import type { Endpoint, RuntimeNotice } from "../../../stack/runtime.js";

/** Specification of the gateway's service. Only the image comes from the user. */
export interface GatewayServiceSpec {
  image: string;
  /** Mounted read-only (mode 0444) at `path`. */
  script: { path: string; text: string };
  /** The complete command; it runs without the image's entrypoint. */
  args: string[];
  /** `uid:gid`. */
  user: string;
  /** Passed as Dagger secrets in the environment. */
  secretEnvironment: Record<string, string>;
  /** `host.service([{ frontend, backend }], { host: "127.0.0.1" })`, bound to the container under `hostname`. */
  host: { hostname: string; frontend: number; backend: number };
  limits: Limits;
}

export interface GatewayService {
  /** Settles when it has ended for any reason; never rejects. */
  readonly ended: Promise<{ reason: string }>;
  stop(): Promise<void>;
}

/** Operations of a session that the gateway uses. */
export interface GatewaySession {
  /** Starts the service; resolves when its process runs. Called again after the service has ended. */
  startGateway(spec: GatewayServiceSpec, signal: AbortSignal): Promise<GatewayService>;
}

export interface GatewayOptions {
  project: string;
  session: GatewaySession;
  /** Must have `node` 18 or later on its PATH. */
  image: string;
  /** Reports a warning as an event. */
  notice(notice: RuntimeNotice): void;
  /** Writes to the server's log. */
  warn(message: string): void;
}

export interface Gateway {
  /**
   * Holds every port that the definition publishes, in addition to those already held, and releases the ports that it
   * no longer publishes. From then on other processes cannot take them; connections are served while the gateway runs.
   * On failure nothing changes.
   * @throws PORT_IN_USE with every busy port and its service
   */
  reserve(definition: StackDefinition): Promise<void>;
  /** Published addresses. */
  endpoints(): Endpoint[];
  /** Host port of a published container port. */
  hostPort(service: string, containerPort: number): number | undefined;
  /**
   * Starts the gateway's service when it does not run yet; resolves when it has connected.
   * @throws RUNTIME_UNAVAILABLE
   */
  start(signal: AbortSignal): Promise<void>;
  /**
   * Opens a connection to `host:port` inside the session; starts the service when needed. Rejects with the system's
   * code (`ECONNREFUSED`, `ETIMEDOUT`, …).
   */
  dial(host: string, port: number, timeoutMs: number, signal?: AbortSignal): Promise<Duplex>;
  close(): Promise<void>;
}
