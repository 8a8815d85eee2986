/** The port src/stack/runtime.ts in sentences: what every runtime does, whatever runs the services. */
import { afterAll, afterEach, beforeAll, beforeEach, describe } from "vitest";
import { Bench, type ContractTarget } from "./bench.js";
import { dataSentences } from "./data.js";
import { endSentences } from "./ends.js";
import { environmentSentences } from "./environment.js";
import { limitSentences } from "./limits.js";
import { logSentences } from "./logs.js";
import { probeSentences } from "./probes.js";
import { publishSentences } from "./publish.js";
import { stackSentences } from "./stack.js";

/** Gives the present test's bench. */
export type Given = () => Bench;

/** What every runtime keeps. */
export const ALL = [
  endSentences,
  logSentences,
  probeSentences,
  environmentSentences,
  limitSentences,
  publishSentences,
  dataSentences,
  stackSentences,
];

/**
 * @param setup makes the runtime; a reason instead of a runtime skips the suite in one line
 * @param parts for a runtime that differs from one that keeps the whole contract in these alone
 */
export function runtimeContract(
  name: string,
  setup: () => Promise<ContractTarget>,
  skip: string | null = null,
  parts = ALL,
): void {
  describe.skipIf(skip !== null)(
    `the runtime port, kept by ${name}${skip === null ? "" : `: skipped, ${skip}`}`,
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

      for (const sentences of parts) sentences(given);
    },
  );
}
