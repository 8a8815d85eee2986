/** What the operator decides about engines. Never settable by an agent. */
import type { EngineSettings } from "./engines.js";

export interface DaggerSettings extends EngineSettings {
  /** Image of the gateway; has `node` 18 or later on its PATH. */
  gatewayImage: string;
  /** Publish with Dagger's own tunnel, which listens on every address of this machine. */
  tunnel: boolean;
  retry: { maxRetries: number; baseDelayMs: number };
}
