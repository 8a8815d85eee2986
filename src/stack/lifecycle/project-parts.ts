/** What the parts of one project (commands, snapshots, data transfers) share. */
import type { StackRuntime } from "../runtime.js";
import type { StackSettings } from "../settings.js";
import type { ProjectStorage } from "../storage/project-storage.js";
import type { Exclusive } from "./exclusive.js";
import type { Supervisor } from "./supervisor.js";

export interface ProjectParts {
  storage: ProjectStorage;
  supervisor: Supervisor;
  exclusive: Exclusive;
  runtimes: readonly StackRuntime[];
  /** Settings of the client that started the stack, or, before the first start, that named the project. */
  settings(): StackSettings;
}
