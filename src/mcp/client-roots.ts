/** The client's roots (`roots/list`): requested before the first use of a stack, and again when they change. */
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { RootsListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import type { McpServerOptions } from "./context.js";

/** Time limit for the answer. A client that declares roots and does not answer delays only its own first call. */
const ANSWER_MS = 3000;

export interface ClientRoots {
  /** Resolves when the client's current roots are in use, or it has none. Never rejects. */
  read(): Promise<void>;
}

export function clientRoots(server: Server, { useRoots, logger }: McpServerOptions): ClientRoots {
  if (useRoots === undefined) return { read: async () => undefined };
  let reading: Promise<void> | undefined;
  server.setNotificationHandler(RootsListChangedNotificationSchema, () => {
    reading = undefined;
  });
  const ask = async (): Promise<void> => {
    if (server.getClientCapabilities()?.roots === undefined) return;
    try {
      const { roots } = await server.listRoots(undefined, { timeout: ANSWER_MS });
      useRoots(roots.map(({ uri }) => uri));
    } catch (error) {
      logger.warn(`Cannot read the client's roots: ${(error as Error).message}`);
    }
  };
  return {
    read: () => {
      reading ??= ask();
      return reading;
    },
  };
}
