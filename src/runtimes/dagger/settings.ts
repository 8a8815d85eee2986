/** What the operator decides about engines. Never settable by an agent. */
import type { EngineSettings } from "./engines.js";

export interface DaggerSettings extends EngineSettings {
  /** Image of the gateway; has `node` 18 or later on its PATH. */
  gatewayImage: string;
  retry: { maxRetries: number; baseDelayMs: number };
}
