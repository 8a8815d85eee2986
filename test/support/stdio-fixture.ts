/**
 * A stdio server over a scripted manager, as a process. It reports on standard error; STUCK=1 makes its shutdown hang,
 * and start_stack ends only when it is cancelled.
 */
import { writeSync } from "node:fs";
import { serveStdio } from "../../src/mcp/stdio.js";
import { scriptedManager } from "./scripted-manager.js";

const say = (line: string): void => {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // The client has closed the stream.
  }
};
const logger = { error: say, warn: say, info: say, debug: () => undefined };

const manager = scriptedManager({
  start: (_request, { signal }) =>
    new Promise((_resolve, reject) => {
      say("START BEGUN");
      signal.addEventListener("abort", () => {
        say("START CANCELLED");
        reject(new Error("cancelled"));
      });
    }),
  list: async () => {
    console.log("a library prints");
    return [];
  },
  shutdown: async (reason, deadlineMs) => {
    say(`SHUTDOWN ${reason} within ${deadlineMs}`);
    if (process.env.STUCK === "1") await new Promise(() => undefined);
  },
});
// Keeps the process alive, as a child process or a socket does.
setInterval(() => undefined, 1000);

await serveStdio({
  getManager: async () => {
    say("MANAGER MADE");
    return manager;
  },
  version: "1",
  logger,
  parentPollMs: 100,
  deadlineMs: Number(process.env.DEADLINE_MS ?? 5000),
});
