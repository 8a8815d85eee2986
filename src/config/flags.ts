/** Settings as flags of the command line. Loaded at each start: it imports no schema library. */
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
