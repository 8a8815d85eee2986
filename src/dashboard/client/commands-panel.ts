/** Runs a command in a service: one that the compose file declares, or any other one that the operator permits. */
import { h, setText, uniqueId } from "./dom.js";
import { grouped } from "./format.js";
import { type DataSource, Failure } from "./source.js";
import type { CommandOutcome, Input, ServiceReport } from "./types.js";

const TICK_MS = 1000;
/** Output that the page shows of each command. */
const MAX_BYTES = 100_000;

export interface CommandsPanel {
  element: HTMLElement;
  update(project: string, services: readonly ServiceReport[]): void;
}

export function createCommandsPanel(source: DataSource): CommandsPanel {
  const permitted = source.mayChange && source.commands !== "off";
  const free = source.commands === "any";
  const id = uniqueId("command");
  const service = h("select", { id: `${id}-service`, change: () => showDeclared() });
  const declared = h("div", { class: "row" });
  const input = h("input", {
    id: `${id}-text`,
    type: "text",
    class: "command",
    placeholder: "Command, such as npm test",
    maxlength: 4000,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") runTyped();
  });
  const shell = h("input", { type: "checkbox" });
  const fresh = h("input", { type: "checkbox" });
  const run = h("button", { type: "button", click: () => runTyped() }, "Run");
  const cancel = h("button", { type: "button", hidden: true, click: () => running?.abort() }, "Cancel");
  const state = h("p", { class: "hint", role: "status" });
  const result = h("div", { class: "result", hidden: true });
  const element = h(
    "section",
    { class: "panel", "aria-label": "Commands", hidden: true },
    h("h2", {}, "Commands"),
    h(
      "div",
      { class: "row" },
      h("label", { for: service.id, class: "unseen" }, "Service of the command"),
      service,
      declared,
    ),
    h("div", { class: "row", hidden: !free }, h("label", { for: input.id, class: "unseen" }, "Command"), input, run),
    h(
      "div",
      { class: "row", hidden: !free },
      h("label", { class: "check", title: "Run the text with /bin/sh" }, shell, "In a shell"),
      h(
        "label",
        { class: "check", title: "Run beside the running instance, in a new one that is removed afterwards" },
        fresh,
        "In a fresh instance",
      ),
    ),
    h("div", { class: "row" }, state, cancel),
    result,
  );
  let project = "";
  let reports: readonly ServiceReport[] = [];
  let renderedKey = "";
  let running: AbortController | null = null;

  const enable = (): void => {
    run.disabled = running !== null;
    for (const button of declared.querySelectorAll("button")) button.disabled = running !== null;
    cancel.hidden = running === null;
  };
  const showDeclared = (): void => {
    const commands = reports.find((one) => one.service === service.value)?.commands ?? [];
    declared.replaceChildren(
      ...commands.map((name) =>
        h("button", { type: "button", click: () => void start(name, { command: name }) }, name),
      ),
    );
    setText(state, !free && commands.length === 0 ? "The compose file declares no command for this service." : "");
    enable();
  };
  const runTyped = (): void => {
    const command = input.value.trim();
    if (command === "") input.focus();
    else if (running === null)
      void start(command, {
        command,
        ...(shell.checked ? { shell: true } : {}),
        ...(fresh.checked ? { one_off: true } : {}),
      });
  };
  const start = async (title: string, fields: Input): Promise<void> => {
    const controller = new AbortController();
    running = controller;
    result.hidden = true;
    enable();
    const name = service.value;
    const begun = Date.now();
    const tick = (): void =>
      setText(
        state,
        `${title} has been running in ${name} for ${Math.round((Date.now() - begun) / 1000)} s. The logs show its output.`,
      );
    const timer = setInterval(tick, TICK_MS);
    tick();
    try {
      const outcome = await source.call(
        "run_command",
        { project, service: name, timeout_seconds: source.commandSeconds, max_bytes: MAX_BYTES, ...fields },
        controller.signal,
      );
      if (running === controller) show(name, title, outcome);
    } catch (error) {
      if (running !== controller) return;
      const { message, hint } = error instanceof Failure ? error : new Failure("", String(error));
      setText(state, controller.signal.aborted ? `${title} was cancelled.` : `${message} ${hint}`.trim());
    } finally {
      clearInterval(timer);
      if (running === controller) {
        running = null;
        enable();
      }
    }
  };
  const show = (name: string, title: string, outcome: CommandOutcome): void => {
    const { message, exit_code: code, stdout, stderr, omitted, one_off: oneOff } = outcome;
    setText(state, "");
    result.hidden = false;
    const output = (label: string, text: string): HTMLElement | false =>
      text !== "" &&
      h(
        "div",
        { class: "output" },
        h("span", { class: "hint" }, label),
        h("pre", { tabindex: 0, role: "region", "aria-label": `${label} of ${title}` }, text),
      );
    const bytes = omitted === null ? 0 : omitted.stdout_bytes + omitted.stderr_bytes;
    result.replaceChildren(
      h(
        "p",
        { class: "outcome", role: "status", "data-tone": code === 0 ? "good" : "bad" },
        h("code", {}, title),
        ` in ${oneOff ? "a fresh instance of " : ""}${name}: ${message}`,
      ),
      ...[output("stdout", stdout), output("stderr", stderr)].filter((one) => one !== false),
      ...(stdout === "" && stderr === "" ? [h("p", { class: "hint" }, "It printed nothing.")] : []),
      ...(bytes > 0
        ? [h("p", { class: "hint" }, `${grouped(bytes)} bytes in the middle are left out; the logs have them.`)]
        : []),
    );
  };

  return {
    element,
    update: (nextProject, services) => {
      element.hidden = !permitted || services.length === 0;
      const key = JSON.stringify([nextProject, services.map((one) => [one.service, one.commands])]);
      if (key === renderedKey) return;
      renderedKey = key;
      if (nextProject !== project) {
        running?.abort();
        running = null;
        result.hidden = true;
        setText(state, "");
      }
      project = nextProject;
      reports = services;
      const chosen = service.value;
      const names = services.map((one) => one.service);
      service.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
      const declaring = services.find(({ commands = [] }) => commands.length > 0)?.service;
      service.value = names.includes(chosen) ? chosen : (declaring ?? names[0] ?? "");
      showDeclared();
    },
  };
}
