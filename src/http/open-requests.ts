/** Requests in progress: counted, and ended when their token becomes invalid or their client does not read. */
import type { RequestHandler, Response } from "express";
import { StackwardenError } from "../errors.js";
import { knownPrincipal, principalOf } from "./principal.js";

/** Pending output in bytes at which a client that does not read is disconnected. */
const MAX_UNSENT = 8 * 1024 * 1024;
const SWEEP_MS = 1000;
/** Requests of one principal in progress at the same time: half of the connections, so that others reach the server. */
const MAX_PER_PRINCIPAL = 256;

export interface OpenRequests {
  readonly count: number;
  /** Middleware that must run first. */
  readonly track: RequestHandler;
  /** Middleware after the check of the token. Refuses more than 256 requests of one principal at the same time. */
  readonly limit: RequestHandler;
  /** Aborts when the shutdown begins, which ends event streams. */
  readonly ending: AbortSignal;
  /** Ends requests whose token is no longer valid or whose client does not read. */
  sweep(): void;
  /** Refuses new requests and waits until all others have ended, at most `deadlineMs` milliseconds. */
  drain(deadlineMs: number): Promise<void>;
}

export function createOpenRequests(): OpenRequests {
  const open = new Map<Response, () => boolean>();
  const byPrincipal = new Map<string, number>();
  const ending = new AbortController();
  let onEmpty: (() => void) | undefined;
  const sweep = (): void => {
    for (const [response, permitted] of open)
      if (!permitted() || response.writableLength > MAX_UNSENT) response.destroy();
  };
  const timer = setInterval(sweep, SWEEP_MS);
  timer.unref();
  return {
    get count() {
      return open.size;
    },
    track: (request, response, next) => {
      if (ending.signal.aborted) {
        response.setHeader("Connection", "close");
        throw new StackwardenError("RUNTIME_UNAVAILABLE", "The server is shutting down.", {
          hint: "Call again when the server is running.",
        });
      }
      open.set(response, () => knownPrincipal(request)?.valid() ?? true);
      response.once("close", () => {
        open.delete(response);
        if (open.size === 0) onEmpty?.();
      });
      next();
    },
    limit: (request, response, next) => {
      const { id } = principalOf(request);
      const own = byPrincipal.get(id) ?? 0;
      if (own >= MAX_PER_PRINCIPAL)
        throw new StackwardenError("TOO_MANY_REQUESTS", `This client has ${own} requests in progress.`, {
          hint: "Close event streams that are no longer read.",
        });
      byPrincipal.set(id, own + 1);
      response.once("close", () => {
        const left = (byPrincipal.get(id) ?? 1) - 1;
        if (left > 0) byPrincipal.set(id, left);
        else byPrincipal.delete(id);
      });
      next();
    },
    ending: ending.signal,
    sweep,
    drain: async (deadlineMs) => {
      ending.abort();
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, deadlineMs);
        onEmpty = () => {
          clearTimeout(late);
          resolve();
        };
        if (open.size === 0) onEmpty();
      });
      clearInterval(timer);
    },
  };
}
