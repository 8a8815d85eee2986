/** Creates the error for processes that cannot be paused. */
import { StackwardenError } from "../../errors.js";

export const pauseRefused = (why: string, cause?: unknown): StackwardenError =>
  new StackwardenError("UNSUPPORTED", `The service's processes cannot be paused: ${why}.`, {
    hint: "Stop the stack, then call again.",
    ...(cause === undefined ? {} : { cause }),
  });
