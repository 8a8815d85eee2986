/** Parses the options of `stackwarden mcp` without loading the CLI parser: agents wait for this start. */
import { parseArgs } from "node:util";

export interface BridgeFlags {
  config?: string;
  runtime?: string;
  root?: string[];
  stateDir?: string;
  requireEnforcedLimits?: boolean;
  startTimeout?: string;
  logLevel?: string;
  readOnly?: boolean;
  stopOnExit?: boolean;
}

/** @returns the options of a bridge; null for any other command line, which the CLI parser handles */
export function bridgeFlags(argv: readonly string[]): BridgeFlags | null {
  if (argv[0] !== "mcp") return null;
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    const { values } = parseArgs({
      args: argv.slice(1),
      strict: true,
      options: {
        config: text,
        runtime: text,
        root: { type: "string", multiple: true },
        "state-dir": text,
        "start-timeout": text,
        "log-level": text,
        "require-enforced-limits": flag,
        "read-only": flag,
        "stop-on-exit": flag,
      },
    });
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
