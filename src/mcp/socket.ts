/** One MCP session over an accepted connection: newline-delimited JSON-RPC, as over stdio. */
import type { Socket } from "node:net";
import { createMcpServer, type McpServerOptions } from "./server.js";
import { TrackedStdioTransport } from "./tracked-stdio.js";

/**
 * Time limit for answers after the client has ended its half of the connection: a client may send its requests and end
 * its half at once.
 */
const ANSWER_MS = 1000;

/**
 * Serves the connection until it ends, then cancels the requests in progress.
 * @returns when the session is over
 */
export async function serveMcpSocket(socket: Socket, options: McpServerOptions): Promise<void> {
  const server = createMcpServer(options);
  const transport = new TrackedStdioTransport(socket, socket);
  const over = new Promise<void>((resolve) => {
    socket.once("close", resolve);
    socket.once("end", () => {
      void transport.settled(ANSWER_MS).then(() => socket.end());
    });
    const closed = server.onclose;
    server.onclose = () => {
      closed?.();
      // Close both directions: the server no longer reads, and the client would wait indefinitely.
      socket.destroySoon();
    };
  });
  await server.connect(transport);
  await over;
  await server.close();
}
