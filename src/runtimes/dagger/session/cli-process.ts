/**
 * The `dagger session` process: starts it, reads its first line, and ends it. It exits when its stdin closes, so it
 * never outlives the server.
 */

import { spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { StackwardenError } from "../../../errors.js";
import { heldEnd } from "../../../stack/text/sanitize-text.js";
import { withTrustedPath } from "../../../system/find-program.js";
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
const lastWords = (text: string): string =>
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
    let text = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (chunk: string) => {
      // Later output is not used.
      text = (text + chunk).slice(0, MOST_TEXT);
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length === MOST_TEXT) resolve(text);
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
    const said = lastWords(words);
    return { reason: `the session's process ${how}${said === "" ? "" : `: ${said}`}`, error };
  });
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> => {
    ending ??= (async () => {
      child.stdin.end();
      for (const [ms, next] of [
        [GRACE_MS, "SIGTERM"],
        [TERM_MS, "SIGKILL"],
      ] as const) {
        if (await Promise.race([exited.then(() => true), delay(ms, false, { ref: false })])) return;
        child.kill(next);
      }
      await exited;
    })();
    return ending;
  };
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), startTimeoutMs);
  const together = AbortSignal.any([signal, late.signal]);
  try {
    const line = await Promise.race([
      firstLine(child),
      exited.then(({ reason, error }) => {
        throw unavailable(`No Dagger session could be opened: ${reason}.`, error);
      }),
      new Promise<never>((_resolve, reject) => {
        const abort = () =>
          reject(
            signal.aborted
              ? signal.reason
              : unavailable(
                  `The Dagger session did not open within ${startTimeoutMs / 1000} s${words === "" ? "" : `: ${lastWords(words)}`}.`,
                ),
          );
        together.addEventListener("abort", abort, { once: true });
      }),
    ]);
    const address = parseLine(line);
    if (address === null) throw unavailable("`dagger session` did not say its port; its version may be a foreign one.");
    return { pid: child.pid as number, address, exited, end };
  } catch (error) {
    child.stdin.end();
    child.kill("SIGTERM");
    await end();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
