/** The operator's settings for the Docker engine. Agents can never change them. */
export interface DockerSettings {
  /** Address of the engine, e.g. `unix:///var/run/docker.sock`. Default: that of `context`. */
  host?: string | undefined;
  /** Docker context. Default: the current one of the Docker CLI's configuration. */
  context?: string | undefined;
  retry: { maxRetries: number; baseDelayMs: number };
}
