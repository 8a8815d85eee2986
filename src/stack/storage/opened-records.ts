/** A project's records in this process: opened on first use, and shared by all users. */
import type { ProjectRecords } from "./project-records.js";

export class OpenedRecords {
  #records: Promise<ProjectRecords> | null = null;

  constructor(private readonly open: () => Promise<ProjectRecords>) {}

  /** The records if they are open; null otherwise. Does not open them. */
  async present(): Promise<ProjectRecords | null> {
    return (await this.#records?.catch(() => null)) ?? null;
  }

  /**
   * @param fresh reload records that another server has changed
   * @throws STORAGE_FAILED
   */
  async get(fresh = false): Promise<ProjectRecords> {
    const open = this.#records;
    // Reload only outdated records. Current records stay in use, because a concurrent call may hold them.
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
