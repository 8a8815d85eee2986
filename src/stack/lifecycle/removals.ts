/** Deletes data of a stopped project: its volumes, or everything that is stored of it. */
import { StackwardenError } from "../../errors.js";
import type { StackDefinition } from "../definition/types.js";
import type { CallContext } from "../model.js";
import type { StackRuntime } from "../runtime.js";
import { RUNTIME_TRAITS } from "../vocabulary.js";
import type { ProjectParts } from "./project-parts.js";
import type { ProjectSnapshots } from "./project-snapshots.js";

/** What a stop deletes. Default: nothing. */
export interface Removal {
  removeVolumes?: boolean;
  snapshot?: boolean;
  forget?: boolean;
}
export const removes = ({ removeVolumes, forget }: Removal): boolean => removeVolumes === true || forget === true;

/** Volumes deleted by a stop, and the snapshot with their data. */
export interface Removed {
  removed: string[];
  snapshot: string | null;
  /** True when the project's records were deleted too. */
  forgotten?: true;
  /** Sentences about data of a forgotten project that was not deleted. */
  kept?: readonly string[];
}
export const NOTHING: Removed = { removed: [], snapshot: null };

/** Errors of a save that mean that there is no data, or that the runtime cannot copy it. */
const NO_SNAPSHOT = new Set(["INVALID_INPUT", "UNSUPPORTED"]);

export interface RemovalParts extends Pick<ProjectParts, "storage" | "runtimes"> {
  snapshots: ProjectSnapshots;
  /** The definition whose volumes are deleted: that of the last start, else the present one. */
  definition(): Promise<StackDefinition>;
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
    const snapshot = save ? await this.#saveFirst(call) : null;
    const removed = await this.#deleteVolumes(await this.parts.definition());
    const { events } = await storage.records();
    events.add({
      type: "warning",
      message: `Volumes were deleted: ${removed.length === 0 ? "none" : removed.join(", ")}.`,
      actor: call.actor,
      data: { volumes: removed },
    });
    return { removed, snapshot };
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
  async #deleteVolumes({ volumes }: StackDefinition): Promise<string[]> {
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

  /** @returns the name of the snapshot; null when there is no data or the runtime cannot copy it */
  async #saveFirst(call: CallContext): Promise<string | null> {
    try {
      return (await this.parts.snapshots.saveStopped({ automatic: true }, call))?.name ?? null;
    } catch (error) {
      if (!(error instanceof StackwardenError) || NO_SNAPSHOT.has(error.code)) return null;
      throw new StackwardenError(
        error.code,
        `The data was not deleted, because it cannot be saved first: ${error.message}`,
        {
          hint: `${error.hint} Or delete it without a snapshot: stop_stack with snapshot: false.`,
          cause: error,
        },
      );
    }
  }
}
