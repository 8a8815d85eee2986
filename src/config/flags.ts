/** Settings as flags of the command line. Loaded at each start: it imports no schema library. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { type ConfigFlags, SETTINGS, type SettingRow } from "./settings.js";

/** Settings that the command line has. */
export const FLAG_SETTINGS = SETTINGS.filter(
  (setting): setting is SettingRow & { flag: keyof ConfigFlags } => setting.flag !== undefined,
);

/** Flags that configure a client's view of a server that runs already. */
export const CLIENT_FLAGS: readonly (keyof ConfigFlags)[] = [
  "config",
  "folder",
  ...FLAG_SETTINGS.filter((setting) => setting.process !== true).map(({ flag }) => flag),
];

/** `--state-dir` of `stateDir`. */
export const flagName = (flag: string): string => `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/**
 * Parses flags without the CLI parser.
 * @param switches further flags without a value
 * @returns null for arguments that the CLI parser has to refuse or to explain
 */
export function parseFlags<Switch extends string = never>(
  args: string[],
  switches: readonly Switch[] = [],
): (ConfigFlags & { [name in Switch]?: boolean }) | null {
  const options: NonNullable<ParseArgsConfig["options"]> = { config: { type: "string" } };
  for (const name of switches) options[flagName(name).slice(2)] = { type: "boolean" };
  for (const { flag, kind } of FLAG_SETTINGS)
    options[flagName(flag).slice(2)] = {
      type: kind === "boolean" ? "boolean" : "string",
      ...(kind === "paths" ? { multiple: true } : {}),
    };
  try {
    const { values } = parseArgs({ args, strict: true, options });
    return Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name.replace(/-[a-z]/g, (letters) => letters.slice(1).toUpperCase()),
        value,
      ]),
    ) as ConfigFlags & { [name in Switch]?: boolean };
  } catch {
    return null;
  }
}
