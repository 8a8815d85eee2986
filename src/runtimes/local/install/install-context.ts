/** Inputs of an installation. */
import type { Limits } from "../../../stack/definition/types.js";
import type { LogSink } from "../../../stack/logs/types.js";
import type { RuntimeNotice } from "../../../stack/runtime.js";
import type { SandboxMount } from "../process/sandbox.js";
import type { ProcessHost, RunSpec, ServiceUser } from "../types.js";

export interface InstallContext {
  project: string;
  projectStateDir: string;
  /** The project's folder. */
  folder: string;
  service: string;
  /** Distinguishes the environments of a service that has several. */
  use?: string;
  /** Names of all services of the stack. */
  services: string[];
  /** Limits of the service; they also apply to its installers. */
  limits: Limits;
  user: ServiceUser;
  host: ProcessHost;
  sink: LogSink;
  signal: AbortSignal;
  home: string;
  tmp: string;
  /** Folders that take the place of others for the installers. */
  mounts?: readonly SandboxMount[];
  retry: { maxRetries: number; baseDelayMs: number };
  notice(notice: RuntimeNotice): void;
  phase(message: string): void;
}

/** Options that all commands of an installation share. */
export const installingAs = ({
  user,
  signal,
  project,
  service,
  limits,
  folder,
  projectStateDir,
  mounts = [],
}: InstallContext): Pick<RunSpec, "user" | "signal" | "project" | "service" | "limits" | "visible" | "mounts"> => ({
  user,
  signal,
  project,
  service,
  limits,
  visible: [folder, projectStateDir],
  mounts,
});
