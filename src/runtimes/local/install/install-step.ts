/** Runs one command of an installation. Network failures are retried according to the operator's `retry` settings. */
import { StackwardenError } from "../../../errors.js";
import { callTo, hint } from "../../../hint.js";
import { withRetry } from "../../../system/retry.js";
import { isTransient } from "../../shared/install-faults.js";
import type { RunResult, RunSpec } from "../types.js";
import { type InstallContext, installingAs } from "./install-context.js";

const TIMEOUT_MS = 15 * 60_000;
const LAST_LINES = 15;
/** The process layer keeps this much of a command's output, in bytes. */
const KEPT_OUTPUT = 64 * 1024;

/**
 * The last complete lines. A line that may be truncated is omitted: redaction runs later and finds only complete
 * secrets.
 */
export function lastLines(output: string, count = LAST_LINES): string[] {
  const lines = output.split(/\r?\n/);
  if (Buffer.byteLength(output) >= KEPT_OUTPUT) lines.pop();
  return lines
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .slice(-count);
}

class StepFailure extends Error {
  constructor(
    readonly result: RunResult,
    readonly ended: string,
  ) {
    super(ended);
  }
}

function endOf({ timedOut, oomKilled, exitCode, signal }: RunResult): string {
  if (timedOut) return "took longer than 15 minutes";
  return oomKilled ? "needs more memory than the service's limit allows" : `ended with ${exitCode ?? signal}`;
}

/** @throws DEPENDENCY_INSTALL_FAILED with the last lines */
export async function installStep(
  context: InstallContext,
  what: string,
  spec: Pick<RunSpec, "argv" | "cwd" | "env">,
): Promise<void> {
  const { host, signal, sink, service, retry } = context;
  const attempt = async (): Promise<void> => {
    const result = await host.run({ ...spec, ...installingAs(context), sink, timeoutMs: TIMEOUT_MS });
    signal.throwIfAborted();
    if (result.exitCode !== 0) throw new StepFailure(result, endOf(result));
  };
  try {
    await withRetry(attempt, {
      ...retry,
      signal,
      classify: (error) => error instanceof StepFailure && !error.result.timedOut && isTransient(error.result.output),
      onRetry: ({ attempt: failed, delayMs, error }) => {
        const message = `${what} ${(error as Error).message} because of the network; retrying in ${delayMs} ms (attempt ${failed + 1} of ${retry.maxRetries + 1}).`;
        context.notice({ type: "retrying", service, message });
        sink.line("stderr", `[stackwarden] ${message}`);
      },
    });
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    throw new StackwardenError("DEPENDENCY_INSTALL_FAILED", `${what} for "${service}" ${error.ended}.`, {
      hint: error.result.oomKilled
        ? "Installers run with the service's limits: raise its memory limit, then start again."
        : hint`Read its output with ${callTo("get_logs", { service, stream: "install" })}, correct the manifest, then start again.`,
      details: { service, last_lines: lastLines(error.result.output) },
    });
  }
}
