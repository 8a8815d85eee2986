/** Commands that change a running stack: `down`, `restart`, `limits`. */
import { realpath } from "node:fs/promises";
import { StackwardenError } from "../../errors.js";
import type { LimitsOutcome, RestartOutcome, StackReport, StopOutcome } from "../../stack/model.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { limitsText } from "../output/stack-table.js";
import { dim } from "../output/terminal.js";
import { type CliHost, type CommonOptions, given, openSession, type Session } from "../session.js";

const CALL_SECONDS = 600;

/**
 * Refuses a project of another folder with the same name, unless --project names it explicitly.
 * @throws StackwardenError PROJECT_CONFLICT
 */
async function requireOwn({ project, folder, call }: Session): Promise<void> {
  if (folder === undefined) return;
  const { stacks } = await call<{ stacks: StackReport[] }>("list_stacks", {});
  const projectFolder = stacks.find((stack) => stack.project === project)?.folder ?? "";
  const here = await realpath(folder).catch(() => folder);
  if (projectFolder === "" || projectFolder === here) return;
  throw new StackwardenError(
    "PROJECT_CONFLICT",
    `The project ${project} belongs to ${projectFolder}, not to ${here}.`,
    {
      hint: `To operate that project, pass --project ${project}. Use another project id for this folder.`,
      details: { project, folders: [projectFolder, here] },
    },
  );
}

/** Calls one operation and prints its result as JSON, or as its message followed by the lines of `more`. */
async function change<T extends { message: string }>(
  options: CommonOptions,
  host: CliHost,
  operation: string,
  input: (session: Session) => Record<string, unknown>,
  more: (outcome: T) => { lines?: string[]; code?: ExitCode },
): Promise<ExitCode> {
  const session = await openSession(options, host);
  const { terminal } = session;
  try {
    await requireOwn(session);
    const outcome = await session.call<T>(
      operation,
      given({ project: session.project, ...input(session) }),
      (progress) => terminal.note(dim(progress.message)),
    );
    const { lines = [], code = EXIT.ok } = more(outcome);
    terminal.print(terminal.json ? JSON.stringify(outcome) : [outcome.message, ...lines].join("\n"));
    return code;
  } finally {
    await session.close();
  }
}

export interface DownOptions extends CommonOptions {
  /** Stop these alone. */
  services?: string[];
  /** Also delete the named volumes. */
  volumes?: boolean;
  /** False: delete the data without saving it first. */
  snapshot?: boolean;
  yes?: boolean;
}

export const down = (options: DownOptions, host: CliHost): Promise<ExitCode> =>
  change<StopOutcome>(
    options,
    host,
    "stop_stack",
    () => ({
      services: options.services?.length === 0 ? undefined : options.services,
      remove_volumes: options.volumes,
      snapshot: options.snapshot,
      confirm: options.yes,
      timeout_seconds: CALL_SECONDS,
    }),
    (outcome) => ({ code: outcome.verified ? EXIT.ok : EXIT.failure }),
  );

export interface RestartOptions extends CommonOptions {
  dependents?: boolean;
}

export const restart = (service: string, options: RestartOptions, host: CliHost): Promise<ExitCode> =>
  change<RestartOutcome>(
    options,
    host,
    "restart_service",
    () => ({ service, dependents: options.dependents, timeout_seconds: CALL_SECONDS }),
    (outcome) => ({
      lines:
        outcome.dependents_restarted.length === 0
          ? []
          : [`Restarted with it: ${outcome.dependents_restarted.join(", ")}.`],
      code: outcome.verified ? EXIT.ok : EXIT.failure,
    }),
  );

export interface LimitsOptions extends CommonOptions {
  cpus?: number;
  /** In MB, or with a unit. */
  memory?: string;
  pids?: number;
  force?: boolean;
}

export const limits = (service: string, options: LimitsOptions, host: CliHost): Promise<ExitCode> =>
  change<LimitsOutcome>(
    options,
    host,
    "set_limits",
    () => ({ service, cpus: options.cpus, memory_mb: options.memory, pids: options.pids, force: options.force }),
    (outcome) => ({
      lines: outcome.live ? [`before: ${limitsText(outcome.before)}`, `now:    ${limitsText(outcome.after)}`] : [],
    }),
  );
