/** The operations of a session that Dagger's own tunnels need. */
export interface TunnelSpec {
  service: string;
  /** Id of the service in the session. */
  id: string;
  ports: { frontend: number; backend: number }[];
}

export interface Tunnel {
  /** Ends the tunnel, and any container that it has started. Never rejects; settles within seconds. */
  stop(): Promise<void>;
}

/**
 * Resolves when it listens. On failure no tunnel is left.
 * @throws PORT_IN_USE, RUNTIME_UNAVAILABLE, SERVICE_START_FAILED, the signal's reason
 */
export type OpenTunnel = (spec: TunnelSpec, signal: AbortSignal) => Promise<Tunnel>;
