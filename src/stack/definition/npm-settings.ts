/** npm settings (`.npmrc`) next to a manifest. They often contain registry credentials. */
import { dirname, join } from "node:path";
import { readRegularFile, UnsafePathError } from "../../system/read-regular-file.js";
import { NPM_CREDENTIAL } from "../text/secret-names.js";

/** The real path of the `.npmrc` next to a manifest if it contains a credential; null otherwise. */
export function npmSettingsWithSecret(manifest: string, folder: string): string | null {
  try {
    const file = readRegularFile(join(dirname(manifest), ".npmrc"), { within: folder });
    return file !== undefined && NPM_CREDENTIAL.test(file.bytes.toString("utf8")) ? file.path : null;
  } catch (error) {
    // The installation that uses the file refuses it with the reason.
    if (error instanceof UnsafePathError) return null;
    throw error;
  }
}
