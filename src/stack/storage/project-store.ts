/**
 * Persistent state of each project below the state directory: its folder, the limits of the next start, and the lock
 * that prevents two servers from running the same stack.
 */

import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { readdir, readFile, rmdir } from "node:fs/promises";
import { isAbsolute, join, resolve, sep } from "node:path";
import { StackwardenError } from "../../errors.js";
import { callTo, hint, setting } from "../../hint.js";
import { atomicWrite, ensureTraversableDir, removeUnfinished, storageError } from "../../system/atomic-write.js";
import { isBeneath } from "../../system/is-beneath.js";
import { type LockOutcome, lockHolder, takeLock } from "../../system/lock-file.js";
import { Mutex } from "../../system/mutex.js";
import { nearest } from "../../system/nearest.js";
import { removePrivate } from "../../system/remove-private.js";
import { defaultProjectId } from "../default-project.js";
import { type KeptLimits, keepChange } from "../definition/override-limits.js";
import type { LimitChange, Limits } from "../definition/types.js";
import { PROJECT_ID } from "../project-id.js";
import { isRuntimeName, type RuntimeName } from "../vocabulary.js";

export interface ProjectStoreOptions {
  stateDir: string;
  roots: string[];
  /** Folders from the server's configuration. */
  projects: Record<string, { folder: string; suggested?: true }>;
}

/** Another project and one of its snapshots; without a snapshot, the project's data at that time. */
export interface DataFrom {
  project: string;
  snapshot?: string;
}

export interface VolumeChanges {
  /** Volumes that have data. */
  filled: readonly string[];
  /** Volumes that have none. */
  empty: readonly string[];
}

const realFolder = (path: string): string | null => {
  try {
    const real = realpathSync(path);
    return statSync(real).isDirectory() ? real : null;
  } catch {
    return null;
  }
};

export class ProjectStore {
  /** Serialises writes: two calls may change limits at the same time. */
  readonly #writing = new Mutex();

  constructor(private readonly options: ProjectStoreOptions) {}

  folderOf(project: string): string {
    return join(this.options.stateDir, "projects", project);
  }

  /** Ids known from the configuration or an earlier start, sorted. */
  projectIds(): string[] {
    const ids = new Set(Object.keys(this.options.projects));
    try {
      for (const name of readdirSync(join(this.options.stateDir, "projects"))) if (PROJECT_ID.test(name)) ids.add(name);
    } catch {
      // The state directory does not exist before the first start.
    }
    return [...ids].sort();
  }

  /**
   * The project's folder, as an absolute real path below an allowed root.
   * @throws UNKNOWN_PROJECT, FOLDER_NOT_ALLOWED, PROJECT_CONFLICT, INVALID_INPUT
   */
  resolveFolder(project: string, requested?: string): string {
    if (!PROJECT_ID.test(project))
      throw new StackwardenError("INVALID_INPUT", "project is not a project id.", {
        hint: "Use lower-case letters, digits, - and _, at most 63, beginning with a letter or digit.",
      });
    const remembered = this.#remembered(project);
    const configured = this.#configured(project, remembered);
    const base = this.options.roots[0];
    let folder: string | null;
    if (requested !== undefined) {
      // Without a root, a relative path cannot be resolved.
      folder = base === undefined && !isAbsolute(requested) ? null : realFolder(resolve(base ?? sep, requested));
      if (folder === null)
        throw new StackwardenError("INVALID_INPUT", `folder: ${requested} is not an existing folder.`, {
          hint: this.#rootsHint("Pass an existing folder below"),
        });
    } else folder = this.#guess(project, configured ?? remembered);
    if (folder === null) {
      const missing = this.reaches(project) ? this.missingFolder(project) : null;
      if (missing !== null)
        throw new StackwardenError("UNKNOWN_PROJECT", `The folder of ${project}, ${missing}, does not exist.`, {
          hint: hint`Restore the folder, or delete what is left of the project: ${callTo("stop_stack", { project, forget: true, confirm: true })}.`,
          details: { project, folder: missing },
        });
      // Do not reveal projects outside the client's allowed roots.
      const projects = this.projectIds().filter((id) => this.reaches(id));
      const near = nearest(project, projects);
      throw new StackwardenError("UNKNOWN_PROJECT", `No project is called ${project}.`, {
        hint: [
          ...(near === undefined ? [] : [`Did you mean ${near}?`]),
          `Known projects: ${projects.join(", ") || "none in these roots; projects elsewhere are not accessible"}.`,
          this.#rootsHint("To add a project, pass its folder to check_stack or start_stack, below"),
        ].join(" "),
        details: { known: projects, roots: this.options.roots },
      });
    }
    const state = realFolder(this.options.stateDir);
    // A project that was started there before can still be stopped and deleted.
    if (folder !== remembered && state !== null && isBeneath(state, folder))
      throw new StackwardenError("FOLDER_NOT_ALLOWED", `${folder} belongs to stackwarden's state directory.`, {
        hint: this.#rootsHint("Pass the folder of a project, below"),
      });
    const allowed = this.options.roots
      .map((root) => realFolder(root))
      .some((root) => root !== null && isBeneath(root, folder));
    if (!allowed && folder !== realFolder(configured ?? ""))
      throw new StackwardenError(
        "FOLDER_NOT_ALLOWED",
        `${requested === undefined ? `The folder of ${project}` : folder} is not below an allowed root.`,
        {
          hint: hint`${this.#rootsHint("Allowed roots:")} ${this.#commonRoot(folder)}The operator can add one: ${setting("roots")}.`,
          details: { roots: this.options.roots },
        },
      );
    const other = configured === undefined ? remembered : (realFolder(configured) ?? undefined);
    // Refuse also when the other folder is missing (renamed, not mounted): its data and secrets do not belong to this
    // folder.
    if (other !== undefined && other !== folder) throw this.#conflict(project, folder, other);
    return folder;
  }

  #conflict(project: string, folder: string, other: string): StackwardenError {
    const otherId = `"${project.slice(0, 60)}-2"`;
    // Do not reveal projects outside the client's allowed roots.
    const visible = this.options.roots.some((root) => isBeneath(root, other));
    const owner = visible ? `${other}${existsSync(other) ? "" : " (which does not exist now)"}` : "another folder";
    return new StackwardenError("PROJECT_CONFLICT", `The project ${project} belongs to ${owner}, not to ${folder}.`, {
      hint: `Pass another project id, such as project: ${otherId}. If the project was moved to ${folder}, the operator names that folder as projects.${project}.folder in the user's configuration file.`,
      details: { project, folders: visible ? [other, folder] : [folder] },
    });
  }

  #rootsHint(lead: string): string {
    const { roots } = this.options;
    return roots.length > 0
      ? `${lead} ${roots.join(", ")}.`
      : "No root is allowed: / and home folders are none by default. Name one with --root or STACKWARDEN_ROOTS, or start stackwarden in the project's folder.";
  }

  /** Names a folder that contains both an allowed root and this folder, such as the parent of two git work trees. */
  #commonRoot(folder: string): string {
    const parts = folder.split(sep);
    const common = this.options.roots.map((root) => {
      const other = root.split(sep);
      const end = parts.findIndex((part, at) => part !== other[at]);
      return parts.slice(0, end < 0 ? parts.length : end);
    });
    const [longest = []] = common.sort((one, two) => two.length - one.length);
    // A first-level folder such as /home or /srv is too wide.
    if (longest.length < 3) return "";
    return `To use both, open ${longest.join(sep)} in the client, or start stackwarden there: its work trees and other projects are then in one root. `;
  }

  /** Creates the project's directory and stores its folder. */
  async prepare(project: string, folder: string): Promise<string> {
    const path = this.folderOf(project);
    // Create each directory separately, because a recursive mkdir would create the parents with another mode.
    for (const part of [this.options.stateDir, join(this.options.stateDir, "projects"), path])
      await ensureTraversableDir(part);
    if (this.#remembered(project) !== folder) await this.#remember(project, { folder });
    return path;
  }

  /**
   * Deletes everything stored of a project, its directory too, while its lock is held.
   * @param first deletes what the runtimes keep; when it fails, nothing else is deleted
   * @throws PROJECT_LOCKED, STORAGE_FAILED
   */
  async remove(project: string, first: (directory: string) => Promise<void>): Promise<void> {
    const directory = this.folderOf(project);
    const unlock = await this.lock(project);
    try {
      await first(directory);
      for (const name of await readdir(directory)) if (name !== "lock") await removePrivate(join(directory, name));
    } catch (error) {
      if (error instanceof StackwardenError) throw error;
      throw storageError(`${directory} cannot be deleted`, error);
    } finally {
      await unlock();
    }
    // Another server may have taken the lock meanwhile; then the project was created again.
    await rmdir(directory).catch(() => undefined);
  }

  /** The known folder of a project that has a directory and whose folder does not exist now; null otherwise. */
  missingFolder(project: string): string | null {
    if (!this.has(project)) return null;
    const remembered = this.#remembered(project);
    const folder = this.#configured(project, remembered) ?? remembered;
    return folder === undefined || realFolder(folder) !== null ? null : folder;
  }

  /** True when the project has a directory below the state directory. */
  has(project: string): boolean {
    return existsSync(this.folderOf(project));
  }

  /** Other projects whose stack ran in this folder, sorted. */
  othersIn(folder: string, project: string): string[] {
    return this.projectIds().filter(
      (id) => id !== project && this.runtime(id) !== null && this.#remembered(id) === folder,
    );
  }

  /**
   * The default project of a folder: the one whose stack ran there; a running one is preferred.
   * @param folder absolute
   */
  projectIn(folder: string): string | null {
    const real = realFolder(folder);
    const ids = real === null ? [] : this.othersIn(real, "");
    return ids.find((id) => this.holder(id) !== null) ?? ids[0] ?? null;
  }

  /**
   * Refuses a second project in one folder, because each stack would have its own databases. The operator can allow
   * both in the configuration.
   * @throws PROJECT_CONFLICT with the name of the folder's project
   */
  requireOnly(project: string, folder: string): void {
    if (this.#configured(project) !== undefined) return;
    const [other] = this.othersIn(folder, project);
    if (other === undefined) return;
    throw new StackwardenError("PROJECT_CONFLICT", `${folder} belongs to the project ${other}, not to ${project}.`, {
      hint: hint`Use project "${other}". For a second stack with separate data in the same folder, the operator names ${project} in ${setting("projects")}.`,
      details: { project: other, folders: [folder] },
    });
  }

  /** Stores the service names of the project's last start, in definition order. */
  async keepServices(project: string, services: string[]): Promise<void> {
    if (this.services(project).join() !== services.join())
      await this.#remember(project, { ...this.#record(project), services });
  }

  /** Stores the project's runtime. */
  async keepRuntime(project: string, runtime: RuntimeName): Promise<void> {
    if (this.runtime(project) !== runtime) await this.#remember(project, { ...this.#record(project), runtime });
  }

  /** Stores the project whose data this project was started on. */
  async keepDataFrom(project: string, dataFrom: DataFrom): Promise<void> {
    await this.#remember(project, { ...this.#record(project), dataFrom });
  }

  dataFrom(project: string): DataFrom | null {
    return (this.#record(project).dataFrom as DataFrom | undefined) ?? null;
  }

  /** Named volumes that had data on a runtime at the last observation. */
  filledVolumes(project: string, runtime: RuntimeName): string[] {
    const filled = this.#filled(project)[runtime];
    return Array.isArray(filled) ? filled.filter((one) => typeof one === "string") : [];
  }

  keepVolumes(project: string, runtime: RuntimeName, { filled, empty }: VolumeChanges): Promise<void> {
    return this.#writing.run(async () => {
      const before = this.filledVolumes(project, runtime);
      const after = [...new Set([...before, ...filled])].filter((volume) => !empty.includes(volume)).sort();
      if (before.join() === after.join()) return;
      const all = { ...this.#filled(project), [runtime]: after };
      await this.#remember(project, { ...this.#record(project), filledVolumes: all });
    });
  }

  /** Forgets the volumes of all runtimes. */
  forgetVolumes(project: string): Promise<void> {
    return this.#writing.run(async () => {
      const { filledVolumes, ...record } = this.#record(project);
      if (filledVolumes !== undefined) await this.#remember(project, record);
    });
  }

  #filled(project: string): Record<string, unknown> {
    const { filledVolumes } = this.#record(project);
    return typeof filledVolumes === "object" && filledVolumes !== null ? { ...filledVolumes } : {};
  }

  /** Runtime of the project's last start; null when it never ran. */
  runtime(project: string): RuntimeName | null {
    const { runtime } = this.#record(project);
    return isRuntimeName(runtime) ? runtime : null;
  }

  /** Services of the project's last start; empty when it was never started. */
  services(project: string): string[] {
    const { services } = this.#record(project);
    return Array.isArray(services) ? services.filter((one) => typeof one === "string") : [];
  }

  /**
   * Locks the project and returns a function that releases the lock.
   * @throws PROJECT_LOCKED when a running process holds the lock
   */
  async lock(project: string): Promise<() => Promise<void>> {
    const file = this.#lockFile(project);
    let outcome: LockOutcome;
    try {
      outcome = await takeLock(file);
    } catch (error) {
      throw storageError(`The lock ${file} cannot be created`, error);
    }
    if (outcome.lock !== null) {
      await removeUnfinished(this.folderOf(project));
      return outcome.lock.release;
    }
    const { pid } = outcome;
    throw new StackwardenError(
      "PROJECT_LOCKED",
      `Another stackwarden server (process ${pid}) runs the project ${project}.`,
      {
        hint: "Use that server, or end it; then call again.",
        details: { pid },
      },
    );
  }

  /** Id of the process that holds the project's lock; null when there is none. */
  holder(project: string): number | null {
    return lockHolder(this.#lockFile(project));
  }

  #lockFile(project: string): string {
    return join(this.folderOf(project), "lock");
  }

  /** True when the project's known folder is below an allowed root, or when no folder is known. */
  reaches(project: string, folder = this.#configured(project) ?? this.#remembered(project)): boolean {
    if (folder === undefined || folder === this.#configured(project)) return true;
    return this.options.roots.some((root) => isBeneath(root, folder));
  }

  /** Limits that `set_limits` and `start_stack` stored for the next start. */
  async limits(project: string): Promise<Record<string, KeptLimits>> {
    const limits: Record<string, KeptLimits> = Object.create(null);
    const text = await readFile(join(this.folderOf(project), "limits.json"), "utf8").catch(() => "{}");
    try {
      return Object.assign(limits, JSON.parse(text));
    } catch {
      return limits;
    }
  }

  /** @param written limits of the definition, which are compared with those of later starts */
  keepLimits(project: string, service: string, change: LimitChange, written: Limits = {}): Promise<void> {
    return this.#writing.run(async () => {
      const all = await this.limits(project);
      all[service] = keepChange(all[service] ?? {}, change, written);
      await atomicWrite(join(this.folderOf(project), "limits.json"), `${JSON.stringify(all, null, 2)}\n`);
    });
  }

  /**
   * The configured folder of a project. A folder suggested by a file of the working directory applies only to a project
   * without a known folder.
   */
  #configured(project: string, remembered = this.#remembered(project)): string | undefined {
    if (!Object.hasOwn(this.options.projects, project)) return undefined;
    const { folder, suggested } = this.options.projects[project] ?? {};
    return suggested === true && remembered !== undefined ? undefined : folder;
  }

  #remembered(project: string): string | undefined {
    const { folder } = this.#record(project);
    return typeof folder === "string" ? folder : undefined;
  }

  #record(project: string): {
    folder?: unknown;
    services?: unknown;
    runtime?: unknown;
    dataFrom?: unknown;
    filledVolumes?: unknown;
  } {
    try {
      return JSON.parse(readFileSync(join(this.folderOf(project), "project.json"), "utf8")) ?? {};
    } catch {
      return {};
    }
  }

  #remember(project: string, record: object): Promise<void> {
    return atomicWrite(join(this.folderOf(project), "project.json"), `${JSON.stringify(record)}\n`);
  }

  /**
   * The folder for a request without one: the known folder, a root with the project's name, or a folder with that name
   * in a root.
   */
  #guess(project: string, rememberedFolder: string | undefined): string | null {
    const candidates = [
      ...(rememberedFolder === undefined ? [] : [rememberedFolder]),
      ...this.options.roots.filter((root) => defaultProjectId(root) === project),
      ...this.options.roots.map((root) => join(root, project)),
    ];
    for (const candidate of candidates) {
      const folder = realFolder(candidate);
      if (folder !== null) return folder;
    }
    return null;
  }
}
