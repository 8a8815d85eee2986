/**
 * Detects every way in which the client of a stdio server can end: closed pipes, a signal, a vanished parent process.
 * The SDK's transport detects none of them. This module has no imports, so that the bridge can use it too.
 */
import type { Readable, Writable } from "node:stream";
import { watchParent } from "./parent.js";

export interface ClientEndOptions {
  stdin: Readable;
  stdout: Writable;
  /** Milliseconds between two checks of the parent process. Default 1,000. */
  parentPollMs?: number;
  parentId?: () => number;
  /** Ends the process. Default: process.exit. */
  exit?: (code: number) => void;
}

export interface End {
  reason: string;
  /** False when the client can no longer read results, or requests a fast exit. */
  polite: boolean;
}

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

export function clientEnd({ stdin, stdout, parentPollMs = 1000, parentId, exit = process.exit }: ClientEndOptions) {
  let settle: (end: End) => void = () => undefined;
  const reason = new Promise<End>((resolve) => {
    settle = resolve;
  });
  const end = (why: string, polite = false) => settle({ reason: why, polite });
  const onEnd = (): void => end("standard input ended", true);
  const onClose = (): void => end("standard input was closed", true);
  const onError = (error: Error): void =>
    end(`standard output failed (${(error as NodeJS.ErrnoException).code ?? error.name})`);
  stdin.once("end", onEnd);
  stdin.once("close", onClose);
  stdout.on("error", onError);
  let signals = 0;
  const onSignal = (signal: string): void => {
    signals += 1;
    // A second signal exits immediately; the watchdog ends the services.
    if (signals > 1) exit(1);
    end(`signal ${signal}`);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  const stopWatch = watchParent(() => end("the parent process is gone"), parentPollMs, parentId);
  return {
    reason,
    now: (why: string) => end(why),
    release: (): void => {
      stopWatch();
      stdin.off("end", onEnd);
      stdin.off("close", onClose);
      for (const signal of SIGNALS) process.off(signal, onSignal);
      // The listener for errors of standard output stays: a late EPIPE must not become an uncaught exception.
    },
  };
}
