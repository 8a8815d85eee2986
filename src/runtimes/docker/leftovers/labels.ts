/** Labels of everything that this runtime creates: the project, and the server that created it. */
import { createHash } from "node:crypto";
import { startTime } from "../../../system/process-identity.js";

const PREFIX = "io.github.stackwarden";

export const LABEL = {
  project: `${PREFIX}.project`,
  service: `${PREFIX}.service`,
  generation: `${PREFIX}.generation`,
  /** The project's private directory below the state directory. */
  stateDir: `${PREFIX}.state-dir`,
  /** `<pid>@<start time>` of the server. */
  server: `${PREFIX}.server`,
  /** Only on volumes: their name in the definition. */
  volume: `${PREFIX}.volume`,
  /** Only on volumes with installed dependencies: the service. */
  dependencies: `${PREFIX}.dependencies`,
} as const;

/** Identity of a project on the engine: two state directories can hold projects with the same name. */
export interface StackIdentity {
  projectId: string;
  stateDir: string;
}

/** A short value for names that is the same at every start. */
export const identityHash = ({ projectId, stateDir }: StackIdentity): string =>
  createHash("sha256").update(`${stateDir}\0${projectId}`).digest("hex").slice(0, 8);

/** The label value of this server. */
export const serverId = (pid = process.pid): string => `${pid}@${startTime(pid) ?? ""}`;

export const stackLabels = ({ projectId, stateDir }: StackIdentity): Record<string, string> => ({
  [LABEL.project]: projectId,
  [LABEL.stateDir]: stateDir,
});

/**
 * Labels by which Docker Desktop, editors and dashboards group containers. Without the label of a configuration's hash,
 * the commands of Docker Compose leave them alone.
 */
export const groupLabels = ({ projectId }: StackIdentity, service: string): Record<string, string> => ({
  "com.docker.compose.project": `stackwarden-${projectId}`,
  "com.docker.compose.service": service,
});

/** Filter of the Engine API. */
export const labelFilter = (labels: Record<string, string>): string[] =>
  Object.entries(labels).map(([name, value]) => `${name}=${value}`);
