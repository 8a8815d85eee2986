/** A project's records as this process has them open: opened when first needed, one set for all who need them. */
import type { ProjectRecords } from "./project-records.js";

export class OpenedRecords {
  #records: Promise<ProjectRecords> | null = null;

  constructor(private readonly open: () => Promise<ProjectRecords>) {}

  /** Those that are open; nothing is opened for it. */
  async present(): Promise<ProjectRecords | null> {
    return (await this.#records?.catch(() => null)) ?? null;
  }

  /**
   * @param fresh read anew what another server has written since
   * @throws STORAGE_FAILED
   */
  async get(fresh = false): Promise<ProjectRecords> {
    const open = this.#records;
    // Those of this process go on being used, also by a call that has them at this very moment.
    if (fresh && open !== null && (await open.then((records) => records.outdated()).catch(() => true))) {
      if (this.#records === open) this.#records = null;
      await open.then((records) => records.close()).catch(() => undefined);
    }
    this.#records ??= this.open();
    try {
      return await this.#records;
    } catch (error) {
      this.#records = null;
      throw error;
    }
  }

  async close(): Promise<void> {
    const records = this.#records;
    this.#records = null;
    await (await records?.catch(() => undefined))?.close();
  }
}
