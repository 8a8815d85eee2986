/** Deletes data of a stopped project: its volumes, or everything that is stored of it. */
import { StackwardenError } from "../../errors.js";
import { hint } from "../../hint.js";
import type { CallContext } from "../model.js";
import type { StackRuntime } from "../runtime.js";
import { RUNTIME_TRAITS } from "../vocabulary.js";
import type { ProjectParts } from "./project-parts.js";
import type { ProjectSnapshots } from "./project-snapshots.js";
import { saveFirst } from "./save-first.js";

/** What a stop deletes. Default: nothing. */
export interface Removal {
  removeVolumes?: boolean;
  snapshot?: boolean;
  forget?: boolean;
}
export const removes = ({ removeVolumes, forget }: Removal): boolean => removeVolumes === true || forget === true;

/** Services limit what stops, but not what is deleted: a client that names some would lose the data of the others. */
export const removesAll = ({ forget }: Removal, project: string): StackwardenError => {
  const [option, what] = forget === true ? ["forget", "everything"] : ["remove_volumes", "every volume"];
  return new StackwardenError("INVALID_INPUT", `${option} deletes ${what} of ${project}, not of some services.`, {
    hint: hint`Call again without services to stop the whole stack and delete ${what}, or without ${option}: nothing was changed.`,
    details: { issues: [{ field: "services", problem: `is not possible with ${option}` }] },
  });
};

/** Volumes deleted by a stop, and the snapshot with their data. */
export interface Removed {
  removed: readonly string[];
  /** True when `removed` is the result of a deletion; false when none was requested. */
  deleted?: true;
  snapshot: string | null;
  /** True when the project's records were deleted too. */
  forgotten?: true;
  /** Sentences about data of a forgotten project that was not deleted. */
  kept?: readonly string[];
}
export const NOTHING: Removed = { removed: [], snapshot: null };

export interface RemovalParts extends Pick<ProjectParts, "storage" | "runtimes"> {
  snapshots: ProjectSnapshots;
  /** Names of all volumes of the project: of the last start and of the present files, whichever services are active. */
  volumes(): Promise<string[]>;
}

export class Removals {
  constructor(private readonly parts: RemovalParts) {}

  /**
   * Deletes the project's volumes.
   * @param save saves their data in a snapshot first
   * @throws when the data cannot be saved first; then nothing is deleted
   */
  async removeVolumes(call: CallContext, save: boolean): Promise<Removed> {
    const { storage } = this.parts;
    // The project never ran, so it has no volumes.
    if (!storage.exists) return NOTHING;
    const volumes = await this.parts.volumes();
    const snapshot = save
      ? await saveFirst(() => this.parts.snapshots.saveStopped({ automatic: true, volumes }, call), {
          what: "The data was not deleted",
          instead: "Or delete it without a snapshot: stop_stack with snapshot: false.",
        })
      : null;
    const removed = await this.#deleteVolumes(volumes);
    const { events } = await storage.records();
    events.add({
      type: "warning",
      message: `Volumes were deleted: ${removed.length === 0 ? "none" : removed.join(", ")}.`,
      actor: call.actor,
      data: { volumes: removed },
    });
    return { removed, deleted: true, snapshot };
  }

  /** Deletes everything of the project: data on every runtime, dependencies, snapshots, logs and records. */
  async forget(): Promise<Removed> {
    const { storage, runtimes } = this.parts;
    const kept: string[] = [];
    if (storage.exists)
      await storage.remove(async (directory) => {
        // A container engine can be unreachable; the local files are deleted last.
        const onThisMachine = ({ name }: StackRuntime): number => Number(!RUNTIME_TRAITS[name].images);
        const order = [...runtimes].sort((one, other) => onThisMachine(one) - onThisMachine(other));
        for (const runtime of order) kept.push(...(await runtime.removeProject(storage.id, directory)));
      });
    return { ...NOTHING, forgotten: true, kept };
  }

  /** @returns the names of the volumes deleted */
  async #deleteVolumes(volumes: string[]): Promise<string[]> {
    const { storage, runtimes } = this.parts;
    const unlock = await storage.lock();
    try {
      // Delete the volumes of every runtime: the project may have run on another one before.
      for (const runtime of runtimes) await runtime.removeVolumes(storage.id, storage.directory, volumes);
      await storage.forgetVolumes();
      return volumes;
    } finally {
      await unlock();
    }
  }
}
