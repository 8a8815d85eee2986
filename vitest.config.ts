import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Only a bound for what hangs: a loaded machine takes many times what an idle one does.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: "forks",
    maxWorkers: 2,
    coverage: {
      provider: "v8",
      include: ["src/stack/**", "src/runtimes/**"],
      reporter: ["text-summary", "json-summary"],
      reportOnFailure: true,
      // Each part by itself: a good one does not hide a bad one. For the whole suite, as root on Linux.
      thresholds: Object.fromEntries(
        ["src/stack/**", "src/runtimes/local/**", "src/runtimes/shared/**", "src/runtimes/dagger/**"]
          .map((part): [string, { lines: number; branches: number }] => [part, { lines: 90, branches: 90 }])
          .concat([["src/runtimes/docker/**", { lines: 88, branches: 70 }]]),
      ),
    },
  },
});
