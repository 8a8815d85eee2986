/**
 * The `dagger session` process: starts it, reads its first line, and ends it. It exits when its stdin closes, so it
 * never outlives the server.
 */

import { spawn } from "node:child_process";
import { StackwardenError } from "../../../errors.js";
import { heldEnd } from "../../../stack/text/sanitize-text.js";
import { withTrustedPath } from "../../../system/find-program.js";
import { LineSplitter } from "../../../system/line-splitter.js";
import { within, withinOrNull } from "../../../system/wait.js";
import { type Child, childExit } from "../engine/child-exit.js";
import type { Address } from "./connection.js";
import type { SessionOptions } from "./types.js";

const START_TIMEOUT_MS = 300_000;
/** Maximum length of the first line (a longer one is invalid), and of the last output that is kept. */
const MOST_TEXT = 16_384;
/** Milliseconds after stdin is closed until SIGTERM, and then until SIGKILL. */
const GRACE_MS = 5_000;
const TERM_MS = 2_000;

/** Variables that would make the CLI join a foreign session or trace, or send this server's telemetry elsewhere. */
const NOT_PASSED =
  /^(DAGGER_SESSION_.*|_EXPERIMENTAL_DAGGER_RUNNER_HOST|TRACEPARENT|TRACESTATE|BAGGAGE|OTEL_.*|STACKWARDEN_.*)$/i;

export function cliEnvironment(env: NodeJS.ProcessEnv, runnerHost: string | null): NodeJS.ProcessEnv {
  const passed = Object.fromEntries(Object.entries(env).filter(([name]) => !NOT_PASSED.test(name)));
  return {
    ...passed,
    DAGGER_NO_NAG: "1",
    ...(runnerHost === null ? {} : { _EXPERIMENTAL_DAGGER_RUNNER_HOST: runnerHost }),
  };
}

export interface CliProcess {
  readonly pid: number;
  readonly address: Address;
  /** Settles when the process has ended; never rejects. */
  readonly exited: Promise<{ reason: string }>;
  /** Ends it within seconds. Idempotent. */
  end(): Promise<void>;
}

/** Last output of the CLI, without colours and progress. */
const lastText = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal sequences are what is removed here.
    .replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .slice(-4)
    .join(" ");

function parseLine(line: string): Address | null {
  try {
    const { port, session_token: token } = JSON.parse(line) as { port?: unknown; session_token?: unknown };
    return Number.isInteger(port) && typeof token === "string" && token !== "" ? { port: Number(port), token } : null;
  } catch {
    return null;
  }
}

/** Resolves with the first line of its standard output. */
function firstLine(child: Child): Promise<string> {
  return new Promise((resolve) => {
    const lines = new LineSplitter(resolve, MOST_TEXT);
    child.stdout.on("data", (chunk: Buffer) => {
      // Resolve with the start of a line that is too long. Later output is not used.
      if (!lines.push(chunk)) lines.end();
    });
  });
}

const unavailable = (message: string, cause?: unknown): StackwardenError =>
  new StackwardenError("RUNTIME_UNAVAILABLE", message, {
    hint: "Run `stackwarden doctor`: it says which engine is meant and whether it answers.",
    cause,
  });

/**
 * On failure no process is left.
 * @throws RUNTIME_UNAVAILABLE with the CLI's last output
 */
export async function startCli(options: SessionOptions): Promise<CliProcess> {
  const { cli, runnerHost, workdir, signal, env, startTimeoutMs = START_TIMEOUT_MS } = options;
  signal.throwIfAborted();
  // A separate process group: an interrupt at the terminal reaches the server, which stops the services first.
  const child: Child = spawn(cli, ["session", "--silent"], {
    cwd: workdir,
    env: cliEnvironment(await withTrustedPath(env), runnerHost),
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  let words = "";
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (chunk: string) => {
    words = heldEnd(words + chunk);
  });
  const exited = childExit(child).then(({ how, error }) => {
    if (error !== undefined) return { reason: how, error };
    const lastOutput = lastText(words);
    return { reason: `the session's process ${how}${lastOutput === "" ? "" : `: ${lastOutput}`}`, error };
  });
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> => {
    ending ??= (async () => {
      child.stdin.end();
      for (const [ms, next] of [
        [GRACE_MS, "SIGTERM"],
        [TERM_MS, "SIGKILL"],
      ] as const) {
        if ((await withinOrNull(exited, ms)) !== null) return;
        child.kill(next);
      }
      await exited;
    })();
    return ending;
  };
  try {
    const opened = Promise.race([
      firstLine(child),
      exited.then(({ reason, error }) => {
        throw unavailable(`No Dagger session could be opened: ${reason}.`, error);
      }),
    ]);
    const lastOutput = (): string => (words === "" ? "" : `: ${lastText(words)}`);
    const line = await within(opened, {
      ms: startTimeoutMs,
      signal,
      late: () => unavailable(`The Dagger session did not open within ${startTimeoutMs / 1000} s${lastOutput()}.`),
    });
    const address = parseLine(line);
    if (address === null) throw unavailable("`dagger session` did not print its port; its version may be unsupported.");
    return { pid: child.pid as number, address, exited, end };
  } catch (error) {
    child.stdin.end();
    child.kill("SIGTERM");
    await end();
    throw error;
  }
}
