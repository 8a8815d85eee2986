/** `stackwarden prune`: deletes what projects left whose folder does not exist any more. */
import { StackwardenError } from "../../errors.js";
import type { StackReport, StopOutcome } from "../../stack/model.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { table } from "../output/table.js";
import { dim } from "../output/terminal.js";
import { type CliHost, type CommonOptions, openSession } from "../session.js";

export interface PruneOptions extends CommonOptions {
  dryRun?: boolean;
  yes?: boolean;
}

const CALL_SECONDS = 600;

const isStopped = ({ state }: StackReport): boolean => state === "stopped" || state === "lost";

/** @throws UNKNOWN_PROJECT */
function chosen(stacks: readonly StackReport[], named: readonly string[]): StackReport[] {
  if (named.length === 0) return stacks.filter(({ folder_missing }) => folder_missing === true);
  return [...new Set(named)].map((id) => {
    const report = stacks.find(({ project }) => project === id);
    if (report !== undefined) return report;
    throw new StackwardenError("UNKNOWN_PROJECT", `No project is called ${id}.`, {
      hint: `Known projects: ${stacks.map(({ project }) => project).join(", ") || "none"}.`,
    });
  });
}

/** Running stacks are listed and left alone: a project's folder may be missing for a moment. */
export async function prune(named: readonly string[], options: PruneOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  const { terminal } = session;
  try {
    const { stacks } = await session.call<{ stacks: StackReport[] }>("list_stacks", {});
    const projects = chosen(stacks, named);
    const [stopped, running] = [projects.filter(isStopped), projects.filter((report) => !isStopped(report))];
    for (const { project, state } of running)
      terminal.note(`${project} is ${state} and stays. Stop it first: stackwarden down --project ${project}`);
    const listed = stopped.map(({ project, folder, folder_missing }) => ({
      project,
      folder,
      folder_missing: folder_missing === true,
    }));
    if (options.dryRun === true || stopped.length === 0) {
      const rows = listed.map((one) => [one.project, one.folder, one.folder_missing ? "gone" : "exists"]);
      const text = rows.length === 0 ? "Nothing to delete." : table(["PROJECT", "FOLDER", ""].map(dim), rows);
      terminal.print(terminal.json ? JSON.stringify({ dry_run: options.dryRun === true, projects: listed }) : text);
      return running.length > 0 && named.length > 0 ? EXIT.failure : EXIT.ok;
    }
    const deleted: string[] = [];
    for (const { project } of stopped) {
      const { not_deleted: kept = [] } = await session.call<StopOutcome>(
        "stop_stack",
        { project, forget: true, confirm: options.yes === true, timeout_seconds: CALL_SECONDS },
        (progress) => terminal.note(dim(progress.message)),
      );
      deleted.push(project);
      const what = kept.length === 0 ? "data, snapshots" : "snapshots";
      if (!terminal.json) terminal.print(`${project}: its ${what}, dependencies, logs and records are deleted.`);
      for (const sentence of kept) terminal.note(`${project}: ${sentence}`);
    }
    if (terminal.json) terminal.print(JSON.stringify({ dry_run: false, deleted }));
    return running.length > 0 && named.length > 0 ? EXIT.failure : EXIT.ok;
  } finally {
    await session.close();
  }
}
