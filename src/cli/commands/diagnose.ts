/** `stackwarden diagnose`: exit code 0 when no problem is detected. */
import type { Cause, DiagnosisReport } from "../../stack/diagnosis/types.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { COMMAND_NOTATION } from "../output/notation.js";
import { table } from "../output/table.js";
import { bold, dim, green, paintState, red, yellow } from "../output/terminal.js";
import { type CliHost, type CommonOptions, given, openSession } from "../session.js";

export interface DiagnoseOptions extends CommonOptions {
  since?: string;
}

const where = ({ service, confidence, kind }: Cause): string =>
  dim(`${service === null ? "" : `${service}, `}${kind}, ${confidence}`);

function showCause(cause: Cause): string[] {
  const { explanation, because_of, evidence, next } = cause;
  const call =
    next.operation === null
      ? []
      : [dim(`  then: ${COMMAND_NOTATION.call({ operation: next.operation, input: next.input })}`)];
  return [
    `${explanation} (${where(cause)})`,
    ...(because_of === null ? [] : [`  follows from ${because_of}`]),
    // Evidence can quote services, so every line carries a mark.
    ...evidence.map(({ source, text, time }) => `  ${dim(`${source.padEnd(6)} ${time ?? ""} |`)} ${text}`),
    `  ${bold("next")}: ${next.do}`,
    ...call,
  ];
}

function show(report: DiagnosisReport): string {
  const { cause, others, services, omitted } = report;
  const paint = cause === null ? green : report.overall_healthy ? yellow : red;
  const rows = Object.entries(services).map(([name, one]) => [
    name,
    paintState(one.state),
    String(one.restarts),
    String(one.crashes),
    one.message,
  ]);
  const more = omitted.causes > 0 ? [dim(`${omitted.causes} more causes omitted`)] : [];
  return [
    `${bold(report.project)}  ${paint(report.summary)}`,
    table(["SERVICE", "STATE", "RESTARTS", "CRASHES", "SEEN"].map(dim), rows),
    ...(cause === null ? [] : ["", bold("Most likely"), ...showCause(cause)]),
    ...(others.length === 0 ? [] : ["", bold("Also"), ...others.flatMap(showCause), ...more]),
  ].join("\n");
}

export async function diagnose(
  service: string | undefined,
  options: DiagnoseOptions,
  host: CliHost,
): Promise<ExitCode> {
  const session = await openSession(options, host);
  try {
    const report = await session.call<DiagnosisReport>(
      "diagnose",
      given({ project: session.project, service, since: options.since }),
    );
    session.terminal.print(session.terminal.json ? JSON.stringify(report) : show(report));
    if (report.cause === null) return EXIT.ok;
    return report.state === "stopped" ? EXIT.notRunning : EXIT.failure;
  } finally {
    await session.close();
  }
}
