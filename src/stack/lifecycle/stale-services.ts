/**
 * Finds running services whose sources are newer than their instance: files of the build context, binds, the folder
 * they run in, installed manifests, env files and compose files. Scans are bounded and cached.
 */
import { isAbsolute, join, relative } from "node:path";
import { isBeneath } from "../../system/is-beneath.js";
import { type NewerFile, newerFiles } from "../../system/newer-files.js";
import { statBeneath, UnsafePathError } from "../../system/read-regular-file.js";
import { compareDefinitions } from "../definition/changes.js";
import { ignoredSources } from "../definition/source-ignore.js";
import { isManifest, readsAtRequest, reloadsItself, type SourcePath, sourcePaths } from "../definition/source-paths.js";
import type { StackDefinition } from "../definition/types.js";
import { RUNS_ON_COPY } from "../runtime.js";
import type { Staleness } from "../schemas/service.js";
import type { ProjectParts } from "./project-parts.js";
import type { ServiceController } from "./service-controller.js";

/** Maximum entries compared in one source path. */
const MAX_ENTRIES = 20_000;
const MAX_FILES = 5;
/** How long a result is valid: its scan time multiplied by this, at most MAX_AGE_MS. */
const AGE_FACTOR = 10;
const MAX_AGE_MS = 5_000;
interface Changed {
  /** Relative to the project's folder. */
  path: string;
  mtimeMs: number;
  /** The service runs or serves the file itself. */
  live: boolean;
  always: boolean;
  uid: number;
}

interface DefinitionChanges {
  key: string;
  changed: ReadonlySet<string>;
  notes: string[];
  files: Changed[];
}

/** `newCode`: a restart of the service would run changed files. */
type StaleByService = Map<string, { generation: number; stale: Staleness; newCode: boolean }>;

export class StaleServices {
  #of: StaleByService = new Map();
  #notes: string[] = [];
  #until = 0;
  #scan: Promise<void> | null = null;
  #definition: DefinitionChanges | null = null;

  constructor(private readonly parts: Pick<ProjectParts, "supervisor" | "storage" | "settings">) {}

  /** The result of the last scan; null when the instance is as new as its sources. */
  of(unit: ServiceController): Staleness | null {
    const entry = this.#of.get(unit.name);
    return entry?.generation === unit.generation && unit.running ? entry.stale : null;
  }

  /** True when a restart would run files that are newer than the latest instance, which may have ended. */
  hasNewCode(unit: ServiceController): boolean {
    const entry = this.#of.get(unit.name);
    return entry?.generation === unit.generation && entry.newCode;
  }

  /** Notes on the stack: services that only the changed compose file has, and sources that were not compared. */
  get notes(): readonly string[] {
    return this.parts.supervisor.running === null ? [] : this.#notes;
  }

  /**
   * Compares the sources with the running instances. Uses a recent result: of the last 10 times the scan's own
   * duration, at most 5 s.
   * @param fresh compare in any case
   */
  async refresh(fresh = false): Promise<void> {
    if (this.parts.supervisor.running === null) return;
    // A scan in progress may have passed a file before it changed.
    if (fresh) await this.#scan;
    if (this.#scan === null && (fresh || Date.now() >= this.#until)) {
      const begun = Date.now();
      this.#scan = this.#compare().finally(() => {
        this.#scan = null;
        this.#until = Date.now() + Math.min(MAX_AGE_MS, AGE_FACTOR * (Date.now() - begun));
      });
    }
    await this.#scan;
  }

  async #compare(): Promise<void> {
    const stack = this.parts.supervisor.running;
    if (stack === null) return;
    const folder = this.parts.storage.folder;
    const units = [...stack.units.values()].filter((unit) => unit.begunAt > 0);
    const { runtime } = stack.runtimeStack;
    const sources = new Map(units.map((unit) => [unit.name, sourcePaths(unit.definition, folder, runtime)]));
    const since = Math.min(...units.map((unit) => unit.begunAt));
    const scanned = new Map<string, Promise<{ files: NewerFile[]; complete: boolean }>>();
    const scan = (source: SourcePath) => {
      const key = `${source.buildContext === true} ${source.path}`;
      const entry = scanned.get(key) ?? this.#files(source, folder, since);
      scanned.set(key, entry);
      return entry;
    };
    const next: StaleByService = new Map();
    const partial = new Set<string>();
    const definition = await this.#definitionChanges(stack.definition, folder);
    // These are compared by what they define: see #definitionChanges.
    const inputs = new Set(
      [...(stack.definition.files ?? []), ...(stack.definition.inputs ?? [])].map((path) => relative(folder, path)),
    );
    for (const unit of units) {
      const changed: Changed[] = [];
      for (const source of sources.get(unit.name) ?? []) {
        const { files, complete } = await scan(source);
        const shown = relative(folder, source.path);
        if (!complete) partial.add(shown || ".");
        for (const { path, mtimeMs, uid } of files)
          if (mtimeMs > unit.begunAt && unit.copiedFiles.get(join(source.path, path)) !== mtimeMs)
            changed.push({
              path: join(shown, path),
              mtimeMs,
              uid,
              live: source.live,
              always: source.always === true || (source.installs === true && isManifest(path)),
            });
      }
      const code = newCode(
        unit,
        changed,
        inputs,
        reloadsItself(unit.definition, folder, runtime, unit.instance?.command),
      );
      const stale = definition.changed.has(unit.name)
        ? report(definition.files, "start_stack", "changed after the start: the service has a new definition.")
        : code.length > 0
          ? report(code, "restart_service", "changed after the instance started.")
          : null;
      if (stale !== null) next.set(unit.name, { generation: unit.generation, stale, newCode: code.length > 0 });
    }
    this.#of = next;
    this.#notes = [
      ...definition.notes,
      ...[...partial].map(
        (path) =>
          `Not every file below ${path} is compared with the services' start: at most ${MAX_ENTRIES} entries are.`,
      ),
    ];
  }

  async #files(source: SourcePath, folder: string, since: number) {
    try {
      return await newerFiles(source.path, {
        within: folder,
        since,
        skip: ignoredSources(source, folder),
        maxEntries: MAX_ENTRIES,
      });
    } catch (error) {
      if (error instanceof UnsafePathError) return { files: [], complete: false };
      throw error;
    }
  }

  /** Services whose definition differs from the running one. Reads the definition only when one of its files is newer. */
  async #definitionChanges(running: StackDefinition, folder: string): Promise<DefinitionChanges> {
    const since = this.parts.supervisor.definitionReadAt;
    const files: Changed[] = [];
    // The built-in stack has no compose file; its `files` are not absolute paths.
    const compared = (path: string): boolean => isAbsolute(path) && isBeneath(folder, path);
    for (const path of [...(running.files ?? []), ...(running.inputs ?? [])].filter(compared)) {
      const { files: newer } = await newerFiles(path, {
        within: folder,
        since,
        skip: () => false,
        maxEntries: 1,
      }).catch(() => ({ files: [] }));
      for (const { mtimeMs, uid } of newer)
        files.push({ path: relative(folder, path), mtimeMs, uid, live: false, always: true });
    }
    const missing = (running.files ?? []).filter((path) => compared(path) && !exists(path, folder));
    const key = JSON.stringify([since, files.map(({ path, mtimeMs }) => [path, mtimeMs]), missing]);
    if (this.#definition?.key === key) return this.#definition;
    const changedServices = new Set<string>();
    const result: DefinitionChanges = { key, changed: changedServices, notes: [], files };
    if (files.length > 0 || missing.length > 0) {
      const what = files.length > 0 ? names(files) : relative(folder, missing[0] as string);
      try {
        const { added, changed, removed } = compareDefinitions(
          running,
          await this.parts.supervisor.presentDefinition(this.parts.settings()),
        );
        for (const name of files.length > 0 ? changed : []) changedServices.add(name);
        if (added.length > 0) result.notes.push(`${what} changed: start_stack would add ${added.join(", ")}.`);
        if (removed.length > 0) result.notes.push(`${what} changed: start_stack would remove ${removed.join(", ")}.`);
      } catch {
        result.notes.push(`${what} changed and cannot be used now; check_stack lists the problems.`);
      }
    }
    this.#definition = result;
    return result;
  }
}

/** The changed files that a restart would bring into the instance. */
function newCode(
  { instance, definition }: ServiceController,
  changed: readonly Changed[],
  inputs: ReadonlySet<string>,
  reloads: boolean,
): Changed[] {
  const copied = instance?.notes.some((note) => note.startsWith(RUNS_ON_COPY)) === true;
  const user = instance?.user.uid ?? null;
  return changed.filter(
    ({ path, live, always, uid }) =>
      !inputs.has(path) &&
      // What the service itself wrote is not its source.
      !(user !== null && user === uid && user !== process.getuid?.()) &&
      // A running service that reloads, or reads the file for each request, has the change already.
      (always || !((reloads || readsAtRequest(definition, path)) && live && !copied && instance !== null)),
  );
}

function exists(path: string, folder: string): boolean {
  try {
    return statBeneath(path, folder) !== undefined;
  } catch {
    return true;
  }
}

const newestFirst = (files: readonly Changed[]): Changed[] =>
  [...files].sort((one, other) => other.mtimeMs - one.mtimeMs);

const names = (files: readonly Changed[]): string => {
  const unique = new Set(files.map(({ path }) => path));
  const [newest] = newestFirst(files);
  return `${newest?.path ?? ""}${unique.size === 1 ? "" : ` (${unique.size} files)`}`;
};

function report(files: readonly Changed[], fix: Staleness["fix"], what: string): Staleness {
  const sorted = newestFirst(files);
  return {
    reason: `${names(files)} ${what}`,
    fix,
    files: [...new Set(sorted.map(({ path }) => path))].slice(0, MAX_FILES),
    changed_at: new Date(sorted[0]?.mtimeMs ?? Date.now()).toISOString(),
  };
}
