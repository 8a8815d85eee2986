/** Parses the options of `stackwarden mcp` without loading the CLI parser: agents wait for this start. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { FLAG_SETTINGS, flagName } from "../../config/flags.js";
import type { ConfigFlags } from "../../config/settings.js";

export interface BridgeFlags extends ConfigFlags {
  stopOnExit?: boolean;
}

/** @returns the options of a bridge; null for any other command line, which the CLI parser handles */
export function bridgeFlags(argv: readonly string[]): BridgeFlags | null {
  if (argv[0] !== "mcp") return null;
  const options: NonNullable<ParseArgsConfig["options"]> = {
    config: { type: "string" },
    "stop-on-exit": { type: "boolean" },
  };
  for (const { flag, kind } of FLAG_SETTINGS)
    options[flagName(flag).slice(2)] = {
      type: kind === "boolean" ? "boolean" : "string",
      ...(kind === "paths" ? { multiple: true } : {}),
    };
  try {
    const { values } = parseArgs({ args: argv.slice(1), strict: true, options });
    return Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name.replace(/-[a-z]/g, (letters) => letters.slice(1).toUpperCase()),
        value,
      ]),
    );
  } catch {
    return null;
  }
}
