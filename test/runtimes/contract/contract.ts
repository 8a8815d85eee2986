/** The contract of src/stack/runtime.ts that every runtime fulfils. */
import { afterAll, afterEach, beforeAll, beforeEach, describe } from "vitest";
import { Bench, type ContractTarget } from "./bench.js";
import { dataTests } from "./data.js";
import { endTests } from "./ends.js";
import { environmentTests } from "./environment.js";
import { limitTests } from "./limits.js";
import { logTests } from "./logs.js";
import { probeTests } from "./probes.js";
import { publishTests } from "./publish.js";
import { stackTests } from "./stack.js";

/** Returns the bench of the current test. */
export type Given = () => Bench;

/** The tests that every runtime passes. */
export const ALL = [endTests, logTests, probeTests, environmentTests, limitTests, publishTests, dataTests, stackTests];

/**
 * @param setup creates the runtime
 * @param skip a reason to skip the suite
 * @param parts the tests to run
 */
export function runtimeContract(
  name: string,
  setup: () => Promise<ContractTarget>,
  skip: string | null = null,
  parts = ALL,
): void {
  describe.skipIf(skip !== null)(
    `the StackRuntime contract of ${name}${skip === null ? "" : `: skipped, ${skip}`}`,
    () => {
      let target: ContractTarget;
      let bench: Bench;
      const given: Given = () => bench;
      beforeAll(async () => {
        target = await setup();
      });
      afterAll(async () => {
        await target?.close();
      });
      beforeEach(() => {
        bench = new Bench(target);
      });
      afterEach(async () => {
        await bench?.close();
      });

      for (const define of parts) define(given);
    },
  );
}
