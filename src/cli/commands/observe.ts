/** Commands that only read: `stats`, `events`. */
import type { EventPage, StackEvent, StatsReport } from "../../stack/model.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { limitsText } from "../output/stack-table.js";
import { table } from "../output/table.js";
import { bold, dim, paintState, yellow } from "../output/terminal.js";
import { type CliHost, type CommonOptions, given, openSession } from "../session.js";

const number = (value: number | null, unit: string, digits = 0): string =>
  value === null ? "?" : `${value.toFixed(digits)}${unit}`;

function showStats(report: StatsReport): string {
  const rows = Object.entries(report.services).map(([name, { state, stats, limits }]) => [
    name,
    paintState(state),
    ...(stats === null
      ? ["", "", "", "", ""]
      : [
          number(stats.cpu_cores, "", 2),
          number(stats.memory_mb, " MB"),
          number(stats.pids, ""),
          number(stats.throttled_seconds, " s", 1),
          number(stats.oom_kills, ""),
        ]),
    limitsText(limits),
  ]);
  const head = ["SERVICE", "STATE", "CPU", "MEMORY", "PIDS", "THROTTLED", "OOM", "LIMITS"].map(dim);
  const warnings = Object.entries(report.services).flatMap(([name, { pressure }]) =>
    pressure.map((text) => yellow(`  ${name}: ${text}`)),
  );
  return [bold(report.project), table(head, rows), ...warnings].join("\n");
}

export async function stats(services: string[], options: CommonOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  try {
    const report = await session.call<StatsReport>(
      "get_stats",
      given({ project: session.project, services: services.length > 0 ? services : undefined }),
    );
    session.terminal.print(session.terminal.json ? JSON.stringify(report) : showStats(report));
    return EXIT.ok;
  } finally {
    await session.close();
  }
}

export interface EventsOptions extends CommonOptions {
  limit?: number;
  service?: string;
  type?: string[];
  follow?: boolean;
}

const POLL_SECONDS = 20;

const showEvent = ({ time, type, service, actor, message }: StackEvent): string =>
  `${dim(time)} ${type.padEnd(18)} ${(service ?? "-").padEnd(10)} ${message}${actor === "stackwarden" ? "" : dim(` (${actor})`)}`;

export async function events(options: EventsOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  const { terminal } = session;
  try {
    const filter = given({ project: session.project, service: options.service, types: options.type });
    const print = (page: EventPage): void => {
      for (const event of page.events) terminal.print(terminal.json ? JSON.stringify(event) : showEvent(event));
    };
    let page = await session.call<EventPage>("get_events", { ...filter, ...given({ limit: options.limit }) });
    print(page);
    while (options.follow === true && !session.signal.aborted) {
      const more = { after: page.next_cursor, wait_seconds: POLL_SECONDS };
      page = await session.call<EventPage>("get_events", { ...filter, ...more });
      print(page);
    }
    return EXIT.ok;
  } catch (error) {
    if (options.follow === true && session.signal.aborted) return EXIT.ok;
    throw error;
  } finally {
    await session.close();
  }
}
