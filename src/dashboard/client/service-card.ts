/** Card of one service: its state, its usage against its limits, and its actions. */
import { h, setText, webAddress } from "./dom.js";
import { amount, clock, duration, plural } from "./format.js";
import type { Sample } from "./history.js";
import { createPlot } from "./plot.js";
import { createBadge, toneOfService } from "./states.js";
import type { ServiceHealth, ServiceReport, ServiceStats } from "./types.js";

export interface ServiceView {
  report: ServiceReport;
  health: ServiceHealth | null;
  stats: ServiceStats | null;
  pressure: readonly string[];
  samples: readonly Sample[];
  now: number;
  /** The action under way, as "Restarting…". */
  busy: string | null;
  mayChange: boolean;
}

export interface CardActions {
  logs(service: string): void;
  limits(service: string): void;
  restart(service: string): void;
  start(service: string): void;
  stop(service: string): void;
  openLink(url: string): boolean;
}

export interface ServiceCard {
  element: HTMLElement;
  update(view: ServiceView): void;
}

export function createServiceCard(name: string, actions: CardActions): ServiceCard {
  const badge = createBadge("service");
  const message = h("p", { class: "message" });
  const links = h("p", { class: "links" });
  const cpu = createPlot("CPU", "cores");
  const memory = createPlot("Memory", "MB");
  const warnings = h("ul", { class: "warnings" });
  const facts = h("p", { class: "facts" });
  const summary = h("summary");
  const variables = h("ul");
  const environment = h("details", { hidden: true }, summary, variables);
  const button = (text: string, act: () => void) =>
    h("button", { type: "button", click: act }, text, h("span", { class: "unseen" }, ` ${name}`));
  const limits = button("Limits", () => actions.limits(name));
  const restart = button("Restart", () => actions.restart(name));
  const start = button("Start", () => actions.start(name));
  const stop = button("Stop", () => actions.stop(name));
  const busy = h("span", { class: "busy" });
  const plots = h("div", { class: "plots" }, cpu.element, memory.element);
  const element = h(
    "li",
    { class: "card", "data-service": name },
    h("div", { class: "row between" }, h("h3", {}, name), badge.element),
    message,
    links,
    plots,
    warnings,
    facts,
    environment,
    h(
      "div",
      { class: "row" },
      button("Logs", () => actions.logs(name)),
      limits,
      start,
      restart,
      stop,
      busy,
    ),
  );
  let shownLinks = "";

  const showLinks = (report: ServiceReport): void => {
    const urls = report.endpoints.map(({ url }) => url);
    if (urls.join() === shownLinks) return;
    shownLinks = urls.join();
    links.replaceChildren(
      ...urls.map((url) => {
        const address = webAddress(url);
        if (address === null) return h("code", {}, url);
        const open = (event: Event): void => {
          if (actions.openLink(address)) event.preventDefault();
        };
        return h("a", { href: address, target: "_blank", rel: "noopener noreferrer", click: open }, url);
      }),
    );
  };

  /** Names only: no report has values. */
  const showEnvironment = (names: readonly string[]): void => {
    environment.hidden = names.length === 0;
    if (variables.dataset.rendered === names.join()) return;
    variables.dataset.rendered = names.join();
    setText(summary, plural(names.length, "environment variable"));
    variables.replaceChildren(...names.map((variable) => h("li", {}, h("code", {}, variable))));
  };

  return {
    element,
    update: ({ report, health, stats, pressure, samples, now, busy: doing, mayChange }) => {
      badge.update(report.state);
      element.dataset.tone = toneOfService(report.state);
      setText(message, messageOf(report, health));
      showLinks(report);
      const points = (field: "cpus" | "memory_mb") => samples.map((one) => ({ time: one.time, value: one[field] }));
      const live = stats !== null;
      cpu.update({ points: points("cpus"), limit: report.limits?.cpus.value ?? null, now, live });
      memory.update({ points: points("memory_mb"), limit: report.limits?.memory_mb.value ?? null, now, live });
      const remarks = [...staleness(report), ...pressure, ...openToNetwork(report), ...notEnforced(report)];
      if (warnings.dataset.rendered !== remarks.join("\n")) {
        warnings.dataset.rendered = remarks.join("\n");
        warnings.replaceChildren(...remarks.map((text) => h("li", {}, text)));
      }
      setText(facts, factsOf(report, stats, now));
      showEnvironment(report.environment ?? []);
      limits.disabled = !mayChange || doing !== null;
      // A service that never ran has nothing to draw.
      plots.hidden = !live && samples.length === 0;
      start.hidden = report.state !== "stopped";
      start.disabled = !mayChange || doing !== null;
      restart.hidden = report.state === "stopped";
      restart.disabled = !mayChange || doing !== null;
      stop.hidden = report.state === "stopped" || report.state === "completed";
      stop.disabled = !mayChange || doing !== null || report.state === "stopping";
      setText(busy, doing ?? "");
    },
  };
}

function messageOf(report: ServiceReport, health: ServiceHealth | null): string {
  const exit = report.last_exit;
  if (report.state === "crashed" && exit !== null) {
    const how = exit.oom_killed
      ? "the kernel killed it, because it used more memory than its limit"
      : exit.signal !== null
        ? `it was ended by ${exit.signal}`
        : `it ended with exit code ${exit.exit_code ?? "unknown"}`;
    return `${clock(exit.at)}: ${how}.`;
  }
  if (health === null) return "";
  const message = health.error ?? health.message;
  return health.latency_ms === null || health.error !== undefined
    ? message
    : `${message} · ${amount(health.latency_ms)} ms`;
}

const staleness = ({ stale }: ServiceReport): string[] =>
  stale === undefined
    ? []
    : [`Stale: ${stale.reason} ${stale.fix === "start_stack" ? "Start the stack again" : "Restart"} to apply it.`];

function openToNetwork({ endpoints }: ServiceReport): string[] {
  const open = endpoints.filter(({ host }) => host !== "127.0.0.1").map(({ host_port }) => host_port);
  return open.length === 0 ? [] : [`Open to the network: port ${open.join(", ")}`];
}

/** Names each limit that the runtime does not enforce. */
function notEnforced({ limits }: ServiceReport): string[] {
  if (limits === null) return [];
  const reasons = new Map<string, string[]>();
  for (const [name, { value, enforcement }] of Object.entries({
    CPU: limits.cpus,
    memory: limits.memory_mb,
    processes: limits.pids,
  })) {
    if (enforcement.level === "enforced" || (value === null && enforcement.level === "none")) continue;
    const why = `${enforcement.level === "none" ? "not enforced" : enforcement.level}: ${enforcement.reason}`;
    reasons.set(why, [...(reasons.get(why) ?? []), name]);
  }
  return [...reasons].map(([why, names]) => `Limits of ${names.join(", ")} ${why}`);
}

function factsOf(report: ServiceReport, stats: ServiceStats | null, now: number): string {
  const running = report.pid !== null && report.started_at !== null;
  const pids = report.limits?.pids.value ?? null;
  return [
    running && `up ${duration(now - Date.parse(report.started_at ?? ""))}`,
    report.restarts > 0 && plural(report.restarts, "restart"),
    stats?.pids != null &&
      (pids === null
        ? plural(stats.pids, "process", "processes")
        : `${amount(stats.pids)} / ${amount(pids)} processes`),
    (stats?.throttled_seconds ?? 0) > 0 && `throttled for ${amount(stats?.throttled_seconds ?? 0)} s`,
    (stats?.oom_kills ?? 0) > 0 && plural(stats?.oom_kills ?? 0, "OOM kill"),
    report.depends_on.length > 0 && `needs ${report.depends_on.join(", ")}`,
    running && report.user !== null && `user ${report.user.name}`,
    report.image,
  ]
    .filter((part) => part !== false && part !== null)
    .join(" · ");
}
