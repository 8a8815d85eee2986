/** The worker thread that reads a project's definition; see src/stack/definition/load-worker.ts. */
import { parentPort } from "node:worker_threads";
import { reviveError, toStackwardenError, transferError } from "./errors.js";
import { loadStack } from "./stack/definition/load.js";
import type { WorkerReply, WorkerRequest } from "./stack/definition/load-worker.js";
import { packed } from "./stack/definition/thread-copy.js";
import { thisThread } from "./system/thread-time.js";

const port = parentPort;
if (port === null) throw new Error("This program is a worker thread of stackwarden.");
const reply = (message: WorkerReply): void => port.postMessage(message);

let onMessage: ((message: WorkerRequest) => void) | undefined;
const generateSecret = (name: string): Promise<string> =>
  new Promise((resolve, reject) => {
    onMessage = (message) => {
      onMessage = undefined;
      if (message.kind === "secret") resolve(message.value);
      else if (message.kind === "no secret") reject(reviveError(message.error));
    };
    reply({ kind: "secret", name });
  });

/** Secrets are asked for one after the other. */
function inOrder(ask: (name: string) => Promise<string>): (name: string) => Promise<string> {
  let last: Promise<unknown> = Promise.resolve();
  return (name) => {
    const next = last.then(() => ask(name));
    last = next.catch(() => undefined);
    return next;
  };
}

port.on("message", (message: WorkerRequest) => {
  if (message.kind !== "load") {
    onMessage?.(message);
    return;
  }
  loadStack({ ...message.request, generateSecret: inOrder(generateSecret) }).then(
    (definition) => reply({ kind: "loaded", definition: packed(definition) }),
    (thrown: unknown) => {
      const error = toStackwardenError(thrown);
      const { cause } = error;
      reply({ kind: "failed", error: transferError(error), stack: cause instanceof Error ? cause.stack : undefined });
    },
  );
});
reply({ kind: "ready", thread: thisThread() });
