/**
 * Everything stored of one project: its folder, lock, limits, and the last start's runtime and services. Its records are
 * opened on first use and shared by all users in this process.
 */
import type { KeptLimits } from "../definition/override-limits.js";
import type { LimitChange, Limits } from "../definition/types.js";
import type { RuntimeName } from "../vocabulary.js";
import type { ProjectRecords } from "./project-records.js";
import type { DataFrom, ProjectStore, VolumeChanges } from "./project-store.js";

export interface ProjectStorageOptions {
  id: string;
  folder: string;
  store: ProjectStore;
  /** @param directory the project's directory below the state directory; exists */
  open(directory: string): Promise<ProjectRecords>;
}

export class ProjectStorage {
  readonly id: string;
  readonly #store: ProjectStore;
  #folder: string;
  #records: Promise<ProjectRecords> | null = null;
  #limits: Record<string, KeptLimits> = {};

  constructor(private readonly options: ProjectStorageOptions) {
    this.id = options.id;
    this.#store = options.store;
    this.#folder = options.folder;
  }

  /** The project's folder; an absolute real path. */
  get folder(): string {
    return this.#folder;
  }

  /** Uses another folder from the next start on. */
  moveTo(folder: string): void {
    this.#folder = folder;
  }

  /** The project's directory below the state directory. */
  get directory(): string {
    return this.#store.folderOf(this.id);
  }

  /** True when the directory exists. */
  get exists(): boolean {
    return this.#store.has(this.id);
  }

  /** Creates the directory and stores the folder. */
  prepare(): Promise<string> {
    return this.#store.prepare(this.id, this.#folder);
  }

  /**
   * Locks the project and returns a function that releases the lock.
   * @throws PROJECT_LOCKED when a running process holds the lock
   */
  lock(): Promise<() => Promise<void>> {
    return this.#store.lock(this.id);
  }

  /** The records if they are open; null otherwise. Does not open them. */
  async openRecords(): Promise<ProjectRecords | null> {
    return (await this.#records?.catch(() => null)) ?? null;
  }

  /**
   * The records; opens them when necessary.
   * @param fresh reload records that another server has changed
   * @throws STORAGE_FAILED
   */
  async records(fresh = false): Promise<ProjectRecords> {
    const open = this.#records;
    // Reload only outdated records. Current records stay in use, because a concurrent call may hold them.
    if (fresh && open !== null && (await open.then((records) => records.outdated()).catch(() => true))) {
      if (this.#records === open) this.#records = null;
      await open.then((records) => records.close()).catch(() => undefined);
    }
    this.#records ??= this.prepare().then((directory) => this.options.open(directory));
    try {
      return await this.#records;
    } catch (error) {
      this.#records = null;
      throw error;
    }
  }

  /** Limits of a service that `set_limits` and `start_stack` stored, as of the last `readLimits` or `keepLimits`. */
  limits(service: string): KeptLimits {
    return this.#limits[service] ?? {};
  }

  async readLimits(): Promise<void> {
    this.#limits = await this.#store.limits(this.id);
  }

  /** @param written limits of the definition */
  async keepLimits(service: string, change: LimitChange, written: Limits): Promise<void> {
    await this.#store.keepLimits(this.id, service, change, written);
    await this.readLimits();
  }

  /** Runtime of the last start; null when the project never ran. */
  get runtime(): RuntimeName | null {
    return this.#store.runtime(this.id);
  }

  keepRuntime(runtime: RuntimeName): Promise<void> {
    return this.#store.keepRuntime(this.id, runtime);
  }

  /** Services of the last start, in definition order; empty when the project was never started. */
  get services(): string[] {
    return this.#store.services(this.id);
  }

  keepServices(services: string[]): Promise<void> {
    return this.#store.keepServices(this.id, services);
  }

  /** The project whose data this project was started on; null when it has its own. */
  get dataFrom(): DataFrom | null {
    return this.#store.dataFrom(this.id);
  }

  keepDataFrom(dataFrom: DataFrom): Promise<void> {
    return this.#store.keepDataFrom(this.id, dataFrom);
  }

  /** What is known of the named volumes on a runtime. */
  volumes(runtime: RuntimeName): { readonly filled: string[]; keep(changes: VolumeChanges): Promise<void> } {
    const { id } = this;
    const store = this.#store;
    return {
      get filled() {
        return store.filledVolumes(id, runtime);
      },
      keep: (changes) => store.keepVolumes(id, runtime, changes),
    };
  }

  /** Called after all volumes were deleted. */
  forgetVolumes(): Promise<void> {
    return this.#store.forgetVolumes(this.id);
  }

  /** Closes the records and deletes everything stored of the project. See `ProjectStore.remove`. */
  async remove(first: (directory: string) => Promise<void>): Promise<void> {
    await this.#store.remove(this.id, async (directory) => {
      await first(directory);
      await this.close();
    });
    this.#limits = {};
  }

  async close(): Promise<void> {
    const records = this.#records;
    this.#records = null;
    await (await records?.catch(() => undefined))?.close();
  }
}
