/** `stackwarden logs [service…]` */
import type { LogReport } from "../../stack/model.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { LogPrinter } from "../output/log-lines.js";
import { type CliHost, type CommonOptions, given, openSession } from "../session.js";

export interface LogsOptions extends CommonOptions {
  tail?: number;
  follow?: boolean;
  since?: string;
  until?: string;
  grep?: string;
  regex?: boolean;
  stream?: string;
  previous?: boolean;
  timestamps?: boolean;
}

/** Seconds of one long poll with --follow. */
const POLL_SECONDS = 20;
/** A person can scroll: only a machine's answer needs a small budget. */
const MOST_BYTES = 200_000;

export async function logs(services: string[], options: LogsOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  try {
    const printer = new LogPrinter(session.terminal, options.timestamps);
    const filter = given({
      project: session.project,
      services: services.length > 0 ? services : undefined,
      grep: options.grep,
      regex: options.regex,
      stream: options.stream,
      max_bytes: MOST_BYTES,
    });
    const first = given({ tail: options.tail, since: options.since, until: options.until, previous: options.previous });
    let page = await session.call<LogReport>("get_logs", { ...filter, ...first });
    printer.print(page);
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
