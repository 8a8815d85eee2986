/** Reports a failed command and maps its error code to an exit code. */
import { type ErrorCode, type ErrorReport, toStackwardenError } from "../errors.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { COMMAND_NOTATION } from "./output/notation.js";
import { bold, dim, harmless, red } from "./output/terminal.js";

const CODES: Partial<Record<ErrorCode, ExitCode>> = {
  INVALID_INPUT: EXIT.usage,
  CONFIRMATION_REQUIRED: EXIT.usage,
  STACK_NOT_RUNNING: EXIT.notRunning,
  RUNTIME_UNAVAILABLE: EXIT.runtimeUnavailable,
  LIMITS_NOT_ENFORCEABLE: EXIT.runtimeUnavailable,
  OPERATION_CANCELLED: EXIT.interrupted,
};

const isList = (value: unknown): value is unknown[] => Array.isArray(value) && value.length > 0;

/** Renders the details of an error that help a person. */
function detailLines({ details }: ErrorReport): string[] {
  const lines: string[] = [];
  const { problems, last_lines: last } = details ?? {};
  if (isList(problems))
    for (const problem of problems) {
      const { file, line, path, message } = problem as Record<string, unknown>;
      if (message !== undefined)
        lines.push(`  ${[file, line, path].filter((part) => part != null && part !== "").join(":")} ${message}`);
    }
  if (isList(last)) lines.push(dim("  last lines:"), ...last.map((line) => dim(`  | ${String(line)}`)));
  return lines;
}

/** Writes the failure to standard error, as text or as one JSON line. @returns the exit code */
export function reportFailure(error: unknown, json: boolean): ExitCode {
  const failure = toStackwardenError(error);
  const report = failure.report(COMMAND_NOTATION);
  const text = json
    ? JSON.stringify({ error: report })
    : harmless(
        [`${red("error")} ${bold(report.code)}: ${report.message}`, ...detailLines(report), `  ${report.hint}`].join(
          "\n",
        ),
      );
  process.stderr.write(`${text}\n`);
  if (report.code === "INTERNAL" && failure.cause instanceof Error) process.stderr.write(`${failure.cause.stack}\n`);
  return CODES[report.code] ?? EXIT.failure;
}
