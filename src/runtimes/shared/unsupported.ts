/** Creates the error for an operation that a runtime does not support. */
import { StackwardenError } from "../../errors.js";
import type { RuntimeName } from "../../stack/runtime.js";

/** @param what a verb phrase, e.g. `pause a service` */
export const unsupported = (runtime: RuntimeName, what: string): StackwardenError =>
  new StackwardenError("UNSUPPORTED", `The ${runtime} runtime cannot ${what}.`, {
    hint: "Run the project on another runtime (`runtime` in the configuration; `stackwarden doctor` lists them).",
  });

/** The error for a command that asks for a terminal. @param reason completes a sentence after a colon */
export const noTerminal = (reason: string): StackwardenError =>
  new StackwardenError("UNSUPPORTED", `The command cannot have a terminal here: ${reason}.`, {
    hint: "Run it without a terminal: --no-tty.",
    details: { terminal: false },
  });
