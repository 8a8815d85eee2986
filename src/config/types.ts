/** The server's own configuration: flags > environment (STACKWARDEN_*) > stackwarden.yaml > defaults. Never settable by an agent. */
import type { StackSettings } from "../stack/settings.js";

export interface Config extends StackSettings {
  dagger: {
    /** Dagger engines: name → what `_EXPERIMENTAL_DAGGER_RUNNER_HOST` would hold. */
    engines: Record<string, string>;
    /** Engine of projects that name none; default: the Dagger CLI's own choice. */
    engine?: string;
    /** Image of the gateway to published ports; has `node` 18 or later on its PATH. */
    gatewayImage: string;
    /** Published ports through Dagger's own tunnel, open to the network, instead of on 127.0.0.1. Default false. */
    tunnel: boolean;
    /** Where the CLI is downloaded when none is installed; null: it is not downloaded. */
    cliSource: string | null;
  };
  /** No root is configured: `roots` is the working directory, or empty where that is not a valid default. */
  rootsByDefault: boolean;
  /** Sentences about what was given and has no effect, such as a misspelt variable. */
  warnings: string[];
  /**
   * Whether stacks of the local runtime have separate networks: where the machine supports it, always, or never. Default
   * `auto`.
   */
  localNetwork: "auto" | "isolated" | "shared";
  docker: {
    /** Address of the container engine. Default: that of `context`, else the client's `DOCKER_HOST`. */
    host?: string;
    /** Docker context. Default: the Docker CLI's current one. */
    context?: string;
  };
  /** Only read-only operations. Default false. */
  readOnly: boolean;
  /** Milliseconds without client and without stack after which the background server ends. Default 600,000. */
  serverIdleMs: number;
  /** pino level. Default info. */
  logLevel: "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";
  /** Issuer whose access tokens the HTTP server accepts beside its own. Null: none. */
  oauth: {
    issuer: string;
    audience: string;
    /** Null: found in the issuer's metadata. */
    jwksUri: string | null;
    readScope: string;
    operateScope: string;
  } | null;
}
