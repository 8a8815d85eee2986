/**
 * Commands of the built program, which share one process. They show what a command prints, changes and returns. Tests of
 * signals, standard input, a terminal or a closed pipe start a process instead.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { BINARY } from "../e2e/support/bench.js";

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export class Commands {
  readonly #env: Record<string, string>;
  #host: Promise<ChildProcess> | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #number = 0;

  /** @param env what the program reads when it is loaded */
  constructor(env: Record<string, string> = { NO_COLOR: "1" }) {
    this.#env = env;
  }

  /** Runs after the commands before it. */
  run(args: readonly string[], at: { cwd: string; env: Record<string, string> }): Promise<Ran> {
    const ran = this.#last.then(async () => {
      this.#host ??= this.#start();
      this.#number += 1;
      return request(await this.#host, { ...at, args, end: `\0end of command ${this.#number}\0` });
    });
    this.#last = ran.catch(() => undefined);
    return ran;
  }

  async #start(): Promise<ChildProcess> {
    const host = fork(fileURLToPath(new URL("command-host.mjs", import.meta.url)), [BINARY], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: { PATH: process.env.PATH, ...this.#env },
      execArgv: [],
    });
    for (const stream of [host.stdout, host.stderr]) stream?.setEncoding("utf8");
    // A later command starts another one.
    host.once("exit", () => {
      this.#host = undefined;
    });
    await Promise.race([once(host, "message"), once(host, "exit")]);
    if (host.exitCode !== null || host.signalCode !== null) throw new Error("The host of commands ended at its start.");
    return host;
  }

  async close(): Promise<void> {
    const host = await this.#host;
    if (host === undefined || host.exitCode !== null || host.signalCode !== null) return;
    host.kill("SIGKILL");
    await once(host, "exit");
  }
}

function request(host: ChildProcess, message: { end: string; cwd: string; args: readonly string[] }): Promise<Ran> {
  const { stdout, stderr } = host;
  if (stdout === null || stderr === null) throw new Error("the host has no pipes");
  return new Promise((resolve, reject) => {
    let [out, err] = ["", ""];
    const finish = (settle: () => void): void => {
      stdout.off("data", onOut);
      stderr.off("data", onErr);
      host.off("exit", onExit);
      settle();
    };
    const look = (): void => {
      const [printed = "", code] = out.split(message.end);
      if (code?.endsWith("\n") !== true || !err.endsWith(message.end)) return;
      finish(() => resolve({ code: Number(code), stdout: printed, stderr: err.slice(0, -message.end.length) }));
    };
    const onOut = (chunk: string): void => {
      out += chunk;
      look();
    };
    const onErr = (chunk: string): void => {
      err += chunk;
      look();
    };
    const onExit = (code: number | null): void =>
      finish(() => reject(new Error(`\`${message.args.join(" ")}\` ended its process with ${code}: ${err}`)));
    stdout.on("data", onOut);
    stderr.on("data", onErr);
    host.once("exit", onExit);
    host.send(message);
  });
}
