/** The operator's settings for engines. Agents can never change them. */
import type { EngineSettings } from "./engine/engines.js";

export interface DaggerSettings extends EngineSettings {
  /** Image of the gateway; has `node` 18 or later on its PATH. */
  gatewayImage: string;
  /** True: Dagger's own tunnel publishes ports on every address of this machine. Default false: on 127.0.0.1 only. */
  tunnel?: boolean;
  /** Where the CLI is downloaded when none is installed; null or absent: it is not downloaded. */
  cliSource?: string | null;
  retry: { maxRetries: number; baseDelayMs: number };
}
