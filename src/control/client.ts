/** The other end of a control socket: lets one process call the operations of the process that holds the stack. */
import { connect, type Socket } from "node:net";
import { reviveError, StackwardenError } from "../errors.js";
import type { CallContext, Progress } from "../stack/model.js";
import { type ControlHello, type ControlReply, encode, lineSplitter } from "./protocol.js";

/** A server that does not greet within this time hangs. */
const HELLO_MS = 5000;

export interface ControlClient {
  readonly server: ControlHello["hello"];
  /** @param signal cancels the call; its answer is what came of it until then */
  call(
    operation: string,
    input: unknown,
    progress?: (progress: Progress) => void,
    signal?: AbortSignal,
    output?: CallContext["output"],
  ): Promise<unknown>;
  /** Ends the connection; the server cancels what is still under way. */
  close(): void;
}

/**
 * @returns null when nobody listens: no socket, or one that a killed server left
 * @throws StackwardenError PROJECT_LOCKED when the server is another user's or does not answer
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
    throw new StackwardenError("PROJECT_LOCKED", `The stack's server cannot be reached: ${(error as Error).message}`, {
      hint:
        code === "EACCES" || code === "EPERM"
          ? "Another user runs this stack; call as that user."
          : "Try again, or stop the stack where it was started.",
      cause: error,
    });
  }
  return await controlOver(socket, helloMs);
}

/** Operations over a connection whose server is about to greet. */
export function controlOver(socket: Socket, helloMs = HELLO_MS): Promise<ControlClient> {
  const calls = new Map<number, Call>();
  socket.setEncoding("utf8");
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
          new StackwardenError("PROJECT_LOCKED", "The stack's server does not answer.", {
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
    const take = lineSplitter(onLine);
    socket.on("data", (chunk: string) => {
      try {
        if (!take(chunk)) throw new Error("line too long");
      } catch (error) {
        fail(new StackwardenError("INTERNAL", "The stack's server answered in an unknown way.", { cause: error }));
      }
    });
    // An error is followed by close, which tells the callers.
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
  output: CallContext["output"];
}

function settle(calls: Map<number, Call>, reply: ControlReply): void {
  const call = calls.get(reply.id);
  if (call === undefined) return;
  if ("progress" in reply) {
    call.progress?.(reply.progress);
    return;
  }
  if ("output" in reply) {
    call.output?.(reply.output.stream, reply.output.line);
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
    call: async (operation, input, progress, signal, output) => {
      if (signal?.aborted) throw new StackwardenError("OPERATION_CANCELLED", "The call was cancelled before it began.");
      if (socket.destroyed) throw new StackwardenError("RUNTIME_LOST", "The server that runs the stack has ended.");
      last += 1;
      const id = last;
      const cancel = (): void => void socket.write(encode({ cancel: id }));
      const answer = new Promise((resolve, reject) => calls.set(id, { resolve, reject, progress, output }));
      signal?.addEventListener("abort", cancel, { once: true });
      socket.write(encode({ id, operation, input }));
      try {
        return await answer;
      } finally {
        signal?.removeEventListener("abort", cancel);
      }
    },
    close: () => {
      socket.removeAllListeners("close");
      socket.destroy();
    },
  };
}
