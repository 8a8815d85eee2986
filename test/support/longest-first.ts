/** Orders test files by duration, longest first, so that no worker begins a long one when the others are done. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** For a clone without measured durations. A file that is not listed only starts later. */
const LONGEST = [
  "runtimes/contract/docker",
  "runtimes/contract/dagger-sim",
  "e2e/demo",
  "e2e/newest-node",
  "e2e/recovery",
  "runtimes/contract/local",
  "runtimes/docker/containers",
  "e2e/dagger-secrets-sim",
  "runtimes/dagger/entry/entry-script",
  "runtimes/docker/engine-loss",
  "runtimes/docker/compose-attributes",
  "runtimes/dagger/failures",
  "daemon/server",
  "e2e/local-stack",
  "daemon/bridge",
  "dashboard/dashboard",
  "e2e/inspector",
  "e2e/foreign-clients",
  "runtimes/dagger/session/session",
  "daemon/sharing",
  "attacks/process-start",
  "runtimes/dagger/engine-host/runc-host",
  "e2e/killed-changes",
].map((name) => `/test/${name}.test.ts`);

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ project, moduleId }: TestSpecification): number => {
      // Vitest reuses a worker only while files of the same project follow each other.
      if (project.config.isolate) return -1;
      const at = LONGEST.findIndex((end) => moduleId.endsWith(end));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}
