/** Orders test files by duration, longest first, so that no worker begins a long one when the others are done. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** For a clone without measured durations. A file that is not listed only starts later. */
const LONGEST = [
  "runtimes/contract/docker",
  "runtimes/contract/dagger-sim",
  "e2e/demo",
  "e2e/recovery",
  "runtimes/docker/containers",
  "runtimes/contract/local",
  "dashboard/dashboard",
  "runtimes/dagger/failures",
  "daemon/bridge",
  "daemon/server",
  "runtimes/docker/compose-attributes",
  "attacks/process-end",
  "e2e/local-stack",
  "e2e/cli",
  "attacks/process-start",
  "e2e/killed-changes-dagger",
  "runtimes/local/install/python",
  "runtimes/dagger/container/dependencies",
  "runtimes/docker/engine-loss",
  "attacks/files",
  "e2e/killed-changes",
  "e2e/dagger-secrets-sim",
  "runtimes/dagger/session/session",
  "runtimes/dagger/entry/entry-script",
  "daemon/sharing",
  "e2e/ordinary-projects",
  "runtimes/dagger/engine-host/runc-host",
  "e2e/snapshots",
  "runtimes/dagger/tunnel/tunnel",
  "e2e/docs-commands",
  "runtimes/dagger/remote-engine",
  "runtimes/local/files/races",
  "conformance/conformance",
  "attacks/docker",
  "attacks/listeners",
  "stack/logs/flood",
  "e2e/inspector",
  "stack/text/linear-time",
  "stack/definition/load-worker",
  "e2e/foreign-clients",
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
