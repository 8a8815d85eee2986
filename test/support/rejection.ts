/** The error that a call is expected to end with. */
import { expect } from "vitest";
import { StackwardenError } from "../../src/errors.js";

export async function rejection(promise: Promise<unknown>): Promise<StackwardenError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(StackwardenError);
  return error as StackwardenError;
}
