/** Parses the options of `stackwarden mcp` without loading the CLI parser: agents wait for this start. */
import { parseFlags } from "../../config/flags.js";
import type { ConfigFlags } from "../../config/settings.js";

export interface BridgeFlags extends ConfigFlags {
  stopOnExit?: boolean;
}

/** @returns the options of a bridge; null for any other command line */
export const bridgeFlags = ([command, ...args]: readonly string[]): BridgeFlags | null =>
  command === "mcp" ? parseFlags(args, ["stopOnExit"]) : null;
