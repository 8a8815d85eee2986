/** Confirmation dialogs. They use no forms, because the sandbox of an MCP App can forbid forms. */
import { h, setText, uniqueId } from "./dom.js";
import { amount, moment } from "./format.js";
import { Failure } from "./source.js";
import type { ServiceReport, ServiceStats, Snapshot } from "./types.js";

interface Question {
  title: string;
  body: (Node | string)[];
  confirm: string;
  danger?: boolean;
  /** Runs after confirmation. When it throws, the dialog stays open and shows the error. */
  act(): Promise<void>;
  /** Called with a failure before the dialog shows it. */
  onFailure?(failure: unknown): void;
}

function open({ title, body, confirm, danger = false, act, onFailure }: Question): void {
  const id = uniqueId("dialog");
  const failure = h("p", { role: "alert", class: "failure" });
  const yes = h("button", { type: "button", class: danger ? "danger" : "primary" }, confirm);
  const no = h("button", { type: "button", click: () => dialog.close() }, "Cancel");
  const dialog = h(
    "dialog",
    { "aria-labelledby": id },
    h("h2", { id }, title),
    ...body,
    failure,
    h("div", { class: "row end" }, no, yes),
  );
  const run = async (): Promise<void> => {
    if (yes.disabled) return;
    yes.disabled = true;
    setText(failure, "");
    try {
      await act();
      dialog.close();
    } catch (error) {
      onFailure?.(error);
      setText(failure, error instanceof Failure ? `${error.message} ${error.hint}`.trim() : String(error));
    } finally {
      yes.disabled = false;
    }
  };
  yes.addEventListener("click", run);
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target instanceof HTMLInputElement) void run();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  // The most destructive choice does not get the focus, so that Enter does not trigger it.
  if (danger) no.focus();
}

/** @param act runs without being awaited: the dialog closes, and the action reports its own result */
export function askToStop(name: string, services: string[], act: () => void): void {
  open({
    title: `Stop ${name}?`,
    body: [
      h("p", {}, `This ends ${services.join(", ")}. Their clients are disconnected.`),
      h("p", { class: "hint" }, "Data, logs and passwords are kept."),
    ],
    confirm: "Stop",
    danger: true,
    act: async () => act(),
  });
}

export function askToRestart(service: string, dependents: string[], act: (dependents: boolean) => void): void {
  const too = h("input", { type: "checkbox" });
  open({
    title: `Restart ${service}?`,
    body: [
      h("p", {}, "The running instance is stopped and a fresh one started, with the same data and the current source."),
      ...(dependents.length > 0
        ? [h("label", { class: "check" }, too, `Also restart what depends on it: ${dependents.join(", ")}`)]
        : []),
    ],
    confirm: "Restart",
    act: async () => act(too.checked),
  });
}

export function askToSave(act: (name: string) => Promise<void>): void {
  const id = uniqueId("snapshot");
  const name = h("input", {
    id,
    type: "text",
    maxlength: 63,
    placeholder: "the current time",
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
  });
  open({
    title: "Save a snapshot",
    body: [
      h("p", { class: "hint" }, "It keeps the data of all named volumes. Services are paused while it is copied."),
      h("div", { class: "field wide" }, h("label", { for: id }, "Name"), name),
    ],
    confirm: "Save",
    act: () => act(name.value.trim()),
  });
}

/** @param act runs without being awaited */
export function askToRestore(snapshot: Snapshot, isRunning: boolean, act: () => void): void {
  const volumes = Object.keys(snapshot.volumes).join(", ");
  open({
    title: `Restore ${snapshot.name}?`,
    body: [
      h("p", {}, `This replaces the current data of ${volumes} with that of ${moment(snapshot.created_at)}.`),
      h("p", {}, "The current data is saved in an automatic snapshot first."),
      ...(isRunning ? [h("p", {}, "This stops the stack. Start it again afterwards.")] : []),
    ],
    confirm: isRunning ? "Stop and restore" : "Restore",
    danger: true,
    act: async () => act(),
  });
}

export function askToDelete({ name }: Snapshot, act: () => Promise<void>): void {
  open({
    title: `Delete the snapshot ${name}?`,
    body: [h("p", {}, "This cannot be undone. The current data of the project is kept.")],
    confirm: "Delete",
    danger: true,
    act,
  });
}

const LIMITS = [
  ["cpus", "CPU cores", "0.01"],
  ["memory_mb", "Memory in MB", "1"],
  ["pids", "Processes and threads", "1"],
] as const;

export function askForLimits(
  { service, limits }: ServiceReport,
  stats: ServiceStats | null,
  act: (limits: Record<string, number | boolean>) => Promise<void>,
): void {
  const using = { cpus: stats?.cpu_cores, memory_mb: stats?.memory_mb, pids: stats?.pids };
  const fields = LIMITS.map(([name, label, step]) => {
    const present = limits?.[name].value ?? null;
    const id = uniqueId("limit");
    const used = using[name];
    const input = h("input", {
      id,
      type: "number",
      inputmode: "decimal",
      min: step,
      step: name === "cpus" ? "any" : "1",
      value: present === null ? "" : String(present),
      placeholder: "no limit",
      "aria-describedby": `${id}-use`,
    });
    const note = h("span", { id: `${id}-use`, class: "hint" }, used == null ? "" : `in use: ${amount(used)}`);
    return { name, present, input, element: h("div", { class: "field" }, h("label", { for: id }, label), input, note) };
  });
  const force = h("input", { type: "checkbox" });
  const forced = h(
    "label",
    { class: "check", hidden: true },
    force,
    "Allow memory below current usage: the kernel may end the service",
  );
  open({
    title: `Limits of ${service}`,
    body: [
      h("p", { class: "hint" }, "They take effect immediately, without a restart, and are kept for later starts."),
      ...fields.map(({ element }) => element),
      forced,
    ],
    confirm: "Set limits",
    act: async () => {
      const changed: Record<string, number | boolean> = {};
      for (const { name, present, input } of fields) {
        if (!input.validity.valid) throw new Failure("INVALID_INPUT", `${name} is not a number that can be a limit.`);
        if (input.value !== "" && Number(input.value) !== present) changed[name] = Number(input.value);
        if (input.value === "" && present !== null)
          throw new Failure("INVALID_INPUT", `${name}: a limit can be raised, not removed.`, "Give a number.");
      }
      if (Object.keys(changed).length === 0) throw new Failure("INVALID_INPUT", "No limit was changed.");
      await act(force.checked ? { ...changed, force: true } : changed);
    },
    onFailure: (failure) => {
      if (failure instanceof Failure && failure.code === "LIMIT_REFUSED") forced.hidden = false;
    },
  });
}
