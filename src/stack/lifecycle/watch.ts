/**
 * `develop.watch` of a running stack: compares the watched paths at intervals, through the same bounded scan as stale
 * code, and replaces services whose files changed. A service that uses the project's files themselves needs no `sync`.
 */
import { join, relative } from "node:path";
import { isBeneath } from "../../system/is-beneath.js";
import { newerFiles } from "../../system/newer-files.js";
import { UnsafePathError } from "../../system/open-beneath.js";
import { ignoredSources, watchIgnores } from "../definition/source-ignore.js";
import { sourcePaths } from "../definition/source-paths.js";
import type { WatchRule } from "../definition/types.js";
import { RUNS_ON_COPY } from "../runtime.js";
import type { ProjectParts } from "./project-parts.js";
import type { Restarts } from "./restarts.js";
import type { ServiceController } from "./service-controller.js";
import type { Stack } from "./stack.js";

const SHORTEST_MS = 300;
const LONGEST_MS = 5_000;
/** The pause between scans: the duration of a scan multiplied by this. */
const PAUSE_FACTOR = 20;
/** A change is applied when the next scan finds no further one, or after this time. */
const PATIENCE_MS = 3_000;
const MAX_ENTRIES = 20_000;
/** The clock of file times is some milliseconds behind. */
const CLOCK_MS = 50;
const ACTOR = "stackwarden watch";

/** What the last scans of one rule's path found. */
interface Seen {
  since: number;
  entries: number;
  /** Modification times of files that changed since the watch began. */
  files: Map<string, number>;
}

/** True when the running instance uses the files below the path themselves. */
function usesFiles(
  unit: ServiceController,
  rule: WatchRule,
  folder: string,
  runtime: Stack["runtimeStack"]["runtime"],
) {
  if (unit.instance?.notes.some((note) => note.startsWith(RUNS_ON_COPY)) === true) return false;
  const live = sourcePaths(unit.definition, folder, runtime).filter((source) => source.live);
  return live.some((source) => isBeneath(source.path, rule.path));
}

export class Watch {
  #stack: Stack | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #seen = new Map<string, Seen>();
  /** Changed files of each service that are not applied yet, and the time of the first one. */
  readonly #pending = new Map<string, { files: Set<string>; since: number }>();

  constructor(
    private readonly parts: Pick<ProjectParts, "supervisor" | "storage"> & { restarts: Restarts; changed(): void },
  ) {}

  /** Names of the watched services; empty while nothing is watched. */
  get services(): string[] {
    const stack = this.#open;
    return stack === null ? [] : watched(stack).map(({ name }) => name);
  }

  /** Why nothing is watched although a watch was requested; null otherwise. */
  get note(): string | null {
    const stack = this.#open;
    if (stack === null || watched(stack).length > 0) return null;
    return "Nothing is watched: no service has develop.watch.";
  }

  get #open(): Stack | null {
    const { running } = this.parts.supervisor;
    return running !== null && running === this.#stack ? running : null;
  }

  /** Watches the open stack until it stops. */
  start(): void {
    this.stop();
    this.#stack = this.parts.supervisor.running;
    this.#schedule(0);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stack = null;
    this.#seen.clear();
    this.#pending.clear();
  }

  #schedule(pauseMs: number): void {
    clearTimeout(this.#timer);
    if (this.#open === null) return;
    this.#timer = setTimeout(() => {
      void this.#turn().catch(() => this.#schedule(LONGEST_MS));
    }, pauseMs);
    this.#timer.unref();
  }

  async #turn(): Promise<void> {
    const stack = this.#open;
    if (stack === null) return;
    const begun = Date.now();
    let changed = false;
    for (const unit of watched(stack))
      for (const rule of unit.definition.watch ?? []) {
        const files = await this.#changes(unit, rule);
        if (files.length === 0) continue;
        const { folder } = this.parts.storage;
        if (rule.action === "sync" && usesFiles(unit, rule, folder, stack.runtimeStack.runtime)) continue;
        changed = true;
        const pending = this.#pending.get(unit.name) ?? { files: new Set<string>(), since: begun };
        for (const file of files) pending.files.add(file);
        this.#pending.set(unit.name, pending);
      }
    const took = Date.now() - begun;
    for (const [name, { files, since }] of [...this.#pending]) {
      if (changed && Date.now() - since < PATIENCE_MS) continue;
      this.#pending.delete(name);
      await this.#apply(name, [...files]);
    }
    this.#schedule(Math.min(LONGEST_MS, Math.max(SHORTEST_MS, PAUSE_FACTOR * took)));
  }

  /** Files that changed since the last scan and are newer than the instance, relative to the project's folder. */
  async #changes(unit: ServiceController, rule: WatchRule): Promise<string[]> {
    const { folder } = this.parts.storage;
    const key = JSON.stringify([unit.name, rule]);
    const begun = Date.now();
    const seen = this.#seen.get(key) ?? { since: 0, entries: 0, files: new Map<string, number>() };
    this.#seen.set(key, seen);
    const context = unit.definition.build?.context === rule.path ? { buildContext: true as const } : {};
    const ignored = ignoredSources({ path: rule.path, ...context }, folder);
    const chosen = watchIgnores(rule);
    try {
      const { files, entries } = await newerFiles(rule.path, {
        within: folder,
        // What is older than the instance is part of it.
        since: Math.max(unit.begunAt, seen.since - CLOCK_MS),
        skip: (path, isFolder) => ignored(path, isFolder) || chosen(path, isFolder),
        maxEntries: MAX_ENTRIES,
      });
      const shown = relative(folder, rule.path);
      const own = unit.instance?.user.uid ?? null;
      const changed = files.filter(
        ({ path, mtimeMs, uid }) =>
          seen.files.get(path) !== mtimeMs && !(own !== null && own === uid && own !== process.getuid?.()),
      );
      for (const { path, mtimeMs } of files) seen.files.set(path, mtimeMs);
      const removed = entries < seen.entries;
      seen.since = begun;
      seen.entries = entries;
      return [...changed.map(({ path }) => join(shown, path)), ...(removed ? [`${shown || "."} (removed files)`] : [])];
    } catch (error) {
      if (error instanceof UnsafePathError) return [];
      throw error;
    }
  }

  async #apply(name: string, files: string[]): Promise<void> {
    const unit = this.#open?.units.get(name);
    if (unit === undefined) return;
    const [file] = files;
    const reason = `${file}${files.length === 1 ? "" : ` and ${files.length - 1} other files`} changed`;
    try {
      const call = this.parts.restarts.of(unit, false, ACTOR, reason);
      await call.join({ signal: new AbortController().signal, progress: () => undefined });
    } catch (error) {
      const { events } = await this.parts.storage.records();
      const message = `The change of ${file} could not be applied to ${name}: ${(error as Error).message}`;
      events.add({ type: "warning", service: name, message, actor: ACTOR });
    }
    this.parts.changed();
  }
}

const watched = (stack: Stack): ServiceController[] =>
  [...stack.units.values()].filter(({ definition }) => (definition.watch ?? []).length > 0);
