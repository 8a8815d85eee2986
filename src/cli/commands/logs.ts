/** `stackwarden logs [service…]` */
import type { LogReport } from "../../stack/model.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { LogPrinter } from "../output/log-lines.js";
import { table } from "../output/table.js";
import { dim } from "../output/terminal.js";
import { type CliHost, type CommonOptions, given, openSession } from "../session.js";

export interface LogsOptions extends CommonOptions {
  tail?: number;
  follow?: boolean;
  since?: string;
  until?: string;
  grep?: string;
  regex?: boolean;
  errors?: boolean;
  minLevel?: string;
  context?: number;
  summary?: boolean;
  waitFor?: string;
  /** Seconds. */
  timeout?: number;
  stream?: string;
  previous?: boolean;
  timestamps?: boolean;
}

/** Seconds of one long poll with --follow. */
const POLL_SECONDS = 20;
/** A person can scroll: only a machine's answer needs a small budget. */
const MOST_BYTES = 200_000;

/** Seconds of the longest wait of one call. */
const LONGEST_WAIT = 50;

function showSummary({ lines, levels, messages, other_messages, periods }: NonNullable<LogReport["summary"]>): string {
  const counts = Object.entries(levels).map(([level, count]) => `${level} ${count}`);
  const rows = messages.map(({ count, level, service, first, last, text }) => [
    `${count}×`,
    level ?? "-",
    service,
    `${first.slice(11, 19)} – ${last.slice(11, 19)}`,
    text,
  ]);
  return [
    `${lines} lines${counts.length === 0 ? "" : `: ${counts.join(", ")}`}`,
    table(["COUNT", "LEVEL", "SERVICE", "TIME (UTC)", "MESSAGE"].map(dim), rows),
    ...(other_messages === 0 ? [] : [dim(`${other_messages} further messages`)]),
    table(
      ["FROM (UTC)", "LINES", "ERRORS"].map(dim),
      periods.map((period) => [period.from.slice(11, 19), String(period.lines), String(period.errors)]),
    ),
  ].join("\n");
}

export async function logs(services: string[], options: LogsOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  try {
    const printer = new LogPrinter(session.terminal, options.timestamps);
    const filter = given({
      project: session.project,
      services: services.length > 0 ? services : undefined,
      grep: options.grep,
      regex: options.regex,
      only: options.errors === true ? "errors" : undefined,
      min_level: options.minLevel,
      context: options.context,
      stream: options.stream,
      max_bytes: MOST_BYTES,
    });
    const first = given({ tail: options.tail, since: options.since, until: options.until, previous: options.previous });
    const mode = given({
      summary: options.summary,
      wait_for: options.waitFor,
      follow: options.waitFor !== undefined && options.follow === true ? true : undefined,
      wait_seconds: options.waitFor === undefined ? undefined : Math.min(options.timeout ?? POLL_SECONDS, LONGEST_WAIT),
    });
    let page = await session.call<LogReport>("get_logs", { ...filter, ...first, ...mode });
    if (page.summary !== undefined) {
      const { summary } = page;
      session.terminal.print(session.terminal.json ? JSON.stringify(summary) : showSummary(summary));
      return EXIT.ok;
    }
    printer.print(page);
    if (page.wait !== undefined) {
      session.terminal.note(dim(page.wait.reason));
      return page.wait.met ? EXIT.ok : EXIT.failure;
    }
    while (options.follow === true && !session.signal.aborted) {
      page = await session.call<LogReport>("get_logs", {
        ...filter,
        cursor: page.next_cursor,
        wait_seconds: POLL_SECONDS,
      });
      printer.print(page);
    }
    return EXIT.ok;
  } catch (error) {
    // Ctrl-C is how following ends.
    if (options.follow === true && session.signal.aborted) return EXIT.ok;
    throw error;
  } finally {
    await session.close();
  }
}
