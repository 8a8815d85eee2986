/** Recognises the command lines of servers without the CLI parser. */
import { FLAG_SETTINGS, parseFlags } from "../config/flags.js";
import type { ConfigFlags } from "../config/settings.js";

export interface ServerArguments {
  command: "mcp --standalone" | "server run";
  flags: ConfigFlags;
}

/** @returns null for any other command line, and for one that the CLI parser refuses */
export function serverArguments([command, ...args]: readonly string[]): ServerArguments | null {
  if (command === "mcp") {
    const parsed = parseFlags(args, ["standalone", "stopOnExit"]);
    if (parsed === null || !hasChoices(parsed)) return null;
    const { standalone = false, stopOnExit: _ends, ...flags } = parsed;
    return standalone ? { command: "mcp --standalone", flags } : null;
  }
  if (command !== "server" || args[0] !== "run") return null;
  const flags = parseFlags(args.slice(1));
  // A person's command does not have the settings of agents.
  const isRefused =
    flags === null || !hasChoices(flags) || FLAG_SETTINGS.some((one) => one.agents && one.flag in flags);
  return isRefused ? null : { command: "server run", flags };
}

const hasChoices = (flags: ConfigFlags): boolean =>
  FLAG_SETTINGS.every(({ flag, choices }) => {
    const value = flags[flag];
    return choices === undefined || value === undefined || choices.includes(String(value));
  });
