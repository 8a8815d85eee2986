/** Creates the error for an operation that a runtime does not support. */
import { StackwardenError } from "../../errors.js";
import type { RuntimeName } from "../../stack/runtime.js";

/** @param what a verb phrase, e.g. `pause a service` */
export const unsupported = (runtime: RuntimeName, what: string): StackwardenError =>
  new StackwardenError("UNSUPPORTED", `The ${runtime} runtime cannot ${what}.`, {
    hint: "Run the project on another runtime (`runtime` in the configuration; `stackwarden doctor` lists them).",
  });
