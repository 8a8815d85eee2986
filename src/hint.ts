/**
 * What to do next, in parts. The domain names operations and settings; each interface renders them in its own notation:
 * MCP as a tool call, the command line as a command, REST as a method and a path.
 */

export interface OperationCall {
  operation: string;
  /** Arguments that matter for the step; `project` is added from the failed call. */
  input: Record<string, unknown>;
}

export type HintPart =
  | { text: string }
  | { call: OperationCall }
  /** Key of the configuration, such as `read_only`. */
  | { setting: string };
export type Hint = readonly HintPart[];

export interface Notation {
  call(call: OperationCall): string;
  setting(key: string): string;
}

/** Builds a hint: hint`Start it with ${callTo("start_stack", { project })}.` Other values become text. */
export function hint(
  strings: TemplateStringsArray,
  ...values: (Exclude<HintPart, { text: string }> | string | number)[]
): Hint {
  const parts: HintPart[] = [];
  strings.forEach((text, at) => {
    const value = values[at];
    const literal = typeof value === "object" || value === undefined ? text : `${text}${value}`;
    const last = parts.at(-1);
    if (last !== undefined && "text" in last) parts[parts.length - 1] = { text: `${last.text}${literal}` };
    else if (literal !== "") parts.push({ text: literal });
    if (typeof value === "object") parts.push(value);
  });
  return parts;
}

export const callTo = (operation: string, input: Record<string, unknown> = {}): { call: OperationCall } => ({
  call: { operation, input },
});

export const setting = (key: string): { setting: string } => ({ setting: key });

export const toHint = (value: string | Hint): Hint => (typeof value === "string" ? [{ text: value }] : value);

export const renderHint = (parts: Hint, notation: Notation): string =>
  parts
    .map((part) => {
      if ("text" in part) return part.text;
      return "call" in part ? notation.call(part.call) : notation.setting(part.setting);
    })
    .join("");

/** The hint with its text changed; calls keep the names that a caller has to use again. */
export const mapHintText = (parts: Hint, change: (text: string) => string): Hint =>
  parts.map((part) => ("text" in part ? { text: change(part.text) } : part));

/** The hint with these arguments added to the calls that lack them. */
export const completeCalls = (parts: Hint, defaults: Record<string, unknown>): Hint =>
  parts.map((part) => ("call" in part ? { call: { ...part.call, input: { ...defaults, ...part.call.input } } } : part));

/** Variable of the environment that sets `key`. */
export const variableOf = (key: string): string => `STACKWARDEN_${key.replaceAll(".", "_").toUpperCase()}`;

/** `get_logs {"project": "shop"}`, as models read calls. */
export const TOOL_NOTATION: Notation = {
  call: ({ operation, input }) => {
    const fields = Object.entries(input).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`);
    return fields.length === 0 ? operation : `${operation} {${fields.join(", ")}}`;
  },
  setting: (key) => `${key} in stackwarden.yaml (or ${variableOf(key)})`,
};
