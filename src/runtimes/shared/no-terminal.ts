/** Creates the error for a command that asks for a terminal where there is none. */
import { StackwardenError } from "../../errors.js";

/** @param reason completes a sentence after a colon */
export const noTerminal = (reason: string): StackwardenError =>
  new StackwardenError("UNSUPPORTED", `The command cannot have a terminal here: ${reason}.`, {
    hint: "Run it without a terminal: --no-tty.",
    details: { terminal: false },
  });
