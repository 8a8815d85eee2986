/** Where this platform keeps a program's configuration and state. */
import { homedir } from "node:os";
import { join } from "node:path";
import { StackwardenError } from "../errors.js";

export interface Place {
  env: NodeJS.ProcessEnv;
  platform?: NodeJS.Platform;
  /** `undefined` where the platform has no users by number. */
  uid?: number | undefined;
}

/** Null for a user that has none: containers and service managers often run programs as such. */
function home(env: NodeJS.ProcessEnv): string | null {
  if (env.HOME) return env.HOME;
  try {
    return homedir();
  } catch {
    return null;
  }
}

/** @throws INVALID_INPUT where nothing says where the state belongs */
function stateHome(env: NodeJS.ProcessEnv): string {
  const homeFolder = home(env);
  if (homeFolder !== null) return homeFolder;
  throw new StackwardenError("INVALID_INPUT", "This user has no home directory, where the state would be kept.", {
    hint: "Name a directory of this user with --state-dir or STACKWARDEN_STATE_DIR, or set HOME.",
  });
}

/**
 * Root's services need a state directory that they can enter, which /root is not.
 * @throws INVALID_INPUT for a user without a home directory
 */
export function defaultStateDir({ env, platform = process.platform, uid = process.getuid?.() }: Place): string {
  if (platform === "win32") return join(env.LOCALAPPDATA || join(homedir(), "AppData", "Local"), "stackwarden");
  if (uid === 0) return "/var/lib/stackwarden";
  if (platform === "darwin") return join(stateHome(env), "Library", "Application Support", "stackwarden");
  const xdgState = env.XDG_STATE_HOME;
  return join(xdgState?.startsWith("/") ? xdgState : join(stateHome(env), ".local", "state"), "stackwarden");
}

/** The person's own configuration file; null where a user has no place for one. */
export function userConfigFile({ env, platform = process.platform }: Place): string | null {
  const name = "stackwarden.yaml";
  if (platform === "win32") {
    return join(env.APPDATA || join(homedir(), "AppData", "Roaming"), "stackwarden", name);
  }
  const xdgConfig = env.XDG_CONFIG_HOME;
  if (xdgConfig?.startsWith("/")) return join(xdgConfig, "stackwarden", name);
  const own = home(env);
  return own === null ? null : join(own, ".config", "stackwarden", name);
}
