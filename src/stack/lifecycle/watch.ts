/**
 * `develop.watch` of a running stack: compares the watched paths at intervals, through the same bounded scan as stale
 * code. Changed files are copied into the running instance (`sync`), or the service is replaced. A service that uses the
 * project's files themselves needs no `sync`.
 */
import { join, posix, relative } from "node:path";
import { isBeneath } from "../../system/is-beneath.js";
import { newerFiles } from "../../system/newer-files.js";
import { UnsafePathError } from "../../system/open-beneath.js";
import { ignoredSources, watchIgnores } from "../definition/source-ignore.js";
import { sourcePaths } from "../definition/source-paths.js";
import type { WatchRule } from "../definition/types.js";
import { type FileCopy, RUNS_ON_COPY, type SkippedCopy } from "../runtime.js";
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

/** The state of one rule's path after its last scan. */
interface Scan {
  since: number;
  /** Modification times of files that changed since the watch began. */
  files: Map<string, number>;
  /** Paths of all files; null before the first scan, and when not all were compared. */
  paths: ReadonlySet<string> | null;
}

/** Paths relative to the rule's own. */
interface Changes {
  changed: { path: string; mtimeMs: number }[];
  removed: string[];
}

/** What is not applied yet to a service. */
interface Pending {
  /** Changed files relative to the project's folder, for messages. */
  files: Set<string>;
  /** By their target; `name` is for messages. */
  copies: Map<string, FileCopy & { mtimeMs: number; name: string }>;
  replace: boolean;
  /** Epoch milliseconds of the first change. */
  since: number;
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

/**
 * Whether the files of a rule are copied into the running instance, whose next one gets them with its image or, where
 * binds are copies, with its bind.
 */
const copiesFiles = ({ definition, instance }: ServiceController, { action, path, target }: WatchRule): boolean =>
  action === "sync" &&
  target !== undefined &&
  instance?.copyFiles !== undefined &&
  (definition.build !== undefined ||
    definition.mounts.some((mount) => mount.type === "bind" && isBeneath(mount.source, path)));

export class Watch {
  #stack: Stack | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #scans = new Map<string, Scan>();
  readonly #pending = new Map<string, Pending>();

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
    this.#scans.clear();
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
    let hasNewChanges = false;
    for (const unit of watched(stack))
      for (const rule of unit.definition.watch ?? []) {
        const changes = await this.#changes(unit, rule);
        if (changes.changed.length === 0 && changes.removed.length === 0) continue;
        const { folder } = this.parts.storage;
        if (rule.action === "sync" && usesFiles(unit, rule, folder, stack.runtimeStack.runtime)) continue;
        hasNewChanges = true;
        this.#add(unit, rule, changes, begun);
      }
    const took = Date.now() - begun;
    for (const [name, pending] of [...this.#pending]) {
      if (hasNewChanges && Date.now() - pending.since < PATIENCE_MS) continue;
      this.#pending.delete(name);
      await this.#apply(name, pending);
    }
    this.#schedule(Math.min(LONGEST_MS, Math.max(SHORTEST_MS, PAUSE_FACTOR * took)));
  }

  #add(unit: ServiceController, rule: WatchRule, { changed, removed }: Changes, begun: number): void {
    const { folder } = this.parts.storage;
    const shown = relative(folder, rule.path);
    const pending = this.#pending.get(unit.name) ?? {
      files: new Set(),
      copies: new Map(),
      replace: false,
      since: begun,
    };
    this.#pending.set(unit.name, pending);
    const removedName = (path: string): string => `${join(shown, path)} (removed)`;
    for (const { path } of changed) pending.files.add(join(shown, path));
    for (const path of removed) pending.files.add(removedName(path));
    if (!copiesFiles(unit, rule)) {
      pending.replace = true;
      return;
    }
    const targetOf = (path: string): string => posix.join(rule.target ?? "/", path);
    for (const { path, mtimeMs } of changed) {
      const [target, name] = [targetOf(path), join(shown, path)];
      pending.copies.set(target, { target, mtimeMs, name, source: { path: name, within: folder } });
    }
    for (const path of removed) {
      const target = targetOf(path);
      pending.copies.set(target, { target, mtimeMs: 0, name: removedName(path), source: null });
    }
  }

  /** Files that changed since the last scan and are newer than the instance, and files that are gone since. */
  async #changes(unit: ServiceController, rule: WatchRule): Promise<Changes> {
    const { folder } = this.parts.storage;
    const key = JSON.stringify([unit.name, rule]);
    const begun = Date.now();
    const scan: Scan = this.#scans.get(key) ?? { since: 0, files: new Map(), paths: null };
    this.#scans.set(key, scan);
    const context = unit.definition.build?.context === rule.path ? { buildContext: true as const } : {};
    const ignored = ignoredSources({ path: rule.path, ...context }, folder);
    const chosen = watchIgnores(rule);
    const paths = new Set<string>();
    try {
      const { files, complete } = await newerFiles(rule.path, {
        within: folder,
        // What is older than the instance is part of it.
        since: Math.max(unit.begunAt, scan.since - CLOCK_MS),
        skip: (path, isFolder) => ignored(path, isFolder) || chosen(path, isFolder),
        maxEntries: MAX_ENTRIES,
        onFile: (path) => paths.add(path),
      });
      const own = unit.instance?.user.uid ?? null;
      const changed = files.filter(
        ({ path, mtimeMs, uid }) =>
          scan.files.get(path) !== mtimeMs && !(own !== null && own === uid && own !== process.getuid?.()),
      );
      for (const { path, mtimeMs } of files) scan.files.set(path, mtimeMs);
      const removed = complete ? [...(scan.paths ?? [])].filter((path) => !paths.has(path)) : [];
      scan.since = begun;
      scan.paths = complete ? paths : null;
      return { changed, removed };
    } catch (error) {
      if (error instanceof UnsafePathError) return { changed: [], removed: [] };
      throw error;
    }
  }

  async #apply(name: string, pending: Pending): Promise<void> {
    const unit = this.#open?.units.get(name);
    if (unit === undefined) return;
    const files = [...pending.files];
    if (!pending.replace && (await this.#copy(unit, pending))) {
      this.parts.changed();
      return;
    }
    const [file] = files;
    const reason = `${sayFiles(files)} changed`;
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

  /** @returns false when the files could not be copied, so that the service has to be replaced */
  async #copy(unit: ServiceController, { copies }: Pending): Promise<boolean> {
    const { instance, name: service } = unit;
    // The next instance gets the present sources with its image.
    if (instance?.copyFiles === undefined) return true;
    const { events } = await this.parts.storage.records();
    await unit.resumed();
    let skipped: readonly SkippedCopy[];
    try {
      skipped = await instance.copyFiles([...copies.values()]);
    } catch (error) {
      if (unit.instance !== instance) return true;
      const message = `Changed files could not be copied into ${service}, which is replaced: ${(error as Error).message}`;
      events.add({ type: "warning", service, message, actor: ACTOR });
      return false;
    }
    const reasons = new Map(skipped.map(({ target, reason }) => [target, reason]));
    const copied = [...copies.values()].filter(({ target }) => !reasons.has(target));
    for (const { source, mtimeMs } of copied)
      if (source !== null) unit.copiedFiles.set(join(source.within, source.path), mtimeMs);
    const names = (some: readonly { name: string }[]): string => sayFiles([...new Set(some.map(({ name }) => name))]);
    if (copied.length > 0) {
      const message = `Copied into ${service}: ${names(copied)}.`;
      events.add({ type: "files_copied", service, message, actor: ACTOR });
    }
    const secret = [...copies.values()].filter(({ target }) => reasons.get(target) === "private");
    if (secret.length > 0) {
      const message = `Not copied into ${service}, because the engine would keep the secrets in it: ${names(secret)}.`;
      events.add({ type: "warning", service, message, actor: ACTOR });
    }
    return true;
  }
}

const sayFiles = (files: readonly string[]): string =>
  files.length === 1 ? `${files[0]}` : `${files[0]} and ${files.length - 1} other files`;

const watched = (stack: Stack): ServiceController[] =>
  [...stack.units.values()].filter(({ definition }) => (definition.watch ?? []).length > 0);
