/** Live logs with a filter. The server applies the filter, so it also covers lines that the page has not received. */
import { h, setText, uniqueId } from "./dom.js";
import { clock } from "./format.js";
import { type DataSource, Failure, type LogFilter, sleep } from "./source.js";
import type { LogLine } from "./types.js";

/** Lines kept on the page. */
const KEPT = 2000;
const TYPING_MS = 300;
const AGAIN_MS = 3000;
/** Periods to choose from, besides the last lines. */
const PERIODS = [
  ["5m", "last 5 minutes"],
  ["15m", "last 15 minutes"],
  ["1h", "last hour"],
  ["24h", "last day"],
] as const;
const LEVELS = ["info", "warning", "error"] as const;
/** Services differ by colour and by name. */
const COLOURS = 6;

export interface LogsPanel {
  element: HTMLElement;
  /** The project of the logs; null when none is selected. */
  show(project: string | null, services: readonly string[]): void;
  /** Shows only this service and scrolls to the panel. */
  focus(service: string): void;
  /** Stops following logs while the page is hidden. */
  setVisible(visible: boolean): void;
}

export function createLogsPanel(source: DataSource): LogsPanel {
  let project: string | null = null;
  let services: readonly string[] = [];
  let visible = true;
  let running: AbortController | null = null;
  let shown: LogLine[] = [];
  let typing: ReturnType<typeof setTimeout> | undefined;

  const id = uniqueId("logs");
  const service = h("select", { id: `${id}-service`, change: () => follow() });
  const stream = h(
    "select",
    { id: `${id}-stream`, change: () => follow() },
    h("option", { value: "" }, "stdout and stderr"),
    h("option", { value: "stdout" }, "stdout"),
    h("option", { value: "stderr" }, "stderr"),
    h("option", { value: "install" }, "installation"),
  );
  const level = h(
    "select",
    { id: `${id}-level`, change: () => follow() },
    h("option", { value: "" }, "all levels"),
    ...LEVELS.map((name) => h("option", { value: name }, name === "error" ? name : `${name} and above`)),
  );
  const since = h(
    "select",
    { id: `${id}-since`, change: () => follow() },
    h("option", { value: "" }, "last lines"),
    ...PERIODS.map(([value, label]) => h("option", { value }, label)),
  );
  const text = h("input", {
    id: `${id}-text`,
    type: "search",
    placeholder: "Filter, such as error",
    maxlength: 1000,
    spellcheck: "false",
    autocomplete: "off",
    input: () => {
      clearTimeout(typing);
      typing = setTimeout(follow, TYPING_MS);
    },
  });
  const regex = h("input", { type: "checkbox", change: () => follow() });
  const save = h("button", { type: "button", hidden: !source.canDownload, click: () => download() }, "Download");
  const pause = h("button", { type: "button", "aria-pressed": "false", click: () => toggle() }, "Pause");
  const state = h("p", { class: "hint", role: "status" });
  const lines = h("div", { class: "lines", tabindex: 0, role: "region", "aria-label": "Log lines, newest last" });
  const newest = h("button", { type: "button", class: "newest", hidden: true, click: () => toEnd() }, "↓ Newest");
  lines.addEventListener("scroll", () => {
    newest.hidden = atEnd();
  });
  const labelled = (label: string, control: HTMLElement): HTMLElement =>
    h("span", { class: "labelled" }, h("label", { for: control.id, class: "unseen" }, label), control);
  const element = h(
    "section",
    { class: "panel logs", "aria-label": "Logs" },
    h("div", { class: "row between" }, h("h2", {}, "Logs"), h("div", { class: "row" }, save, pause)),
    h(
      "div",
      { class: "row filter" },
      labelled("Service", service),
      labelled("Output", stream),
      labelled("Level", level),
      labelled("Period", since),
      labelled("Filter", text),
      h("label", { class: "check", title: "Read the filter as an RE2 expression" }, regex, "Regex"),
    ),
    state,
    h("div", { class: "scroll" }, lines, newest),
  );

  const atEnd = (): boolean => lines.scrollHeight - lines.scrollTop - lines.clientHeight < 24;
  const toEnd = (): void => {
    lines.scrollTop = lines.scrollHeight;
    newest.hidden = true;
  };
  const filter = (of: string): LogFilter => ({
    project: of,
    service: service.value === "" ? null : service.value,
    stream: stream.value === "" ? null : (stream.value as "stdout" | "stderr" | "install"),
    level: LEVELS.find((name) => name === level.value) ?? null,
    since: since.value === "" ? null : since.value,
    text: text.value,
    regex: regex.checked,
  });

  const clear = (): void => {
    lines.replaceChildren();
    shown = [];
  };
  /** Saves the lines that the panel shows. */
  const download = (): void => {
    const text = shown.map((line) => `${line.time} ${line.service} ${line.stream} ${line.text}\n`);
    const href = URL.createObjectURL(new Blob(text, { type: "text/plain" }));
    h("a", { href, download: `${project ?? "logs"}.log` }).click();
    URL.revokeObjectURL(href);
  };

  const append = (page: readonly LogLine[], query: LogFilter): void => {
    const stay = atEnd();
    shown = [...shown, ...page].slice(-KEPT);
    lines.append(...page.slice(-KEPT).map((line) => lineOf(line, query, services)));
    while (lines.childElementCount > KEPT) lines.firstElementChild?.remove();
    if (stay) toEnd();
    else newest.hidden = false;
  };

  const follow = (): void => {
    running?.abort();
    clearTimeout(typing);
    clear();
    newest.hidden = true;
    setText(state, "");
    if (project === null || !visible || paused()) return;
    running = new AbortController();
    void run(filter(project), running.signal);
  };

  const run = async (query: LogFilter, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      let announced = false;
      try {
        await source.followLogs(
          query,
          (page) => {
            if (signal.aborted) return;
            if (!announced) clear();
            announced = true;
            append(page, query);
            setText(state, lines.childElementCount > 0 ? "" : isFiltered(query) ? "No line matches." : "No lines yet.");
          },
          signal,
        );
      } catch (error) {
        if (signal.aborted) return;
        setText(state, error instanceof Failure ? error.message : String(error));
        // The server rejected the filter. The next attempt is the next change of the filter.
        if (error instanceof Failure && error.code === "INVALID_INPUT") return;
      }
      await sleep(AGAIN_MS, signal);
    }
  };

  const paused = (): boolean => pause.getAttribute("aria-pressed") === "true";
  const toggle = (): void => {
    pause.setAttribute("aria-pressed", String(!paused()));
    if (paused()) {
      running?.abort();
      setText(state, "Paused.");
    } else follow();
  };

  const choose = (names: readonly string[]): void => {
    const chosen = service.value;
    service.replaceChildren(
      h("option", { value: "" }, "all services"),
      ...names.map((name) => h("option", { value: name }, name)),
    );
    service.value = names.includes(chosen) ? chosen : "";
  };

  return {
    element,
    show: (next, names) => {
      const other = next !== project;
      const changed = names.join() !== services.join();
      if (!other && !changed) return;
      project = next;
      services = names;
      choose(names);
      if (other || running?.signal.aborted !== false) follow();
    },
    focus: (name) => {
      service.value = name;
      follow();
      element.scrollIntoView({ block: "start" });
      lines.focus({ preventScroll: true });
    },
    setVisible: (next) => {
      if (next === visible) return;
      visible = next;
      if (paused()) return;
      if (visible) follow();
      else running?.abort();
    },
  };
}

const isFiltered = ({ text, level, since, stream }: LogFilter): boolean =>
  text !== "" || level !== null || since !== null || stream !== null;

function lineOf(line: LogLine, { text, regex }: LogFilter, services: readonly string[]): HTMLElement {
  const { time, service, stream, repeated, cut_from_bytes: cut } = line;
  const colour = Math.max(0, services.indexOf(service)) % COLOURS;
  return h(
    "div",
    { class: stream === "stderr" ? "line err" : "line" },
    h("time", { datetime: time, title: time }, clock(time, true)),
    h("span", { class: `of c${colour}` }, service),
    stream === "stderr" && h("span", { class: "tag" }, "err"),
    h("span", { class: "text" }, ...(regex || text === "" ? [line.text] : marked(line.text, text))),
    repeated !== undefined && h("span", { class: "tag" }, `× ${repeated.count}`),
    cut !== undefined && h("span", { class: "tag" }, `cut from ${cut} bytes`),
  );
}

/** The text, with the matches of the filter highlighted. */
function marked(text: string, part: string): (Node | string)[] {
  const lower = text.toLowerCase();
  const lowerPart = part.toLowerCase();
  // The lower-case form of some letters has another length, which would shift the positions.
  if (lower.length !== text.length || lowerPart === "") return [text];
  const pieces: (Node | string)[] = [];
  let from = 0;
  for (let at = lower.indexOf(lowerPart); at >= 0; at = lower.indexOf(lowerPart, from)) {
    pieces.push(text.slice(from, at), h("mark", {}, text.slice(at, at + lowerPart.length)));
    from = at + lowerPart.length;
  }
  return [...pieces, text.slice(from)];
}
