/** The snapshot before data is deleted or replaced. */
import { expect, it } from "vitest";
import { StackwardenError } from "../../../src/errors.js";
import { callTo, hint } from "../../../src/hint.js";
import { saveFirst } from "../../../src/stack/lifecycle/save-first.js";

const HOW = { what: "The data was not deleted", instead: "Delete it without a snapshot." };

it("a save that fails is reported with what did not happen, its own hint and details, and whether a retry can help", async () => {
  const busy = new StackwardenError("STORAGE_FAILED", "The disk is busy.", {
    hint: hint`Stop it with ${callTo("stop_stack")}.`,
    details: { path: "/data" },
    retryable: true,
  });
  const error: StackwardenError = await saveFirst(() => Promise.reject(busy), HOW).then(
    () => Promise.reject(new Error("it was saved")),
    (thrown) => thrown,
  );
  expect(error.report()).toEqual({
    code: "STORAGE_FAILED",
    message: "The data was not deleted, because it cannot be saved first: The disk is busy.",
    hint: "Stop it with stop_stack. Delete it without a snapshot.",
    retryable: true,
    details: { path: "/data" },
  });
  expect(error.hintParts).toContainEqual(callTo("stop_stack"));
});

it.each(["INVALID_INPUT", "UNSUPPORTED"] as const)("data that cannot be copied is not saved: %s", async (code) => {
  await expect(saveFirst(() => Promise.reject(new StackwardenError(code, "x")), HOW)).resolves.toBeNull();
});
