/** Output of a command: results on standard output, everything else on standard error. */
import picocolors from "picocolors";
import type { ServiceState, StackState } from "../../stack/model.js";
import { sanitizeText } from "../../stack/text/sanitize-text.js";

export interface Terminal {
  /** Print results as JSON. */
  readonly json: boolean;
  /** Prints the result. A closed pipe (`| head`) is not an error. */
  print(text: string): void;
  /** Prints progress and notes. */
  note(text: string): void;
  /** Aborts when the reader of standard output is gone, so that --follow ends. */
  readonly unread: AbortSignal;
}

export function createTerminal(json: boolean): Terminal {
  const unread = new AbortController();
  process.stdout.on("error", () => unread.abort());
  const safe = json ? escaped : harmless;
  return {
    json,
    print: (text) => void process.stdout.write(`${safe(text)}\n`),
    note: (text) => void process.stderr.write(`${harmless(text)}\n`),
    unread: unread.signal,
  };
}

/** The colour sequences of this module, and line ends. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern matches escape sequences.
const OURS = /(\x1b\[(?:[12]|22|3\d)m|\n)/;

/** Removes control and invisible characters: names of folders, messages and files are untrusted. */
export const harmless = (text: string): string =>
  text
    .split(OURS)
    .map((part, index) => (index % 2 === 1 ? part : sanitizeText(part)))
    .join("");

/** JSON.stringify keeps some of these characters; their escapes parse to the same text. */
const escaped = (json: string): string =>
  json.replace(/[\x7f-\x9f\p{Cf}]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
      .join(""),
  );

// picocolors also enables colours for pipes in CI.
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

/** Assigns each service one colour for the lifetime of the command. */
export function servicePainter(
  palette: ((text: string) => string)[] = PALETTE,
): (service: string, text?: string) => string {
  const colours = new Map<string, (text: string) => string>();
  return (service, text = service) => {
    const colour = colours.get(service) ?? palette[colours.size % palette.length] ?? String;
    colours.set(service, colour);
    return colour(text);
  };
}
