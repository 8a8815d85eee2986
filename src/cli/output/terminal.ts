/** What a command prints: results on standard output, everything else on standard error. */
import pc from "picocolors";
import type { ServiceState, StackState } from "../../stack/model.js";

export interface Terminal {
  /** Results as JSON, for programs. */
  readonly json: boolean;
  /** The result. A closed reader (`| head`) is no error. */
  print(text: string): void;
  /** What is going on. */
  note(text: string): void;
}

export function createTerminal(json: boolean): Terminal {
  // A reader that went away ends the output, not the program.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  return {
    json,
    print: (text) => void process.stdout.write(`${text}\n`),
    note: (text) => void process.stderr.write(`${text}\n`),
  };
}

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
