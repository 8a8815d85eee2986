/** What the operator decides about engines. Never settable by an agent. */
import type { EngineSettings } from "./engine/engines.js";

export interface DaggerSettings extends EngineSettings {
  /** Image of the gateway; has `node` 18 or later on its PATH. */
  gatewayImage: string;
  /** Ports are published by Dagger's own tunnel, on every address of this machine. Default false: on 127.0.0.1. */
  tunnel?: boolean;
  retry: { maxRetries: number; baseDelayMs: number };
}
