/** Labels of everything that this runtime creates: what it belongs to, and which server made it. */
import { createHash } from "node:crypto";
import { startTime } from "../../../system/process-identity.js";

const PREFIX = "io.github.stackwarden";

export const LABEL = {
  project: `${PREFIX}.project`,
  service: `${PREFIX}.service`,
  generation: `${PREFIX}.generation`,
  /** The project's private directory below the state directory. */
  stateDir: `${PREFIX}.state-dir`,
  /** `<pid>@<start of the process>` of the server. */
  server: `${PREFIX}.server`,
  /** Present on volumes: their name in the definition. */
  volume: `${PREFIX}.volume`,
} as const;

/** The project as the engine knows it: two state directories may hold projects of one name. */
export interface StackIdentity {
  projectId: string;
  stateDir: string;
}

/** Short and the same at every start, to be part of names. */
export const identityHash = ({ projectId, stateDir }: StackIdentity): string =>
  createHash("sha256").update(`${stateDir}\0${projectId}`).digest("hex").slice(0, 8);

/** This server. */
export const serverId = (pid = process.pid): string => `${pid}@${startTime(pid) ?? ""}`;

export const stackLabels = ({ projectId, stateDir }: StackIdentity): Record<string, string> => ({
  [LABEL.project]: projectId,
  [LABEL.stateDir]: stateDir,
});

/** Filter of the Engine API. */
export const labelFilter = (labels: Record<string, string>): string[] =>
  Object.entries(labels).map(([name, value]) => `${name}=${value}`);
