/** npm's settings beside a manifest: they often hold the credentials of a registry. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { realPath } from "./project-path.js";

/** `//host/:_authToken=…` and its older kin, a key, or a name and a password in an address. */
const CREDENTIALS = /^\s*(?:[^\s=#;]*:)?(?:_auth|_authToken|_password|key)\s*=|:\/\/[^\s/:@]+:[^\s/@]+@/im;

/** Its real path when there is a credential in it. */
export function npmSettingsWithSecret(manifest: string): string | null {
  const path = join(dirname(manifest), ".npmrc");
  try {
    return CREDENTIALS.test(readFileSync(path, "utf8")) ? realPath(path) : null;
  } catch {
    return null;
  }
}
