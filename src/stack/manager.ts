/** All projects of one server. */

import { StackwardenError } from "../errors.js";
import { hint, setting } from "../hint.js";
import type { Logger } from "../logger.js";
import { mapLimited } from "../system/map-limited.js";
import { withinOrNull } from "../system/wait.js";
import { resolvedModel } from "./definition/resolved-model.js";
import type { LoadStack } from "./definition/types.js";
import { diagnosisOf } from "./diagnosis/collect-facts.js";
import { Project, type ProjectOptions } from "./lifecycle/project.js";
import { eventsOf, healthOf, logsOf, statsOf } from "./lifecycle/queries.js";
import { NEVER_STARTED } from "./lifecycle/stack-report.js";
import type { OpenLogStore } from "./logs/types.js";
import type { CallContext, ManagerScope, SharedStackManager, StackChange, StackManager, StackReport } from "./model.js";
import type { StackRuntime } from "./runtime.js";
import type { StackSettings } from "./settings.js";
import { openRecords } from "./storage/project-records.js";
import { ProjectStore } from "./storage/project-store.js";
import { DEFAULT_RUNTIME } from "./vocabulary.js";

const SHUTDOWN_MS = 30_000;
/** Projects of a list that are read at the same time. */
const READ_AT_ONCE = 4;
/** Milliseconds of the deadline reserved for work after the services' grace period: kill, records, runtimes. */
const CLOSING_MS = 1_000;

export interface StackManagerOptions {
  config: StackSettings;
  /** In order of preference; `auto` prefers dagger. */
  runtimes: readonly StackRuntime[];
  loadStack: LoadStack;
  openLogStore: OpenLogStore;
  logger: Logger;
}

/** State shared by all clients of one server. */
interface Shared {
  projects: Map<string, Project>;
  listeners: Set<(change: StackChange) => void>;
  /** Stores the projects' records. Shared, so that writes are serialised. */
  records: ProjectStore;
  shutdown: Promise<void> | null;
}

class Manager implements SharedStackManager {
  readonly #store: ProjectStore;
  readonly #shared: Shared;
  readonly #projects: Shared["projects"];

  /** @param scope null for the server itself, which can access every project */
  constructor(
    private readonly options: StackManagerOptions,
    private readonly scope: ManagerScope | null = null,
    shared?: Shared,
  ) {
    this.#store = new ProjectStore(options.config);
    this.#shared = shared ?? { projects: new Map(), listeners: new Set(), records: this.#store, shutdown: null };
    this.#projects = this.#shared.projects;
  }

  within(scope: ManagerScope): StackManager {
    return new Manager({ ...this.options, config: scope.settings }, scope, this.#shared);
  }

  #emit(change: StackChange): void {
    for (const listener of [...this.#shared.listeners]) listener(change);
  }

  /** True when this client may access the project. */
  #reaches(id: string): boolean {
    if (this.scope === null || this.scope.everyProject) return true;
    return this.#store.reaches(id, this.#projects.get(id)?.folder);
  }

  /** The project, in its known folder or in the requested one. Writes nothing. */
  #project(id: string, requestedFolder?: string): Project {
    const existing = this.#projects.get(id);
    // A running project keeps the folder of its start, unless the call names another one.
    if (existing?.open && requestedFolder === undefined) {
      if (this.#reaches(id)) return existing;
      const { roots } = this.options.config;
      throw new StackwardenError("FOLDER_NOT_ALLOWED", `${id} runs in a folder that is not below an allowed root.`, {
        hint: hint`Allowed roots: ${roots.join(", ")}. The operator can add one: ${setting("roots")}.`,
        details: { roots },
      });
    }
    const folder = this.#store.resolveFolder(id, requestedFolder);
    if (existing !== undefined) {
      if (existing.folder === folder) return existing;
      if (existing.open || existing.state !== "stopped")
        throw new StackwardenError(
          "PROJECT_CONFLICT",
          `The project ${id} runs in ${existing.folder}, not in ${folder}.`,
          {
            hint: "Give the other folder another project id, or stop this stack first.",
            details: { project: id, folders: [existing.folder, folder] },
          },
        );
      existing.storage.moveTo(folder);
      return existing;
    }
    const project = new Project(id, folder, this.#projectOptions(id));
    this.#projects.set(id, project);
    return project;
  }

  /** The project, also when its folder does not exist any more. */
  #knownProject(id: string): Project {
    const folder = this.#reaches(id) ? this.#store.missingFolder(id) : null;
    if (folder === null) return this.#project(id);
    const project = this.#projects.get(id) ?? new Project(id, folder, this.#projectOptions(id));
    this.#projects.set(id, project);
    return project;
  }

  #projectOptions(id: string): ProjectOptions {
    const { config, runtimes, loadStack, openLogStore, logger } = this.options;
    return {
      settings: config,
      runtimes,
      loadStack,
      store: this.#shared.records,
      changed: () => {
        this.#emit({ kind: "stack", project: id });
        this.#emit({ kind: "health", project: id });
      },
      openRecords: (directory, { tell }) =>
        openRecords({
          project: id,
          directory,
          openLogStore,
          logs: config.logs,
          onEvent: (event) => {
            logger.info(event.message, { project: id, service: event.service, event: event.type, actor: event.actor });
            // The call itself fails with this message.
            if (event.type !== "stack_start_failed") tell(event.message, event.service);
            this.#emit({ kind: "events", project: id, event });
          },
          onLogLines: (service) => this.#emit({ kind: "logs", project: id, service }),
          onError: (what, error) => logger.warn(what, { project: id, err: error }),
        }),
    };
  }

  /** Logs error details that callers do not receive. */
  async #guard<T>(project: string, what: string, run: () => Promise<T>): Promise<T> {
    if (this.#shared.shutdown !== null)
      throw new StackwardenError("RUNTIME_UNAVAILABLE", "The server is shutting down.", {
        hint: "Start it again, then call again.",
      });
    try {
      const lease = this.#projects.get(project)?.lease;
      return await (lease === undefined ? run() : lease.during(run));
    } catch (error) {
      if (!(error instanceof StackwardenError) || error.kind.fixedBy === "us")
        this.options.logger.error(`${what} failed`, { project, err: error });
      throw error;
    }
  }

  start: StackManager["start"] = (request, call) =>
    this.#guard(request.project, "start", async () => {
      const before = this.projects().join();
      const project = this.#project(request.project, request.folder);
      if (!project.open) this.#shared.records.requireOnly(project.id, project.folder);
      try {
        return await project.start(request, call, this.options.config, (id) => this.#project(id));
      } finally {
        if (this.projects().join() !== before) this.#emit({ kind: "projects" });
      }
    });

  stop: StackManager["stop"] = (request, call) =>
    this.#guard(request.project, "stop", async () => {
      const { project: id, forget } = request;
      if (forget !== true) return this.#project(id).stop(request, call);
      const outcome = await this.#knownProject(id).stop(request, call);
      if (outcome.forgotten === true) {
        this.#projects.delete(id);
        this.#emit({ kind: "projects" });
      }
      return outcome;
    });

  restart: StackManager["restart"] = (request, call) =>
    this.#guard(request.project, "restart", () => this.#project(request.project).restart(request, call));

  setLimits: StackManager["setLimits"] = (request, call) =>
    this.#guard(request.project, "set limits", () => this.#project(request.project).setLimits(request, call.actor));

  runCommand: StackManager["runCommand"] = (request, call) =>
    this.#guard(request.project, "run command", () =>
      this.#project(request.project).runCommand(request, call, this.options.config),
    );

  saveSnapshot: StackManager["saveSnapshot"] = ({ project, ...request }, call) =>
    this.#guard(project, "save snapshot", () => this.#project(project).snapshots.save(request, call));

  restoreSnapshot: StackManager["restoreSnapshot"] = ({ project, snapshot }, call) =>
    this.#guard(project, "restore snapshot", () => this.#project(project).snapshots.restore(snapshot, call));

  deleteSnapshot: StackManager["deleteSnapshot"] = ({ project, snapshot }, call) =>
    this.#guard(project, "delete snapshot", () => this.#project(project).snapshots.delete(snapshot, call));

  snapshots: StackManager["snapshots"] = (project) =>
    this.#guard(project, "list snapshots", async () => {
      const { snapshots, storage } = this.#project(project);
      return { project, snapshots: await snapshots.list(), ...(storage.exists ? {} : { note: NEVER_STARTED }) };
    });

  resolve: StackManager["resolve"] = (request) =>
    this.#guard(request.project, "check", async () => {
      const { check, definition } = await this.#project(request.project, request.folder).check(
        request,
        this.options.config,
      );
      return { check, model: definition === null ? null : resolvedModel(definition) };
    });

  check: StackManager["check"] = async (request) => (await this.resolve(request)).check;

  list: StackManager["list"] = async () => {
    const report = async (id: string): Promise<StackReport> => {
      try {
        return await this.#project(id).report();
      } catch (error) {
        // List the project even when its folder is missing or no longer allowed.
        if (!(error instanceof StackwardenError)) throw error;
        const missing = this.#store.missingFolder(id);
        return {
          project: id,
          folder: missing ?? "",
          ...(missing === null ? {} : { folder_missing: true as const }),
          state: "stopped",
          runtime: this.options.runtimes[0]?.name ?? DEFAULT_RUNTIME,
          source: "",
          started_at: null,
          services: {},
          notes: [`${error.message} ${error.hint}`],
        };
      }
    };
    // Reading a file can take seconds. A few at a time, because each one at work can have a thread.
    return mapLimited(this.projects(), READ_AT_ONCE, report);
  };

  report: StackManager["report"] = (project) => this.#guard(project, "report", () => this.#project(project).report());

  health: StackManager["health"] = (request, call) =>
    this.#guard(request.project, "health", () =>
      healthOf(this.#project(request.project), request, call, (listener) => this.subscribe(listener)),
    );

  logs: StackManager["logs"] = ({ project, query }) =>
    this.#guard(project, "logs", () => logsOf(this.#project(project), query, (listener) => this.subscribe(listener)));

  stats: StackManager["stats"] = ({ project, ...query }) =>
    this.#guard(project, "stats", () => statsOf(this.#project(project), query));

  diagnose: StackManager["diagnose"] = ({ project, ...request }) =>
    this.#guard(project, "diagnose", () => {
      const capacity = this.options.runtimes[0]?.capacity().memory_mb ?? null;
      return diagnosisOf(this.#project(project), request, capacity);
    });

  events: StackManager["events"] = ({ project, ...query }) =>
    this.#guard(project, "events", () => eventsOf(this.#project(project), query));

  projects(): string[] {
    return [...new Set([...this.#store.projectIds(), ...this.#runningIds()])].filter((id) => this.#reaches(id)).sort();
  }

  #runningIds(): string[] {
    return [...this.#projects.values()].filter((project) => project.state !== "stopped").map(({ id }) => id);
  }

  running: SharedStackManager["running"] = () =>
    [...this.#projects.values()]
      .map(({ id, state, folder }) => ({ project: id, state, folder }))
      .filter(({ state }) => state !== "stopped" && state !== "lost")
      .sort((one, other) => (one.project < other.project ? -1 : 1));

  state: SharedStackManager["state"] = (project) => this.#projects.get(project)?.state ?? "stopped";

  services(project: string): string[] {
    if (!this.#reaches(project)) return [];
    return this.#projects.get(project)?.services ?? this.#store.services(project);
  }

  logTotals: StackManager["logTotals"] = async () => {
    const all = [...this.#projects.values()].filter(({ id }) => this.#reaches(id));
    const totals = await Promise.all(
      all.map(async (project) =>
        ((await project.storage.openRecords())?.logs.totals() ?? []).map((of) => ({ project: project.id, ...of })),
      ),
    );
    return totals.flat();
  };

  runtimes: StackManager["runtimes"] = () => {
    const { runtimes, config } = this.options;
    return Promise.all(runtimes.map((runtime) => runtime.check(undefined, config)));
  };

  subscribe(listener: (change: StackChange) => void): () => void {
    const filtered = (change: StackChange): void => {
      if (change.kind === "projects" || this.#reaches(change.project)) listener(change);
    };
    this.#shared.listeners.add(filtered);
    return () => this.#shared.listeners.delete(filtered);
  }

  shutdown(reason: string, deadlineMs = SHUTDOWN_MS): Promise<void> {
    if (this.scope !== null) return Promise.resolve();
    this.#shared.shutdown ??= this.#end(reason, deadlineMs);
    return this.#shared.shutdown;
  }

  async #end(reason: string, deadlineMs: number): Promise<void> {
    const { logger, runtimes } = this.options;
    const graceMs = Math.max(0, deadlineMs - CLOSING_MS) / 2;
    const stopping = Promise.allSettled(
      [...this.#projects.values()].map((project) => project.close(`stackwarden (${reason})`, graceMs)),
    );
    const results = await withinOrNull(stopping, Math.max(0, deadlineMs - CLOSING_MS));
    if (results === null) logger.warn("stopping took too long; what is left is killed", { reason });
    else
      for (const one of results)
        if (one.status === "rejected") logger.error("a stack did not stop", { err: one.reason });
    // Close each runtime: this ends its remaining services and helpers.
    for (const one of await Promise.allSettled(runtimes.map((runtime) => runtime.close())))
      if (one.status === "rejected") logger.error("a runtime did not close", { err: one.reason });
    this.#shared.listeners.clear();
  }
}

export function createStackManager(options: StackManagerOptions): SharedStackManager {
  return new Manager(options);
}

export type { CallContext };
