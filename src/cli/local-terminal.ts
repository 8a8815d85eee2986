/** The terminal of this process, for a command that runs in another one. */
import { StackwardenError } from "../errors.js";
import type { CallTerminal } from "../stack/model.js";

/** Where the system does not know the size. */
const DEFAULT_SIZE = { columns: 80, rows: 24 };

export const hasTerminal = (): boolean => process.stdin.isTTY === true && process.stdout.isTTY === true;

export interface LocalTerminal extends CallTerminal {
  /** Gives the terminal back as it was. Idempotent. */
  restore(): void;
}

/**
 * Hands the terminal to a command: every key is passed on, Ctrl-C too.
 * @throws INVALID_INPUT when standard input or output is not a terminal
 */
export function takeTerminal(): LocalTerminal {
  const { stdin, stdout } = process;
  if (!hasTerminal())
    throw new StackwardenError("INVALID_INPUT", "--tty needs a terminal as standard input and output.", {
      hint: "Leave it out; --interactive passes standard input to the command.",
    });
  const restore = (): void => {
    stdin.setRawMode(false);
    stdin.pause();
  };
  stdin.setRawMode(true);
  // A process that ends in another way must not leave the user's shell without echo.
  process.once("exit", restore);
  const { TERM = "" } = process.env;
  return {
    type: /^[\w.+-]{1,64}$/.test(TERM) ? TERM : "xterm",
    input: stdin,
    size: () => ({ columns: stdout.columns || DEFAULT_SIZE.columns, rows: stdout.rows || DEFAULT_SIZE.rows }),
    onResize: (listener) => {
      stdout.on("resize", listener);
      return () => stdout.removeListener("resize", listener);
    },
    write: (chunk) => void stdout.write(chunk),
    restore: () => {
      process.removeListener("exit", restore);
      restore();
    },
  };
}
