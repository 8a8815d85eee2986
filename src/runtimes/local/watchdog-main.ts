/**
 * The watchdog: a process of its own that outlives the server in whatever way that ends, SIGKILL included, ends what
 * the server ran, and then itself. It hears of groups and cgroups on standard input; its end is the server's end.
 * Arguments: the run file to remove.
 */
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { endEntry, type RunEntry } from "./process/ledger.js";

/** `done`: the server ended everything itself. */
export type WatchdogMessage = { add: RunEntry } | { remove: number } | { done: true };

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);

/** Null for a line that the server's end tore. */
function parse(line: string): WatchdogMessage | null {
  try {
    return JSON.parse(line) as WatchdogMessage;
  } catch {
    return null;
  }
}

const entries = new Map<number, RunEntry>();
let done = false;
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const message = parse(line);
    if (message === null) return;
    if ("add" in message) entries.set(message.add.pid, message.add);
    else if ("remove" in message) entries.delete(message.remove);
    else done = true;
  })
  .on("close", () => {
    if (done) process.exit(0);
    void Promise.allSettled([...entries.values()].map((entry) => endEntry(entry, true))).then(() => {
      const [, , file] = process.argv;
      if (file !== undefined) rmSync(file, { force: true });
      process.exit(0);
    });
  });
