/** The metadata of an issuer of access tokens. */

import { StackwardenError } from "../errors.js";
import { timeoutSignal } from "../system/wait.js";

const TIMEOUT_MS = 5000;
const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Metadata is trusted over HTTPS only, except on loopback. */
function usable(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  const plain = url?.protocol === "http:" && LOOPBACK.has(url.hostname);
  return url !== null && (url.protocol === "https:" || plain) && url.hash === "" && url.username === "";
}

/** @throws INVALID_INPUT */
export function checkedUrl(setting: string, text: string): URL {
  if (usable(text)) return new URL(text);
  throw new StackwardenError("INVALID_INPUT", `Expected ${setting} to be an https:// URL.`, {
    hint: "Give an https:// URL without a fragment; http:// only for this machine.",
  });
}

/**
 * Address of the issuer's keys, from its OAuth metadata (RFC 8414), else from OpenID Connect discovery.
 * @throws Error when both are missing or name another issuer
 */
export async function findJwks(issuer: string): Promise<string> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  const places = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
  for (const place of new Set(places)) {
    const response = await fetch(place, {
      headers: { accept: "application/json" },
      redirect: "error",
      signal: timeoutSignal(TIMEOUT_MS),
    });
    if (!response.ok) {
      await response.body?.cancel();
      continue;
    }
    const { issuer: named, jwks_uri: jwks } = (await response.json()) as Record<string, unknown>;
    if (named !== issuer) throw new Error(`${place} is the metadata of ${String(named)}, not of ${issuer}`);
    if (typeof jwks !== "string") throw new Error(`${place} names no jwks_uri`);
    if (!usable(jwks)) throw new Error(`${place} names a jwks_uri that is not an https:// URL`);
    return jwks;
  }
  throw new Error(`${issuer} has no metadata at ${places.join(", ")}`);
}
