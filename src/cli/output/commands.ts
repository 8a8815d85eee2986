/** Errors and diagnoses name operations, as agents call them; a person at a terminal has commands. */
const COMMANDS: Record<string, string> = {
  start_stack: "up",
  stop_stack: "down",
  list_stacks: "ps",
  health_status: "health",
  get_logs: "logs",
  restart_service: "restart",
  set_limits: "limits",
  get_stats: "stats",
  get_events: "events",
};
/** Fields whose option has another name, or that are no option; the project is that of the command. */
const OPTIONS: Record<string, string | null> = { project: null, service: null, memory_mb: "memory", wait_for: "wait" };
const CALL = new RegExp(`\\b(${Object.keys(COMMANDS).join("|")})\\b(?: (\\{[^{}]*\\}))?`, "g");

function argumentsOf(json: string): string[] {
  let input: Record<string, unknown>;
  try {
    input = JSON.parse(json);
  } catch {
    // An example with an ellipsis.
    return [];
  }
  const options = Object.entries(input).flatMap(([field, value]) => {
    const option = OPTIONS[field] === undefined ? field : OPTIONS[field];
    if (option === null || value === false) return [];
    return [`--${option}`, ...(value === true ? [] : [String(value)])];
  });
  return typeof input.service === "string" ? [input.service, ...options] : options;
}

/** With `stackwarden logs web` where it says `get_logs {"project": "shop", "service": "web"}`. */
export const asCommands = (text: string): string =>
  text
    .replace(
      CALL,
      (_call, operation: string, input = "{}") =>
        `\`${["stackwarden", COMMANDS[operation], ...argumentsOf(input)].join(" ")}\``,
    )
    .replace("call again with confirm: true", "call again with --yes");
