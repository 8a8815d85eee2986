/** A terminal of a client at the other end of a control connection. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import type { CallTerminal } from "../stack/model.js";
import type { TerminalSize } from "../stack/runtime.js";
import { type ControlRequest, encode } from "./protocol.js";

/** Typed bytes that wait for the command. More are dropped, as a terminal of the kernel drops them. */
const MOST_TYPED = 1024 * 1024;
/** Bytes of output that wait for the client, above which the command waits too. */
const MOST_UNSENT = 1024 * 1024;
/** Bytes of output in one message; longer output is split. */
const OUTPUT_BYTES = 65_536;

export interface RemoteTerminal {
  readonly terminal: CallTerminal;
  /** @param data in base64; undefined at the end of the input */
  type(data: string | undefined): void;
  resize(size: TerminalSize): void;
  close(): void;
}

/** Resolves when the socket accepts output again, or is closed. Leaves no listener on it. */
async function drained(socket: Socket): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  try {
    await Promise.race([once(socket, "drain", { signal }), once(socket, "close", { signal })]);
  } finally {
    over.abort();
  }
}

export function remoteTerminal(
  { columns, rows, type }: NonNullable<ControlRequest["terminal"]>,
  socket: Socket,
  id: number,
): RemoteTerminal {
  const input = new PassThrough();
  input.on("error", () => undefined);
  const listeners = new Set<() => void>();
  let size: TerminalSize = { columns, rows };
  return {
    terminal: {
      type,
      input,
      size: () => size,
      onResize: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      write: async (chunk) => {
        for (let at = 0; at < chunk.length && socket.writable; at += OUTPUT_BYTES)
          socket.write(encode({ id, terminal: chunk.subarray(at, at + OUTPUT_BYTES).toString("base64") }));
        if (socket.writableLength > MOST_UNSENT) await drained(socket);
      },
    },
    type: (data) => {
      if (data === undefined) input.end();
      else if (input.writable && input.writableLength < MOST_TYPED) input.write(Buffer.from(data, "base64"));
    },
    resize: (next) => {
      size = { columns: next.columns, rows: next.rows };
      for (const listener of listeners) listener();
    },
    close: () => input.destroy(),
  };
}
