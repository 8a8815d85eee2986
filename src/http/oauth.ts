/**
 * OAuth 2.1 resource server for team set-ups: accepts access tokens of a configured issuer. A token is a JWT that is signed
 * with a key of the issuer, names this server as its audience, is not expired, and has a scope that this server knows.
 */
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { StackwardenError } from "../errors.js";
import { checkedUrl, findJwks } from "./oauth-issuer.js";
import type { Principal, Scope } from "./principal.js";

export interface OAuthOptions {
  /** URL of the authorization server, exactly as in the `iss` claim of its tokens. */
  issuer: string;
  /** Public URL of this server with `/mcp`: the required audience of tokens. */
  audience: string;
  /** Null, the default: read from the metadata of the issuer. */
  jwksUri?: string | undefined;
  /** Default `stackwarden:read`. */
  readScope?: string;
  /** Default `stackwarden:operate`. */
  operateScope?: string;
}

export interface OAuth {
  /** Public host of this server. */
  readonly host: string;
  /** Path of the metadata (RFC 9728), in addition to the well-known path of the host. */
  readonly metadataPath: string;
  readonly metadataUrl: string;
  readonly metadata: Record<string, unknown>;
  /** Scopes as the issuer names them. */
  readonly scopes: Readonly<Record<Scope, string>>;
  /**
   * @returns null when the token is not one of this issuer for this server
   * @throws FORBIDDEN without a known scope, RUNTIME_UNAVAILABLE when the issuer cannot be reached
   */
  verify(presented: string): Promise<Principal | null>;
}

/** Asymmetric algorithms only: no shared secrets, no unsigned tokens. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
/** Permitted difference between the clocks, in seconds. */
const TOLERANCE_SECONDS = 30;
/** Codes of jose for an invalid key set and for a time-out. */
const ISSUERS = new Set(["ERR_JOSE_GENERIC", "ERR_JWKS_INVALID", "ERR_JWKS_TIMEOUT"]);
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const WELL_KNOWN = "/.well-known/oauth-protected-resource";

export function createOAuth(options: OAuthOptions): OAuth {
  const { issuer, audience, readScope = "stackwarden:read", operateScope = "stackwarden:operate" } = options;
  checkedUrl("oauth.issuer", issuer);
  const resource = checkedUrl("oauth.audience", audience);
  if (options.jwksUri) checkedUrl("oauth.jwks_uri", options.jwksUri);
  const metadataPath = `${WELL_KNOWN}${resource.pathname === "/" ? "" : resource.pathname}`;
  const scopes = { read: readScope, operate: operateScope };
  const keys = keysOf(options);

  const principal = (payload: JWTPayload): Principal | null => {
    const { exp, sub, client_id, azp } = payload;
    const client = textOf(client_id) ?? textOf(azp);
    const who = textOf(sub) ?? client;
    if (exp === undefined || who === undefined) return null;
    const scope = scopeOf(payload, scopes);
    if (scope === null)
      throw new StackwardenError("FORBIDDEN", "The token has no scope of this server.", {
        hint: `Ask the issuer for ${readScope} or ${operateScope}.`,
        details: { required_scope: "read" },
      });
    return {
      name: who.replace(/[^\x20-\x7e]/g, "?").slice(0, 64),
      id: `oauth:${JSON.stringify([issuer, who, client, scope])}`,
      scope,
      valid: () => Date.now() / 1000 < exp + TOLERANCE_SECONDS,
    };
  };

  return {
    host: resource.hostname,
    metadataPath,
    metadataUrl: `${resource.origin}${metadataPath}`,
    metadata: {
      resource: audience,
      authorization_servers: [issuer],
      scopes_supported: [readScope, operateScope],
      bearer_methods_supported: ["header"],
      resource_name: "stackwarden",
    },
    scopes,
    verify: async (presented) => {
      if (!JWT.test(presented)) return null;
      try {
        const { payload } = await jwtVerify(presented, await keys(), {
          issuer,
          audience,
          algorithms: ALGORITHMS,
          clockTolerance: TOLERANCE_SECONDS,
          requiredClaims: ["exp"],
        });
        return principal(payload);
      } catch (error) {
        if (error instanceof StackwardenError) throw error;
        // Defects of the token. Every other error is a failure of the issuer.
        if (error instanceof errors.JOSEError && !ISSUERS.has(error.code)) return null;
        throw new StackwardenError("RUNTIME_UNAVAILABLE", "The keys of the tokens' issuer cannot be fetched.", {
          hint: "Try again; the server's log has the cause.",
          cause: error,
        });
      }
    },
  };
}

/** The key set, loaded at the first token. A failure is not cached. */
function keysOf({ issuer, jwksUri }: OAuthOptions): () => Promise<JWTVerifyGetKey> {
  let keySet: Promise<JWTVerifyGetKey> | undefined;
  return async () => {
    keySet ??= (async () => createRemoteJWKSet(new URL(jwksUri ?? (await findJwks(issuer)))))();
    try {
      return await keySet;
    } catch (error) {
      keySet = undefined;
      throw error;
    }
  };
}

const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** Scopes in the `scope` claim (RFC 9068), or in `scp`, which some issuers use. */
function scopeOf({ scope, scp }: JWTPayload, scopes: Record<Scope, string>): Scope | null {
  const granted = [scope, scp].flatMap((value) => (typeof value === "string" ? value.split(" ") : value));
  if (granted.includes(scopes.operate)) return "operate";
  return granted.includes(scopes.read) ? "read" : null;
}
