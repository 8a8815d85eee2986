/** The contract of src/stack/runtime.ts that every runtime fulfils. */
import { afterAll, afterEach, beforeAll, describe } from "vitest";
import { Bench, type ContractTarget } from "./bench.js";
import { dataTests } from "./data.js";
import { endTests } from "./ends.js";
import { environmentTests } from "./environment.js";
import { limitTests } from "./limits.js";
import { logTests } from "./logs.js";
import { probeTests } from "./probes.js";
import { publishTests } from "./publish.js";
import { stackTests } from "./stack.js";

export interface Given {
  /** Returns the bench of the current test. */
  (): Bench;
  target(): ContractTarget;
}

/**
 * A bench for several tests of one describe, in which `begin` runs once, at the first call. A container for each test
 * costs more processor time than everything that the tests do with it. After a failed test, the next call begins
 * another bench: a retry must not find what the failed attempt left.
 */
export function shared<T extends object>(
  given: Given,
  begin: (bench: Bench) => Promise<T>,
): () => Promise<T & { bench: Bench }> {
  let bench: Bench | undefined;
  const close = async (): Promise<void> => {
    const own = bench;
    bench = undefined;
    await own?.close();
  };
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") await close();
  });
  afterAll(close);
  return once(async () => {
    const own = new Bench(given.target());
    bench = own;
    return { bench: own, ...(await begin(own)) };
  });
}

/** Runs the step at the first call, and at the first one after a failed test, and returns its result to later ones. */
export function once<T>(step: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  afterEach(({ task }) => {
    if (task.result?.state === "fail") result = undefined;
  });
  return () => {
    result ??= step();
    return result;
  };
}

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
      let bench: Bench | undefined;
      const given: Given = Object.assign(
        () => {
          bench ??= new Bench(target);
          return bench;
        },
        { target: () => target },
      );
      beforeAll(async () => {
        target = await setup();
      });
      afterAll(async () => {
        await target?.close?.();
      });
      afterEach(async () => {
        const own = bench;
        bench = undefined;
        await own?.close();
      });

      for (const define of parts) define(given);
    },
  );
}
