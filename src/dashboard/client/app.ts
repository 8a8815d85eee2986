/** The dashboard: polls the server, renders the state, and sends actions. */
import { Actions } from "./actions.js";
import { type CommandsPanel, createCommandsPanel } from "./commands-panel.js";
import { createDependencyPanel } from "./dependency-panel.js";
import { createDiagnosisPanel } from "./diagnosis-panel.js";
import { h, setText } from "./dom.js";
import { createEventsPanel } from "./events-panel.js";
import { History } from "./history.js";
import { createLeftOutPanel } from "./left-out-panel.js";
import { createLogsPanel } from "./logs-panel.js";
import { Notices } from "./notices.js";
import { createProjectHeader } from "./project-header.js";
import { createProjectList } from "./project-list.js";
import { createServiceCard, type ServiceCard } from "./service-card.js";
import { createSnapshotsPanel } from "./snapshots-panel.js";
import { type DataSource, Failure, sleep } from "./source.js";
import type { ServiceHealth, StackCheck, StackReport, StatsReport } from "./types.js";

/** Polling interval when no events arrive; an event triggers a poll at once. */
const LOOK_MS = 4000;
const LEAST_MS = 400;
const STATS_MS = 2000;
/** States in which a service has processes. */
const WITH_PROCESS: ReadonlySet<string> = new Set(["starting", "running", "healthy", "unhealthy", "stopping"]);
/**
 * Pause between two requests for events: when the server holds a request until an event arrives, and when it does not.
 */
const EVENTS_WAITED_MS = 250;
const EVENTS_MS = 2000;

export interface AppOptions {
  source: DataSource;
  /** Content of the right side of the header: the signed-in user and the sign-out button. */
  corner: (Node | string)[];
  /** Called when the server no longer accepts the token. */
  onUnauthorized(failure: Failure): void;
}

export class App {
  readonly element: HTMLElement;
  readonly #source: DataSource;
  readonly #notices = new Notices();
  readonly #actions: Actions;
  readonly #events = createEventsPanel((text) => this.#notices.hear(text));
  readonly #logs;
  readonly #projects = createProjectList((project) => this.choose(project));
  readonly #header = createProjectHeader({ start: () => this.#start(), stop: () => this.#stop() });
  readonly #dependencies = createDependencyPanel();
  readonly #leftOut = createLeftOutPanel((service) =>
    this.#withStack((stack) => this.#actions.startService(stack, service)),
  );
  readonly #diagnosis = createDiagnosisPanel();
  readonly #commands: CommandsPanel;
  readonly #snapshots = createSnapshotsPanel({
    save: () => this.#withStack((stack) => this.#actions.saveSnapshot(stack)),
    restore: (snapshot) => this.#withStack((stack) => this.#actions.restoreSnapshot(stack, snapshot)),
    remove: (snapshot) => this.#withStack((stack) => this.#actions.deleteSnapshot(stack, snapshot)),
  });
  readonly #cards = new Map<string, ServiceCard>();
  readonly #list = h("ul", { class: "cards" });
  readonly #connection = h("span", { class: "connection" }, "Connecting…");
  readonly #none = h(
    "p",
    { class: "empty", hidden: true },
    "No project yet. Run ",
    h("code", {}, "stackwarden up"),
    " in a project's folder, or ask an agent to start its stack.",
  );
  readonly #body: HTMLElement;
  readonly #histories = new Map<string, History>();
  #stacks: readonly StackReport[] = [];
  /** True after the first answer of the server. */
  #listed = false;
  #chosen: string | null = null;
  /** True until the user chooses a project, or one runs: the page changes to the first that runs. */
  #automatic = true;
  #health: Record<string, ServiceHealth> = {};
  #stats: StatsReport | null = null;
  /** What the compose file defines now; null where it cannot be used. */
  #check: { key: string; check: StackCheck | null } = { key: "", check: null };
  #looking = new AbortController();
  #following = new AbortController();
  #again = false;
  #pause = new AbortController();

  constructor(private readonly options: AppOptions) {
    const { source } = options;
    this.#source = source;
    this.#actions = new Actions(source, this.#notices, () => {
      this.#snapshots.expire();
      this.#render();
      this.#wake();
    });
    this.#logs = createLogsPanel(source);
    this.#commands = createCommandsPanel(source);
    this.#body = h(
      "div",
      { hidden: true },
      this.#header.element,
      this.#diagnosis.element,
      this.#dependencies.element,
      h("section", { "aria-label": "Services" }, this.#list),
      this.#leftOut.element,
      h("div", { class: "panels" }, this.#logs.element, this.#events.element),
      h("div", { class: "panels even" }, this.#commands.element, this.#snapshots.element),
    );
    this.element = h(
      "div",
      { class: "app" },
      h("a", { class: "skip", href: "#main", click: (event) => this.#skip(event) }, "Skip to the project"),
      h(
        "header",
        {},
        h("h1", {}, "stackwarden"),
        this.#connection,
        h("div", { class: "row corner" }, ...options.corner),
      ),
      this.#projects.element,
      h("main", { id: "main", tabindex: -1 }, this.#none, this.#body),
      this.#notices.element,
    );
    document.addEventListener("visibilitychange", this.#onVisibilityChange);
    for (const change of ["online", "offline"]) window.addEventListener(change, this.#network);
    this.#look();
  }

  /** Stops all timers and requests. */
  close(): void {
    this.#looking.abort();
    this.#following.abort();
    this.#logs.setVisible(false);
    document.removeEventListener("visibilitychange", this.#onVisibilityChange);
    for (const change of ["online", "offline"]) window.removeEventListener(change, this.#network);
  }

  choose(project: string): void {
    this.#automatic = false;
    this.#show(project);
  }

  #show(project: string): void {
    if (project === this.#chosen) return;
    this.#chosen = project;
    this.#health = {};
    this.#stats = null;
    this.#cards.clear();
    this.#list.replaceChildren();
    this.#events.clear();
    this.#diagnosis.clear();
    this.#leftOut.clear();
    this.#snapshots.clear();
    this.#follow();
    this.#render();
    this.#wake();
  }

  /** A hidden page keeps no connection: browsers limit the connections to one server. */
  readonly #onVisibilityChange = (): void => {
    const visible = document.visibilityState === "visible";
    this.#logs.setVisible(visible);
    if (visible) {
      this.#look();
      this.#events.clear();
      this.#follow();
    } else {
      this.#looking.abort();
      this.#following.abort();
    }
  };

  /** Does not navigate: the page can be in a frame whose address belongs to the host. */
  #skip(event: Event): void {
    event.preventDefault();
    document.getElementById("main")?.focus();
  }

  readonly #network = (): void => this.#wake();

  /** Schedules a poll soon, also during a poll: the running one may have read the state before the change. */
  #wake(): void {
    this.#again = true;
    this.#pause.abort();
  }

  #look(): void {
    this.#looking.abort();
    this.#again = true;
    this.#looking = new AbortController();
    const { signal } = this.#looking;
    void this.#repeat(LEAST_MS, signal, async () => {
      await this.#resting(signal);
      const { stacks } = await this.#source.call("list_stacks", {}, signal);
      this.#stacks = stacks;
      this.#listed = true;
      const first = stacks.find(({ state }) => state !== "stopped") ?? stacks[0];
      const shown = stacks.find(({ project }) => project === this.#chosen);
      if (shown !== undefined && shown.state !== "stopped") this.#automatic = false;
      if (first !== undefined && (shown === undefined || this.#automatic)) this.#show(first.project);
      const chosen = this.#chosen;
      this.#render();
      if (chosen === null) return;
      const { services } = await this.#source.call("health_status", { project: chosen }, signal);
      if (chosen !== this.#chosen) return;
      this.#health = services;
      this.#render();
      const stack = stacks.find(({ project }) => project === chosen);
      if (stack === undefined) return;
      const check = await this.#checked(stack, signal);
      if (chosen !== this.#chosen) return;
      this.#leftOut.offer(stack, check);
      await this.#snapshots.refresh(this.#source, stack, check?.volumes ?? null, signal);
      this.#render();
      await this.#diagnosis.look(this.#source, stack, signal);
    });
  }

  /** Reads the compose file again when the project, its state or its services changed. */
  async #checked({ project, state, services }: StackReport, signal: AbortSignal): Promise<StackCheck | null> {
    const key = JSON.stringify([project, state === "stopped", Object.keys(services)]);
    if (key === this.#check.key) return this.#check.check;
    let check: StackCheck | null = null;
    try {
      check = await this.#source.call("check_stack", { project }, signal);
    } catch (error) {
      signal.throwIfAborted();
      // Without an answer of the server, the next poll calls again.
      if (!(error instanceof Failure) || error.code === "UNREACHABLE") return null;
    }
    signal.throwIfAborted();
    this.#check = { key, check };
    return check;
  }

  #follow(): void {
    this.#following.abort();
    this.#following = new AbortController();
    const { signal } = this.#following;
    const project = this.#chosen;
    if (project === null) return;
    const history = this.#histories.get(project) ?? new History();
    this.#histories.set(project, history);
    // The server has measured while the page was hidden or showed another project.
    let complete = false;
    void this.#repeat(STATS_MS, signal, async () => {
      const state = this.#stacks.find((stack) => stack.project === project)?.state ?? "stopped";
      if (state === "stopped" || state === "lost") {
        this.#stats = null;
        return;
      }
      const stats = await this.#source.call("get_stats", complete ? { project } : { project, history: true }, signal);
      history.add(stats, Date.now());
      complete = true;
      this.#stats = stats;
      this.#render();
    });
    let after: number | null = null;
    void this.#repeat(EVENTS_MS, signal, async () => {
      const wait = this.#source.waitSeconds;
      const requestedAt = Date.now();
      const newer = after === null ? {} : { after, ...(wait > 0 ? { wait_seconds: wait } : {}) };
      const page = await this.#source.call("get_events", { project, ...newer }, signal);
      if (signal.aborted) return;
      this.#events.add(page.events);
      if (after !== null && page.events.length > 0) {
        if (page.events.some(({ type }) => type.startsWith("snapshot_"))) this.#snapshots.expire();
        this.#wake();
      }
      const waited = after !== null && wait > 0 && (page.events.length > 0 || Date.now() - requestedAt > EVENTS_MS);
      after = page.next_cursor;
      return waited ? EVENTS_WAITED_MS : undefined;
    });
  }

  /** Resolves when the next poll is due or something requests one earlier. */
  async #resting(signal: AbortSignal): Promise<void> {
    if (!this.#again) await sleep(LOOK_MS - LEAST_MS, AbortSignal.any([signal, this.#pause.signal]));
    this.#again = false;
    this.#pause = new AbortController();
  }

  /** @param run returns a different pause before the next run, if it needs one */
  async #repeat(pauseMs: number, signal: AbortSignal, run: () => Promise<unknown>): Promise<void> {
    while (!signal.aborted) {
      let next = pauseMs;
      try {
        const pause = await run();
        if (typeof pause === "number") next = pause;
        this.#tellConnection(null);
      } catch (error) {
        if (signal.aborted) return;
        this.#tellConnection(error instanceof Failure ? error : new Failure("", String(error)));
      }
      await sleep(next, signal);
    }
  }

  #tellConnection(failure: Failure | null): void {
    if (failure?.code === "UNAUTHORIZED") {
      this.options.onUnauthorized(failure);
      return;
    }
    // The stack may have stopped between two polls.
    const bad = failure !== null && failure.code !== "STACK_NOT_RUNNING";
    setText(this.#connection, bad ? failure.message : "Live");
    this.#connection.dataset.tone = bad ? "bad" : "good";
  }

  #render(): void {
    const stack = this.#stacks.find(({ project }) => project === this.#chosen);
    this.#projects.update(this.#stacks, this.#chosen);
    this.#body.hidden = stack === undefined;
    this.#none.hidden = stack !== undefined || !this.#listed;
    if (stack === undefined) return;
    const { mayChange } = this.#source;
    const now = Date.now();
    const { project } = stack;
    this.#header.update(stack, { busy: this.#actions.busy(project), mayChange, now });
    const names = Object.keys(stack.services);
    for (const [name, { element }] of this.#cards) {
      if (names.includes(name)) continue;
      element.remove();
      this.#cards.delete(name);
    }
    for (const [name, report] of Object.entries(stack.services)) {
      const card = this.#cards.get(name) ?? this.#card(name);
      const measured = this.#stats?.services[name];
      card.update({
        report,
        health: this.#health[name] ?? null,
        // The last measurement may be of an instance that has ended.
        stats: WITH_PROCESS.has(report.state) ? (measured?.stats ?? null) : null,
        pressure: measured?.pressure ?? [],
        samples: this.#histories.get(project)?.of(name) ?? [],
        now,
        busy: this.#actions.busy(project, name),
        mayChange: mayChange && this.#actions.busy(project) === null,
      });
    }
    this.#leftOut.update({
      mayChange: mayChange && this.#actions.busy(project) === null,
      isBusy: (service) => this.#actions.busy(project, service) !== null,
    });
    const busy = this.#actions.busy(project);
    this.#snapshots.update({ mayChange, busy: busy === null ? null : "Waiting for the action on the stack…" });
    this.#commands.update(project, Object.values(stack.services));
    this.#dependencies.update(names.flatMap((name) => stack.services[name] ?? []));
    this.#logs.show(project, names);
  }

  #card(name: string): ServiceCard {
    const card = createServiceCard(name, {
      logs: (service) => this.#logs.focus(service),
      limits: (service) => this.#withStack((stack) => this.#actions.limits(stack, service, this.#stats)),
      restart: (service) => this.#withStack((stack) => this.#actions.restart(stack, service)),
      start: (service) => this.#withStack((stack) => this.#actions.startService(stack, service)),
      stop: (service) => this.#withStack((stack) => this.#actions.stopService(stack, service)),
      openLink: (url) => this.#source.openLink(url),
    });
    this.#cards.set(name, card);
    this.#list.append(card.element);
    return card;
  }

  #withStack(run: (stack: StackReport) => void): void {
    const stack = this.#stacks.find(({ project }) => project === this.#chosen);
    if (stack !== undefined) run(stack);
  }

  #start(): void {
    this.#withStack((stack) => this.#actions.start(stack));
  }

  #stop(): void {
    this.#withStack((stack) => this.#actions.stop(stack));
  }
}
