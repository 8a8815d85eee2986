/** Who a request was let in as. */
import type { Request } from "express";
import { StackwardenError } from "../errors.js";

/** `read`: operations that change nothing. `operate`: all. */
export type Scope = "read" | "operate";

export interface Principal {
  /** As events show it. */
  readonly name: string;
  /** Differs whenever the right to call was given anew: sessions belong to it. */
  readonly id: string;
  readonly scope: Scope;
  /** Whether that right still stands: what is open when it ends is cut. */
  valid(): boolean;
}

/** The server's own user, who alone can open the private socket. */
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
