/** The server's own configuration: flags > environment (STACKWARDEN_*) > stackwarden.yaml > defaults. Never settable by an agent. */
import type { StackSettings } from "../stack/settings.js";
import type { SettingValues } from "./schema.js";

/** Defaults and bounds are in `settings.ts`. */
export interface Config extends Omit<SettingValues, keyof StackSettings | "oauth">, StackSettings {
  /** No root is configured: `roots` is the working directory, or empty where that is not a valid default. */
  rootsByDefault: boolean;
  /** Sentences about what was given and has no effect, such as a misspelt variable. */
  warnings: string[];
  /** Absent: the HTTP server accepts only its own tokens. */
  oauth?: SettingValues["oauth"] | undefined;
}
