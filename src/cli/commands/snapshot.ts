/** `snapshot save|restore|list|delete`: the data of a project's volumes. */
import type { SnapshotList, SnapshotOutcome } from "../../stack/model.js";
import { EXIT, type ExitCode } from "../exit-codes.js";
import { table } from "../output/table.js";
import { dim } from "../output/terminal.js";
import { type CliHost, type CommonOptions, given, openSession } from "../session.js";

export interface SnapshotOptions extends CommonOptions {
  /** `save` only: the volumes of this service. */
  service?: string;
  yes?: boolean;
}

const MB = 1_048_576;

const OPERATIONS = { save: "save_snapshot", restore: "restore_snapshot", delete: "delete_snapshot" } as const;

export async function snapshotChange(
  kind: keyof typeof OPERATIONS,
  name: string | undefined,
  options: SnapshotOptions,
  host: CliHost,
): Promise<ExitCode> {
  const session = await openSession(options, host);
  const { terminal, project } = session;
  try {
    const input =
      kind === "save" ? { name, service: options.service } : { snapshot: name, confirm: options.yes === true };
    const outcome = await session.call<SnapshotOutcome>(OPERATIONS[kind], given({ project, ...input }), (progress) =>
      terminal.note(dim(progress.message)),
    );
    terminal.print(terminal.json ? JSON.stringify(outcome) : outcome.message);
    return EXIT.ok;
  } finally {
    await session.close();
  }
}

export async function snapshotList(options: SnapshotOptions, host: CliHost): Promise<ExitCode> {
  const session = await openSession(options, host);
  const { terminal, project } = session;
  try {
    const list = await session.call<SnapshotList>("list_snapshots", { project });
    const rows = list.snapshots.map((one) => [
      one.name,
      one.created_at,
      `${(one.bytes / MB).toFixed(1)} MB`,
      one.runtime,
      Object.keys(one.volumes).join(", "),
    ]);
    const text =
      rows.length === 0 ? "No snapshots." : table(["NAME", "SAVED", "SIZE", "RUNTIME", "VOLUMES"].map(dim), rows);
    terminal.print(terminal.json ? JSON.stringify(list) : text);
    return EXIT.ok;
  } finally {
    await session.close();
  }
}
