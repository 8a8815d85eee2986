/** Interprets a container's exit code: an init exits with 128 + signal when a signal ended the program. */
import { constants } from "node:os";
import type { ServiceExit } from "../../stack/runtime.js";

const SIGNALS = new Map(
  (
    [
      "SIGHUP",
      "SIGINT",
      "SIGQUIT",
      "SIGILL",
      "SIGABRT",
      "SIGBUS",
      "SIGFPE",
      "SIGKILL",
      "SIGSEGV",
      "SIGPIPE",
      "SIGTERM",
    ] as const
  ).map((name) => [128 + constants.signals[name], name]),
);

/** Keeps the code beside the signal: a program can also exit with such a code by itself. */
export const exitOf = (exitCode: number | null, at: number, oomKilled = false): ServiceExit => ({
  exitCode,
  signal: (exitCode === null ? undefined : SIGNALS.get(exitCode)) ?? null,
  oomKilled,
  at,
});

export const KILLED = 128 + constants.signals.SIGKILL;
