/** `stackwarden up`: starts the stack and stays in the foreground with its logs, as `docker compose up` does. */
import type { LogReport, StackManager, StartOutcome } from "../../stack/model.js";
import type { ControlDoor } from "../control/door.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { LogPrinter } from "../output/log-lines.js";
import { stackTable } from "../output/stack-table.js";
import { dim } from "../output/terminal.js";
import { type CliHost, type CommonOptions, given, openSession, type Session } from "../session.js";

export interface UpOptions extends CommonOptions {
  profile?: string[];
  port?: Record<string, number>;
  /** False: do not show logs. */
  logs?: boolean;
}

/** Longest wait of one call; a start that takes longer is waited for again. */
const CALL_SECONDS = 600;

async function start(session: Session, options: UpOptions): Promise<StartOutcome> {
  const input = given({
    project: session.project,
    folder: session.folder,
    profiles: options.profile,
    ports: options.port,
    timeout_seconds: CALL_SECONDS,
  });
  for (;;) {
    const outcome = await session.call<StartOutcome>("start_stack", input, ({ progress, total, message }) =>
      session.terminal.note(dim(total > 0 ? `[${Math.floor(progress)}/${total}] ${message}` : message)),
    );
    if (outcome.status !== "starting") return outcome;
  }
}

/** Resolves when the stack is no longer up, or when the user wants it to end. */
function ended(session: Session, manager: StackManager): Promise<"interrupted" | "stopped" | "lost"> {
  return new Promise((resolve) => {
    const done = (why: "interrupted" | "stopped" | "lost"): void => {
      unsubscribe();
      resolve(why);
    };
    const unsubscribe = manager.subscribe((change) => {
      if (change.kind !== "events" || change.project !== session.project) return;
      if (change.event?.type === "stack_stopped") done("stopped");
      if (change.event?.type === "stack_lost") done("lost");
    });
    session.signal.addEventListener("abort", () => done("interrupted"), { once: true });
    if (session.signal.aborted) done("interrupted");
  });
}

async function showLogs(session: Session, manager: StackManager, until: AbortSignal): Promise<void> {
  const printer = new LogPrinter(session.terminal);
  let cursor: string | undefined;
  while (!until.aborted) {
    const query = cursor === undefined ? {} : { cursor, waitMs: 5000, signal: until };
    const page: LogReport = await manager.logs({ project: session.project, query });
    printer.print(page);
    cursor = page.next_cursor;
  }
}

export async function up(options: UpOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  const { terminal } = session;
  let door: ControlDoor | undefined;
  try {
    const holder = await session.holder();
    if (holder !== null) {
      const outcome = await start(session, options);
      terminal.print(terminal.json ? JSON.stringify(outcome) : `${outcome.message}\n${stackTable(outcome.after)}`);
      terminal.note(dim(`It is held by process ${holder.server.pid}; that one shows the logs and stops it.`));
      return EXIT.ok;
    }
    const manager = await session.manager();
    const { openManagerDoor } = await import("../manager-door.js");
    door = await openManagerDoor(session.config, session.logger, manager);
    const outcome = await start(session, options);
    terminal.print(terminal.json ? JSON.stringify(outcome) : stackTable(outcome.after));
    terminal.note(dim("Ctrl-C stops the stack."));
    const over = new AbortController();
    const why = ended(session, manager);
    const logs = options.logs === false ? Promise.resolve() : showLogs(session, manager, over.signal);
    const reason = await Promise.race([why, logs.then(() => why)]);
    over.abort();
    await logs.catch(() => undefined);
    if (reason === "lost") terminal.note("The runtime died; every service is lost. Start again with: stackwarden up");
    return reason === "lost" ? EXIT.failure : EXIT.ok;
  } finally {
    if (door !== undefined) terminal.note(dim("Stopping the stack…"));
    // A second signal ends this process at once; the watchdog then ends the services.
    const force = (): void => process.exit(EXIT.interrupted);
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, force);
    await session.close();
    await door?.close();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.removeListener(signal, force);
  }
}
