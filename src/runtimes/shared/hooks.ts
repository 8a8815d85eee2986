/** Lifecycle hooks of a compose service: commands that run in the instance after the start and before the stop. */

import { StackwardenError } from "../../errors.js";
import type { ServiceDefinition, ServiceHook } from "../../stack/definition/types.js";
import type { LogSink } from "../../stack/logs/types.js";
import type { ExecRequest, ExecResult } from "../../stack/runtime.js";
import { timeoutSignal } from "../../system/wait.js";

export interface HookContext {
  service: ServiceDefinition;
  sink: LogSink;
  /**
   * Runs a command in the running instance.
   * @param user of the hook, on runtimes where it can differ from the service's
   */
  exec(request: ExecRequest, user: string | undefined): Promise<ExecResult>;
}

/** Characters of a hook's command in a message. */
const SHOWN = 120;
/** Characters of a line that has no end yet. */
const LONGEST_LINE = 16_384;

async function runHook({ sink, exec }: HookContext, hook: ServiceHook, signal: AbortSignal): Promise<ExecResult> {
  const { user, workingDir, environment, command } = hook;
  const rest = { stdout: "", stderr: "" };
  const result = await exec(
    {
      command,
      environment,
      ...(workingDir === undefined ? {} : { workdir: workingDir }),
      signal,
      onOutput: (stream, chunk) => {
        const lines = (rest[stream] + chunk.toString()).split(/\r?\n/);
        rest[stream] = (lines.pop() ?? "").slice(-LONGEST_LINE);
        for (const line of lines) sink.line(stream, line);
      },
    },
    user,
  );
  for (const stream of ["stdout", "stderr"] as const) if (rest[stream] !== "") sink.line(stream, rest[stream]);
  return result;
}

/** @throws SERVICE_START_FAILED when a hook fails, as Docker Compose does; the signal's reason */
export async function runPostStart(context: HookContext, signal: AbortSignal): Promise<void> {
  const { service } = context;
  for (const hook of service.postStart ?? []) {
    const { exitCode } = await runHook(context, hook, signal);
    signal.throwIfAborted();
    if (exitCode !== 0)
      throw new StackwardenError(
        "SERVICE_START_FAILED",
        `The post_start hook of ${service.name} ended with exit code ${exitCode ?? "none"}: ${hook.command.join(" ").slice(0, SHOWN)}.`,
        {
          hint: `Read its output in the log of ${service.name}, and correct the hook.`,
          details: { service: service.name },
        },
      );
  }
}

/** Hooks that run before an instance stops, once. */
export class PreStop {
  #left: Promise<number> | undefined;

  constructor(private readonly context: HookContext) {}

  /** @returns the rest of the grace period, in milliseconds */
  async run(graceMs: number): Promise<number> {
    if (graceMs === 0 || (this.context.service.preStop ?? []).length === 0) return graceMs;
    this.#left ??= runPreStop(this.context, graceMs);
    return this.#left;
  }
}

/**
 * Runs the hooks for at most `graceMs` milliseconds. A hook that fails does not keep the service from stopping. Never
 * rejects.
 * @returns the rest of the grace period, in milliseconds
 */
async function runPreStop(context: HookContext, graceMs: number): Promise<number> {
  const { service, sink } = context;
  const begin = Date.now();
  const remainingMs = (): number => Math.max(1, graceMs - (Date.now() - begin));
  for (const hook of service.preStop ?? []) {
    const failure = await runHook(context, hook, timeoutSignal(remainingMs())).then(
      ({ exitCode }) => (exitCode === 0 ? null : `exit code ${exitCode ?? "none"}`),
      (error: Error) => error.message,
    );
    if (failure !== null) sink.line("stderr", `The pre_stop hook failed: ${failure}`);
  }
  return remainingMs();
}
