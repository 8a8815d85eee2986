/** Requests that are being answered: counted, cut when their right to be here ends or their client does not read. */
import type { RequestHandler, Response } from "express";
import { StackwardenError } from "../errors.js";
import { knownPrincipal } from "./principal.js";

/** What a client that does not read may leave unsent, in bytes. */
const MAX_UNSENT = 8 * 1024 * 1024;
const SWEEP_MS = 1000;

export interface OpenRequests {
  readonly count: number;
  /** First in the chain. */
  readonly track: RequestHandler;
  /** Aborts when the shutdown begins: ends endless streams. */
  readonly ending: AbortSignal;
  /** Cuts what may no longer be here. */
  sweep(): void;
  /** From now on new requests are refused. Waits until all are answered, at most so long. */
  drain(deadlineMs: number): Promise<void>;
}

export function createOpenRequests(): OpenRequests {
  const open = new Map<Response, () => boolean>();
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
        throw new StackwardenError("RUNTIME_UNAVAILABLE", "The server is ending.", {
          hint: "Call again when it runs again.",
        });
      }
      open.set(response, () => knownPrincipal(request)?.valid() ?? true);
      response.once("close", () => {
        open.delete(response);
        if (open.size === 0) onEmpty?.();
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
