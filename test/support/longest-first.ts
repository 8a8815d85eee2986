/** Orders test files by duration, longest first, so that no worker begins a long one when the others are done. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** For a clone without measured durations. A file that is not listed only starts later. */
const LONGEST = [
  "e2e/demo",
  "runtimes/contract/docker",
  "runtimes/contract/dagger-sim",
  "runtimes/docker/containers",
  "runtimes/contract/local",
  "dashboard/browser",
  "e2e/recovery",
  "attacks/process-end",
  "e2e/killed-changes",
  "runtimes/dagger/container/dependencies",
  "daemon/bridge",
  "runtimes/dagger/failures",
  "e2e/cli",
  "daemon/server",
  "stack/lifecycle/snapshots",
  "runtimes/local/install/python",
  "runtimes/docker/engine-loss",
  "e2e/docs-commands",
  "runtimes/docker/compose-attributes",
  "runtimes/dagger/session/session",
  "stack/lifecycle/run-command",
  "attacks/process-start",
  "e2e/killed-changes-dagger",
  "e2e/local-stack",
  "e2e/ordinary-projects",
  "attacks/namespaces",
  "runtimes/dagger/remote-engine",
  "e2e/snapshots",
  "attacks/files",
  "runtimes/dagger/engine-host/runc-host",
  "e2e/unprivileged",
  "attacks/ordinary-user",
  "runtimes/dagger/entry/entry-script",
  "runtimes/local/process/watchdog",
  "runtimes/dagger/tunnel/tunnel",
  "attacks/docker",
  "runtimes/local/process/lifecycle",
  "attacks/listeners",
  "runtimes/local/files/races",
  "attacks/volumes",
  "attacks/command-line",
  "stack/lifecycle/watch",
  "stack/text/linear-time",
  "http/mcp",
  "e2e/foreign-clients",
  "e2e/dagger-secrets-sim",
  "attacks/http",
  "daemon/sharing",
  "stack/definition/load-worker",
  "stack/diagnosis/diagnose",
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
