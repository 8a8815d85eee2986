/** Where this platform keeps a program's configuration and state. */
import { homedir } from "node:os";
import { join } from "node:path";

export interface Place {
  env: NodeJS.ProcessEnv;
  platform?: NodeJS.Platform;
  /** `undefined` where the platform has no users by number. */
  uid?: number | undefined;
}

const absoluteOr = (value: string | undefined, fallback: string): string =>
  value?.startsWith("/") === true ? value : fallback;

const home = (env: NodeJS.ProcessEnv): string => env.HOME || homedir();

/** Root's services need a state directory that they can enter, which /root is not. */
export function defaultStateDir({ env, platform = process.platform, uid = process.getuid?.() }: Place): string {
  if (platform === "win32") return join(env.LOCALAPPDATA || join(homedir(), "AppData", "Local"), "stackwarden");
  if (uid === 0) return "/var/lib/stackwarden";
  if (platform === "darwin") return join(home(env), "Library", "Application Support", "stackwarden");
  return join(absoluteOr(env.XDG_STATE_HOME, join(home(env), ".local", "state")), "stackwarden");
}

/** The person's own configuration file. */
export function userConfigFile({ env, platform = process.platform }: Place): string {
  const name = "stackwarden.yaml";
  if (platform === "win32") {
    return join(env.APPDATA || join(homedir(), "AppData", "Roaming"), "stackwarden", name);
  }
  return join(absoluteOr(env.XDG_CONFIG_HOME, join(home(env), ".config")), "stackwarden", name);
}
