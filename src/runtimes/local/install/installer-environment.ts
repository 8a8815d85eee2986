/**
 * The environment of an installer (pip, npm): only the operator's mirrors and certificates, and private directories.
 */
import { mirrorSettings } from "../../shared/mirror-settings.js";
import { SERVICE_PATH } from "../toolchain/binaries.js";

/** The whole environment of an installer. */
export function installerEnvironment(places: { home: string; tmp: string; path?: string[] }): Record<string, string> {
  return {
    ...mirrorSettings(),
    PATH: [...(places.path ?? []), ...SERVICE_PATH].join(":"),
    LANG: "C.UTF-8",
    HOME: places.home,
    TMPDIR: places.tmp,
  };
}
