/** Runs a brief program of stackwarden in a service's instance. */

import type { ExecRequest, ExecResult } from "../../stack/runtime.js";
import { timeoutSignal } from "../../system/wait.js";

const COMMAND_MS = 20_000;
/** Maximum characters of output in the reason of a failure. */
const SHOWN = 200;

/** @returns why the command failed; null when it succeeded */
export async function failureOf(
  exec: (request: ExecRequest) => Promise<ExecResult>,
  command: readonly string[],
  stdin?: Buffer,
): Promise<string | null> {
  let output = "";
  const { exitCode } = await exec({
    command,
    signal: timeoutSignal(COMMAND_MS),
    ...(stdin === undefined ? {} : { stdin }),
    onOutput: (_stream, chunk) => {
      output = (output + chunk.toString()).slice(-SHOWN);
    },
  });
  return exitCode === 0 ? null : output.trim() || `${command[0]} ended with ${exitCode ?? "a signal"}`;
}
