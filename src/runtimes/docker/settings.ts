/** What the operator decides about the Docker engine. Never settable by an agent. */
export interface DockerSettings {
  /** Address of the engine, e.g. `unix:///var/run/docker.sock`. Default: that of `context`. */
  host?: string | undefined;
  /** Docker context. Default: the current one of the Docker CLI's configuration. */
  context?: string | undefined;
  retry: { maxRetries: number; baseDelayMs: number };
}
