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

interface Problem {
  file?: string;
  line?: number | null;
  path?: string;
  message: string;
  hint?: string;
}

interface Shown {
  message: string;
  lines: string[];
  hint: string;
}

/** Renders an error with the details that help a person, and names of fields as options of the command. */
function shown({ code, message, hint, details }: ErrorReport): Shown {
  const { problems, last_lines: last, operation, issues } = details ?? {};
  const lines = isList(last) ? [dim("  last lines:"), ...last.map((line) => dim(`  | ${String(line)}`))] : [];
  const several = isList(problems) ? (problems as Problem[]).filter((one) => one.message !== undefined) : [];
  // The message of an error is that of its first problem.
  if (several.length > 1 && several.every((one) => one.hint !== undefined)) {
    const listed = several.flatMap(({ file, line, path, message: what, hint: how }) => [
      `  ${[[file, line].filter((part) => part != null).join(":"), path, what].filter(Boolean).join(": ")}`,
      dim(`    ${how}`),
    ]);
    return { message: `${several.length} problems`, lines: [...listed, ...lines], hint: "" };
  }
  const form = typeof operation === "string" ? COMMANDS[operation] : undefined;
  if (form === undefined) return { message, lines, hint };
  const command = form.name;
  if (code !== "INVALID_INPUT" || !isList(issues))
    return {
      message: message.replace(`${operation} `, `stackwarden ${command} `),
      lines,
      hint: hint.replace("If the user wants that", "To confirm"),
    };
  const text = Object.entries(form.options).reduce(
    (before, [field, option]) => before.replace(new RegExp(`(^|[ .,])${field}(?=[ :,.]|$)`, "g"), `$1${option}`),
    message.replace(`${operation}: `, ""),
  );
  return { message: text, lines, hint: `\`stackwarden ${command} --help\` shows the options; nothing was changed.` };
}

/** Writes the failure to standard error, as text or as one JSON line. @returns the exit code */
export function reportFailure(error: unknown, json: boolean): ExitCode {
  const failure = toStackwardenError(error);
  const report = failure.report(COMMAND_NOTATION);
  const { message, lines, hint } = shown(report);
  const text = json
    ? JSON.stringify({ error: report })
    : harmless(
        [`${red("error")} ${bold(report.code)}: ${message}`, ...lines, ...(hint === "" ? [] : [`  ${hint}`])].join(
          "\n",
        ),
      );
  process.stderr.write(`${text}\n`);
  if (report.code === "INTERNAL" && failure.cause instanceof Error) process.stderr.write(`${failure.cause.stack}\n`);
  return CODES[report.code] ?? EXIT.failure;
}
