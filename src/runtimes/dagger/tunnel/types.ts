/** What Dagger's own tunnels need of a session. */
export interface TunnelSpec {
  service: string;
  /** Of the service in the session. */
  id: string;
  ports: { frontend: number; backend: number }[];
}

export interface Tunnel {
  /** Ends the tunnel, and what it may have started behind itself. Never rejects; settles within seconds. */
  stop(): Promise<void>;
}

/**
 * Resolves when it listens. On failure nothing of it is left.
 * @throws PORT_IN_USE, RUNTIME_UNAVAILABLE, SERVICE_START_FAILED, the signal's reason
 */
export type OpenTunnel = (spec: TunnelSpec, signal: AbortSignal) => Promise<Tunnel>;
