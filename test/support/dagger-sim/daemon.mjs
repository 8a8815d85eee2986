/**
 * The process that runs the sessions of simulated engines, started once for many of them: it listens at the socket that
 * is its argument. Each `dagger session` (`dagger.pl`) connects and sends the engine's folder and the runner host, then
 * `e` at the end of its input and `t` for a signal. It receives lines of a letter and a text in hexadecimal digits: `o`
 * and `e` are output, `h` says that signals are sent from now on, `x` is the exit code. A connection that sends the
 * engine's folder alone is closed once that engine has no session.
 */
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { folderOf, openEngine } from "./engine-folder.mjs";
import { reachable, Session } from "./session.mjs";

/** Sessions that have not ended. */
const sessions = new Set();
/** Told when a session has ended. */
const waiting = new Set();

class Cli {
  /** Aborted at the end of the CLI's process. */
  #gone = new AbortController();
  #ended = false;
  #onEnd;
  #onSignal;

  constructor(connection) {
    this.connection = connection;
    connection.once("close", () => this.#gone.abort()).on("error", () => {});
  }

  #send(kind, text) {
    if (this.connection.writable) this.connection.write(`${kind}${Buffer.from(text).toString("hex")}\n`);
  }

  print = (line) => this.#send("o", `${line}\n`);
  printError = (text) => this.#send("e", text);
  exit = (code) => this.#send("x", String(code));

  fail(message) {
    this.printError(`${message}\n`);
    this.exit(1);
  }

  get gone() {
    return this.#gone.signal;
  }

  onEnd(act) {
    this.#onEnd = act;
    if (this.#ended) act();
  }

  /** Until now a signal ends the CLI's process. */
  onSignal(act) {
    this.#onSignal = act;
    this.#send("h", "");
  }

  take(letter) {
    if (letter === "e") {
      this.#ended = true;
      this.#onEnd?.();
    }
    if (letter === "t") this.#onSignal?.();
  }
}

async function serve(cli, own, runnerHost) {
  const engine = openEngine(folderOf(runnerHost) ?? own);
  const fault = engine.faults().open ?? {};
  if (fault.slowMs !== undefined) await delay(fault.slowMs);
  if (fault.stderr !== undefined && engine.take("open", fault.times)) return cli.fail(fault.stderr);
  if (fault.hangs && engine.take("open-hangs", fault.times)) return cli.onEnd(() => cli.exit(0));
  if (fault.line !== undefined && engine.take("open-line", fault.times)) cli.print(fault.line);
  if (runnerHost !== "" && !(await reachable(runnerHost.slice("unix://".length))))
    return cli.fail(`start engine: failed to connect to ${runnerHost}: dial unix: connect: no such file or directory`);
  const session = new Session(engine, cli.printError);
  sessions.add(session);
  const close = async () => {
    await session.close();
    sessions.delete(session);
    for (const check of waiting) check();
  };
  const port = await session.open();
  const gone = () => {
    session.disconnect();
    void close();
  };
  if (cli.gone.aborted) return gone();
  cli.gone.addEventListener("abort", gone);
  const address = JSON.stringify({ port, session_token: session.token });
  if (fault.stays !== undefined) {
    // When the engine cannot be reached any more, the CLI does not end.
    cli.onSignal(() => fault.stays === "until SIGTERM" && cli.exit(1));
  } else {
    const end = () => void close().then(() => cli.exit(0));
    cli.onEnd(end);
    cli.onSignal(end);
  }
  cli.print(address);
}

/** Resolves once the engine has no session. */
const ended = (folder) =>
  new Promise((resolve) => {
    const check = () => {
      if ([...sessions].some(({ engine }) => engine.folder === folder)) return;
      waiting.delete(check);
      resolve();
    };
    waiting.add(check);
    check();
  });

const server = createServer((connection) => {
  const cli = new Cli(connection);
  let header = "";
  let begun = false;
  connection.setEncoding("utf8");
  connection.on("data", (chunk) => {
    let letters = chunk;
    if (!begun) {
      const lines = (header + chunk).split("\n");
      header = lines[0];
      if (lines.length === 1) return;
      begun = true;
      [, letters] = lines;
      const [folder, runnerHost] = header.split("\t");
      if (runnerHost === undefined) void ended(folder).then(() => connection.end());
      else serve(cli, folder, runnerHost).catch((error) => cli.fail(error.stack));
    }
    for (const letter of letters) cli.take(letter);
  });
});
const [, , socket] = process.argv;
server.listen(socket, () => process.stdout.write("ready\n"));

// Like the engine's containers, those of this process end with it.
const end = async () => {
  await Promise.all([...sessions].map((session) => session.close()));
  rmSync(dirname(socket), { recursive: true, force: true });
  process.exit(0);
};
process.stdin.once("end", end).resume();
