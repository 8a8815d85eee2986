/** npm's settings beside a manifest: they often hold the credentials of a registry. */
import { dirname, join } from "node:path";
import { readRegularFile, UnsafePathError } from "../../system/read-regular-file.js";
import { NPM_CREDENTIAL } from "../text/secret-names.js";

/** The real path of the settings beside a manifest when they hold a credential. */
export function npmSettingsWithSecret(manifest: string, folder: string): string | null {
  try {
    const file = readRegularFile(join(dirname(manifest), ".npmrc"), { within: folder });
    return file !== undefined && NPM_CREDENTIAL.test(file.bytes.toString("utf8")) ? file.path : null;
  } catch (error) {
    // A file that cannot be read is refused, with its reason, by the installation that would use it.
    if (error instanceof UnsafePathError) return null;
    throw error;
  }
}
