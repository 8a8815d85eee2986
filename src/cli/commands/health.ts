/** `stackwarden health`: exit code 0 only when every service that has a check is healthy and every other one runs. */
import type { HealthOutcome } from "../../stack/model.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { leftOutNote, staleNote } from "../output/stack-table.js";
import { table } from "../output/table.js";
import { bold, dim, green, paintState, red } from "../output/terminal.js";
import { type CliHost, type CommonOptions, given, openSession } from "../session.js";

export interface HealthOptions extends CommonOptions {
  wait?: string;
  timeout?: number;
  fresh?: boolean;
}

function show(report: HealthOutcome): string {
  const rows = Object.values(report.services).map((one) => [
    one.service,
    paintState(one.status),
    one.latency_ms === null ? "" : `${one.latency_ms} ms`,
    one.check ?? "",
    one.message,
  ]);
  const head = ["SERVICE", "STATUS", "LATENCY", "CHECK", "SEEN"].map(dim);
  const unchecked = report.unchecked.length === 0 ? [] : [dim(`Nothing checks: ${report.unchecked.join(", ")}.`)];
  const all = report.unchecked.length === Object.keys(report.services).length;
  const overall = report.overall_healthy ? green(all ? "running" : "healthy") : red("not healthy");
  const wait = report.wait === null ? [] : [dim(report.wait.reason)];
  const stale = [...Object.values(report.services).flatMap(staleNote), ...leftOutNote(report)].map(dim);
  return [`${bold(report.project)}  ${overall}`, table(head, rows), ...unchecked, ...stale, ...wait].join("\n");
}

export async function health(options: HealthOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  try {
    const report = await session.call<HealthOutcome>(
      "health_status",
      given({
        project: session.project,
        wait_for: options.wait,
        timeout_seconds: options.timeout,
        fresh: options.fresh,
      }),
    );
    session.terminal.print(session.terminal.json ? JSON.stringify(report) : show(report));
    if (options.wait === "stopped") return report.wait?.met === true ? EXIT.ok : EXIT.failure;
    if (report.overall_healthy) return EXIT.ok;
    return report.state === "stopped" ? EXIT.notRunning : EXIT.failure;
  } finally {
    await session.close();
  }
}
