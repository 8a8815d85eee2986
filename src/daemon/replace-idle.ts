/** Lets `serve` replace an idle background server. A server in use is never replaced. */
import { setTimeout as sleep } from "node:timers/promises";
import { StackwardenError } from "../errors.js";
import { lockHolder } from "../system/lock-file.js";
import { connectToDaemon } from "./connect.js";
import { type Daemon, type DaemonOptions, openDaemon } from "./daemon.js";
import { daemonPaths } from "./daemon-paths.js";

const TRIES = 5;
const ENDING_MS = 45_000;

/** @throws StackwardenError SERVER_IN_USE when a server of this user runs stacks, has clients or serves HTTP */
export async function replaceIdleDaemon(options: DaemonOptions): Promise<Daemon> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openDaemon(options);
    } catch (error) {
      // Bounded: another process can start a new server in every round.
      if (!(error instanceof StackwardenError) || error.code !== "SERVER_IN_USE" || attempt === TRIES) throw error;
    }
    const reply = await connectToDaemon({
      stateDir: options.stateDir,
      version: options.version,
      purpose: "stop",
      cwd: process.cwd(),
      flags: {},
      env: {},
    });
    reply?.socket.destroy();
    const { lock } = daemonPaths(options.stateDir);
    const pid = reply?.welcome.server.pid;
    for (const end = Date.now() + ENDING_MS; lockHolder(lock) === pid && Date.now() < end; ) await sleep(20);
  }
}
