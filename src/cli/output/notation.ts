/** Hints and next steps as a person at a terminal types them. */

import { flagName } from "../../config/flags.js";
import { SETTINGS } from "../../config/settings.js";
import { type Notation, TOOL_NOTATION, variableOf } from "../../hint.js";
import { operations } from "../../operations/index.js";
import type { CommandForm } from "../../operations/operation.js";
import { quoteWord } from "../../system/quote-word.js";

/** The command of each operation; the project is that of the folder or of `--project`. */
export const COMMANDS: Readonly<Record<string, CommandForm>> = Object.fromEntries(
  operations.map(({ name, command }) => [name, command]),
);

/** `stop_stack` with `forget`. */
const PRUNE: CommandForm = { name: "prune", operands: ["project"], options: { confirm: "--yes" } };

function optionWords(option: string, value: unknown): string[] {
  if (value === false || value === undefined) return [];
  if (value === true) return [option];
  if (Array.isArray(value)) return value.flatMap((one) => [option, String(one)]);
  if (typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([name, one]) => [option, `${name}=${String(one)}`]);
  return [option, String(value)];
}

export const COMMAND_NOTATION: Notation = {
  call: (call) => {
    const form = call.input.forget === true ? PRUNE : COMMANDS[call.operation];
    if (form === undefined) return TOOL_NOTATION.call(call);
    const operands = (form.operands ?? []).flatMap((field) => call.input[field] ?? []).map(String);
    const options = Object.entries(form.options).flatMap(([field, option]) => optionWords(option, call.input[field]));
    return `\`${["stackwarden", ...form.name.split(" "), ...operands, ...options].map(quoteWord).join(" ")}\``;
  },
  setting: (key) => {
    const flag = SETTINGS.find((entry) => entry.key === key)?.flag;
    return `${flag === undefined ? "" : `${flagName(flag)}, `}${variableOf(key)} or ${key} in stackwarden.yaml`;
  },
};
