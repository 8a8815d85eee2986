/** Client of a control socket: calls the operations of the process that runs the stack. */

import { connect, type Socket } from "node:net";
import { reviveError, StackwardenError } from "../errors.js";
import type { CallContext, CallTerminal, Progress } from "../stack/model.js";
import { LineSplitter } from "../system/line-splitter.js";
import { type ControlHello, type ControlReply, encode, MAX_REPLY } from "./protocol.js";

/** Milliseconds for the server's greeting. */
const HELLO_MS = 5000;

/** Output of a command, by line or in a terminal. */
export type CallStreams = Pick<CallContext, "output" | "terminal">;

/** Bytes of typed input in one message; a message in base64 is longer. */
const TYPED_BYTES = 65_536;

export interface ControlClient {
  readonly server: ControlHello["hello"];
  /** @param signal cancels the call; the result is the state reached by then */
  call(
    operation: string,
    input: unknown,
    progress?: (progress: Progress) => void,
    signal?: AbortSignal,
    streams?: CallStreams,
  ): Promise<unknown>;
  /** Ends the connection; the server cancels pending calls. */
  close(): void;
}

/**
 * @returns null when no process listens: no socket, or the socket of a killed server
 * @throws StackwardenError PROJECT_LOCKED when the server belongs to another user or does not respond
 */
export async function connectControl(path: string, helloMs = HELLO_MS): Promise<ControlClient | null> {
  const socket = connect(path);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
  } catch (error) {
    socket.destroy();
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (["ENOENT", "ECONNREFUSED", "ENOTDIR", "ENOTSOCK"].includes(code)) return null;
    throw new StackwardenError("PROJECT_LOCKED", `Cannot reach the server of the stack: ${(error as Error).message}`, {
      hint:
        code === "EACCES" || code === "EPERM"
          ? "Another user runs this stack. Run the command as that user."
          : "Try again, or stop the stack in the process that started it.",
      cause: error,
    });
  }
  return await controlOver(socket, helloMs);
}

/** Waits for the greeting of the server, then offers its operations. */
export function controlOver(socket: Socket, helloMs = HELLO_MS): Promise<ControlClient> {
  const calls = new Map<number, Call>();
  return new Promise((resolve, reject) => {
    let greeted = false;
    const fail = (error: StackwardenError): void => {
      clearTimeout(timer);
      if (!greeted) reject(error);
      for (const call of calls.values()) call.reject(error);
      calls.clear();
      socket.destroy();
    };
    const timer = setTimeout(
      () =>
        fail(
          new StackwardenError("PROJECT_LOCKED", "The server of the stack does not respond.", {
            hint: "End the stackwarden process that runs the stack; its services end with it.",
          }),
        ),
      helloMs,
    );
    const onLine = (line: string): void => {
      const message = JSON.parse(line) as ControlHello | ControlReply;
      if ("hello" in message) {
        greeted = true;
        clearTimeout(timer);
        resolve(clientOf(socket, message.hello, calls));
      } else {
        settle(calls, message);
      }
    };
    const lines = new LineSplitter(onLine, MAX_REPLY);
    socket.on("data", (chunk: Buffer) => {
      try {
        if (!lines.push(chunk)) throw new Error("line too long");
      } catch (error) {
        fail(new StackwardenError("INTERNAL", "The server of the stack sent an invalid response.", { cause: error }));
      }
    });
    // `close` follows every error and rejects the pending calls.
    socket.on("error", () => undefined);
    socket.on("close", () =>
      fail(
        new StackwardenError("RUNTIME_LOST", "The server that runs the stack ended during the call.", {
          hint: "Start the stack again with: stackwarden up",
        }),
      ),
    );
  });
}

interface Call {
  resolve(result: unknown): void;
  reject(error: StackwardenError): void;
  progress: ((progress: Progress) => void) | undefined;
  streams: CallStreams;
}

function settle(calls: Map<number, Call>, reply: ControlReply): void {
  const call = calls.get(reply.id);
  if (call === undefined) return;
  if ("progress" in reply) {
    call.progress?.(reply.progress);
    return;
  }
  if ("output" in reply) {
    call.streams.output?.(reply.output.stream, reply.output.line);
    return;
  }
  if ("terminal" in reply) {
    void call.streams.terminal?.write(Buffer.from(reply.terminal, "base64"));
    return;
  }
  calls.delete(reply.id);
  if ("error" in reply) call.reject(reviveError(reply.error));
  else call.resolve(reply.result);
}

function clientOf(socket: Socket, server: ControlHello["hello"], calls: Map<number, Call>): ControlClient {
  let last = 0;
  return {
    server,
    call: async (operation, input, progress, signal, streams = {}) => {
      if (signal?.aborted) throw new StackwardenError("OPERATION_CANCELLED", "The call was cancelled before it began.");
      if (socket.destroyed) throw new StackwardenError("RUNTIME_LOST", "The server that runs the stack has ended.");
      last += 1;
      const id = last;
      const cancel = (): void => void socket.write(encode({ cancel: id }));
      const answer = new Promise((resolve, reject) => calls.set(id, { resolve, reject, progress, streams }));
      signal?.addEventListener("abort", cancel, { once: true });
      const { terminal } = streams;
      const size = terminal === undefined ? {} : { terminal: { ...terminal.size(), type: terminal.type } };
      socket.write(encode({ id, operation, input, ...size }));
      const detach = terminal === undefined ? () => undefined : attach(socket, id, terminal);
      try {
        return await answer;
      } finally {
        detach();
        signal?.removeEventListener("abort", cancel);
      }
    },
    close: () => {
      socket.removeAllListeners("close");
      socket.destroy();
    },
  };
}

/** Sends what the user types, and changes of the terminal's size. @returns a function that ends it */
function attach(socket: Socket, id: number, { input, size, onResize }: CallTerminal): () => void {
  const typed = (chunk: Buffer): void => {
    for (let at = 0; at < chunk.length; at += TYPED_BYTES)
      socket.write(encode({ typed: id, data: chunk.subarray(at, at + TYPED_BYTES).toString("base64") }));
  };
  const ended = (): void => void socket.write(encode({ typed: id }));
  input.on("data", typed);
  input.once("end", ended);
  const unfollow = onResize(() => void socket.write(encode({ resize: id, ...size() })));
  return () => {
    unfollow();
    input.removeListener("data", typed);
    input.removeListener("end", ended);
    input.pause();
  };
}
