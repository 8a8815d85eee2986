/** The checks that every request passes first: host, origin, token, rate. */
import type { Request, RequestHandler, Response } from "express";
import { rateLimit } from "express-rate-limit";
import { StackwardenError } from "../errors.js";
import { markAuthenticated } from "./connections.js";
import { knownPrincipal, LOCAL, type Principal, setPrincipal } from "./principal.js";
import { isPrivate } from "./private-sockets.js";

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** Host without its port; null when malformed. */
function hostName(host: string | undefined): string | null {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?$/.exec(host ?? "");
  return match?.[1]?.toLowerCase() ?? null;
}

const forbidden = (message: string, hint: string): StackwardenError =>
  new StackwardenError("FORBIDDEN", message, { hint });

/**
 * Refuses host names that reach this server through DNS rebinding, and pages of origins that are neither this server nor
 * allowed by the operator.
 */
export function checkHostAndOrigin(hosts: readonly string[], origins: readonly string[]): RequestHandler {
  const allowed = new Set([...LOOPBACK, ...hosts.map((host) => host.toLowerCase())]);
  return (request, _response, next) => {
    // Node takes the first of two headers; a proxy in front can have taken the second.
    const named = request.rawHeaders.filter((header, index) => index % 2 === 0 && header.toLowerCase() === "host");
    if (named.length > 1)
      throw new StackwardenError("INVALID_INPUT", `Expected one Host header, got ${named.length}.`, {
        hint: "Send exactly one Host header.",
      });
    const name = hostName(request.headers.host);
    if (name === null || !allowed.has(name))
      throw forbidden(
        "The Host header names a host that is not this server's.",
        "The operator can allow it with --allowed-host.",
      );
    const { origin } = request.headers;
    if (origin !== undefined && !origins.includes(origin)) {
      const own = /^https?:\/\/(.+)$/.exec(origin)?.[1];
      // A page of this server: the same host and port.
      if (own === undefined || own !== request.headers.host)
        throw forbidden(
          "Requests from pages of this origin are not allowed.",
          "The operator can allow it with --allowed-origin.",
        );
    }
    next();
  };
}

/** @returns the principal of a bearer token; null for an unknown token */
export type Verify = (presented: string) => Principal | null | Promise<Principal | null>;

/**
 * Accepts tokens in the header only: histories and logs would keep a token in a URL.
 * A client on the private socket is the server's own user and needs no token.
 */
export function requireToken(verify: Verify): RequestHandler {
  return async (request, _response, next) => {
    const { authorization } = request.headers;
    if (authorization === undefined && isPrivate(request.socket)) {
      setPrincipal(request, LOCAL);
      next();
      return;
    }
    const presented = /^Bearer ([A-Za-z0-9._~+/-]{1,8192}=*)$/i.exec(authorization ?? "")?.[1];
    const principal = presented === undefined ? null : await verify(presented);
    if (principal === null)
      throw new StackwardenError("UNAUTHORIZED", "The request carries no valid token.", {
        hint: "Send the header `Authorization: Bearer <token>`; the token is in the file that `stackwarden serve` names.",
      });
    markAuthenticated(request.socket);
    setPrincipal(request, principal);
    next();
  };
}

/** @param perMinute for each principal */
export function limitRate(perMinute: number): RequestHandler {
  return rateLimit({
    windowMs: 60_000,
    limit: perMinute,
    standardHeaders: "draft-8",
    legacyHeaders: false,
    keyGenerator: (request: Request) => knownPrincipal(request)?.id ?? "none",
    handler: (_request: Request, _response: Response) => {
      throw new StackwardenError("TOO_MANY_REQUESTS", `More than ${perMinute} requests in a minute.`, {
        hint: "Wait a minute; follow logs and events instead of polling them.",
      });
    },
  });
}
