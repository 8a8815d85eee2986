/** `stackwarden ps`: lists projects, each with the state that the process running its stack reports. */
import type { StackReport } from "../../stack/model.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { stackTable } from "../output/stack-table.js";
import { type CliHost, type CommonOptions, openSession, type Session } from "../session.js";

interface Listed {
  stacks: StackReport[];
}

export interface PsOptions extends CommonOptions {
  /** Include stopped projects. */
  all?: boolean;
}

async function listStacks(session: Session): Promise<StackReport[]> {
  const server = await session.server();
  if (server === null) return (await session.manager()).list();
  return ((await server.client.call("list_stacks", {}, undefined, session.signal)) as Listed).stacks;
}

export async function ps(options: PsOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  const { terminal } = session;
  try {
    const stacks = await Promise.all(
      (await listStacks(session)).map(async (report) => {
        // A stack of a standalone process is known to that process only.
        const holder = await session.holder(report.project).catch(() => null);
        if (holder === null) return report;
        const { stacks: theirs } = (await holder.call("list_stacks", {})) as Listed;
        return theirs.find((one) => one.project === report.project) ?? report;
      }),
    );
    const selected = stacks.filter(
      (report) =>
        (options.project === undefined || report.project === options.project) &&
        (options.all === true || options.project !== undefined || report.state !== "stopped"),
    );
    if (terminal.json) terminal.print(JSON.stringify({ stacks: selected }));
    else if (selected.length === 0)
      terminal.print(
        options.project === undefined
          ? "No stack is running. Start one with: stackwarden up"
          : `Unknown project ${options.project}. List the projects with: stackwarden ps --all`,
      );
    else terminal.print(selected.map(stackTable).join("\n\n"));
    return EXIT.ok;
  } finally {
    await session.close();
  }
}
