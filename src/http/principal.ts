/** The authenticated caller of a request. */
import type { Request } from "express";
import { StackwardenError } from "../errors.js";

/** `read`: operations that change nothing. `operate`: all. */
export type Scope = "read" | "operate";

export interface Principal {
  /** Name in events. */
  readonly name: string;
  /** Changes with each new token, so that sessions belong to one token. */
  readonly id: string;
  readonly scope: Scope;
  /** Whether the token is still valid. Requests in progress are ended when it is not. */
  valid(): boolean;
}

/** The server's user. No other user except root can open the private socket. */
export const LOCAL: Principal = { name: "local", id: "local", scope: "operate", valid: () => true };

const principals = new WeakMap<Request, Principal>();

export const setPrincipal = (request: Request, principal: Principal): void => {
  principals.set(request, principal);
};

export const knownPrincipal = (request: Request): Principal | undefined => principals.get(request);

export const principalOf = (request: Request): Principal => {
  const principal = principals.get(request);
  if (principal === undefined) throw new StackwardenError("INTERNAL", "A request passed without a principal.");
  return principal;
};
