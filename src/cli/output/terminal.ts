/** What a command prints: results on standard output, everything else on standard error. */
import picocolors from "picocolors";
import type { ServiceState, StackState } from "../../stack/model.js";
import { sanitizeText } from "../../stack/text/sanitize-text.js";

export interface Terminal {
  /** Results as JSON, for programs. */
  readonly json: boolean;
  /** The result. A closed reader (`| head`) is no error. */
  print(text: string): void;
  /** What is going on. */
  note(text: string): void;
  /** Aborted when nobody reads the results any more: what would go on for ever ends. */
  readonly unread: AbortSignal;
}

export function createTerminal(json: boolean): Terminal {
  const unread = new AbortController();
  process.stdout.on("error", () => unread.abort());
  process.stderr.on("error", () => undefined);
  const shown = json ? escaped : harmless;
  return {
    json,
    print: (text) => void process.stdout.write(`${shown(text)}\n`),
    note: (text) => void process.stderr.write(`${harmless(text)}\n`),
    unread: unread.signal,
  };
}

/** What this file itself paints with, and line ends. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for.
const OURS = /(\x1b\[(?:[12]|22|3\d)m|\n)/;

/** Without what steers a terminal or is not to be seen: names of folders, messages and files may hold anything. */
export const harmless = (text: string): string =>
  text
    .split(OURS)
    .map((part, index) => (index % 2 === 1 ? part : sanitizeText(part)))
    .join("");

/** JSON leaves some such characters as they are; a program reads the same from their escapes. */
const escaped = (json: string): string =>
  json.replace(/[\x7f-\x9f\p{Cf}]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
      .join(""),
  );

// Its own guess paints also what is piped, in CI.
const { NO_COLOR = "", FORCE_COLOR = "", TERM } = process.env;
const pc = picocolors.createColors(
  NO_COLOR === "" && (FORCE_COLOR !== "" || (process.stdout.isTTY === true && TERM !== "dumb")),
);

const COLOURS: Record<ServiceState | StackState, (text: string) => string> = {
  healthy: pc.green,
  running: pc.green,
  completed: pc.green,
  pending: pc.dim,
  stopped: pc.dim,
  stopping: pc.yellow,
  starting: pc.yellow,
  degraded: pc.red,
  unhealthy: pc.red,
  crashed: pc.red,
  lost: pc.red,
};

export const paintState = (state: ServiceState | StackState): string => COLOURS[state](state);
export const dim = (text: string): string => pc.dim(text);
export const bold = (text: string): string => pc.bold(text);
export const red = (text: string): string => pc.red(text);
export const green = (text: string): string => pc.green(text);
export const yellow = (text: string): string => pc.yellow(text);

const PALETTE = [pc.cyan, pc.magenta, pc.yellow, pc.green, pc.blue];

/** One colour for each service, the same as long as the command runs. */
export function servicePainter(): (service: string) => string {
  const colours = new Map<string, (text: string) => string>();
  return (service) => {
    const colour = colours.get(service) ?? PALETTE[colours.size % PALETTE.length] ?? pc.cyan;
    colours.set(service, colour);
    return colour(service);
  };
}
