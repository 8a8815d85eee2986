/** Hints and next steps as a person at a terminal types them. */
import { flagName, SETTINGS } from "../../config/settings.js";
import { type Notation, TOOL_NOTATION, variableOf } from "../../hint.js";

interface CommandForm {
  command: string;
  /** Fields that are arguments in this order. */
  operands?: string[];
  /** Options by field; a field that is not named here has no option. */
  options: Record<string, string>;
}

/** Every operation that has a command; the project is that of the folder or of `--project`. */
export const COMMANDS: Record<string, CommandForm> = {
  start_stack: {
    command: "up",
    operands: ["services"],
    options: {
      folder: "--folder",
      profiles: "--profile",
      ports: "--port",
      files: "--file",
      without: "--without",
      idle_stop: "--idle-stop",
      watch: "--watch",
    },
  },
  check_stack: {
    command: "config",
    operands: ["services"],
    options: { folder: "--folder", profiles: "--profile", files: "--file", without: "--without" },
  },
  stop_stack: { command: "down", operands: ["services"], options: { remove_volumes: "--volumes", confirm: "--yes" } },
  list_stacks: { command: "ps", options: {} },
  save_snapshot: { command: "snapshot save", operands: ["name"], options: { service: "--service" } },
  restore_snapshot: { command: "snapshot restore", operands: ["snapshot"], options: { confirm: "--yes" } },
  list_snapshots: { command: "snapshot list", options: {} },
  delete_snapshot: { command: "snapshot delete", operands: ["snapshot"], options: { confirm: "--yes" } },
  health_status: { command: "health", options: { wait_for: "--wait", timeout_seconds: "--timeout", fresh: "--fresh" } },
  get_logs: {
    command: "logs",
    operands: ["service", "services"],
    options: {
      tail: "--tail",
      since: "--since",
      until: "--until",
      grep: "--grep",
      regex: "--regex",
      min_level: "--min-level",
      context: "--context",
      summary: "--summary",
      wait_for: "--wait-for",
      wait_seconds: "--timeout",
      stream: "--stream",
      previous: "--previous",
      follow: "--follow",
    },
  },
  restart_service: { command: "restart", operands: ["service"], options: { dependents: "--dependents" } },
  set_limits: {
    command: "limits",
    operands: ["service"],
    options: { cpus: "--cpus", memory_mb: "--memory", pids: "--pids", force: "--force" },
  },
  run_command: {
    command: "exec",
    operands: ["service", "command"],
    options: { workdir: "--workdir", shell: "--shell", timeout_seconds: "--timeout", env: "--env" },
  },
  get_stats: { command: "stats", operands: ["services"], options: {} },
  get_events: { command: "events", options: { limit: "--limit", service: "--service", types: "--type" } },
  diagnose: { command: "diagnose", operands: ["service"], options: { since: "--since" } },
};

/** `stop_stack` with `forget`. */
const PRUNE: CommandForm = { command: "prune", operands: ["project"], options: { confirm: "--yes" } };

function optionWords(option: string, value: unknown): string[] {
  if (value === false || value === undefined) return [];
  if (value === true) return [option];
  if (Array.isArray(value)) return value.flatMap((one) => [option, String(one)]);
  if (typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([name, one]) => [option, `${name}=${String(one)}`]);
  return [option, String(value)];
}

/** For a shell: what it would read in another way is quoted. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

export const COMMAND_NOTATION: Notation = {
  call: (call) => {
    const form = call.input.forget === true ? PRUNE : COMMANDS[call.operation];
    if (form === undefined) return TOOL_NOTATION.call(call);
    const operands = (form.operands ?? []).flatMap((field) => call.input[field] ?? []).map(String);
    const options = Object.entries(form.options).flatMap(([field, option]) => optionWords(option, call.input[field]));
    return `\`${["stackwarden", ...form.command.split(" "), ...operands, ...options].map(quoted).join(" ")}\``;
  },
  setting: (key) => {
    const flag = SETTINGS.find((entry) => entry.key === key)?.flag;
    return `${flag === undefined ? "" : `${flagName(flag)}, `}${variableOf(key)} or ${key} in stackwarden.yaml`;
  },
};
