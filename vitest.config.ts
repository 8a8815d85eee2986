import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.js";

/**
 * They need a process for themselves: they measure its memory, collect its garbage, which takes long in a large process,
 * replace a module, or load configurations, whose roots stay excluded from program look-up.
 */
const alone = [
  "test/config/load.test.ts",
  "test/daemon/daemon-paths.test.ts",
  "test/stack/logs/flood.test.ts",
  "test/system/find-program.test.ts",
  "test/system/garbage-collection.test.ts",
  "test/runtimes/local/process/cgroups.test.ts",
];

export default defineConfig({
  test: {
    // Only a bound for what hangs: a loaded machine takes many times what an idle one does.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 60_000,
    // A landing runs beside other work on a shared machine. The report names the tests that passed at the second attempt.
    retry: process.env.CI === undefined ? 0 : 1,
    globalSetup: "test/support/per-run.mjs",
    pool: "forks",
    // More than a small machine has processors: files mostly wait, for processes, health checks and grace periods. With 6,
    // two processors were idle for a quarter of the time.
    maxWorkers: 8,
    sequence: { sequencer: LongestFirst },
    projects: [
      // Their files share processes and modules: a process for each file costs it half a second of processor time.
      { extends: true, test: { name: "shared", include: ["test/**/*.test.ts"], exclude: alone, isolate: false } },
      { extends: true, test: { name: "alone", include: alone } },
    ],
    coverage: {
      provider: "v8",
      include: ["src/stack/**", "src/runtimes/**"],
      reporter: ["text-summary", "json-summary"],
      reportOnFailure: true,
      // Each part by itself: a good one does not hide a bad one. For the whole suite, as root on Linux.
      thresholds: Object.fromEntries(
        ["src/stack/**", "src/runtimes/local/**", "src/runtimes/shared/**", "src/runtimes/dagger/**"]
          .map((part): [string, { lines: number; branches: number }] => [part, { lines: 90, branches: 90 }])
          .concat([["src/runtimes/docker/**", { lines: 93, branches: 90 }]]),
      ),
    },
  },
});
