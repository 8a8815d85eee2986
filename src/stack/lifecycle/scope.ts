/** The conditions of one change of a stack. */
export interface Scope {
  /** Ends the change. */
  signal: AbortSignal;
  /** The client that requested the change. Events name it. */
  actor: string;
  /** Receives each phase of a service's start. */
  progress(service: string, message: string): void;
}

/** Conditions of stopping services. */
export interface StopScope {
  actor: string;
  /** Maximum milliseconds before a service is killed. Default: its `stop_grace_period`. */
  mostGraceMs?: number | undefined;
  /** Why a service is stopped, for its reports. Default: a client stopped it. */
  reason?: ((service: string) => string) | undefined;
}
