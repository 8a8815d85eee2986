/**
 * `stackwarden up`: starts the stack in the background server and prints its logs until Ctrl-C, which stops the stack, as
 * `docker compose up` does. With `--detach` it returns once every service is up.
 */
import type { EventPage, HealthReport, LogReport, StartOutcome, StopOutcome } from "../../stack/model.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { LogPrinter } from "../output/log-lines.js";
import { stackTable } from "../output/stack-table.js";
import { dim, yellow } from "../output/terminal.js";
import { type CliHost, type CommonOptions, given, openSession, type Session } from "../session.js";

export interface UpOptions extends CommonOptions {
  /** Start these and what they depend on. */
  services?: string[];
  file?: string[];
  profile?: string[];
  without?: string[];
  port?: "auto" | Record<string, number>;
  watch?: boolean;
  /** Duration without a call after which the stack stops. */
  idleStop?: string;
  /** False: do not print logs. */
  logs?: boolean;
  detach?: boolean;
}

/** Seconds of one call; the command calls again until the start completes. */
const CALL_SECONDS = 600;
const POLL_SECONDS = 20;
const MOST_BYTES = 200_000;
/** Lines of the start that are shown at most. */
const MOST_LINES = 1000;

async function start(session: Session, options: UpOptions): Promise<StartOutcome> {
  const input = given({
    project: session.project,
    folder: session.folder,
    profiles: options.profile,
    files: options.file,
    services: options.services?.length === 0 ? undefined : options.services,
    without: options.without,
    ports: options.port,
    watch: options.watch,
    idle_stop: options.idleStop,
    timeout_seconds: CALL_SECONDS,
  });
  let first: StartOutcome | undefined;
  for (;;) {
    const outcome: StartOutcome = await session.call<StartOutcome>("start_stack", input, (progress) => {
      const { progress: done, total, message } = progress;
      session.terminal.note(dim(total > 0 ? `[${Math.floor(done)}/${total}] ${message}` : message));
    });
    first ??= outcome;
    if (outcome.status !== "starting") return { ...outcome, before: first.before };
  }
}

const ENDS = ["stack_stopped", "stack_lost"];
/** Events that explain a gap in a service's output. */
const NOTABLE = [
  "service_restarting",
  "service_crashed",
  "service_unhealthy",
  "restart_scheduled",
  "service_restarted",
  "restart_given_up",
];

/** Prints notable events. Resolves when the stack has stopped; rejects when the server has ended. */
async function untilStackEnds(session: Session, after: number, until: AbortSignal): Promise<"stopped" | "lost"> {
  const types = [...ENDS, ...NOTABLE];
  let cursor = after;
  for (;;) {
    const page: EventPage = await session.call<EventPage>(
      "get_events",
      { project: session.project, after: cursor, types, wait_seconds: POLL_SECONDS },
      undefined,
      until,
    );
    for (const event of page.events) {
      if (ENDS.includes(event.type)) return event.type === "stack_lost" ? "lost" : "stopped";
      session.terminal.note(yellow(event.message));
    }
    until.throwIfAborted();
    cursor = page.next_cursor;
  }
}

/** @param since ISO time; lines of earlier runs are not shown */
async function showLogs(session: Session, since: string, until: AbortSignal): Promise<void> {
  const printer = new LogPrinter(session.terminal);
  let cursor: string | undefined;
  while (!until.aborted) {
    const from = cursor === undefined ? { since, tail: MOST_LINES } : { cursor, wait_seconds: POLL_SECONDS };
    const input = { project: session.project, max_bytes: MOST_BYTES, ...from };
    const page: LogReport = await session.call<LogReport>("get_logs", input, undefined, until);
    printer.print(page);
    cursor = page.next_cursor;
  }
}

/** Waits until the stack stops or the user interrupts. */
async function stay(session: Session, options: UpOptions, since: string): Promise<ExitCode> {
  const { terminal, signal } = session;
  const { next_cursor: cursor } = await session.call<EventPage>("get_events", { project: session.project, limit: 1 });
  const { state } = await session.call<HealthReport>("health_status", { project: session.project });
  // Another client stopped the stack meanwhile.
  if (state === "stopped") return EXIT.ok;
  terminal.note(dim("Ctrl-C stops the stack."));
  const over = new AbortController();
  const interrupted = new Promise<"interrupted">((resolve) => {
    signal.addEventListener("abort", () => resolve("interrupted"), { once: true });
    if (signal.aborted) resolve("interrupted");
  });
  const end = untilStackEnds(session, cursor, over.signal);
  const logs = options.logs === false ? end : showLogs(session, since, over.signal).then(() => end);
  // The first failure reports that the server has ended.
  for (const one of [end, logs]) one.catch(() => undefined);
  const reason = await Promise.race([interrupted, end, logs]);
  over.abort();
  await Promise.allSettled([end, logs]);
  if (reason === "lost")
    terminal.note("The runtime ended and every service with it. Start the stack again with: stackwarden up");
  if (reason !== "interrupted") return reason === "lost" ? EXIT.failure : EXIT.ok;
  terminal.note(dim("Stopping the stack…"));
  // A second signal ends this process immediately; the server still stops the stack.
  const force = (): void => process.exit(EXIT.interrupted);
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, force);
  const stopping = new AbortController();
  const input = { project: session.project, timeout_seconds: CALL_SECONDS };
  const stopped = await session.call<StopOutcome>("stop_stack", input, undefined, stopping.signal);
  for (const name of ["SIGINT", "SIGTERM"] as const) process.removeListener(name, force);
  return stopped.verified ? EXIT.ok : EXIT.failure;
}

export async function up(options: UpOptions, host: CliHost): Promise<ExitCode> {
  const detach = options.detach === true;
  const session = await openSession(options, host, { start: true, stopOnExit: !detach });
  const { terminal } = session;
  try {
    const begun = new Date().toISOString();
    const outcome = await start(session, options);
    const running = outcome.before.state !== "stopped" && outcome.before.state !== "lost";
    const text =
      running || detach || !outcome.verified
        ? `${outcome.message}\n${stackTable(outcome.after)}`
        : stackTable(outcome.after);
    terminal.print(terminal.json ? JSON.stringify(outcome) : text);
    if (!outcome.after.source.startsWith("/"))
      terminal.note(
        "This folder has no compose file, so this is the built-in stack. For another project: stackwarden init",
      );
    if (running || detach) {
      terminal.note(dim("Logs: stackwarden logs -f. Stop: stackwarden down."));
      return outcome.verified ? EXIT.ok : EXIT.failure;
    }
    return await stay(session, options, begun);
  } finally {
    await session.close();
  }
}
