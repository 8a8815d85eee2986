/**
 * The environment of an installer (pip, npm): only the operator's mirrors and certificates, and private directories.
 */
import { mirrorSettings } from "../../shared/mirror-settings.js";
import { SERVICE_PATH } from "../toolchain/binaries.js";

/**
 * Without it, `npm run` also requests the newest version of npm from the registry, which takes twice as much processor
 * time as the rest of npm: npm remembers the day of its last check below HOME, and that of a service is new.
 */
export const NO_UPDATE_CHECK: Readonly<Record<string, string>> = { npm_config_update_notifier: "false" };

/** The whole environment of an installer. */
export function installerEnvironment(places: { home: string; tmp: string; path?: string[] }): Record<string, string> {
  return {
    ...mirrorSettings(),
    ...NO_UPDATE_CHECK,
    PATH: [...(places.path ?? []), ...SERVICE_PATH].join(":"),
    LANG: "C.UTF-8",
    HOME: places.home,
    TMPDIR: places.tmp,
  };
}
