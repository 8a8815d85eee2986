/** Outcome of a command that was run in a service. */
import * as z from "zod";

const number = z.number();
const text = z.string();

export const commandOutcome = z.object({
  project: text,
  service: text,
  message: text,
  /** Null when a signal ended it. */
  exit_code: number.nullable(),
  signal: text.nullable(),
  timed_out: z.boolean(),
  oom_killed: z.boolean(),
  /** True when the command ran in a fresh instance that was removed afterwards. */
  one_off: z.boolean(),
  /** Sanitised and redacted; only head and tail of long output. Untrusted. */
  stdout: text,
  stderr: text,
  /** Null when no output was omitted. */
  omitted: z.object({ stdout_bytes: number, stderr_bytes: number, how_to_get: text }).nullable(),
  took_ms: number,
});
export type CommandOutcome = z.infer<typeof commandOutcome>;
