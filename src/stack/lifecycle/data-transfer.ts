/**
 * Copies another project's data to a project before its start, together with the generated passwords that belong to the
 * data.
 */
import { StackwardenError } from "../../errors.js";
import { callTo, hint } from "../../hint.js";
import type { CallContext } from "../model.js";
import type { Snapshot } from "../schemas/snapshots.js";
import type { ProjectStorage } from "../storage/project-storage.js";
import type { DataFrom } from "../storage/project-store.js";
import type { ProjectParts } from "./project-parts.js";
import type { ProjectSnapshots } from "./project-snapshots.js";
import { chooseRuntime } from "./runtime-choice.js";

interface Source {
  id: string;
  takesData: boolean;
  snapshots: ProjectSnapshots;
  storage: ProjectStorage;
}

export interface DataTransferParts extends ProjectParts {
  snapshots: ProjectSnapshots;
}

export class DataTransfer {
  #busy = false;

  constructor(private readonly parts: DataTransferParts) {}

  /** True while data is being copied. */
  get busy(): boolean {
    return this.#busy;
  }

  /**
   * Takes the data. Has no effect when the project already has the data of `from`.
   * @param other another project that the calling client may access
   * @returns what was done, in a sentence
   * @throws PROJECT_CONFLICT when the project already has data, UNKNOWN_SNAPSHOT, UNSUPPORTED
   */
  async take(from: DataFrom, other: (project: string) => Source, call: CallContext): Promise<string> {
    const { storage, snapshots, supervisor } = this.parts;
    const { id, dataFrom: before } = storage;
    const isSameData = before?.project === from.project && before.snapshot === from.snapshot;
    const source = other(from.project);
    if (source.id === id)
      throw new StackwardenError("INVALID_INPUT", "data_from names the project itself.", {
        hint: "Name another project, or use restore_snapshot.",
      });
    if (supervisor.running !== null || (await snapshots.hasData())) {
      if (isSameData) return `data_from changed nothing: ${id} has this data already, with its later changes.`;
      throw new StackwardenError("PROJECT_CONFLICT", `${id} already has data, which is not overwritten.`, {
        hint: hint`Start it without data_from, or delete its data first: ${callTo("stop_stack", { project: id, remove_volumes: true })}.`,
      });
    }
    if (source.takesData)
      throw new StackwardenError("PROJECT_CONFLICT", `${source.id} is copying another project's data at the moment.`, {
        hint: "Wait until that project has started, then call again.",
      });
    this.#busy = true;
    try {
      const receive = (snapshot: Snapshot, data: string): Promise<string> =>
        this.#receive(source, snapshot, data, call);
      const done =
        from.snapshot === undefined
          ? await source.snapshots.withPresent(call, receive)
          : await source.snapshots.reading(from.snapshot, receive);
      if (done === null)
        throw new StackwardenError("INVALID_INPUT", `data_from: ${source.id} has no data in named volumes.`, {
          hint: "Start it first, or start this project without data_from.",
        });
      await storage.keepDataFrom(from);
      return done;
    } finally {
      this.#busy = false;
    }
  }

  async #receive(source: Source, snapshot: Snapshot, data: string, call: CallContext): Promise<string> {
    const { storage, supervisor, snapshots, settings, runtimes } = this.parts;
    const { id } = storage;
    const { runtime } = await chooseRuntime(settings(), runtimes, id);
    if (runtime.name !== snapshot.runtime)
      throw new StackwardenError(
        "UNSUPPORTED",
        `The data of ${source.id} is the ${snapshot.runtime} runtime's; ${id} would run on ${runtime.name}.`,
        { hint: `Have the operator set \`runtime: ${snapshot.runtime}\`.` },
      );
    // Copy the passwords before the definition is read: reading it would generate passwords that do not match the data.
    const { secrets } = await storage.records();
    await secrets.adopt((await source.storage.records()).secrets.all());
    await supervisor.withDefinition(settings(), () => snapshots.receive(snapshot, data, call));
    await storage.keepRuntime(snapshot.runtime);
    const { events } = await storage.records();
    const copied = `copied from ${source.id}, as of ${snapshot.created_at}.`;
    const message = `${Object.keys(snapshot.volumes).join(", ")}: ${copied}`;
    events.add({ type: "snapshot_restored", message, actor: call.actor, data: { from: source.id } });
    return `Its data was ${copied}`;
  }
}
