/** A server in a separate process, built from the sources, which tests can kill. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { buildSync } from "esbuild";
import { bundle, NODE, ROOT } from "./support.js";

const PROGRAM = `
import { createProcessHost } from "./src/runtimes/local/process-host.js";
const [stateDir, mark, mode] = process.argv.slice(2);
const host = await createProcessHost({ stateDir, warn: (text) => process.stderr.write(text + "\\n") });
// Resolves when the command prints.
const printing = () => {
  let write;
  const printed = new Promise((resolve) => { write = resolve; });
  return { printed, sink: { write, line() {}, end() {} } };
};
const user = await host.userFor("demo", "web");
let generation = 0;
const leave = mode === "plain" ? "" : "setsid ";
const script = "trap '' TERM HUP INT; " + leave + "sh -c 'trap \\"\\" TERM HUP; sleep 60; : " + mark + "' & echo up; wait; sleep 60";
const start = (sink = printing().sink) => host.spawn({
  projectId: "demo", service: "web", generation: ++generation, argv: ["/bin/sh", "-c", script, mark],
  cwd: "/", env: {}, user, limits: { memory_mb: 64, cpus: 0.5, pids: 20 }, sink,
});
const say = (text) => process.stdout.write(text + "\\n");
if (mode === "storm") {
  say("storm");
  for (;;) {
    const running = await start();
    if (generation % 3 === 0) await running.stop({ graceMs: 0 });
  }
}
const outputs = [printing(), printing(), printing()];
const running = await start(outputs[0].sink);
await start(outputs[1].sink);
void host.run({ argv: ["/bin/sh", "-c", "echo up; sleep 60", mark], cwd: "/", env: {}, user, timeoutMs: 60000, signal: new AbortController().signal, sink: outputs[2].sink }).catch(() => {});
await Promise.all(outputs.map(({ printed }) => printed));
if (mode === "plain")
  say(JSON.stringify({
    uid: running.effectiveUid(), user, limits: await running.readLimits(), users: host.usersEnforcement(),
    stats: await running.stats(),
  }));
say("ready " + host.watchdogPid);
process.stdin.on("data", async () => {
  await host.close();
  say("closed");
  process.exit(0);
}).resume();
`;

/** @param folder target of the built programs; the caller removes it */
export function buildServer(folder: string): string {
  bundle("watchdog-main.ts", join(folder, "watchdog.js"));
  const outfile = join(folder, "server.js");
  buildSync({
    stdin: { contents: PROGRAM, resolveDir: ROOT, loader: "js" },
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    logLevel: "warning",
  });
  return outfile;
}

export class ServerProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly exited: Promise<void>;
  warnings = "";
  readonly #lines: AsyncIterator<string>;

  constructor(
    program: string,
    readonly stateDir: string,
    readonly mark: string,
    mode = "",
    uid?: number,
  ) {
    const user = uid === undefined ? {} : { uid, gid: uid };
    this.child = spawn(NODE, [program, stateDir, mark, mode], { stdio: ["pipe", "pipe", "pipe"], cwd: "/", ...user });
    this.pid = this.child.pid as number;
    this.exited = new Promise((resolve) => this.child.once("close", () => resolve()));
    this.child.stderr?.on("data", (chunk) => {
      this.warnings += chunk;
    });
    this.#lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done !== true) return value;
    await this.exited;
    throw new Error(`The server ended: ${this.warnings}`);
  }

  /** @returns the watchdog's process id */
  async ready(): Promise<number> {
    const line = await this.line();
    const pid = /^ready (\d+)$/.exec(line)?.[1];
    if (pid === undefined) throw new Error(line);
    return Number(pid);
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}

export const isWatchdog = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("watchdog.js");
  } catch {
    return false;
  }
};

/** SIGHUP, SIGINT and SIGTERM as bits of the kernel's masks. */
const ENDING = (1n << 0n) | (1n << 1n) | (1n << 14n);

/** Whether the process has installed handlers for SIGHUP, SIGINT or SIGTERM, which it does once it is ready. */
export const handlesSignals = (pid: number): boolean => {
  try {
    const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return mask !== undefined && (BigInt(`0x${mask}`) & ENDING) === ENDING;
  } catch {
    return false;
  }
};
