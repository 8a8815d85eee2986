/** Reports a failed command and maps its error code to an exit code. */
import { type ErrorCode, type ErrorReport, toStackwardenError } from "../errors.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { COMMAND_NOTATION, COMMANDS } from "./output/notation.js";
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

const present = (parts: readonly unknown[], separator: string): string =>
  parts.filter((part) => part != null && part !== "").join(separator);

/**
 * Problems of compose files, a line each, with their hints; a hint that several problems share follows the last of them.
 * Empty for a single problem, which the error's message names.
 */
function problemLines(problems: readonly unknown[]): string[] {
  const shown = problems
    .map((problem) => problem as Record<string, unknown>)
    .filter(({ message }) => message !== undefined);
  if (shown.length < 2) return [];
  return shown.flatMap(({ file, line, path, message, hint }, at) => [
    `  ${present([present([file, line], ":"), path, message], ": ")}`,
    ...(hint === undefined || hint === shown[at + 1]?.hint ? [] : [dim(`    ${String(hint)}`)]),
  ]);
}

/** Renders the details of an error that help a person. */
function detailLines({ details }: ErrorReport): string[] {
  const lines: string[] = [];
  const { problems, last_lines: last } = details ?? {};
  if (isList(problems)) lines.push(...problemLines(problems));
  if (isList(last)) lines.push(dim("  last lines:"), ...last.map((line) => dim(`  | ${String(line)}`)));
  return lines;
}

/** True when the hint repeats the hint of a problem. */
const hintShown = ({ details, hint }: ErrorReport): boolean =>
  isList(details?.problems) &&
  details.problems.length > 1 &&
  details.problems.some((problem) => (problem as { hint?: unknown }).hint === hint);

/** Names fields as options, and operations as commands. */
function inCommandTerms({ code, message, hint, details }: ErrorReport): { message: string; hint: string } {
  const { operation, issues } = details ?? {};
  const form = typeof operation === "string" ? COMMANDS[operation] : undefined;
  if (form === undefined) return { message, hint };
  const command = `stackwarden ${form.name}`;
  if (code !== "INVALID_INPUT" || !isList(issues))
    return {
      message: message.replace(`${operation} `, `${command} `),
      hint: hint.replace("If the user wants that", "To confirm"),
    };
  const text = Object.entries(form.options).reduce(
    (before, [field, option]) => before.replace(new RegExp(`(^|[ .,])${field}(?=[ :,.]|$)`, "g"), `$1${option}`),
    message.replace(`${operation}: `, ""),
  );
  return { message: text, hint: `\`${command} --help\` shows the options; nothing was changed.` };
}

/** Writes the failure to standard error, as text or as one JSON line. @returns the exit code */
export function reportFailure(error: unknown, json: boolean): ExitCode {
  const failure = toStackwardenError(error);
  const report = failure.report(COMMAND_NOTATION);
  const { message, hint } = inCommandTerms(report);
  const text = json
    ? JSON.stringify({ error: report })
    : harmless(
        [
          // The person at the terminal has interrupted it.
          report.code === "OPERATION_CANCELLED" ? message : `${red("error")} ${bold(report.code)}: ${message}`,
          ...detailLines(report),
          ...(hintShown(report) ? [] : [`  ${hint}`]),
        ].join("\n"),
      );
  process.stderr.write(`${text}\n`);
  if (report.code === "INTERNAL" && failure.cause instanceof Error) process.stderr.write(`${failure.cause.stack}\n`);
  return CODES[report.code] ?? EXIT.failure;
}
