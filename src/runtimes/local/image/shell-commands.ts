/** Splits a shell text into the commands that run one after another. */

export interface ShellCommand {
  text: string;
  /** The operator behind it; empty at the end. */
  operator: "&&" | ";" | "";
}

const OPENING: Readonly<Record<string, string>> = { "(": ")", "{": "}" };
const COMPOUND = /^(?:if|for|while|until|case|function|trap)\b/;

/**
 * The commands of `a && b; c`. A text with a pipe, `||`, a background command or a compound command is one command,
 * because its parts belong together.
 */
export function shellCommands(text: string): ShellCommand[] {
  const whole: ShellCommand[] = [{ text: text.trim(), operator: "" }];
  const commands: ShellCommand[] = [];
  let command = "";
  let quote = "";
  const depth: string[] = [];
  const push = (operator: ShellCommand["operator"]): void => {
    if (command.trim() !== "") commands.push({ text: command.trim(), operator });
    command = "";
  };
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    const next = text[at + 1];
    if (char === "\\" && quote !== "'") {
      command += char + (next ?? "");
      at += 1;
    } else if (quote !== "") {
      if (char === quote) quote = "";
      command += char;
    } else if (char === "'" || char === '"' || char === "`") {
      quote = char;
      command += char;
    } else if (OPENING[char] !== undefined && (char === "(" || /\$$|(^|\s)$/.test(command))) {
      depth.push(OPENING[char] as string);
      command += char;
    } else if (depth.at(-1) === char) {
      depth.pop();
      command += char;
    } else if (depth.length > 0) command += char;
    else if (char === "&" && next === "&") {
      push("&&");
      at += 1;
    } else if (char === ";" || char === "\n") push(";");
    else if (char === "|" || (char === "&" && !/[<>]$/.test(command) && next !== ">")) return whole;
    else command += char;
  }
  push("");
  const last = commands.at(-1);
  if (last !== undefined) last.operator = "";
  return commands.some((one) => COMPOUND.test(one.text)) ? whole : commands;
}

/** The text of these commands again. */
export const joinCommands = (commands: readonly ShellCommand[]): string =>
  commands
    .map(({ text, operator }, at) => (at === commands.length - 1 ? text : `${text}${operator === ";" ? ";" : " &&"} `))
    .join("");
